"""When the ledger's answer is lost, when it is away, when another holds the post: nothing is lost or sold twice."""

from __future__ import annotations

import pytest

from peers.core.ledger.port import Append, Appended, LookUp, Taken
from peers.core.market.records import Deposit, Post
from peers.core.reports import LedgerBack, LedgerTrouble
from peers.core.trader.committer import MOST_REPEATS
from peers.errors import NotTrader
from tests.unit.core.trader.checks import FISH, SALT, reason, successor_post
from tests.unit.core.trader.desk import Desk, asked_for, post_of, recorded
from tests.unit.core.words import offers, wants

# -- the answer is lost --------------------------------------------------------------------------------------


@pytest.mark.parametrize("happened", [True, False])
def test_an_entry_in_doubt_is_written_again_at_the_same_place_until_its_fate_is_known(happened: bool) -> None:
    desk = Desk(goods=[FISH])
    buyer, seller = desk.buy(wants("r1", quantity=10)), desk.deposit(SALT)
    append = desk.the(Append)
    desk.answer_is_lost(happened=happened)
    assert desk.is_idle
    desk.retries()
    assert desk.the(Append) == append
    desk.answer_is_lost(happened=happened)
    desk.retries()
    assert desk.the(Append) == append
    desk.ledger_does_all()
    assert buyer.outcome.status == "sold"
    assert isinstance(seller.answer, Deposit)
    assert desk.stock() == {"d2": 10}
    assert desk.told == [("seller1", buyer.outcome)]


@pytest.mark.parametrize("happened", [True, False])
def test_what_comes_while_an_entry_is_in_doubt_waits_for_it(happened: bool) -> None:
    desk = Desk(goods=[FISH])
    first = desk.buy(wants("r1", clock=5))
    desk.answer_is_lost(happened=happened)
    second, asked = desk.buy(wants("r2", clock=1)), desk.buy(wants("r1", clock=5))
    assert desk.is_idle
    desk.retries()
    assert asked_for(desk.entry) == ["r1"]  # Since r1 may be recorded already, nobody overtakes it.
    desk.ledger_does_all()
    assert (first.outcome.seq, second.outcome.seq) == (1, 2)
    assert asked.outcome == first.outcome
    assert desk.stock() == {"d1": 8}


def test_a_first_attempt_that_lands_late_changes_nothing() -> None:
    desk = Desk(goods=[FISH])
    first = desk.buy(wants("r1"))
    late = desk.the(Append)
    desk.answer_is_lost(happened=False)
    desk.retries()
    desk.ledger_does()
    desk.buy(wants("r2"))
    desk.ledger_does()
    before = desk.ledger.documents()
    # The entry is there, and its late attempt counts as written.
    assert isinstance(desk.ledger.perform(late), Appended)
    desk.answers(late, Appended())
    assert desk.ledger.documents() == before
    assert len(first.replies) == 1
    assert desk.office.sales == 2


def test_an_entry_without_an_answer_is_given_to_another_thread_and_told_once() -> None:
    desk = Desk(goods=[FISH])
    buyer = desk.buy(wants("r1"))
    held = desk.the(Append)
    desk.time_passes(0.4)
    desk.repeats(0.5)
    assert desk.under_way == [held], "it may only be slow"
    desk.time_passes(0.2)
    desk.repeats(0.5)
    assert desk.under_way == [held, held]
    desk.answers(held, desk.ledger.perform(held))
    assert buyer.outcome.status == "sold"
    desk.under_way.remove(held)  # That thread sleeps on.
    desk.buy(wants("r2"))
    desk.ledger_does()
    # The first thread wakes up, and finds its place taken by the same entry.
    desk.answers(held, desk.ledger.perform(held))
    assert len(buyer.replies) == 1
    assert desk.office.sales == 2


def test_an_entry_that_no_thread_brings_an_answer_for_is_held() -> None:
    desk = Desk(goods=[FISH])
    desk.buy(wants("r1"))
    for _ in range(MOST_REPEATS):
        assert not desk.office.is_held
        desk.time_passes(0.6)
        desk.repeats(0.5)
    assert desk.office.is_held
    desk.answer_is_lost_of_all()
    assert not desk.office.is_held, "an answer came, if only that nothing is known"


def test_an_answer_that_comes_twice_is_taken_in_once() -> None:
    desk = Desk(goods=[FISH])
    desk.buy(wants("r1"))
    append = desk.the(Append)
    desk.answer_is_lost(happened=True)
    desk.answers(append, Appended())  # The lost answer comes after all; while in doubt, nobody waits for it.
    desk.retries()
    desk.ledger_does()
    desk.answers(append, Appended())
    assert desk.office.sales == 1
    assert desk.stock() == {"d1": 9}


@pytest.mark.parametrize("happened", [True, False])
def test_what_the_trader_does_not_know_its_successor_does(happened: bool) -> None:
    desk = Desk(goods=[FISH])
    desk.buy(wants("r1", quantity=10))
    desk.answer_is_lost(happened=happened)
    successor = Desk(ledger=desk.ledger)
    again = successor.buy(wants("r1", quantity=10))
    successor.ledger_does()
    assert again.outcome.term == (2 if happened else 3)
    assert successor.stock() == {}


# -- the ledger is away --------------------------------------------------------------------------------------


def test_while_the_ledger_is_away_everything_waits_and_then_goes_on() -> None:
    desk = Desk(goods=[FISH])
    first = desk.buy(wants("r1", clock=5))
    append = desk.the(Append)
    desk.ledger_is_away()
    assert desk.stock() == {"d1": 10}
    second = desk.buy(wants("r2", clock=1))
    assert desk.is_idle
    desk.retries()
    desk.ledger_is_away()
    desk.retries()
    assert desk.the(Append) == append
    desk.ledger_does_all()
    assert (first.outcome.seq, second.outcome.seq) == (1, 2)
    assert desk.stock() == {"d1": 8}


def test_people_are_told_once_that_the_books_are_away_and_once_that_they_are_back() -> None:
    desk = Desk(goods=[FISH])
    desk.buy(wants("r1"))
    for _ in range(3):
        desk.ledger_is_away()
        desk.retries()
    desk.answer_is_lost(happened=True)
    desk.retries()
    desk.ledger_is_away()
    desk.retries()
    assert [type(report) for report in desk.reports] == [LedgerTrouble]
    desk.ledger_does()
    assert [type(report) for report in desk.reports] == [LedgerTrouble, LedgerBack]


def test_an_answer_lost_now_and_then_is_no_trouble_to_speak_of() -> None:
    desk = Desk(goods=[FISH])
    desk.buy(wants("r1"))
    desk.answer_is_lost(happened=True)
    desk.retries()
    desk.ledger_does()
    assert desk.reports == []


# -- another holds the post ----------------------------------------------------------------------------------


def test_a_deposed_trader_ends_its_term_and_sends_its_callers_on() -> None:
    desk = Desk(goods=[FISH])
    buyer, waiting, seller = desk.buy(wants("r1")), desk.buy(wants("r2")), desk.deposit(SALT)
    asked = desk.outcome_of("r0")
    desk.another_takes_office("seller2")
    assert isinstance(desk.ledger_does(), Taken)
    assert reason(desk) == "deposed"
    found, standing = successor_post(desk), post_of(desk.ledger)
    assert found is not None
    assert (found.term, found.trader, found.since_ms) == (standing.term, standing.trader, standing.since_ms)
    desk.closes(trader="seller2", term=3)
    for caller in (buyer, waiting, seller, asked):
        assert isinstance(caller.answer, NotTrader)
        assert (caller.answer.trader, caller.answer.term) == ("seller2", 3)
    assert recorded(desk.ledger, "r1", "r2") == {}


@pytest.mark.parametrize("happened", [True, False])
def test_a_trader_deposed_while_its_entry_is_in_doubt_finds_out(happened: bool) -> None:
    desk = Desk(goods=[FISH])
    buyer = desk.buy(wants("r1"))
    desk.answer_is_lost(happened=happened)
    desk.another_takes_office()
    desk.retries()
    desk.ledger_does()
    if happened:  # So its buyer is answered, and the next entry finds the place taken.
        assert buyer.outcome.status == "sold"
        desk.buy(wants("r2"))
        desk.ledger_does()
    else:
        assert buyer.waits  # The buyer is told by the successor, which it asks.
    found = successor_post(desk)
    assert found is not None
    assert (found.term, found.trader) == (3, "seller2")
    assert recorded(desk.ledger, "r2") == {}


def test_a_deposed_trader_writes_and_takes_in_nothing_more() -> None:
    desk = Desk(goods=[FISH])
    desk.buy(wants("r1"))
    desk.buy(wants("r2"))
    desk.another_takes_office()
    desk.ledger_does()
    assert desk.is_idle
    desk.office.on_ledger_timer()
    assert desk.is_idle


def test_who_stands_in_the_place_of_an_entry_that_was_cut_away_is_looked_for_later() -> None:
    desk = Desk(goods=[FISH])
    desk.buy(wants("r1"))
    desk.answers(desk.the(Append), Taken(entry=None))
    assert successor_post(desk) == Post(term=3)


def test_reading_goes_on_while_an_entry_is_in_doubt() -> None:
    desk = Desk(goods=[FISH])
    desk.buy(wants("r1"))
    desk.answer_is_lost(happened=True)
    asked = desk.outcome_of("r0")
    desk.ledger_does(LookUp)
    assert asked.answer is None
    found = desk.deposit(offers("d1", "fish", 10))
    assert isinstance(found.answer, Deposit)
