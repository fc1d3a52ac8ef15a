"""One state of the small town that is walked, as a value: what everybody is, what is on which road, which timers run.

States of peers and of the ledger are numbers (see `interning`), so equal nodes behave alike.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from peers.core.inputs import Input, TimerName
from peers.core.ledger.port import Operation

Place = Literal["link", "lane", "any"]
Road = tuple[Place, int, int]
"""How things travel: on a link or by themselves, both from one rank to another, or from a rank down a lane."""

Thing = Input | Operation


class Node(NamedTuple):
    """One state of the town; equal nodes behave alike."""

    now_s: float
    peers: tuple[int, ...]
    up: tuple[bool, ...]
    timers: frozenset[tuple[int, TimerName, float]]
    roads: frozenset[tuple[Road, tuple[Thing, ...]]]
    asks: frozenset[tuple[int, int, int]]  # The caller's rank, the number of its call, and the rank it called.
    ledger: int
    faults: int

    def thing_at(self, road: Road, place: int) -> Any:
        """What is at that place of a road."""
        return dict(self.roads)[road][place]
