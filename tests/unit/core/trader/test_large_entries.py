"""No entry is larger than what the database takes, whatever waits for it; and if one is, it is written in parts."""

from __future__ import annotations

from decimal import Decimal

import bson
import msgspec
import pytest

from db.schema.documents import entry_document
from peers.core.calls import ReportStock, StockReply
from peers.core.ledger.log import Recount, TradeEntry
from peers.core.ledger.port import LookUp, TooLarge
from peers.core.ledger.sizes import MOST_BYTES, Room, size_of
from peers.core.market.limits import MOST_UNFILLED
from peers.core.market.records import (
    Accepted,
    Deposit,
    Offer,
    Outcome,
    PurchaseRequest,
    Reversal,
    Sale,
)
from peers.core.membership.clocks import LamportStamp, Stamp, VectorStamp
from peers.core.settings import Settings
from peers.errors import PostClosed
from tests.unit.core.trader.desk import Desk
from tests.unit.core.words import offers, rules, wants

TAKEN_BY_MONGODB = 16 * 2**20
LARGE = VectorStamp(vector={f"{number:04d}" + "x" * 60: 1 for number in range(1000)})
VECTORS = rules(clock="vector", resign_after_sales=0)


def bytes_of(entry: TradeEntry) -> int:
    """How large the entry is as a document."""
    return len(bson.encode(entry_document(2**40, entry)))


def with_large_clock(offer: Offer) -> Offer:
    return msgspec.structs.replace(offer, clock=LARGE)


def buyer_wants(request_id: str, clock: Stamp = LARGE) -> PurchaseRequest:
    return msgspec.structs.replace(wants(request_id), clock=clock)


# -- what waits goes into as many entries as it takes --------------------------------------------------------


def test_deposits_that_come_together_are_written_in_several_entries_and_all_are_answered() -> None:
    desk = Desk(settings=VECTORS)
    callers = [desk.deposit(with_large_clock(offers(f"d{number}"))) for number in range(300)]
    sizes = [bytes_of(desk.entry)]
    desk.ledger_does()
    while not desk.is_idle:
        sizes.append(bytes_of(desk.entry))
        desk.ledger_does()
    assert max(sizes) <= MOST_BYTES
    assert [caller.answer.offer.deposit_id for caller in callers if isinstance(caller.answer, Deposit)] == [
        f"d{number}" for number in range(300)
    ]


def test_requests_are_decided_while_deposits_keep_coming() -> None:
    desk = Desk(settings=VECTORS)
    desk.deposit(offers("first"))
    buyer = desk.buy(buyer_wants("r1"))
    for number in range(300):
        desk.deposit(with_large_clock(offers(f"d{number}")))
    desk.ledger_does()
    assert bytes_of(desk.entry) <= MOST_BYTES
    desk.ledger_does()
    assert not buyer.waits


def test_late_requests_of_a_market_without_vectors_are_queued_in_several_entries() -> None:
    settings = rules(resign_after_sales=0, timing={"max_pending": 1_000_000, "max_batch": 10_000})
    desk = Desk(settings=settings)
    desk.deposit(offers("first"))
    callers = [desk.buy(wants(f"{number:05d}" + "r" * 95, buyer="client-" + "b" * 57)) for number in range(5000)]
    desk.ledger_does()
    while not desk.is_idle:
        assert bytes_of(desk.entry) <= MOST_BYTES
        desk.ledger_does()
    assert not any(caller.waits for caller in callers)


def reported_desk(sales: int, sellers_deposits: int) -> tuple[Desk, list[ReportStock]]:
    """A desk that has sold so much out of each of these deposits, to buyers with large clocks."""
    goods = [with_large_clock(offers(f"d{number}", quantity=sales)) for number in range(sellers_deposits)]
    desk = Desk(goods=goods, settings=VECTORS)
    reports = []
    for number in range(sellers_deposits):
        ids = tuple(f"r{number}.{sale}" for sale in range(sales))
        for request_id in ids:
            desk.buy(buyer_wants(request_id))
        desk.ledger_does_all()
        reports.append(ReportStock(seller="seller1", deposit_id=f"d{number}", handed_over=0, holds=0, unfilled=ids))
    return desk, reports


@pytest.mark.parametrize(("sales", "deposits"), [(MOST_UNFILLED, 1), (MOST_UNFILLED, 2), (20, 8)])
def test_reports_of_many_sales_are_written_in_several_entries(sales: int, deposits: int) -> None:
    desk, reports = reported_desk(sales, deposits)
    desk.deposit(with_large_clock(offers("first")))  # What is reported waits while this is written.
    callers = [desk._call(report) for report in reports]
    while any(isinstance(each, LookUp) for each in desk.under_way):
        reading = next(each for each in desk.under_way if isinstance(each, LookUp))
        desk.answers(reading, desk.ledger.perform(reading))
    for number in range(100):
        desk.deposit(with_large_clock(offers(f"more{number}")))
    sizes = []
    while not desk.is_idle:
        operation = desk.under_way[0]
        if not isinstance(operation, LookUp):
            sizes.append(bytes_of(desk.entry))
        desk.answers(operation, desk.ledger.perform(operation))
    assert max(sizes) < TAKEN_BY_MONGODB / 2 + MOST_BYTES / 2
    assert sum(len(caller.answer.reversals) for caller in callers if isinstance(caller.answer, StockReply)) == (
        sales * deposits
    )


# -- more deposits than may wait -----------------------------------------------------------------------------


def few_may_wait() -> Settings:
    return rules(resign_after_sales=0, timing={"max_pending": 3, "queue_after_s": 60.0})


def test_a_deposit_that_finds_too_many_waiting_is_told_to_come_later_and_then_is_taken_in() -> None:
    desk = Desk(settings=few_may_wait())
    for number in range(3):
        desk.deposit(offers(f"d{number}"))
    refusal = desk.deposit(offers("d3")).answer
    assert isinstance(refusal, PostClosed)
    assert refusal.retry_after_ms >= 1
    assert desk.deposit(offers("d2")).waits, "who waits already may ask again"
    desk.ledger_does_all()
    assert desk.deposit(offers("d3")).waits
    desk.ledger_does_all()
    assert desk.stock().keys() == {"d0", "d1", "d2", "d3"}


# -- an entry that is refused for its size all the same -------------------------------------------------------


def refuse_above(desk: Desk, most: int) -> None:
    """The ledger takes no entry that is larger."""
    for _ in range(1000):
        if desk.is_idle or desk.ended() is not None:
            return
        if bytes_of(desk.entry) > most:
            desk.answers(desk.under_way[0], TooLarge(why="BSON document too large"))
        else:
            desk.ledger_does()
    raise AssertionError("it tries for ever")


def test_an_entry_that_is_refused_for_its_size_is_written_in_parts() -> None:
    desk = Desk(settings=VECTORS)
    deposits = [desk.deposit(with_large_clock(offers(f"d{number}"))) for number in range(100)]
    buyers = [desk.buy(buyer_wants(f"r{number}")) for number in range(100)]
    refuse_above(desk, MOST_BYTES // 8)
    assert desk.ended() is None
    assert not any(caller.waits for caller in [*deposits, *buyers])
    assert desk.ledger.post.seq == 100


def test_a_term_in_which_nothing_is_small_enough_ends() -> None:
    desk = Desk(settings=VECTORS)
    deposit = desk.deposit(with_large_clock(offers("d")))
    refuse_above(desk, 100)
    assert desk.ended() is not None
    assert not desk.will_retry
    desk.closes()
    assert not deposit.waits


# -- what is counted -----------------------------------------------------------------------------------------

ID, NAME, ITEM, MOST = "i" * 100, "n" * 64, "\N{FISH}" * 64, 2**53
MONEY = Decimal("1000000000000.00")


def largest_parts(clock: Stamp) -> dict[str, TradeEntry]:
    """Entries of one record each, which is as large as one with this clock can be."""
    request = PurchaseRequest(request_id=ID, buyer=NAME, item=ITEM, quantity=MOST, clock=clock)
    waiting = Accepted(request=request, arrival=MOST, queued_at_ms=MOST // 1000, queued_term=MOST, area=NAME)
    sale = Sale(seller=NAME, deposit=ID, price=MONEY, amount=MONEY, commission=MONEY, earned=MONEY)
    outcome = Outcome(
        accepted=waiting,
        seq=MOST,
        term=MOST,
        trader=NAME,
        decided_at_ms=MOST // 1000,
        sale=sale,
        concurrent=True,
        foretold="promised",
        taken_back=Reversal(
            number=MOST,
            amount=MONEY,
            commission=MONEY,
            earned=MONEY,
            term=MOST,
            trader=NAME,
            taken_back_at_ms=MOST // 1000,
            reason="the seller does not have the goods",
        ),
    )
    offer = Offer(deposit_id=ID, seller=NAME, item=ITEM, quantity=MOST, price=MONEY, clock=clock)
    deposit = Deposit(
        offer=offer, remaining=MOST, deposited_at_ms=MOST // 1000, term=MOST, written_off=MOST, area=NAME
    )
    blank = TradeEntry(entry_id="e", term=1, trader="merchant9", written_at_ms=0)
    parts: dict[str, dict[str, tuple[object, ...]]] = {
        "decided": {"outcomes": (outcome,), "new_requests": (ID,)},
        "queued": {"queued": (waiting,), "new_requests": (ID,)},
        "taken back": {"reversals": (outcome,)},
        "deposited": {"deposits": (deposit,)},
        "counted anew": {"recounts": (Recount(deposit=deposit, returned=MOST, written_off=MOST),)},
    }
    return {name: msgspec.structs.replace(blank, **part) for name, part in parts.items()}


@pytest.mark.parametrize("clock", [LamportStamp(lamport=MOST), LARGE], ids=["lamport", "vector"])
@pytest.mark.parametrize("part", ["decided", "queued", "taken back", "deposited", "counted anew"])
def test_no_record_is_larger_than_it_is_counted_for(part: str, clock: Stamp) -> None:
    entry = largest_parts(clock)[part]
    blank = TradeEntry(entry_id="e", term=1, trader="merchant9", written_at_ms=0)
    assert bytes_of(entry) - bytes_of(blank) < size_of(clock)


def test_what_goes_in_first_always_fits_and_what_follows_only_where_there_is_room() -> None:
    room = Room(10)
    assert room.takes(11)
    assert not room.takes(1)
    room = Room(10)
    assert room.first_of([4, 3, 2, 1], lambda each: each, spare=room.half) == [4]
    assert room.first_of([4, 3, 2], lambda each: each) == [4]
    assert room.takes(2)
    assert not room.takes(1)


def test_the_largest_report_alone_is_not_larger_than_what_the_database_takes() -> None:
    assert (MOST_UNFILLED + 1) * size_of(LARGE) < TAKEN_BY_MONGODB / 2
