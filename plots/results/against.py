"""The trading post beside etcd."""

from __future__ import annotations

import msgspec

from plots.results.latency import Summary
from plots.results.speed import Rate


class Promise(msgspec.Struct, frozen=True, kw_only=True):
    """What each of the two says about one thing."""

    about: str
    etcd: str
    trading_post: str


class Standstill(msgspec.Struct, frozen=True, kw_only=True):
    """How long nothing could be written after `kill -9`, each time; `whose` leader, and how it is set up."""

    whose: str
    setup: str
    pauses_ms: list[float]
    summary: Summary


class Against(msgspec.Struct, kw_only=True):
    """All of it. `puts` and `purchases` are by number of clients; `terms` counts etcd's leaders meanwhile, 1 if none
    lost its office under load; `replicas` is how many members hold the trading post's books."""

    version: str
    replicas: int
    terms: int
    puts: tuple[Rate, ...]
    purchases: tuple[Rate, ...]
    promises: list[Promise]
    standstills: list[Standstill] = []
