"""A peer on its way into office and out of it: whoever asks meanwhile is answered once, by the right one."""

from __future__ import annotations

from random import Random

import pytest

from db.ledger.memory import MemoryLedger
from peers.core.calls import Buy, Failure, MakeDeposit, Reply, Search
from peers.core.commands import Command, HoldPost, Perform, Publish, Respond
from peers.core.inputs import Input, Leave, LedgerReplied, Now, Received, RequestReceived, Start, TimerFired
from peers.core.leadership.reasons import VacancyReason
from peers.core.leadership.state import LeadershipEvent, LeadershipState
from peers.core.ledger.log import OfficeEntry, TradeEntry
from peers.core.ledger.port import AlreadyRecorded, Append, LedgerAway, Load, LookUp, MakeBooks, Operation, Result
from peers.core.market.records import Outcome
from peers.core.membership.members import Snapshot
from peers.core.messages import Coordinator
from peers.core.peer import Peer
from peers.core.reports import Elected, EntryRefused, LeadershipChanged, LeftOffice, Report
from peers.core.state_machine import Transition
from peers.errors import NotTrader
from tests.unit.core.trader.checks import FISH
from tests.unit.core.trader.desk import Desk, takes_office
from tests.unit.core.words import T0_MS, offers, peer, rules, wants

MEMBERS = (peer(0, "buyer"), peer(1, "seller"), peer(2, "buyer"), peer(3, "merchant"))


class Candidate:
    """merchant3, which was nominated at the start; its ledger answers when the test says so."""

    def __init__(self, ledger: MemoryLedger | None = None) -> None:
        self.ledger = ledger or MemoryLedger()
        self.peer = Peer(MEMBERS[3], rules(resign_after_sales=0), Random(0), trades=False)
        self.under_way: list[Operation] = []
        self.performed: list[Operation] = []
        self.held: list[HoldPost] = []
        self.reports: list[Report] = []
        self.replies: dict[int, list[Reply | Failure]] = {}
        snapshot = Snapshot(members=MEMBERS, edges=((0, 3), (1, 3), (2, 3)), term=self.ledger.post.term)
        self.happens(Start(snapshot=snapshot, starts_election=True))

    def happens(self, event: Input) -> None:
        for command in self.peer.handle(event, Now(mono_s=0.0, wall_ms=T0_MS)):
            self._carry_out(command)

    def _carry_out(self, command: Command) -> None:
        if isinstance(command, Perform):
            self.performed.append(command.operation)
            if isinstance(command.operation, MakeBooks):
                self.ledger.perform(command.operation)
            else:
                self.under_way.append(command.operation)
        elif isinstance(command, HoldPost):
            self.held.append(command)
        elif isinstance(command, Publish):
            self.reports.append(command.report)
        elif isinstance(command, Respond):
            self.replies.setdefault(command.call_id, []).append(command.reply)

    def asks(self, call_id: int, call: Buy | MakeDeposit | Search) -> None:
        self.happens(RequestReceived(call_id=call_id, call=call))

    def ledger_does(self, kind: type[Operation], result: Result | None = None) -> None:
        """The ledger does what is under way, or says this."""
        operation = next(each for each in self.under_way if isinstance(each, kind))
        self.under_way.remove(operation)
        self.happens(LedgerReplied(operation=operation, result=result or self.ledger.perform(operation)))

    def takes_office(self) -> None:
        self.ledger_does(Load)
        self.ledger_does(Append)
        assert self.is_in_office()

    def is_in_office(self) -> bool:
        return self.peer.status().in_office

    def said(self, kind: type[Report]) -> list[Report]:
        return [report for report in self.reports if isinstance(report, kind)]


# -- into office ---------------------------------------------------------------------------------------------


def test_nobody_is_told_of_a_new_trader_before_its_entry_stands() -> None:
    candidate = Candidate()
    candidate.ledger_does(Load)
    assert not candidate.is_in_office()
    assert candidate.held == []
    candidate.ledger_does(Append)
    assert candidate.is_in_office()
    assert candidate.held == [HoldPost(term=1, held=True)]
    assert len(candidate.said(Elected)) == 1


def test_whoever_asks_while_the_bid_is_under_way_is_answered_once_in_office() -> None:
    candidate = Candidate(Desk(goods=[FISH], makes_books=False).ledger)
    candidate.asks(1, Buy(request=wants("r1")))
    candidate.ledger_does(Load)
    candidate.asks(2, MakeDeposit(offer=offers("d2", "salt")))
    candidate.asks(3, Search(item="fish"))
    assert candidate.replies == {}
    candidate.ledger_does(Append)
    assert list(candidate.replies) == [3]
    candidate.ledger_does(Append)  # The entry with r1 is written.
    candidate.ledger_does(Append)  # The entry with d2 is written, which came while the first was under way.
    (bought,) = candidate.replies[1]
    assert isinstance(bought, Outcome)
    assert (bought.status, bought.term) == ("sold", 3)
    assert len(candidate.replies[2]) == 1


def test_a_new_trader_makes_the_books_its_predecessor_left_before_its_own_are_changed() -> None:
    desk = Desk(goods=[FISH], makes_books=False)
    desk.buy(wants("r1"))
    desk.ledger_does()
    made = desk.ledger.made
    candidate = Candidate(desk.ledger)
    candidate.takes_office()
    candidate.asks(1, Buy(request=wants("r2")))
    candidate.ledger_does(Append)
    places = [operation.place for operation in candidate.performed if isinstance(operation, MakeBooks)]
    assert places == list(range(made + 1, candidate.ledger.end + 1))
    assert candidate.ledger.made == candidate.ledger.end


def test_who_loses_the_bid_sends_those_who_asked_to_the_winner() -> None:
    candidate = Candidate()
    candidate.ledger_does(Load)
    candidate.asks(1, Buy(request=wants("r1")))
    takes_office(candidate.ledger, "buyer2")
    candidate.ledger_does(Append)  # The place is taken.
    assert candidate.replies == {}
    candidate.ledger_does(Load)
    (refusal,) = candidate.replies[1]
    assert isinstance(refusal, NotTrader)
    assert (refusal.trader, refusal.term) == ("buyer2", 1)
    assert candidate.peer.status().trader == "buyer2"
    assert candidate.under_way == []


def test_who_hears_of_another_trader_drops_its_bid() -> None:
    candidate = Candidate()
    candidate.asks(1, Buy(request=wants("r1")))
    candidate.happens(Received(sender=2, incarnation=1, message=Coordinator(term=1, trader=2, incarnation=1)))
    (refusal,) = candidate.replies[1]
    assert isinstance(refusal, NotTrader)
    candidate.ledger_does(Load)
    assert candidate.under_way == []
    assert not candidate.is_in_office()


def test_a_bid_waits_for_a_ledger_that_is_away() -> None:
    candidate = Candidate()
    candidate.ledger_does(Load, LedgerAway(why="no primary"))
    assert candidate.under_way == []
    candidate.happens(TimerFired(timer="ledger"))
    candidate.ledger_does(Load)
    candidate.ledger_does(Append, LedgerAway(why="no primary"))
    candidate.happens(TimerFired(timer="ledger"))
    candidate.ledger_does(Append)
    assert candidate.is_in_office()


# -- out of office -------------------------------------------------------------------------------------------


def test_a_deposed_trader_names_its_successor_and_holds_the_post_no_more() -> None:
    candidate = Candidate()
    candidate.takes_office()
    candidate.asks(1, Buy(request=wants("r1")))
    takes_office(candidate.ledger, "buyer2")
    candidate.ledger_does(Append)
    (refusal,) = candidate.replies[1]
    assert isinstance(refusal, NotTrader)
    assert (refusal.trader, refusal.term) == ("buyer2", 2)
    assert not candidate.is_in_office()
    assert candidate.held[-1] == HoldPost(term=1, held=False)
    assert candidate.peer.status().trader == "buyer2"
    (report,) = candidate.said(EntryRefused)
    assert isinstance(report, EntryRefused)
    assert (report.term, report.current_term, report.by) == (1, 2, "buyer2")


def test_who_is_asked_to_leave_while_bidding_enters_and_leaves_at_once() -> None:
    candidate = Candidate()
    candidate.asks(1, Buy(request=wants("r1")))
    candidate.ledger_does(Load)
    candidate.happens(Leave())
    candidate.ledger_does(Append)
    for _ in range(3):
        if any(isinstance(each, Append) for each in candidate.under_way):
            candidate.ledger_does(Append)
    assert not candidate.is_in_office()
    assert len(candidate.replies[1]) == 1  # It is decided or sent on, but not left waiting.
    (left,) = candidate.said(LeftOffice)
    assert isinstance(left, LeftOffice)
    assert left.reason == "left"


def test_a_trader_whose_books_somebody_changed_gives_the_post_back() -> None:
    candidate = Candidate()
    candidate.takes_office()
    candidate.asks(1, Buy(request=wants("r1")))
    candidate.ledger_does(Append, AlreadyRecorded())
    assert not candidate.is_in_office()
    (left,) = candidate.said(LeftOffice)
    assert isinstance(left, LeftOffice)
    assert left.reason is VacancyReason.BOOKS_CHANGED
    changes = [each.transition for each in candidate.said(LeadershipChanged) if isinstance(each, LeadershipChanged)]
    given_back = Transition(LeadershipState.TRADER, LeadershipEvent.TERM_OVER, LeadershipState.ELECTING)
    assert changes.count(given_back) == 1


LATE_ENTRY = TradeEntry(entry_id="x", term=1, trader="merchant3", written_at_ms=T0_MS)


@pytest.mark.parametrize("operation", [Load(), Append(place=1, entry=LATE_ENTRY), LookUp(request_ids=())])
def test_what_the_ledger_says_after_office_changes_nothing(operation: Operation) -> None:
    candidate = Candidate()
    candidate.takes_office()
    takes_office(candidate.ledger, "buyer2")
    candidate.asks(1, Buy(request=wants("r1")))
    candidate.ledger_does(Append)
    before = candidate.peer.status(), list(candidate.under_way)
    candidate.happens(LedgerReplied(operation=operation, result=LedgerAway(why="late")))
    assert (candidate.peer.status(), candidate.under_way) == before


def test_the_log_says_the_same_as_the_peers() -> None:
    candidate = Candidate()
    candidate.takes_office()
    entry = candidate.ledger.entry_at(0)
    assert isinstance(entry, OfficeEntry)
    assert (entry.term, entry.trader, entry.reason) == (1, "merchant3", "start")
