"""The trader in office, path by path: what it takes in, decides, has recorded, and only then answers."""

from __future__ import annotations

import msgspec
import pytest

from db.memory import MemoryLedger
from peers.core.calls import StandingReply
from peers.core.ledger import AlreadyRecorded, Commit, Deposed, Enqueue, FindSales, LookUp
from peers.core.office import MAX_AHEAD
from peers.core.records import Accepted, Deposit, Post
from peers.core.reports import LedgerBack, LedgerTrouble
from peers.errors import BadRequest, NotTrader, PostClosed
from tests.unit.core.desk import TRADER, Caller, Desk, books, post_of, recorded
from tests.unit.core.words import at, offers, rules, wants

FISH = offers("d1", "fish", 10)
SALT = offers("d2", "salt", 10, seller="seller2", clock=2)


def asked_for(commit: Commit) -> list[str]:
    return [decision.outcome.request.request_id for decision in commit.decisions]


def reason(desk: Desk) -> str:
    ended = desk.ended()
    assert ended is not None
    return ended.reason


def successor_post(desk: Desk) -> Post | None:
    ended = desk.ended()
    assert ended is not None
    return ended.post


def was_turned_away(caller: Caller, field: str) -> None:
    assert isinstance(caller.answer, BadRequest), caller.answer
    assert caller.answer.field == field


def was_told_the_post_is_closed(caller: Caller) -> None:
    assert isinstance(caller.answer, PostClosed), caller.answer


# -- recorded, decided, answered -----------------------------------------------------------------------------


def test_a_lone_request_is_recorded_and_decided_at_once_and_answered_only_then() -> None:
    desk = Desk(goods=[FISH])
    buyer = desk.buy(wants("r1"))
    assert buyer.waits
    assert asked_for(desk.the(Commit)) == ["r1"]
    assert not desk.the(Commit).decisions[0].was_queued
    desk.ledger_does(Commit)
    assert buyer.outcome.status == "sold"
    assert buyer.outcome == recorded(desk.ledger, "r1")["r1"]
    assert desk.is_idle


def test_the_seller_is_told_once_the_sale_is_recorded() -> None:
    desk = Desk(goods=[FISH])
    buyer = desk.buy(wants("r1"))
    assert desk.told == []
    desk.ledger_does(Commit)
    assert desk.told == [("seller1", buyer.outcome)]


def test_a_seller_that_is_gone_is_not_told_but_the_sale_stands() -> None:
    desk = Desk(goods=[FISH])
    gone = desk.ctx.members.get(1)
    assert gone is not None
    desk.ctx.members.merge([msgspec.structs.replace(gone, up=False)])
    buyer = desk.buy(wants("r1"))
    desk.ledger_does(Commit)
    assert buyer.outcome.status == "sold"
    assert desk.told == []


def test_what_has_to_wait_is_queued_at_once_and_shares_the_next_commit() -> None:
    desk = Desk(goods=[FISH])
    first, second = desk.buy(wants("r1")), desk.buy(wants("r2", clock=5))
    assert [a.request.request_id for a in desk.the(Enqueue).entries] == ["r2"]
    third = desk.buy(wants("r3", clock=4))  # while r2 is on its way into the queue
    desk.ledger_does(Enqueue)
    assert [a.request.request_id for a in desk.the(Enqueue).entries] == ["r3"]
    desk.ledger_does(Enqueue)
    desk.ledger_does(Commit)
    assert not first.waits
    assert second.waits
    assert third.waits
    assert asked_for(desk.the(Commit)) == ["r3", "r2"]
    assert all(decision.was_queued for decision in desk.the(Commit).decisions)
    desk.ledger_does(Commit)
    assert [first.outcome.seq, third.outcome.seq, second.outcome.seq] == [1, 2, 3]


def patient() -> Desk:
    return Desk(goods=[FISH], settings=rules(resign_after_sales=0, timing={"queue_after_s": 0.01}))


def test_what_waits_no_longer_than_a_commit_takes_is_not_queued() -> None:
    desk = patient()
    first, second = desk.buy(wants("r1")), desk.buy(wants("r2"))
    desk.time_passes(0.004)
    desk.ledger_does(Commit)
    assert asked_for(desk.the(Commit)) == ["r2"]
    assert not desk.the(Commit).decisions[0].was_queued
    desk.time_passes(0.02)  # what is being decided does not wait
    assert len(desk.under_way) == 1
    desk.ledger_does(Commit)
    assert (first.outcome.seq, second.outcome.seq) == (1, 2)


def test_what_waits_for_longer_is_queued_when_its_time_has_come() -> None:
    desk = patient()
    desk.buy(wants("r1"))
    desk.buy(wants("r2"))
    desk.time_passes(0.006)
    desk.buy(wants("r3"))
    desk.time_passes(0.005)
    assert [a.request.request_id for a in desk.the(Enqueue).entries] == ["r2"]
    desk.ledger_does(Enqueue)
    desk.time_passes(0.006)
    assert [a.request.request_id for a in desk.the(Enqueue).entries] == ["r3"]
    desk.ledger_does_all()
    assert recorded(desk.ledger, "r1", "r2", "r3").keys() == {"r1", "r2", "r3"}


def test_one_who_leaves_queues_all_that_waits() -> None:
    desk = patient()
    desk.buy(wants("r1"))
    desk.buy(wants("r2"))
    desk.is_told_to_leave()
    desk.ledger_does(Commit)
    assert desk.ended() is None
    desk.ledger_does(Enqueue)
    assert desk.ended() is not None
    assert asked_for(Desk(ledger=desk.ledger).the(Commit)) == ["r2"]


def test_what_is_on_its_way_into_the_queue_is_waited_for() -> None:
    desk = Desk(goods=[FISH])
    desk.buy(wants("r1"))
    desk.buy(wants("r2", clock=5))
    desk.ledger_does(Commit)
    late = desk.buy(wants("r3", clock=3))
    desk.the(Enqueue)  # and no commit beside it
    desk.ledger_does(Enqueue)
    assert asked_for(desk.the(Commit)) == ["r3", "r2"]
    assert [decision.was_queued for decision in desk.the(Commit).decisions] == [False, True]
    desk.ledger_does(Commit)
    assert late.outcome.seq == 2


def test_what_was_pending_when_the_last_trader_fell_is_decided_first_in_order() -> None:
    left_over = [wants("b", clock=9), wants("a", clock=3), wants("c", "salt", clock=1)]
    desk = Desk(queue=left_over, goods=[FISH])
    assert asked_for(desk.the(Commit)) == ["c", "a", "b"]
    assert all(decision.was_queued for decision in desk.the(Commit).decisions)
    newcomer = desk.buy(wants("early", clock=0))
    desk.ledger_does_all()
    assert newcomer.outcome.seq == 4


def test_arrivals_are_numbered_on_from_the_last_trader() -> None:
    desk = Desk(queue=[wants("a"), wants("b", clock=2)])
    desk.buy(wants("r"))
    assert [entry.arrival for entry in desk.the(Enqueue).entries] == [3]
    assert [entry.queued_term for entry in desk.the(Enqueue).entries] == [2]


def test_a_batch_takes_so_many_and_the_rest_waits_in_the_queue() -> None:
    desk = Desk(goods=[FISH], settings=rules(resign_after_sales=0, timing={"max_batch": 2}))
    desk.buy(wants("r0"))
    desk.buy(wants("r1", clock=11))
    callers = [desk.buy(wants(f"r{n}", clock=20 - n)) for n in range(2, 6)]
    desk.ledger_does(Commit)
    desk.ledger_does(Enqueue)
    assert asked_for(desk.the(Commit)) == ["r1", "r5"]
    assert {a.request.request_id for a in desk.the(Enqueue).entries} == {"r2", "r3", "r4"}
    desk.ledger_does_all()
    assert sorted(c.outcome.seq for c in callers) == [3, 4, 5, 6]
    assert [c.outcome.seq for c in callers] == [6, 5, 4, 3]


def test_a_commit_has_no_more_decisions_than_a_batch_takes() -> None:
    desk = Desk(queue=[wants(f"r{n}", clock=n) for n in range(5)], settings=rules(timing={"max_batch": 2}))
    sizes = []
    while not desk.is_idle:
        sizes.append(len(desk.the(Commit).decisions))
        desk.ledger_does(Commit)
    assert sizes == [2, 2, 1]


# -- asked again ---------------------------------------------------------------------------------------------


def test_who_asks_again_while_it_is_pending_gets_the_same_outcome() -> None:
    desk = Desk(goods=[FISH])
    first, again = desk.buy(wants("r1")), desk.buy(wants("r1"))
    desk.ledger_does_all()
    assert first.outcome == again.outcome
    assert desk.stock() == {"d1": 9}


def test_who_asks_again_afterwards_gets_the_same_outcome() -> None:
    desk = Desk(goods=[FISH])
    first = desk.buy(wants("r1"))
    desk.ledger_does(Commit)
    again = desk.buy(wants("r1"))
    assert desk.is_idle
    assert again.outcome == first.outcome


def test_who_asks_the_next_trader_gets_what_the_last_one_recorded() -> None:
    first = Desk(goods=[FISH])
    before = first.buy(wants("r1"))
    first.ledger_does(Commit)
    second = Desk(ledger=first.ledger)
    again = second.buy(wants("r1"))
    second.ledger_does(Commit)  # refused as recorded already
    second.ledger_does(LookUp)
    assert again.outcome == before.outcome
    assert second.stock() == {"d1": 9}
    assert second.is_idle


def test_an_id_used_again_for_something_else_is_refused() -> None:
    desk = Desk(goods=[FISH, SALT])
    desk.buy(wants("r1"))
    was_turned_away(desk.buy(wants("r1", "salt")), "request_id")
    desk.ledger_does(Commit)
    was_turned_away(desk.buy(wants("r1", quantity=2)), "request_id")
    was_turned_away(desk.buy(wants("r1", clock=2)), "request_id")
    assert desk.stock() == {"d1": 9, "d2": 10}


def test_an_id_the_last_trader_recorded_for_something_else_is_refused() -> None:
    first = Desk(goods=[FISH])
    first.buy(wants("r1"))
    first.ledger_does(Commit)
    second = Desk(ledger=first.ledger)
    other = second.buy(wants("r1", quantity=2))
    second.ledger_does_all()
    was_turned_away(other, "request_id")
    assert second.stock() == {"d1": 9}


def test_a_caller_that_left_is_not_answered_but_its_purchase_stands() -> None:
    desk = Desk(goods=[FISH])
    gone, stays = desk.buy(wants("r1")), desk.buy(wants("r1"))
    depositor = desk.deposit(SALT)
    desk.leaves(gone)
    desk.leaves(depositor)
    desk.ledger_does_all()
    assert gone.waits
    assert depositor.waits
    assert stays.outcome.status == "sold"
    assert desk.stock() == {"d1": 9, "d2": 10}


def test_a_clock_far_ahead_is_refused_and_changes_nothing() -> None:
    desk = Desk(goods=[FISH])
    before = desk.ctx.clock.stamp()
    was_turned_away(desk.buy(wants("r1", clock=before.time + MAX_AHEAD + 1)), "clock")
    was_turned_away(desk.deposit(offers("d9", clock=before.time + MAX_AHEAD + 1)), "clock")
    assert desk.is_idle
    assert desk.ctx.clock.stamp() == before


def test_a_clock_a_little_ahead_is_followed() -> None:
    desk = Desk(goods=[FISH])
    desk.buy(wants("r1", clock=MAX_AHEAD))
    assert desk.ctx.clock.stamp() == at(MAX_AHEAD + 1)
    assert not desk.is_idle


# -- deposits ------------------------------------------------------------------------------------------------


def test_a_deposit_is_answered_as_recorded_and_then_on_offer() -> None:
    desk = Desk()
    seller = desk.deposit(FISH)
    assert seller.waits
    desk.ledger_does(Commit)
    assert isinstance(seller.answer, Deposit)
    assert (seller.answer.offer, seller.answer.remaining, seller.answer.term) == (FISH, 10, 2)
    assert desk.search("fish") == (seller.answer,)


def test_a_deposit_and_a_purchase_of_it_share_a_commit() -> None:
    desk = Desk()
    desk.buy(wants("r0", "boar"))
    seller, buyer = desk.deposit(FISH), desk.buy(wants("r1"))
    desk.ledger_does(Enqueue)
    desk.ledger_does(Commit)
    assert [d.offer for d in desk.the(Commit).deposits] == [FISH]
    assert asked_for(desk.the(Commit)) == ["r1"]
    desk.ledger_does(Commit)
    assert isinstance(seller.answer, Deposit)
    assert buyer.outcome.sale is not None
    assert desk.stock() == {"d1": 9}


def test_a_deposit_made_twice_is_one_deposit() -> None:
    desk = Desk()
    first, second = desk.deposit(FISH), desk.deposit(FISH)
    desk.ledger_does(Commit)
    third = desk.deposit(FISH)
    assert first.answer == second.answer == third.answer
    assert desk.is_idle
    assert desk.stock() == {"d1": 10}


def test_a_deposit_asked_for_again_of_the_next_trader_is_one_deposit() -> None:
    first = Desk()
    first.deposit(FISH)
    first.ledger_does(Commit)
    second = Desk(ledger=first.ledger)
    assert isinstance(second.deposit(FISH).answer, Deposit)
    assert second.stock() == {"d1": 10}


def test_a_deposit_that_is_sold_out_is_answered_as_it_stands() -> None:
    desk = Desk(goods=[offers("d1", quantity=1)])
    desk.buy(wants("r1"))
    desk.ledger_does(Commit)
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
    desk.ledger_does(Commit)
    other = desk.deposit(offers("d1", quantity=7))
    desk.ledger_does_all()
    was_turned_away(other, "deposit_id")
    assert desk.stock() == {}


def test_the_trader_in_office_deposits_nothing() -> None:
    desk = Desk()
    was_turned_away(desk.deposit(offers("d1", seller=TRADER)), "seller")
    assert desk.is_idle


# -- what only reads -----------------------------------------------------------------------------------------


def test_search_shows_what_is_there_lowest_clock_first() -> None:
    later = offers("d3", "fish", 2, clock=8)
    desk = Desk(goods=[later, FISH, SALT])
    assert [d.offer for d in desk.search("fish")] == [FISH, later]
    assert {d.offer.deposit_id for d in desk.search()} == {"d1", "d2", "d3"}
    assert desk.search("boar") == ()


def test_a_sellers_standing_is_its_sales_and_what_it_still_has() -> None:
    desk = Desk(goods=[FISH, SALT])
    outcomes = [desk.buy(wants(f"r{n}", clock=n)) for n in range(3)]
    desk.buy(wants("other", "salt", clock=9))
    desk.ledger_does_all()
    asked = desk.standing("seller1", after_seq=1)
    desk.ledger_does(FindSales)
    assert isinstance(asked.answer, StandingReply)
    assert asked.answer.sales == tuple(c.outcome for c in outcomes[1:])
    assert [(d.offer, d.remaining) for d in asked.answer.deposits] == [(FISH, 7)]


def test_what_became_of_a_request_is_known_at_every_stage() -> None:
    desk = Desk(goods=[FISH])
    buyer = desk.buy(wants("r1"))
    pending = desk.outcome_of("r1").answer
    assert isinstance(pending, Accepted)
    assert pending.request.request_id == "r1"
    desk.ledger_does(Commit)
    assert desk.outcome_of("r1").answer == buyer.outcome
    nobody_knows = desk.outcome_of("r2")
    desk.ledger_does(LookUp)
    assert nobody_knows.answer is None


def test_what_the_last_trader_decided_is_looked_up() -> None:
    first = Desk(goods=[FISH])
    buyer = first.buy(wants("r1"))
    first.ledger_does(Commit)
    second = Desk(ledger=first.ledger)
    asked, also = second.outcome_of("r1"), second.outcome_of("r1")
    second.ledger_does(LookUp)  # one look answers both
    assert asked.answer == also.answer == buyer.outcome


def test_who_reads_while_the_books_are_away_is_told_so() -> None:
    desk = Desk()
    asked, standing = desk.outcome_of("r1"), desk.standing("seller1")
    desk.ledger_is_away(LookUp)
    desk.ledger_is_away(FindSales)
    was_told_the_post_is_closed(asked)
    was_told_the_post_is_closed(standing)


# -- when the answer of the ledger is lost -------------------------------------------------------------------


def test_an_unknown_commit_that_happened_is_found_and_answered() -> None:
    desk = Desk(goods=[FISH])
    buyer, seller = desk.buy(wants("r1")), desk.deposit(SALT)
    desk.ledger_does_all()
    again, late = desk.deposit(offers("d3", "boar")), desk.buy(wants("r2", "boar", clock=7))
    desk.ledger_does(Enqueue)
    desk.answer_is_lost(Commit, happened=True)
    assert again.waits
    assert late.waits
    desk.the(LookUp)
    desk.ledger_does(LookUp)
    assert isinstance(again.answer, Deposit)
    desk.ledger_does_all()
    assert late.outcome.status == "sold"
    assert (buyer.outcome.seq, late.outcome.seq) == (1, 2)
    assert isinstance(seller.answer, Deposit)
    assert desk.stock() == {"d1": 9, "d2": 10, "d3": 9}
    assert desk.ctx.counters["looked_up_done"] == 1


def test_an_unknown_commit_that_did_not_happen_is_decided_again() -> None:
    desk = Desk(goods=[FISH])
    buyer = desk.buy(wants("r1", quantity=10))
    desk.answer_is_lost(Commit, happened=False)
    desk.ledger_does(LookUp)
    assert buyer.waits
    assert asked_for(desk.the(Commit)) == ["r1"]
    desk.ledger_does(Commit)
    assert buyer.outcome.status == "sold"
    assert desk.stock() == {}
    assert desk.ctx.counters["looked_up_not_done"] == 1


def test_nothing_is_begun_until_the_unknown_commit_is_looked_up() -> None:
    desk = Desk(goods=[FISH])
    desk.buy(wants("r1"))
    desk.answer_is_lost(Commit, happened=True)
    late = desk.buy(wants("r2", clock=5))
    assert [type(operation) for operation in desk.under_way] == [LookUp]
    desk.ledger_does_all()
    assert late.outcome.seq == 2


def test_a_look_up_whose_own_answer_is_lost_is_made_again() -> None:
    desk = Desk(goods=[FISH])
    buyer = desk.buy(wants("r1"))
    desk.answer_is_lost(Commit, happened=True)
    desk.ledger_is_away(LookUp)
    assert desk.is_idle
    desk.retries()
    desk.answer_is_lost(LookUp, happened=False)
    desk.retries()
    desk.ledger_does(LookUp)
    assert buyer.outcome.status == "sold"


@pytest.mark.parametrize("happened", [True, False])
def test_an_unknown_queueing_is_looked_up(happened: bool) -> None:
    desk = Desk(goods=[FISH])
    first, second = desk.buy(wants("r1")), desk.buy(wants("r2", clock=3))
    desk.answer_is_lost(Enqueue, happened=happened)
    desk.ledger_does(Commit)
    desk.ledger_does(LookUp)
    desk.ledger_does_all()
    assert (first.outcome.seq, second.outcome.seq) == (1, 2)
    assert desk.stock() == {"d1": 8}


def test_a_commit_under_way_is_not_taken_for_failed_because_a_queueing_is_in_doubt() -> None:
    desk = Desk(goods=[FISH])
    first, second = desk.buy(wants("r1", quantity=10)), desk.buy(wants("r2", clock=3))
    desk.answer_is_lost(Enqueue, happened=True)
    if any(isinstance(operation, LookUp) for operation in desk.under_way):
        desk.ledger_does(LookUp)  # read before the commit was carried out
    desk.ledger_does(Commit)
    desk.ledger_does_all()
    assert first.outcome.status == "sold"
    assert second.outcome.status == "unavailable"
    assert desk.stock() == {}


def test_a_queueing_and_a_commit_may_both_be_in_doubt() -> None:
    desk = Desk(goods=[FISH])
    first, second = desk.buy(wants("r1")), desk.buy(wants("r2", clock=3))
    desk.answer_is_lost(Enqueue, happened=True)
    desk.answer_is_lost(Commit, happened=True)
    desk.ledger_does_all()
    assert (first.outcome.seq, second.outcome.seq) == (1, 2)
    assert desk.stock() == {"d1": 8}


# -- when the books are not as remembered --------------------------------------------------------------------


def test_what_is_recorded_already_is_found_and_the_rest_decided() -> None:
    first = Desk(goods=[FISH])
    bought = first.buy(wants("r1"))
    first.ledger_does(Commit)
    desk = Desk(ledger=first.ledger)
    desk.buy(wants("r0", "boar"))
    again, new = desk.buy(wants("r1")), desk.buy(wants("r2", clock=4))
    desk.ledger_does_all()
    assert again.outcome == bought.outcome
    assert new.outcome.status == "sold"
    assert desk.stock() == {"d1": 8}


def test_a_deposed_trader_ends_its_office_and_sends_its_callers_on() -> None:
    desk = Desk(goods=[FISH])
    buyer, waiting, seller = desk.buy(wants("r1")), desk.buy(wants("r2")), desk.deposit(SALT)
    desk.another_takes_office("seller2")
    assert isinstance(desk.ledger_does(Commit), Deposed)
    assert successor_post(desk) == post_of(desk.ledger)
    desk.closes(trader="seller2", term=3)
    for caller in (buyer, waiting, seller):
        assert isinstance(caller.answer, NotTrader)
        assert (caller.answer.trader, caller.answer.term) == ("seller2", 3)
    assert recorded(desk.ledger, "r1", "r2") == {}


def test_a_trader_deposed_while_queueing_ends_its_office() -> None:
    desk = Desk(goods=[FISH])
    desk.buy(wants("r1"))
    desk.buy(wants("r2"))
    desk.another_takes_office()
    desk.ledger_does(Enqueue)
    assert desk.ended() is not None


@pytest.mark.parametrize("happened", [True, False])
def test_a_trader_deposed_while_its_commit_is_in_doubt_finds_out(happened: bool) -> None:
    desk = Desk(goods=[FISH])
    buyer = desk.buy(wants("r1"))
    desk.answer_is_lost(Commit, happened=happened)
    desk.another_takes_office()
    desk.ledger_does(LookUp)
    assert successor_post(desk) == post_of(desk.ledger)
    assert buyer.waits  # who asks the successor is told


def test_books_that_others_changed_end_the_office() -> None:
    desk = Desk(goods=[FISH])
    desk.buy(wants("r1"))
    other = Desk(ledger=books(goods=[FISH]))
    other.buy(wants("r8"))
    other.buy(wants("r9"))
    other.ledger_does_all()
    desk.ledger = other.ledger  # the same term, but two decisions that are not ours
    desk.answer_is_lost(Commit, happened=False)
    desk.ledger_does(LookUp)
    assert successor_post(desk) is None


def test_goods_that_are_missing_from_the_books_end_the_office_rather_than_being_sold_for_ever() -> None:
    desk = Desk(goods=[FISH])
    desk.ledger = books()  # somebody took the deposit out of the books
    desk.another_takes_office(TRADER)
    desk.buy(wants("r1"))
    for _ in range(3):
        if desk.ended() is None:
            assert isinstance(desk.ledger_does(Commit), AlreadyRecorded)
            desk.ledger_does(LookUp)
    assert desk.ended() is not None


# -- when the ledger is away ---------------------------------------------------------------------------------


def test_while_the_ledger_is_away_everything_waits_and_then_goes_on() -> None:
    desk = Desk(goods=[FISH])
    first = desk.buy(wants("r1", clock=5))
    desk.ledger_is_away(Commit)
    assert desk.stock() == {"d1": 10}
    second = desk.buy(wants("r2", clock=1))
    assert desk.is_idle
    desk.retries()
    desk.ledger_is_away(Commit)
    desk.retries()
    assert asked_for(desk.the(Commit)) == ["r2", "r1"]
    desk.ledger_does(Commit)
    assert (second.outcome.seq, first.outcome.seq) == (1, 2)


def test_a_queueing_that_did_not_happen_is_made_up_for() -> None:
    desk = Desk(goods=[FISH])
    first, second = desk.buy(wants("r1")), desk.buy(wants("r2"))
    desk.ledger_is_away(Enqueue)
    desk.ledger_does(Commit)
    desk.retries()
    desk.ledger_does_all()
    assert (first.outcome.seq, second.outcome.seq) == (1, 2)


def test_people_are_told_once_that_the_books_are_away_and_once_that_they_are_back() -> None:
    desk = Desk(goods=[FISH])
    desk.buy(wants("r1"))
    for _ in range(3):
        desk.ledger_is_away(Commit)
        desk.retries()
    desk.answer_is_lost(Commit, happened=True)
    desk.ledger_is_away(LookUp)
    desk.retries()
    desk.ledger_does(LookUp)
    assert [type(report) for report in desk.reports] == [LedgerTrouble, LedgerBack]


# -- leaving -------------------------------------------------------------------------------------------------


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
    assert asked_for(desk.the(Commit)) == ["none", "one", "two"]
    desk.ledger_does(Commit)
    assert desk.ended() is not None


def test_sales_found_by_looking_them_up_count_towards_resigning() -> None:
    desk = Desk(queue=[wants("r1"), wants("r2")], goods=[FISH], settings=rules(resign_after_sales=2))
    desk.answer_is_lost(Commit, happened=True)
    desk.ledger_does(LookUp)
    assert desk.ended() is not None
    assert desk.office.sales == 2


def test_a_trader_asked_to_resign_finishes_what_is_under_way_and_takes_in_nothing_more() -> None:
    desk = Desk(goods=[FISH])
    buyer, waiting = desk.buy(wants("r1")), desk.buy(wants("r2"))
    resigning = desk.resign()
    assert desk.ended() is None
    was_told_the_post_is_closed(desk.buy(wants("r3")))
    was_told_the_post_is_closed(desk.deposit(SALT))
    again = desk.buy(wants("r1"))
    desk.ledger_does(Commit)
    assert desk.ended() is None  # r2 is still on its way into the queue
    desk.ledger_does(Enqueue)
    assert reason(desk) == "resigned"
    desk.closes()
    assert buyer.outcome == again.outcome
    was_told_the_post_is_closed(waiting)
    assert resigning.answer is None
    successor = Desk(ledger=desk.ledger)
    assert asked_for(successor.the(Commit)) == ["r2"]


def test_an_idle_trader_leaves_at_once() -> None:
    desk = Desk()
    desk.is_told_to_leave("left")
    assert reason(desk) == "left"


def test_a_trader_leaves_only_once_it_knows_what_became_of_its_commit() -> None:
    desk = Desk(goods=[FISH])
    buyer = desk.buy(wants("r1"))
    desk.is_told_to_leave()
    desk.answer_is_lost(Commit, happened=True)
    desk.ledger_is_away(LookUp)
    assert desk.ended() is None
    desk.retries()
    desk.ledger_does(LookUp)
    assert buyer.outcome.status == "sold"
    assert desk.ended() is not None


def test_a_commit_that_did_not_happen_is_left_to_the_successor_by_one_who_leaves() -> None:
    desk = Desk(queue=[wants("r1")], goods=[FISH])
    desk.is_told_to_leave()
    desk.ledger_is_away(Commit)
    desk.retries()
    assert desk.is_idle
    assert desk.ended() is not None


def test_those_who_wait_for_a_reading_are_sent_on_when_the_office_closes() -> None:
    desk = Desk()
    asked = desk.outcome_of("r1")
    desk.is_told_to_leave()
    desk.closes(trader="seller2", term=3)
    assert isinstance(asked.answer, NotTrader)


def test_a_ledger_keeps_what_a_trader_promised() -> None:
    ledger: MemoryLedger = books(goods=[FISH])
    for _ in range(3):  # three terms, and everyone asks everything again
        desk = Desk(ledger=ledger)
        outcomes = [desk.buy(wants(f"r{n}", clock=n)) for n in range(12)]
        desk.ledger_does_all()
        assert [c.outcome.status for c in outcomes] == ["sold"] * 10 + ["unavailable"] * 2
        assert desk.stock() == {}
