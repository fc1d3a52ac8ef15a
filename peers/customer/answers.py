"""What a customer is told that has no public form of its own, and what it tells its watcher while it waits."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec


class Trader(msgspec.Struct, frozen=True, kw_only=True):
    """Who is in office: its name, its term, and the address to call it at; `area`: of which area, empty in a town
    with one post."""

    name: str
    term: int
    uri: str
    area: str = ""


class Earnings(msgspec.Struct, frozen=True, kw_only=True):
    """What a seller's sales come to. Sales that were taken back count in `taken_back` alone.

    `units` were sold in `sales` sales, the buyers paid `paid`, of which the traders kept `commission`; `left` says
    how many units are still on offer, by item.
    """

    sales: int = 0
    units: int = 0
    paid: Decimal = Decimal("0.00")
    commission: Decimal = Decimal("0.00")
    earned: Decimal = Decimal("0.00")
    taken_back: int = 0
    left: dict[str, int] = {}


class TraderLost(msgspec.Struct, frozen=True, kw_only=True):
    """The trader did not answer, or is not in office any more. `trader` is its name, empty where none was known."""

    trader: str
    why: str


class TraderFaulted(msgspec.Struct, frozen=True, kw_only=True):
    """The trader answered that it failed at what it was asked; whoever is trader is asked again, with the same id."""

    trader: str


class TraderFound(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody in office was found, and is asked from now on. `after` is who was asked before, empty for nobody."""

    trader: str
    term: int
    after: str


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """The post is closed for the moment; it is asked again, with the same id. `why` says what is the matter."""

    why: str


News = TraderLost | TraderFaulted | TraderFound | Waiting
OnNews = Callable[[News], None]
