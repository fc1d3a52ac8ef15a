"""Whoever asks again with the same id gets the one recorded answer, from whichever trader, however long after."""

from __future__ import annotations

import pytest

from peers.core.ledger.port import AlreadyRecorded, EndLost
from peers.core.market.records import Deposit
from peers.core.trader import pending
from peers.errors import PostClosed
from tests.unit.core.trader.checks import FISH, SALT, reason, was_turned_away
from tests.unit.core.trader.desk import Desk, asked_for
from tests.unit.core.words import offers, wants

# -- of the same trader --------------------------------------------------------------------------------------


def test_who_asks_again_while_it_is_pending_gets_the_same_outcome() -> None:
    desk = Desk(goods=[FISH])
    first, again = desk.buy(wants("r1")), desk.buy(wants("r1"))
    desk.ledger_does_all()
    assert first.outcome == again.outcome
    assert desk.stock() == {"d1": 9}


def test_who_asks_again_afterwards_gets_the_same_outcome() -> None:
    desk = Desk(goods=[FISH])
    first = desk.buy(wants("r1"))
    desk.ledger_does()
    again = desk.buy(wants("r1"))
    assert desk.is_idle
    assert again.outcome == first.outcome


def test_who_asks_again_when_the_trader_remembers_it_no_more_gets_the_same_outcome(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pending, "REMEMBERED", 1)
    desk = Desk(goods=[FISH])
    first = desk.buy(wants("r1"))
    desk.ledger_does()
    desk.buy(wants("r2"))
    desk.ledger_does()
    again = desk.buy(wants("r1"))
    assert again.waits
    assert isinstance(desk.ledger_does(), AlreadyRecorded)
    assert again.outcome == first.outcome
    assert desk.stock() == {"d1": 8}


def test_an_id_used_again_for_something_else_is_refused() -> None:
    desk = Desk(goods=[FISH, SALT])
    desk.buy(wants("r1"))
    was_turned_away(desk.buy(wants("r1", "salt")), "request_id")
    desk.ledger_does()
    was_turned_away(desk.buy(wants("r1", quantity=2)), "request_id")
    was_turned_away(desk.buy(wants("r1", clock=2)), "request_id")
    assert desk.stock() == {"d1": 9, "d2": 10}


# -- of the next trader --------------------------------------------------------------------------------------


def test_who_asks_the_next_trader_gets_what_the_last_one_recorded() -> None:
    first = Desk(goods=[FISH])
    before = first.buy(wants("r1"))
    first.ledger_does()
    second = Desk(ledger=first.ledger)
    again = second.buy(wants("r1"))
    assert isinstance(second.ledger_does(), AlreadyRecorded)
    assert again.outcome == before.outcome
    assert second.stock() == {"d1": 9}
    assert second.is_idle
    assert second.told == []  # The seller knows it, or will ask.
    assert second.ctx.counters["asked_again"] == 1


def test_who_asks_again_for_what_the_last_trader_queued_waits_along() -> None:
    desk = Desk(queue=[wants("r1")], goods=[FISH])
    again = desk.buy(wants("r1"))
    other = desk.buy(wants("r1", quantity=2))
    desk.ledger_does()
    assert again.outcome.accepted.queued_term == 1
    was_turned_away(other, "request_id")
    assert desk.stock() == {"d1": 9}


def test_an_id_the_last_trader_recorded_for_something_else_is_refused() -> None:
    first = Desk(goods=[FISH])
    first.buy(wants("r1"))
    first.ledger_does()
    second = Desk(ledger=first.ledger)
    other = second.buy(wants("r1", quantity=2))
    second.ledger_does_all()
    was_turned_away(other, "request_id")
    assert second.stock() == {"d1": 9}


def test_who_asks_again_is_answered_and_the_others_are_decided_without_it() -> None:
    first = Desk(goods=[FISH])
    bought = first.buy(wants("r1", quantity=3))
    first.ledger_does()
    desk = Desk(ledger=first.ledger)
    desk.buy(wants("r0", "boar"))
    again, new, seller = desk.buy(wants("r1", quantity=3)), desk.buy(wants("r2", clock=4)), desk.deposit(SALT)
    desk.ledger_does()
    assert asked_for(desk.entry) == ["r1", "r2"]
    assert isinstance(desk.ledger_does(), AlreadyRecorded)
    assert again.outcome == bought.outcome
    assert new.waits
    assert seller.waits
    assert asked_for(desk.entry) == ["r2"]
    desk.ledger_does()
    assert (new.outcome.status, new.outcome.seq) == ("sold", 3)
    assert isinstance(seller.answer, Deposit)
    assert desk.stock() == {"d1": 6, "d2": 10}


# -- deposits ------------------------------------------------------------------------------------------------


def test_a_deposit_made_twice_is_one_deposit() -> None:
    desk = Desk()
    first, second = desk.deposit(FISH), desk.deposit(FISH)
    desk.ledger_does()
    third = desk.deposit(FISH)
    assert first.answer == second.answer == third.answer
    assert desk.is_idle
    assert desk.stock() == {"d1": 10}


def test_a_deposit_asked_for_again_of_the_next_trader_is_one_deposit() -> None:
    first = Desk()
    first.deposit(FISH)
    first.ledger_does()
    second = Desk(ledger=first.ledger)
    assert isinstance(second.deposit(FISH).answer, Deposit)
    assert second.stock() == {"d1": 10}


def test_a_deposit_that_is_sold_out_is_answered_as_it_stands() -> None:
    desk = Desk(goods=[offers("d1", quantity=1)])
    desk.buy(wants("r1"))
    desk.ledger_does()
    again = desk.deposit(offers("d1", quantity=1))
    buyer = desk.buy(wants("r2"))
    desk.ledger_does_all()
    assert isinstance(again.answer, Deposit)
    assert again.answer.remaining == 0
    assert buyer.outcome.status == "unavailable"
    assert desk.stock() == {}


def test_a_deposit_id_used_again_for_something_else_is_refused() -> None:
    desk = Desk(goods=[SALT])
    desk.deposit(FISH)
    was_turned_away(desk.deposit(offers("d1", "boar")), "deposit_id")
    was_turned_away(desk.deposit(offers("d2", "salt", 11, seller="seller2", clock=2)), "deposit_id")
    desk.ledger_does_all()
    assert desk.stock() == {"d1": 10, "d2": 10}


def test_a_sold_out_deposit_id_used_again_for_something_else_is_refused() -> None:
    desk = Desk(goods=[offers("d1", quantity=1)])
    desk.buy(wants("r1"))
    desk.ledger_does()
    other = desk.deposit(offers("d1", quantity=7))
    desk.ledger_does_all()
    was_turned_away(other, "deposit_id")
    assert desk.stock() == {}


# -- a log that is none of ours ------------------------------------------------------------------------------


def test_a_refusal_that_answers_nobody_ends_the_term_rather_than_being_asked_for_for_ever() -> None:
    desk = Desk(goods=[FISH])
    buyer = desk.buy(wants("r1"))
    desk.answers(desk.under_way[0], AlreadyRecorded())
    assert reason(desk) == "books changed"
    assert desk.is_idle
    assert buyer.waits  # The buyer is sent on when the term is closed.


def test_a_trader_whose_end_of_the_log_is_lost_writes_nothing_more_and_sends_its_callers_on() -> None:
    desk = Desk(goods=[FISH])
    buyer = desk.buy(wants("r1"))
    desk.answers(desk.under_way[0], EndLost())
    assert reason(desk) == "end of the log lost"
    assert buyer.waits
    desk.closes()
    assert isinstance(buyer.answer, PostClosed)
    assert not desk.will_retry
