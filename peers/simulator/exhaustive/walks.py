"""What is walked: small towns in a hurry, and how many faults may strike in them."""

from __future__ import annotations

from typing import Any

import msgspec

from peers.core.inputs import TimerName
from peers.core.names import Role


class Walk(msgspec.Struct, frozen=True, kw_only=True):
    """What to walk. `faults` is how many may strike: a peer in office crashes, is taken for gone by a neighbour, or
    is asked to resign; a link's message or a call is lost; the answer to an entry is lost, and it stands or does not.

    `books_behind`: the books are made at any time after the entry, or never, if their maker dies. `begins_with`: the
    walk begins when nothing is on its way and this is the next timer. `losses`: one more fault is that a seller loses
    all that it has deposited.
    """

    name: str
    settings: dict[str, Any]
    roles: tuple[Role, ...]
    edges: tuple[tuple[int, int], ...]
    starters: tuple[int, ...]
    trades: bool
    faults: int
    depth: int
    books_behind: bool = False
    begins_with: TimerName | None = None
    losses: bool = False


_HURRY: dict[str, Any] = {
    "market": {
        "items": ("fish",),
        "stock": 3,
        "price_min": 7,
        "price_max": 7,
        "max_purchases": 1,
        "period_s": 3600,
        "think_s": 0.01,
        "resign_after_sales": 0,
    },
    "timing": {"heartbeat_interval_s": 3600, "suspect_s": 3600, "clock_gap_s": 3600},
}
_LINE = ((0, 1), (1, 2))
_TRIANGLE = ((0, 1), (0, 2), (1, 2))

_MARKET = Walk(
    name="a market of three",
    settings=_HURRY,
    roles=("merchant", "merchant", "merchant"),
    edges=_LINE,
    starters=(0,),
    trades=True,
    faults=1,
    depth=60,
    begins_with="buy",
)

WALKS = (
    Walk(
        name="an election with two starters",
        settings=_HURRY,
        roles=("buyer", "merchant", "merchant"),
        edges=_TRIANGLE,
        starters=(0, 1),
        trades=False,
        faults=2,
        depth=40,
    ),
    _MARKET,
    msgspec.structs.replace(_MARKET, faults=2),
    msgspec.structs.replace(_MARKET, name="a market of three, the books behind", books_behind=True),
    msgspec.structs.replace(_MARKET, name="a market of three, goods lost", losses=True),
)


def with_election(walk: Walk, election: str) -> Walk:
    """The same walk in a town whose elections are held in this way."""
    return msgspec.structs.replace(walk, settings={**walk.settings, "election": election})
