"""Peers that share one processor, which then has less time for them: late is not gone, and all is soon well again.

Timers come in time, as a kernel favours who sleeps; messages wait for each other in one long queue. Without care
this never ends: silence is taken for loss, the news of losses and returns makes everything later, and so on.
"""

from __future__ import annotations

import heapq
from random import Random

import pytest

from peers.core.inputs import Input, Received, TimerFired
from peers.core.messages import Beat, ClockNews
from peers.core.reports import ElectionStarted, Lost
from peers.core.roles import draw_roles
from tests.unit.core.town import Town, Way

Parcel = tuple[float, int, Way]


class CrowdedTown(Town):
    """A town on a processor that takes `cost_s` for whatever happens to a peer."""

    def __init__(self, n: int, seed: int, cost_s: float) -> None:
        self.cost_s = cost_s
        self._queue: list[Parcel] = []
        self._contents: dict[int, Input] = {}
        self._waiting: dict[object, int] = {}  # beats, of which links keep the newest
        self._sent = 0
        super().__init__(draw_roles(n, Random(seed)), seed=seed)

    def _send(self, way: Way, event: Input) -> None:
        message = event.message if isinstance(event, Received) else None
        kind = (way, type(message), getattr(message, "reply", None))
        newest = self._waiting.get(kind) if isinstance(message, Beat | ClockNews) else None
        if newest in self._contents:
            self._contents[newest] = event
            return
        self._sent += 1
        self._contents[self._sent] = event
        self._waiting[kind] = self._sent
        heapq.heappush(self._queue, (self.now_s, self._sent, way))

    def run(self, until_s: float) -> None:
        while self.now_s < until_s:
            key = min(self.timers, key=lambda k: (self.timers[k], k))
            due_s = self.timers[key]
            sent_s = self._queue[0][0] if self._queue else float("inf")
            on_time = due_s <= max(self.now_s, sent_s)
            self.now_s = max(self.now_s, due_s if on_time else sent_s) + self.cost_s
            if on_time:
                del self.timers[key]
                self.happens(key[0], TimerFired(timer=key[1]))
            else:
                _, number, way = heapq.heappop(self._queue)
                self.happens(way[1], self._contents.pop(number))

    def count(self, kind: type) -> int:
        return sum(isinstance(report, kind) for report in self.reports)

    @property
    def waiting(self) -> int:
        return len(self._queue)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_hundred_that_start_together_hold_one_election_and_lose_nobody(seed: int) -> None:
    town = CrowdedTown(100, seed, 0.0008)
    town.run(6.0)
    assert (town.count(Lost), town.count(ElectionStarted)) == (0, 1)
    assert town.term() == 1


@pytest.mark.parametrize("slower", [2, 4])
def test_some_slow_seconds_are_survived(slower: int) -> None:
    town = CrowdedTown(40, 1, 0.001)
    town.run(4.0)
    town.cost_s *= slower
    town.run(6.0)
    assert town.waiting > (100 if slower > 2 else 10)
    town.cost_s /= slower
    town.run(16.0)
    assert town.count(Lost) < 5
    assert town.term() == 1
    assert town.waiting < 40
