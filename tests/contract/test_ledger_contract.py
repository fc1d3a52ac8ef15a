"""What every ledger promises: the same tests for the one in memory and the one in MongoDB."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from decimal import Decimal

import msgspec
import pytest

from db.memory import MemoryLedger
from db.mongo import MongoLedger
from peers.core.ledger import (
    AlreadyRecorded,
    Deposed,
    Done,
    FindSales,
    Found,
    Ledger,
    LookUp,
    OfficeRefused,
    Operation,
    RecordElection,
    TakeOffice,
)
from peers.core.records import ElectionRecord, Post
from tests.deals import T0_MS, commit, enqueue, entry, sold, stock, take_office, unavailable


@pytest.fixture(params=["memory", "pipelined", "driver"])
def ledger(request: pytest.FixtureRequest) -> Iterator[Ledger]:
    if request.param == "memory":
        yield MemoryLedger()
        return
    books = request.getfixturevalue("books")
    uri = request.getfixturevalue("mongod").uri
    mongo = MongoLedger(uri, books.name, pipelined=request.param == "pipelined")
    yield mongo
    mongo.close()


def look_up(ledger: Ledger, *request_ids: str, deposits: tuple[str, ...] = ()) -> Found:
    found = ledger.perform(LookUp(request_ids=request_ids, deposit_ids=deposits))
    assert isinstance(found, Found)
    return found


def test_the_post_is_vacant_at_first(ledger: Ledger) -> None:
    assert look_up(ledger) == Found(post=Post(term=0, trader=None, seq=0))


def test_the_first_trader_finds_empty_books(ledger: Ledger) -> None:
    taken = take_office(ledger, trader="merchant4")
    assert taken.post == Post(term=1, trader="merchant4", seq=0)
    assert (taken.arrival, taken.queue, taken.stock) == (0, (), ())


def test_office_is_refused_unless_the_term_is_the_expected_one(ledger: Ledger) -> None:
    take_office(ledger, trader="merchant4")
    for wrong in (0, 2):
        refused = ledger.perform(TakeOffice(trader="merchant5", expected_term=wrong, now_ms=T0_MS))
        assert refused == OfficeRefused(post=Post(term=1, trader="merchant4", seq=0))
    assert look_up(ledger).post.trader == "merchant4"


def test_a_successor_finds_what_is_pending_and_in_stock_in_order(ledger: Ledger) -> None:
    take_office(ledger)
    big, small, gone = stock("zz", 3), stock("a", 2), stock("bbb", 1)
    assert ledger.perform(commit(deposits=(big, small, gone))) == Done()
    assert ledger.perform(enqueue(entry(12), entry(3), entry(7))) == Done()
    assert ledger.perform(commit(sold(entry(7), 1, gone, queued=True), sold(entry(20), 2, big))) == Done()
    taken = take_office(ledger, expected_term=1, trader="merchant8")
    assert taken.post == Post(term=2, trader="merchant8", seq=2)
    assert taken.arrival == 20
    assert taken.queue == (entry(3), entry(12))
    assert taken.stock == (small, msgspec.structs.replace(big, remaining=2))


def test_what_is_recorded_is_found_again_exactly(ledger: Ledger) -> None:
    take_office(ledger)
    fish = stock("d1", 5, price="19.99")
    decisions = (sold(entry(1, quantity=3), 1, fish), unavailable(entry(2), 2), unavailable(entry(4), 3))
    assert ledger.perform(commit(*decisions, deposits=(fish,))) == Done()
    assert ledger.perform(enqueue(entry(5), entry(6))) == Done()
    found = look_up(ledger, "r4", "r1", "r6", "nobody", "r2", "r4", deposits=("d1", "d2"))
    outcomes = [decision.outcome for decision in decisions]
    assert found.outcomes == (outcomes[2], outcomes[0], outcomes[1])
    assert found.queued == (entry(6),)
    assert found.deposits == (msgspec.structs.replace(fish, remaining=2),)
    assert found.post == Post(term=1, trader="merchant9", seq=3)
    sale = found.outcomes[1].sale
    assert sale is not None
    assert (sale.amount, sale.commission, sale.earned) == (Decimal("59.97"), Decimal("11.99"), Decimal("47.98"))


def test_a_queued_request_is_decided_where_it_stands(ledger: Ledger) -> None:
    take_office(ledger)
    assert ledger.perform(enqueue(entry(1), entry(2))) == Done()
    first = unavailable(entry(1), 1, queued=True)
    assert ledger.perform(commit(first)) == Done()
    found = look_up(ledger, "r1", "r2")
    assert (found.outcomes, found.queued) == ((first.outcome,), (entry(2),))


def test_a_sale_may_draw_on_a_deposit_of_the_same_commit(ledger: Ledger) -> None:
    take_office(ledger)
    fish = stock("d1", 2)
    assert ledger.perform(commit(sold(entry(1), 1, fish), sold(entry(2), 2, fish), deposits=(fish,))) == Done()
    assert look_up(ledger, deposits=("d1",)).deposits[0].remaining == 0
    assert take_office(ledger, expected_term=1).stock == ()


@pytest.mark.parametrize("same_commit", [True, False])
def test_more_than_there_is_cannot_be_sold(ledger: Ledger, same_commit: bool) -> None:
    take_office(ledger)
    fish = stock("d1", 2)
    too_much = (sold(entry(1), 1, fish), sold(entry(2, quantity=2), 2, fish))
    if same_commit:
        assert ledger.perform(commit(*too_much, deposits=(fish,))) == AlreadyRecorded()
        assert look_up(ledger, deposits=("d1",)).deposits == ()
    else:
        assert ledger.perform(commit(deposits=(fish,))) == Done()
        assert ledger.perform(commit(*too_much)) == AlreadyRecorded()
        assert look_up(ledger, deposits=("d1",)).deposits == (fish,)
    assert look_up(ledger, "r1", "r2") == Found(post=Post(term=1, trader="merchant9", seq=0))


def test_what_draws_on_no_deposit_is_refused(ledger: Ledger) -> None:
    take_office(ledger)
    assert ledger.perform(commit(sold(entry(1), 1, stock("nowhere", 1)))) == AlreadyRecorded()
    assert look_up(ledger, "r1").outcomes == ()


def test_an_id_is_recorded_once(ledger: Ledger) -> None:
    take_office(ledger)
    fish = stock("d1", 9)
    assert ledger.perform(enqueue(entry(1))) == Done()
    assert ledger.perform(commit(sold(entry(2), 1, fish), deposits=(fish,))) == Done()
    again: list[Operation] = [
        enqueue(entry(3), entry(1)),
        enqueue(entry(2)),
        enqueue(entry(3), entry(3)),
        commit(sold(entry(3), 2, fish), sold(entry(1), 3, fish), seq=1),
        commit(sold(entry(3), 2, fish), sold(entry(2), 3, fish), seq=1),
        commit(sold(entry(3), 2, fish), sold(entry(3), 3, fish), seq=1),
        commit(sold(entry(3), 2, fish, queued=True), seq=1),
        commit(sold(entry(2), 2, fish, queued=True), seq=1),
        commit(sold(entry(1), 2, fish, queued=True), sold(entry(1), 3, fish, queued=True), seq=1),
        commit(unavailable(entry(3), 2), seq=1, deposits=(stock("d2", 1), fish)),
        commit(seq=1, deposits=(stock("d2", 1), stock("d2", 1))),
    ]
    for operation in again:
        assert ledger.perform(operation) == AlreadyRecorded(), operation
    found = look_up(ledger, "r1", "r2", "r3", deposits=("d1", "d2"))
    assert found.queued == (entry(1),)
    assert [outcome.seq for outcome in found.outcomes] == [1]
    assert [deposit.remaining for deposit in found.deposits] == [8]


@pytest.mark.parametrize("seq", [0, 2])
def test_a_commit_must_know_where_the_post_stands(ledger: Ledger, seq: int) -> None:
    take_office(ledger)
    assert ledger.perform(commit(unavailable(entry(1), 1))) == Done()
    assert ledger.perform(commit(unavailable(entry(2), seq + 1), seq=seq)) == AlreadyRecorded()
    assert ledger.perform(commit(deposits=(stock("d1", 1),), seq=seq)) == AlreadyRecorded()
    assert look_up(ledger, "r2", deposits=("d1",)) == Found(post=Post(term=1, trader="merchant9", seq=1))


def test_a_deposed_trader_changes_nothing(ledger: Ledger) -> None:
    take_office(ledger)
    assert ledger.perform(commit(unavailable(entry(1), 1))) == Done()
    take_office(ledger, expected_term=1, trader="merchant8")
    deposed = Deposed(post=Post(term=2, trader="merchant8", seq=1))
    assert ledger.perform(commit(unavailable(entry(2), 2), seq=1)) == deposed
    assert ledger.perform(commit(deposits=(stock("d1", 1),), seq=1)) == deposed
    assert ledger.perform(enqueue(entry(3))) == deposed
    assert ledger.perform(enqueue()) == deposed
    # Its mistakes do not hide that it is deposed.
    assert ledger.perform(commit(unavailable(entry(1), 2), seq=1)) == deposed
    assert ledger.perform(commit(sold(entry(2), 6, stock("none", 1)), seq=5)) == deposed
    assert look_up(ledger, "r2", "r3", deposits=("d1",)) == Found(post=deposed.post)


def test_a_trader_from_the_future_is_refused_too(ledger: Ledger) -> None:
    take_office(ledger)
    assert isinstance(ledger.perform(enqueue(entry(1), term=2)), Deposed)
    assert isinstance(ledger.perform(commit(unavailable(entry(1), 1, term=2), term=2)), Deposed)


def test_one_may_succeed_oneself(ledger: Ledger) -> None:
    take_office(ledger)
    assert ledger.perform(enqueue(entry(1))) == Done()
    assert take_office(ledger, expected_term=1).queue == (entry(1),)
    assert ledger.perform(commit(unavailable(entry(1), 1, term=2, queued=True), term=2)) == Done()
    assert ledger.perform(enqueue(entry(2, term=2), term=2)) == Done()


def test_empty_operations_succeed(ledger: Ledger) -> None:
    take_office(ledger)
    assert ledger.perform(enqueue()) == Done()
    assert ledger.perform(commit()) == Done()
    assert look_up(ledger).post.seq == 0


def test_an_impossible_commit_is_the_callers_mistake(ledger: Ledger) -> None:
    take_office(ledger)
    half = msgspec.structs.replace(stock("d1", 2), remaining=1)
    for wrong in (
        commit(unavailable(entry(1), 2)),
        commit(unavailable(entry(1), 1, term=2)),
        commit(deposits=(half,)),
    ):
        with pytest.raises(ValueError, match=r"out of place|all its goods"):
            ledger.perform(wrong)


def test_a_seller_finds_its_sales_and_what_it_has_left(ledger: Ledger) -> None:
    take_office(ledger)
    mine, more, out, other = stock("d22", 9), stock("d1", 4), stock("d3", 1), stock("d4", 9, seller="seller2")
    decisions = (
        sold(entry(1), 1, mine),
        sold(entry(2), 2, other),
        sold(entry(3), 3, out),
        unavailable(entry(4), 4),
        sold(entry(5), 5, mine),
    )
    assert ledger.perform(commit(*decisions, deposits=(mine, more, out, other))) == Done()

    def sales(after_seq: int, limit: int = 1000) -> Found:
        found = ledger.perform(FindSales(seller="seller1", after_seq=after_seq, limit=limit))
        assert isinstance(found, Found)
        return found

    assert [outcome.seq for outcome in sales(0).outcomes] == [1, 3, 5]
    assert [outcome.seq for outcome in sales(1).outcomes] == [3, 5]
    assert [outcome.seq for outcome in sales(0, limit=2).outcomes] == [1, 3]
    assert sales(5).outcomes == ()
    assert sales(0).outcomes[1] == decisions[2].outcome
    assert sales(5).deposits == (more, msgspec.structs.replace(mine, remaining=7))
    assert sales(0).post == Post(term=1, trader="merchant9", seq=5)


def test_an_election_is_written_down_once_a_term(ledger: Ledger) -> None:
    record = ElectionRecord(
        term=1,
        algorithm="bully",
        reason="start",
        started_by="buyer0",
        trader="merchant9",
        messages=12,
        started_at_ms=T0_MS,
        took_ms=150,
    )
    assert ledger.perform(RecordElection(record=record)) == Done()
    again = msgspec.structs.replace(record, messages=13, took_ms=160.5)
    assert ledger.perform(RecordElection(record=again)) == Done()


def test_a_large_commit_goes_through_in_one_piece(ledger: Ledger) -> None:
    take_office(ledger)
    fish = stock("d1", 2000)
    entries = [entry(number) for number in range(1, 1501)]
    assert ledger.perform(enqueue(*entries[:700])) == Done()
    decisions = [sold(each, each.arrival, fish, queued=each.arrival <= 700) for each in entries]
    assert ledger.perform(commit(*decisions, deposits=(fish,))) == Done()
    taken = take_office(ledger, expected_term=1)
    assert (taken.post.seq, taken.queue, taken.stock[0].remaining) == (1500, (), 500)


def test_copies_of_the_ledger_in_memory_go_their_own_ways() -> None:
    ledger = MemoryLedger()
    take_office(ledger)
    fish = stock("d1", 5)
    assert ledger.perform(commit(sold(entry(1), 1, fish), deposits=(fish,))) == Done()
    twin = copy.deepcopy(ledger)
    before = ledger.documents()
    assert twin.documents() == before
    assert twin.perform(commit(sold(entry(2), 2, fish), seq=1, deposits=(stock("d2", 1),))) == Done()
    assert twin.perform(enqueue(entry(3))) == Done()
    take_office(twin, expected_term=1)
    assert ledger.documents() == before
    assert ledger.perform(commit(sold(entry(2), 2, fish), seq=1)) == Done()
