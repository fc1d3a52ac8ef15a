"""A trader in a market of vector clocks: what is ordered is decided in order, what is concurrent by a fixed rule."""

from __future__ import annotations

import bson

from db.schema.documents import entry_document
from peers.core.ledger.log import TradeEntry
from peers.core.market.records import PurchaseRequest
from peers.core.membership.clocks import OTHERS, VectorStamp
from tests.unit.core.trader.checks import FISH
from tests.unit.core.trader.desk import Desk, asked_for, queued_in
from tests.unit.core.words import rules

MOST_BYTES = 16 * 2**20
"""What MongoDB takes of one document."""


def wants(request_id: str, buyer: str, **vector: int) -> PurchaseRequest:
    return PurchaseRequest(
        request_id=request_id, buyer=buyer, item="fish", quantity=1, clock=VectorStamp(vector=vector)
    )


def bytes_of(entry: TradeEntry) -> int:
    """How large the entry is as a document."""
    return len(bson.encode(entry_document(1, entry)))


def desk_of_vectors() -> Desk:
    return Desk(goods=[FISH], settings=rules(clock="vector", resign_after_sales=0))


def test_what_is_concurrent_with_one_beside_it_is_marked_and_what_is_ordered_is_not() -> None:
    desk = desk_of_vectors()
    desk.buy(wants("first", "buyer0", buyer0=1))
    later = desk.buy(wants("later", "buyer0", buyer0=2, buyer3=2))
    tied = desk.buy(wants("tied", "buyer3", buyer3=1))
    other = desk.buy(wants("other", "seller1", seller1=1))
    desk.ledger_does()
    assert asked_for(desk.entry) == ["other", "tied", "later"]
    desk.ledger_does()
    assert [caller.outcome.concurrent for caller in (other, tied, later)] == [True, True, False]


def test_one_that_waits_alone_is_concurrent_with_nobody() -> None:
    desk = desk_of_vectors()
    alone = desk.buy(wants("r1", "buyer0", buyer0=1))
    desk.ledger_does()
    assert alone.outcome.concurrent is False


def test_the_market_clock_has_one_entry_for_all_who_are_no_peers() -> None:
    desk = desk_of_vectors()
    for number in range(50):
        desk.buy(wants(f"r{number}", f"alice{number}", **{f"alice{number}": 3, OTHERS: number}))
    clock = desk.ctx.clock.stamp()
    assert isinstance(clock, VectorStamp)
    assert clock.vector.keys() == {OTHERS, "merchant9"}
    # It is ahead of whatever it was told, as a clock has to be.
    assert clock.time > 3 + 49


def test_an_entry_holds_as_many_clocks_as_the_ledger_takes_and_the_rest_follows() -> None:
    desk = desk_of_vectors()
    large = {f"a{number}": 1 for number in range(1000)}
    desk.buy(wants("r0", "buyer0", buyer0=1))
    callers = [desk.buy(wants(f"r{number}", "buyer3", **large, buyer3=number)) for number in range(1, 121)]
    desk.ledger_does()
    while not desk.is_idle:
        assert bytes_of(desk.entry) <= MOST_BYTES / 4
        desk.ledger_does()
    assert all(not caller.waits for caller in callers)


def test_who_leaves_queues_large_clocks_in_several_entries() -> None:
    desk = desk_of_vectors()
    large = {f"a{number}": 1 for number in range(1000)}
    desk.buy(wants("r0", "buyer0", buyer0=1))
    for number in range(1, 121):
        desk.buy(wants(f"r{number}", "buyer3", **large, buyer3=number))
    desk.is_told_to_leave()
    queued: list[str] = []
    while not desk.is_idle:
        queued += queued_in(desk.entry)
        desk.ledger_does()
    assert len(queued) == 120
    assert desk.ended() is not None
