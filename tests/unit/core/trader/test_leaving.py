"""How a term ends of the trader's own accord: nothing that was accepted is lost, nobody is left without an answer."""

from __future__ import annotations

import pytest

from peers.core.leadership.reasons import VacancyReason
from peers.core.ledger.port import Append, Taken
from peers.errors import NotTrader
from tests.unit.core.trader.checks import FISH, SALT, reason, successor_post, was_told_the_post_is_closed
from tests.unit.core.trader.desk import Desk, asked_for, queued_in, recorded
from tests.unit.core.words import rules, wants

# -- after so many sales -------------------------------------------------------------------------------------


@pytest.mark.parametrize("sales", [1, 3, 5])
def test_a_trader_resigns_after_exactly_so_many_sales(sales: int) -> None:
    queue = [wants(f"r{n}", clock=n) for n in range(7)]
    desk = Desk(queue=queue, goods=[FISH], settings=rules(resign_after_sales=sales))
    desk.ledger_does_all()
    assert reason(desk) == "resigned"
    assert desk.office.sales == sales
    assert len(recorded(desk.ledger, *(r.request_id for r in queue))) == sales


def test_what_was_not_to_be_had_is_no_sale() -> None:
    queue = [wants("none", "boar", clock=0), wants("one", clock=1), wants("two", clock=2), wants("left", clock=3)]
    desk = Desk(queue=queue, goods=[FISH], settings=rules(resign_after_sales=2))
    assert asked_for(desk.entry) == ["none", "one", "two"]
    desk.ledger_does()
    assert desk.ended() is not None


@pytest.mark.parametrize("happened", [True, False])
def test_sales_of_an_entry_that_was_in_doubt_count_towards_resigning(happened: bool) -> None:
    desk = Desk(queue=[wants("r1"), wants("r2")], goods=[FISH], settings=rules(resign_after_sales=2))
    desk.answer_is_lost(happened=happened)
    desk.retries()
    desk.ledger_does()
    assert desk.ended() is not None
    assert desk.office.sales == 2


def test_sales_of_earlier_terms_that_somebody_asks_for_again_do_not_count() -> None:
    first = Desk(goods=[FISH])
    first.buy(wants("r1"))
    first.ledger_does()
    desk = Desk(ledger=first.ledger, settings=rules(resign_after_sales=1))
    desk.buy(wants("r1"))
    desk.ledger_does()
    assert desk.office.sales == 0
    assert desk.ended() is None


# -- asked to leave ------------------------------------------------------------------------------------------


def test_one_who_leaves_queues_all_that_waits() -> None:
    settings = rules(resign_after_sales=0, timing={"queue_after_s": 0.01})
    desk = Desk(goods=[FISH], settings=settings)
    desk.buy(wants("r1"))
    desk.buy(wants("r2"))
    desk.is_told_to_leave()
    desk.ledger_does()
    assert desk.ended() is None
    assert (asked_for(desk.entry), queued_in(desk.entry)) == ([], ["r2"])
    desk.ledger_does()
    assert desk.ended() is not None
    assert asked_for(Desk(ledger=desk.ledger).entry) == ["r2"]


def test_a_trader_asked_to_resign_finishes_what_is_under_way_and_takes_in_nothing_more() -> None:
    desk = Desk(goods=[FISH])
    buyer, waiting = desk.buy(wants("r1")), desk.buy(wants("r2"))
    resigning = desk.resign()
    assert desk.ended() is None
    was_told_the_post_is_closed(desk.buy(wants("r3")))
    was_told_the_post_is_closed(desk.deposit(SALT))
    again = desk.buy(wants("r1"))
    desk.ledger_does()
    assert desk.ended() is None  # The request r2 is on its way into the queue.
    desk.ledger_does()
    assert reason(desk) == "resigned"
    desk.closes()
    assert buyer.outcome == again.outcome
    was_told_the_post_is_closed(waiting)
    assert resigning.answer is None
    successor = Desk(ledger=desk.ledger)
    assert asked_for(successor.entry) == ["r2"]


def test_a_deposit_that_one_who_leaves_has_not_written_yet_is_to_be_made_with_the_successor() -> None:
    desk = Desk()
    desk.buy(wants("r1"))
    seller = desk.deposit(SALT)
    desk.is_told_to_leave()
    desk.ledger_does()
    desk.closes(trader="seller2", term=3)
    assert isinstance(seller.answer, NotTrader)
    assert desk.ledger.recorded_deposit("d2") is None


def test_an_idle_trader_leaves_at_once() -> None:
    desk = Desk()
    desk.is_told_to_leave(VacancyReason.LEFT)
    assert reason(desk) == "left"


def test_the_first_reason_for_leaving_is_the_one_that_is_told() -> None:
    desk = Desk(goods=[FISH])
    desk.buy(wants("r1"))
    desk.is_told_to_leave(VacancyReason.NEEDED)
    desk.is_told_to_leave(VacancyReason.LEFT)
    desk.ledger_does()
    assert reason(desk) == "needed"


@pytest.mark.parametrize("happened", [True, False])
def test_a_trader_leaves_only_once_it_knows_what_became_of_its_entry(happened: bool) -> None:
    desk = Desk(goods=[FISH])
    buyer = desk.buy(wants("r1"))
    desk.is_told_to_leave()
    desk.answer_is_lost(happened=happened)
    assert desk.ended() is None
    desk.retries()
    desk.ledger_is_away()
    assert desk.ended() is None
    desk.retries()
    desk.ledger_does()
    assert buyer.outcome.status == "sold"
    assert desk.ended() is not None


def test_who_asks_again_for_what_was_recorded_long_ago_does_not_keep_a_trader_from_leaving() -> None:
    first = Desk(goods=[FISH])
    before = first.buy(wants("r1"))
    first.ledger_does()
    desk = Desk(ledger=first.ledger)
    desk.buy(wants("r0", "boar"))
    again = desk.buy(wants("r1"))
    desk.is_told_to_leave()
    desk.ledger_does()
    assert queued_in(desk.entry) == ["r1"]
    desk.ledger_does()  # The entry is refused, for r1 is in the log, and decided.
    assert again.outcome == before.outcome
    assert reason(desk) == "left"


def test_one_who_is_deposed_while_leaving_says_so() -> None:
    desk = Desk(goods=[FISH])
    desk.buy(wants("r1"))
    desk.buy(wants("r2"))
    desk.is_told_to_leave()
    desk.ledger_does()
    desk.another_takes_office()
    assert isinstance(desk.ledger_does(Append), Taken)
    assert reason(desk) == "deposed"
    assert successor_post(desk) is not None


def test_those_who_wait_for_a_reading_are_sent_on_when_the_term_closes() -> None:
    desk = Desk()
    asked = desk.outcome_of("r1")
    desk.is_told_to_leave()
    desk.closes(trader="seller2", term=3)
    assert isinstance(asked.answer, NotTrader)
