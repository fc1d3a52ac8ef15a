"""The core of a peer as its host sees it, and how one is made of what the peer is told at its start."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Protocol

from peers.core.calls import AsOf, Status
from peers.core.commands import Command
from peers.core.inputs import Input, Now
from peers.core.membership.members import Member, Snapshot
from peers.core.peer import Peer
from peers.core.settings import Settings
from peers.endpoints import endpoint
from peers.runtime.spec import PeerSpec


class Core(Protocol):
    """What the host needs of it."""

    def handle(self, event: Input, now: Now) -> list[Command]: ...

    def status(self) -> Status: ...

    def as_of(self, area: str) -> AsOf | None: ...

    def snapshot(self) -> Snapshot: ...


MakeCore = Callable[[Member, Settings, PeerSpec], Core]


def make_peer(me: Member, settings: Settings, spec: PeerSpec) -> Core:
    """Returns the core of a real peer."""
    shares = settings.market.one_stock
    return Peer(me, settings, random.Random(spec.seed), trades=spec.trades, area=spec.area if shares else "")


def member_of(spec: PeerSpec, uri: str) -> Member:
    """Returns the record of the peer that is started like that and listens at `uri`."""
    return Member(
        rank=spec.rank,
        name=spec.name,
        role=spec.role,
        uri=uri,
        incarnation=spec.incarnation,
        nameserver=endpoint(spec.advertised or spec.nameserver_host, spec.nameserver_port),
        books_s=spec.books_s,
        area=spec.area,
    )
