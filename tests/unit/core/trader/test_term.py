"""The trader in office, path by path: what it takes in, decides, has recorded, and only then answers."""

from __future__ import annotations

import msgspec

from db.ledger.memory import MemoryLedger
from peers.core.calls import StandingReply
from peers.core.ledger.port import FindSales, LookUp
from peers.core.market.records import Accepted, Deposit
from peers.core.membership.clock_pace import MAX_AHEAD
from tests.unit.core.trader.checks import FISH, SALT, was_told_the_post_is_closed, was_turned_away
from tests.unit.core.trader.desk import TRADER, Desk, asked_for, books, queued_in, recorded
from tests.unit.core.words import at, offers, rules, wants

# -- recorded, decided, answered -----------------------------------------------------------------------------


def test_a_lone_request_is_recorded_and_decided_at_once_and_answered_only_then() -> None:
    desk = Desk(goods=[FISH])
    buyer = desk.buy(wants("r1"))
    assert buyer.waits
    assert asked_for(desk.entry) == ["r1"]
    assert desk.entry.new_requests == ("r1",)
    desk.ledger_does()
    assert buyer.outcome.status == "sold"
    assert buyer.outcome == recorded(desk.ledger, "r1")["r1"]
    assert desk.is_idle


def test_the_seller_is_told_once_the_sale_is_recorded() -> None:
    desk = Desk(goods=[FISH])
    buyer = desk.buy(wants("r1"))
    assert desk.told == []
    desk.ledger_does()
    assert desk.told == [("seller1", buyer.outcome)]


def test_a_seller_that_is_gone_is_not_told_but_the_sale_stands() -> None:
    desk = Desk(goods=[FISH])
    gone = desk.ctx.members.get(1)
    assert gone is not None
    desk.ctx.members.merge([msgspec.structs.replace(gone, up=False)])
    buyer = desk.buy(wants("r1"))
    desk.ledger_does()
    assert buyer.outcome.status == "sold"
    assert desk.told == []


def test_what_arrives_while_an_entry_is_under_way_shares_the_next_one_lowest_clock_first() -> None:
    desk = Desk(goods=[FISH])
    first, second = desk.buy(wants("r1")), desk.buy(wants("r2", clock=5))
    third = desk.buy(wants("r3", clock=4))
    assert len(desk.under_way) == 1
    desk.ledger_does()
    assert not first.waits
    assert second.waits
    assert third.waits
    assert asked_for(desk.entry) == ["r3", "r2"]
    desk.ledger_does()
    assert [first.outcome.seq, third.outcome.seq, second.outcome.seq] == [1, 2, 3]


def test_what_was_pending_when_the_last_trader_fell_is_decided_first_in_order() -> None:
    left_over = [wants("b", clock=9), wants("a", clock=3), wants("c", "salt", clock=1)]
    desk = Desk(queue=left_over, goods=[FISH])
    assert asked_for(desk.entry) == ["c", "a", "b"]
    assert desk.entry.new_requests == ()  # They came into the log when they were queued.
    newcomer = desk.buy(wants("early", clock=0))
    desk.ledger_does_all()
    assert newcomer.outcome.seq == 4


def test_arrivals_are_numbered_on_from_the_last_trader() -> None:
    desk = Desk(queue=[wants("a"), wants("b", clock=2)])
    caller = desk.buy(wants("r"))
    desk.ledger_does_all()
    assert caller.outcome.accepted.arrival == 3
    assert caller.outcome.accepted.queued_term == 2


# -- what has to wait ----------------------------------------------------------------------------------------


def test_a_batch_takes_so_many_and_the_rest_waits_in_the_queue() -> None:
    desk = Desk(goods=[FISH], settings=rules(resign_after_sales=0, timing={"max_batch": 2}))
    desk.buy(wants("r0"))
    callers = [desk.buy(wants(f"r{n}", clock=20 - n)) for n in range(1, 6)]
    desk.ledger_does()
    assert asked_for(desk.entry) == ["r5", "r4"]
    assert queued_in(desk.entry) == ["r3", "r2", "r1"]
    assert set(desk.entry.new_requests) == {"r1", "r2", "r3", "r4", "r5"}
    desk.ledger_does()
    assert desk.entry.new_requests == ()  # The ids of the queue are in the log already.
    desk.ledger_does_all()
    assert [caller.outcome.seq for caller in callers] == [6, 5, 4, 3, 2]


def test_an_entry_has_no_more_decisions_than_a_batch_takes() -> None:
    desk = Desk(queue=[wants(f"r{n}", clock=n) for n in range(5)], settings=rules(timing={"max_batch": 2}))
    sizes = []
    while not desk.is_idle:
        sizes.append(len(desk.entry.outcomes))
        desk.ledger_does()
    assert sizes == [2, 2, 1]


def crowded() -> Desk:
    """One request is under way, and two wait, of which the next entry takes only one; queueing takes 10 ms."""
    settings = rules(resign_after_sales=0, timing={"queue_after_s": 0.01, "max_batch": 1})
    desk = Desk(goods=[FISH], settings=settings)
    for number in range(3):
        desk.buy(wants(f"r{number}", clock=number))
    return desk


def test_what_waits_only_a_moment_is_not_queued() -> None:
    desk = crowded()
    desk.time_passes(0.004)
    desk.ledger_does()
    assert (asked_for(desk.entry), queued_in(desk.entry)) == (["r1"], [])
    assert desk.entry.new_requests == ("r1",)


def test_what_has_waited_for_longer_is_queued_with_the_next_entry_and_only_once() -> None:
    desk = crowded()
    desk.time_passes(0.006)
    desk.buy(wants("r3", clock=3))
    desk.time_passes(0.004)
    desk.ledger_does()
    assert (asked_for(desk.entry), queued_in(desk.entry)) == (["r1"], ["r2"])  # The request r3 came later.
    desk.time_passes(0.006)
    desk.ledger_does()
    assert (asked_for(desk.entry), queued_in(desk.entry)) == (["r2"], ["r3"])
    assert desk.entry.new_requests == ("r3",)
    desk.ledger_does_all()
    assert recorded(desk.ledger, "r0", "r1", "r2", "r3").keys() == {"r0", "r1", "r2", "r3"}


def test_what_is_queued_stands_in_the_log_where_a_successor_finds_it() -> None:
    desk = crowded()
    desk.time_passes(0.01)
    desk.ledger_does()
    desk.ledger_does()  # By this, r1 is decided and r2 queued.
    successor = Desk(ledger=desk.ledger)
    assert asked_for(successor.entry) == ["r2"]


def test_a_lower_clock_overtakes_what_is_queued() -> None:
    desk = crowded()
    desk.time_passes(0.01)
    desk.ledger_does()
    late = desk.buy(wants("early", clock=0))
    desk.ledger_does()
    assert asked_for(desk.entry) == ["early"]
    desk.ledger_does_all()
    assert late.outcome.seq == 3


# -- who may ask ---------------------------------------------------------------------------------------------


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
    assert desk.search() == ()
    desk.ledger_does()
    assert isinstance(seller.answer, Deposit)
    assert (seller.answer.offer, seller.answer.remaining, seller.answer.term) == (FISH, 10, 2)
    assert desk.search("fish") == (seller.answer,)


def test_a_deposit_and_a_purchase_of_it_share_an_entry() -> None:
    desk = Desk()
    desk.buy(wants("r0", "boar"))
    seller, buyer = desk.deposit(FISH), desk.buy(wants("r1"))
    desk.ledger_does()
    assert [d.offer for d in desk.entry.deposits] == [FISH]
    assert asked_for(desk.entry) == ["r1"]
    desk.ledger_does()
    assert isinstance(seller.answer, Deposit)
    assert seller.answer.remaining == 10  # A deposit is answered as it came in.
    assert buyer.outcome.sale is not None
    assert desk.stock() == {"d1": 9}


def test_a_deposit_with_a_lower_clock_sells_first_though_it_came_later() -> None:
    desk = Desk(goods=[SALT, offers("late", clock=5)])
    desk.buy(wants("r0", "boar"))
    desk.deposit(offers("early", clock=4))
    buyer = desk.buy(wants("r1"))
    desk.ledger_does_all()
    assert buyer.outcome.sale is not None
    assert buyer.outcome.sale.deposit == "early"


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


def test_search_shows_what_is_recorded_and_nothing_of_what_is_under_way() -> None:
    desk = Desk(goods=[FISH])
    desk.buy(wants("r1", quantity=10))
    assert desk.stock() == {"d1": 10}
    desk.answer_is_lost(happened=True)
    assert desk.stock() == {"d1": 10}  # The trader does not know better.
    desk.retries()
    desk.ledger_does()
    assert desk.stock() == {}


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
    taken_in = desk.outcome_of("r1")
    desk.ledger_does(LookUp)  # Its buyer may ask again for what was decided long ago.
    assert taken_in.answer is None
    desk.ledger_does()
    assert desk.outcome_of("r1").answer == buyer.outcome
    nobody_knows = desk.outcome_of("r2")
    desk.ledger_does(LookUp)
    assert nobody_knows.answer is None


def test_what_waits_in_the_log_is_known_to_wait() -> None:
    desk = Desk(queue=[wants("r1")])
    waiting = desk.outcome_of("r1").answer
    assert isinstance(waiting, Accepted)
    assert waiting.request.request_id == "r1"


def test_what_the_last_trader_decided_is_looked_up() -> None:
    first = Desk(goods=[FISH])
    buyer = first.buy(wants("r1"))
    first.ledger_does()
    second = Desk(ledger=first.ledger)
    asked, also = second.outcome_of("r1"), second.outcome_of("r1")
    second.ledger_does(LookUp)  # One look answers both.
    assert asked.answer == also.answer == buyer.outcome


def test_reading_does_not_wait_for_the_entry_under_way() -> None:
    desk = Desk(goods=[FISH])
    buyer = desk.buy(wants("r1"))
    asked = desk.outcome_of("r0")
    desk.ledger_does(LookUp)
    assert asked.answer is None
    assert buyer.waits


def test_who_reads_while_the_books_are_away_is_told_so() -> None:
    desk = Desk()
    asked, standing = desk.outcome_of("r1"), desk.standing("seller1")
    desk.ledger_is_away(LookUp)
    desk.ledger_is_away(FindSales)
    was_told_the_post_is_closed(asked)
    was_told_the_post_is_closed(standing)


def test_a_ledger_keeps_what_a_trader_promised() -> None:
    ledger: MemoryLedger = books(goods=[FISH])
    for _ in range(3):  # In each of three terms, everyone asks everything again.
        desk = Desk(ledger=ledger)
        outcomes = [desk.buy(wants(f"r{n}", clock=n)) for n in range(12)]
        desk.ledger_does_all()
        assert [c.outcome.status for c in outcomes] == ["sold"] * 10 + ["unavailable"] * 2
        assert desk.stock() == {}
