"""Elections among so many peers of one machine that whatever all of them do takes long."""

from __future__ import annotations

from collections import Counter, deque

import pytest

from peers.core.inputs import Input, Received, TimerFired
from peers.core.leadership.reasons import VacancyReason
from peers.core.ledger.port import Operation
from peers.core.messages import Vacancy
from peers.core.reports import ElectionStarted
from tests.unit.core.town import Town, Way

PEERS = 200
COST_S = 0.0003
"""What one input costs the machine: with 200 peers it has something to do for a third of the time."""


class Crowd(Town):
    """Peers that share one processor: what is under way arrives in order, and each input takes some of its time."""

    def __init__(self, peers: int) -> None:
        self.line: deque[tuple[int, Input]] = deque()
        self.cost_s = 0.0
        self.asked: Counter[str] = Counter()
        super().__init__(("buyer", "seller") * (peers // 2), seed=1)
        self.goes_on(3.0)
        self.cost_s = COST_S
        self.goes_on(2.0)
        self.asked.clear()
        self.reports.clear()

    def _send(self, way: Way, event: Input) -> None:
        self.line.append((way[1], event))

    def _perform(self, rank: int, operation: Operation) -> None:
        self.asked[type(operation).__name__] += 1
        super()._perform(rank, operation)

    def goes_on(self, for_s: float) -> None:
        """So much time passes. A timer that has come due waits in the line like anything else."""
        until_s = self.now_s + for_s
        while self.now_s < until_s:
            if self.line:
                rank, event = self.line.popleft()
                self.now_s += self.cost_s
                self.happens(rank, event)
            else:
                self.now_s = max(self.now_s, min(self.timers.values(), default=until_s))
            for key in [key for key, due in self.timers.items() if due <= self.now_s]:
                del self.timers[key]
                self.line.append((key[0], TimerFired(timer=key[1])))


@pytest.fixture
def crowd() -> Crowd:
    return Crowd(PEERS)


def test_when_the_trader_resigns_there_is_one_election_and_the_books_have_little_to_do(crowd: Crowd) -> None:
    before = crowd.trader()
    crowd.resign(before)
    crowd.goes_on(5.0)
    assert crowd.trader() != before
    assert sum(isinstance(report, ElectionStarted) for report in crowd.reports) == 1
    assert crowd.asked["Load"] == 1
    assert crowd.asked["RecordElection"] <= PEERS / 10


def test_where_all_are_to_find_out_whether_they_reach_the_books_not_all_ask_in_one_moment(crowd: Crowd) -> None:
    before = crowd.trader()
    incarnation = crowd.members[before].incarnation
    news = Vacancy(term=1, incarnation=incarnation, reason=VacancyReason.BOOKS_AWAY, barred=(before,), barred_for=2)
    crowd.cost_s = 0.0
    for rank in crowd.alive():
        crowd.happens(rank, Received(sender=crowd.peers[rank].view.neighbours[0], incarnation=1, message=news))
    assert 0 < crowd.asked["Reach"] <= PEERS / 10
    crowd.cost_s = COST_S
    crowd.goes_on(10.0)
    assert crowd.trader() is not None
