"""What a trader makes of a seller's report: it takes back what cannot be honoured, and writes off what is gone."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from peers.core.calls import AskReversals, Call, ReportStock, ReversalsReply, StockReply
from peers.core.ledger.port import AlreadyRecorded, Append, FindReversals, Found, LookUp
from peers.core.market.records import Offer, Outcome
from peers.errors import BadRequest, NotTrader
from tests.unit.core.trader.desk import Caller, Desk, recorded
from tests.unit.core.words import offers, wants

GOODS = offers("d1", quantity=5, seller="seller1", price="7")


def sold_out(*quantities: int, goods: Offer = GOODS) -> Desk:
    """A desk that has sold so much to each of buyer0's requests r1, r2, …"""
    desk = Desk(goods=[goods])
    for number, quantity in enumerate(quantities, 1):
        desk.buy(wants(f"r{number}", quantity=quantity, clock=number))
        desk.ledger_does_all()
    desk.told.clear()
    return desk


def report(*unfilled: str, handed_over: int = 0, holds: int = 0, seller: str = "seller1") -> ReportStock:
    return ReportStock(seller=seller, deposit_id="d1", handed_over=handed_over, holds=holds, unfilled=unfilled)


def asked(desk: Desk, call: Call) -> Caller:
    return desk._call(call)


def reply_to(desk: Desk, call: Call) -> StockReply:
    caller = asked(desk, call)
    desk.ledger_does_all()
    assert isinstance(caller.answer, StockReply), caller.answer
    return caller.answer


def test_a_sale_that_cannot_be_filled_is_taken_back_with_goods_and_money() -> None:
    desk = sold_out(2, 3)
    reply = reply_to(desk, report("r2", handed_over=2, holds=1))
    (undone,) = reply.reversals
    reversal = undone.taken_back
    assert reversal is not None
    assert (reversal.number, reversal.amount, reversal.trader) == (1, Decimal("21.00"), "merchant9")
    assert reversal.commission + reversal.earned == reversal.amount
    assert (reply.deposit.remaining, reply.deposit.written_off) == (1, 2), "one is there, two are not"
    assert recorded(desk.ledger, "r2")["r2"] == undone
    assert recorded(desk.ledger, "r1")["r1"].taken_back is None
    assert desk.stock() == {"d1": 1}
    assert desk.told == [("buyer0", undone)]


def test_what_came_back_is_sold_again() -> None:
    desk = sold_out(2, 3)
    reply_to(desk, report("r2", handed_over=2, holds=1))
    again = desk.buy(wants("r3", clock=9))
    desk.ledger_does_all()
    assert again.outcome.sale is not None
    assert desk.stock() == {}


def test_to_report_the_same_again_changes_nothing() -> None:
    desk = sold_out(5)
    first = reply_to(desk, report("r1", holds=2))
    end = desk.ledger.end
    assert reply_to(desk, report("r1", holds=2)) == first
    assert desk.ledger.end == end
    assert len(desk.told) == 1


def test_two_who_report_the_same_at_once_share_the_answer() -> None:
    desk = sold_out(5)
    callers = [asked(desk, report("r1", holds=2)) for _ in range(2)]
    desk.ledger_does_all()
    assert callers[0].answer == callers[1].answer
    assert desk.ledger.post.reversals == 1


def test_an_older_report_that_comes_late_writes_nothing_off_again() -> None:
    desk = sold_out(2, 2)
    reply_to(desk, report("r1", "r2", holds=1))
    late = asked(desk, report("r1", holds=1))
    desk.ledger_does_all()
    assert isinstance(late.answer, StockReply)
    assert (late.answer.deposit.remaining, late.answer.deposit.written_off) == (1, 4)


def test_missing_goods_are_written_off_before_anybody_buys_them() -> None:
    desk = sold_out(1)
    reply = reply_to(desk, report(handed_over=1, holds=1))
    assert reply.reversals == ()
    assert desk.stock() == {"d1": 1}
    in_vain = desk.buy(wants("r2", quantity=2, clock=9))
    desk.ledger_does_all()
    assert in_vain.outcome.sale is None


def test_what_is_missing_but_sold_is_written_off_once_its_sale_is_taken_back() -> None:
    desk = sold_out(2, 3)
    assert reply_to(desk, report(holds=4)).deposit.written_off == 0, "nothing is left to be written off"
    assert reply_to(desk, report("r2", handed_over=2, holds=2)).deposit.written_off == 1
    assert desk.stock() == {"d1": 2}


@pytest.mark.parametrize("happened", [True, False])
def test_an_entry_whose_answer_was_lost_takes_back_once(happened: bool) -> None:
    desk = sold_out(5)
    caller = asked(desk, report("r1"))
    desk.ledger_does(LookUp)
    desk.answer_is_lost(happened=happened)
    assert caller.waits
    assert desk.told == []
    desk.retries()
    desk.ledger_does_all()
    assert isinstance(caller.answer, StockReply)
    assert desk.ledger.post.reversals == 1


def test_a_deposed_trader_takes_nothing_back_and_its_successor_does_so_once() -> None:
    desk = sold_out(5)
    caller = asked(desk, report("r1"))
    desk.ledger_does(LookUp)
    desk.another_takes_office()
    desk.ledger_does()
    desk.closes(trader="seller2", term=3)
    assert isinstance(caller.answer, NotTrader)
    assert desk.ledger.post.reversals == 0
    successor = Desk(ledger=desk.ledger)
    assert reply_to(successor, report("r1")).reversals == (recorded(desk.ledger, "r1")["r1"],)
    assert reply_to(Desk(ledger=desk.ledger), report("r1")).deposit.written_off == 5
    assert desk.ledger.post.reversals == 1


def test_what_was_read_before_the_last_reversal_is_read_again() -> None:
    desk = sold_out(2, 2)
    first = asked(desk, report("r1", holds=0))
    desk.ledger_does(LookUp)
    second = asked(desk, report("r1", "r2", holds=0))
    stale = desk.ledger.perform(desk.the(LookUp))
    operation = desk.the(LookUp)
    desk.ledger_does(Append)
    desk.answers(operation, stale)
    desk.ledger_does_all()
    assert isinstance(first.answer, StockReply)
    assert isinstance(second.answer, StockReply)
    assert desk.ledger.post.reversals == 2
    assert second.answer.deposit.written_off == 5


def test_what_the_log_knows_to_be_taken_back_is_not_taken_back_again() -> None:
    """As when a reading was older than it said."""
    desk = sold_out(5)
    asked(desk, report("r1", holds=1))
    before = desk.ledger.perform(desk.the(LookUp))
    desk.ledger_does_all()
    late = asked(desk, report("r1", holds=1))
    assert isinstance(before, Found)
    desk.answers(desk.the(LookUp), msgspec.structs.replace(before, place=desk.ledger.end))
    assert isinstance(desk.ledger_does(), AlreadyRecorded)
    desk.ledger_does_all()
    assert isinstance(late.answer, StockReply)
    assert desk.ledger.post.reversals == 1


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (report(holds=6), "holds"),
        (report("r1", handed_over=2, holds=3), "holds"),
        (report("r9"), "unfilled"),
        (report(seller="seller2"), "seller"),
        (msgspec.structs.replace(report(), deposit_id="d9"), "deposit_id"),
    ],
)
def test_what_cannot_be_true_is_refused(call: ReportStock, field: str) -> None:
    desk = sold_out(2)
    end = desk.ledger.end
    caller = asked(desk, call)
    desk.ledger_does_all()
    assert isinstance(caller.answer, BadRequest)
    assert caller.answer.field == field
    assert desk.ledger.end == end


def test_whoever_asks_again_for_the_purchase_is_told_that_it_was_taken_back() -> None:
    desk = sold_out(5)
    reply_to(desk, report("r1"))
    again = desk.buy(wants("r1", quantity=5, clock=1))
    assert again.outcome.taken_back is not None


def reversals_of(desk: Desk, customer: str, after: int = 0) -> ReversalsReply:
    caller = asked(desk, AskReversals(customer=customer, after=after))
    desk.ledger_does_all()
    assert isinstance(caller.answer, ReversalsReply)
    return caller.answer


def test_both_sides_find_out_under_any_trader_and_others_find_nothing() -> None:
    desk = sold_out(2, 3)
    undone: tuple[Outcome, ...] = reply_to(desk, report("r1", "r2")).reversals
    for trader in (desk, Desk(ledger=desk.ledger)):
        assert reversals_of(trader, "buyer0") == ReversalsReply(reversals=undone, upto=2)
        assert reversals_of(trader, "seller1", after=1) == ReversalsReply(reversals=undone[1:], upto=2)
        assert reversals_of(trader, "buyer3", after=2) == ReversalsReply(reversals=(), upto=2)
    assert reversals_of(desk, "buyer3") == ReversalsReply(reversals=(), upto=2)


def test_who_knows_all_there_is_is_answered_without_a_reading() -> None:
    desk = Desk(ledger=sold_out(5).ledger)
    caller = asked(desk, AskReversals(customer="buyer0", after=0))
    assert isinstance(caller.answer, ReversalsReply)
    assert not [each for each in desk.under_way if isinstance(each, FindReversals)]
