"""An answer of the books that was read before what this peer has learned, or done, since it asked."""

from __future__ import annotations

from random import Random
from typing import TypeVar

from db.ledger.memory import MemoryLedger
from peers.core.commands import Perform, Publish
from peers.core.inputs import Input, LedgerReplied, Now, PeerGone, Received, Start, TimerFired
from peers.core.ledger.port import Append, Load, Operation, PostRead, ReadPost
from peers.core.membership.members import Snapshot
from peers.core.messages import Coordinator
from peers.core.peer import Peer
from peers.core.reports import FalseTerm, LeftOffice, Report
from tests.helpers.log_trader import LogTrader
from tests.unit.core.words import T0_MS, peer, rules

T = TypeVar("T", bound=Operation)


class Someone:
    """merchant9 in a town of four, whose trader is merchant8; the test answers for the books."""

    def __init__(self) -> None:
        self.ledger = MemoryLedger()
        LogTrader(self.ledger, "merchant8").take_office()
        everybody = (peer(0), peer(1, "seller"), peer(8, "merchant"), peer(9, "merchant"))
        self.peer = Peer(everybody[3], rules(), Random(1))
        self.asked: list[Operation] = []
        self.said: list[Report] = []
        self._now_s = 0.0
        edges = ((0, 9), (1, 9), (8, 9))
        self.takes(Start(snapshot=Snapshot(members=everybody, edges=edges, term=1, trader="merchant8")))

    def takes(self, event: Input, after_s: float = 0.001) -> None:
        self._now_s += after_s
        now = Now(mono_s=self._now_s, wall_ms=T0_MS + round(self._now_s * 1000))
        for command in self.peer.handle(event, now):
            if isinstance(command, Perform):
                self.asked.append(command.operation)
            elif isinstance(command, Publish):
                self.said.append(command.report)

    def hears_of(self, term: int) -> None:
        self.takes(Received(sender=0, incarnation=1, message=Coordinator(term=term, trader=1, incarnation=1)))

    def take(self, kind: type[T]) -> T:
        """What it has asked the ledger for, and waits for."""
        found = next(each for each in self.asked if isinstance(each, kind))
        self.asked.remove(found)
        return found

    def is_answered(self, kind: type[Operation]) -> None:
        operation = self.take(kind)
        self.takes(LedgerReplied(operation=operation, result=self.ledger.perform(operation)))

    def reads(self) -> tuple[ReadPost, PostRead]:
        """What it asked, and the answer, which is still on its way."""
        question = self.take(ReadPost)
        answer = self.ledger.perform(question)
        assert isinstance(answer, PostRead)
        return question, answer

    @property
    def took_it_for_a_lie(self) -> bool:
        return any(isinstance(report, FalseTerm | LeftOffice) for report in self.said)


def test_who_takes_office_meanwhile_stays_in_it() -> None:
    someone = Someone()
    someone.takes(PeerGone(rank=8, incarnation=1))
    if not any(isinstance(operation, Load) for operation in someone.asked):
        someone.takes(TimerFired(timer="election"), 0.2)
    someone.is_answered(Load)
    someone.hears_of(0)  # It comes late, and is a reason to ask.
    question, answer = someone.reads()
    someone.is_answered(Append)
    assert someone.peer.view.in_office
    someone.takes(LedgerReplied(operation=question, result=answer))
    someone.is_answered(ReadPost)
    assert someone.peer.view.in_office
    assert not someone.took_it_for_a_lie


def test_who_hears_of_the_next_trader_meanwhile_goes_on_following_it() -> None:
    someone = Someone()
    someone.hears_of(0)
    question, answer = someone.reads()
    LogTrader(someone.ledger, "seller1").take_office()
    someone.hears_of(2)
    someone.takes(LedgerReplied(operation=question, result=answer))
    assert someone.peer.view.term == 2
    someone.is_answered(ReadPost)
    assert someone.peer.view.term == 2
    assert not someone.took_it_for_a_lie


def test_a_next_term_that_is_a_lie_is_found_out_by_the_second_answer() -> None:
    someone = Someone()
    someone.hears_of(0)
    question, answer = someone.reads()
    someone.hears_of(2)
    someone.takes(LedgerReplied(operation=question, result=answer))
    someone.is_answered(ReadPost)
    assert someone.peer.view.term == 1
    assert someone.took_it_for_a_lie
