"""What every ledger promises: the same tests for the one in memory and the one in MongoDB, plain and secured."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Iterator
from decimal import Decimal

import msgspec
import pytest

from db.ledger.memory import MemoryLedger
from db.ledger.mongo import MongoLedger
from db.schema.prepare import prepare
from peers.core.ledger.log import NOWHERE, Entry
from peers.core.ledger.port import (
    AlreadyRecorded,
    Appended,
    Done,
    FindSales,
    Found,
    Ledger,
    Load,
    Loaded,
    LookUp,
    PostRead,
    Reach,
    ReadEntries,
    ReadOn,
    ReadPost,
    RecordElection,
    Taken,
)
from peers.core.ledger.post_state import PostState, state_of
from peers.core.market.records import Outcome, Post
from peers.waiting import wait_until
from tests.helpers.deals import T0_MS, TRADER, accepted, at, election, office, sold, stock, trade, unavailable
from tests.helpers.log_trader import LogTrader, summary
from tests.helpers.shared_log import shared_log

FISH = stock("d1", 9)


@pytest.fixture(params=["memory", "mongo", "secured"])
def ledger(request: pytest.FixtureRequest) -> Iterator[Ledger]:
    if request.param == "memory":
        yield MemoryLedger()
        return
    if request.param == "mongo":
        uri, name = request.getfixturevalue("mongod").uri, request.getfixturevalue("books").name
    else:
        uri, name = request.getfixturevalue("secured_set").uri, f"test_{uuid.uuid4().hex[:12]}"
        prepare(uri, name)
    mongo = MongoLedger(uri, name)
    yield mongo
    mongo.close()


@pytest.fixture(params=[True, False], ids=["books made", "books left behind"])
def trader(request: pytest.FixtureRequest, ledger: Ledger) -> LogTrader:
    """A trader in office for term 1. What is found must not depend on how far the books are."""
    return LogTrader(ledger, makes_books=request.param).take_office()


def append(ledger: Ledger, *entries: Entry) -> None:
    """Writes a log from its first place on."""
    for place, entry in enumerate(entries):
        assert ledger.perform(at(place, entry)) == Appended()


def load(ledger: Ledger) -> Loaded:
    loaded = ledger.perform(Load())
    assert isinstance(loaded, Loaded)
    return loaded


def look_up(ledger: Ledger, *request_ids: str) -> Found:
    found = ledger.perform(LookUp(request_ids=request_ids))
    assert isinstance(found, Found)
    return without_place(found)


def without_place(found: Found) -> Found:
    """What was found, however far the log was read for it."""
    return msgspec.structs.replace(found, place=NOWHERE)


# -- the log -------------------------------------------------------------------------------------------------------


def test_an_empty_ledger_is_loaded(ledger: Ledger) -> None:
    assert load(ledger) == Loaded(made=NOWHERE, post=Post(), queue=(), stock=(), entries=())


def test_what_was_written_is_read_back_exactly(ledger: Ledger) -> None:
    entries = (
        office(1, "merchant4", reason="the last trader resigned"),
        trade(
            sold(accepted(1, quantity=3), 1, FISH, trader="merchant4"),
            unavailable(accepted(2), 2, trader="merchant4"),
            unavailable(accepted(4), 3, trader="merchant4"),
            deposits=(FISH, stock("d2", 1, price="0.01")),
            queued=(accepted(5), accepted(6)),
            trader="merchant4",
        ),
        trade(deposits=(stock("d3", 1),), trader="merchant4"),
        trade(queued=(accepted(7),), trader="merchant4"),
        office(2, "merchant5"),
        trade(unavailable(accepted(5), 4, term=2), known=("r5",), term=2, trader="merchant5"),
    )
    append(ledger, *entries)
    assert load(ledger).entries == entries


def test_a_log_that_areas_share_is_read_back_exactly(ledger: Ledger) -> None:
    entries = shared_log()
    append(ledger, *entries)
    assert load(ledger).entries == entries


def test_books_of_a_shared_log_say_who_is_trader_of_each_area(ledger: Ledger) -> None:
    entries = shared_log()
    append(ledger, *entries)
    state, to_make = state_of(load(ledger))
    for changes in to_make:
        ledger.perform(changes)
    made = wait_until(lambda: (found := load(ledger)).made == len(entries) - 1 and found, 10.0)
    assert made
    assert made.post == state.post
    assert {each.request.request_id: each.area for each in made.queue} == {"r3": "south", "r4": "north"}


def test_who_holds_the_post_is_read_however_far_the_books_are(ledger: Ledger) -> None:
    assert ledger.perform(ReadPost()) == PostRead(post=Post())
    entries = shared_log()
    append(ledger, *entries)
    state, to_make = state_of(load(ledger))
    holders = [(each.area, each.term, each.trader) for each in state.post.areas]
    for changes in ((), to_make[:3], to_make[3:]):
        for each in changes:
            ledger.perform(each)
        read = ledger.perform(ReadPost())
        assert isinstance(read, PostRead)
        assert [(each.area, each.term, each.trader) for each in read.post.areas] == holders


def test_what_others_wrote_is_read_on_from_a_place(ledger: Ledger) -> None:
    entries = shared_log()
    append(ledger, *entries)
    assert ledger.perform(ReadOn(place=2)) == ReadEntries(entries=entries[3:])
    assert ledger.perform(ReadOn(place=2, limit=2)) == ReadEntries(entries=entries[3:5])
    assert ledger.perform(ReadOn(place=len(entries) - 1)) == ReadEntries(entries=())


def test_each_area_may_have_an_election_of_the_same_term(ledger: Ledger) -> None:
    for area in ("north", "south"):
        assert ledger.perform(RecordElection(record=election(1, area=area))) == Done()


def test_a_place_is_taken_once(ledger: Ledger) -> None:
    first, second = office(1, "merchant4"), office(1, "merchant5")
    append(ledger, first)
    assert ledger.perform(at(0, second)) == Taken(entry=first)
    assert load(ledger).entries == (first,)


def test_the_same_entry_at_its_place_is_there_already(ledger: Ledger) -> None:
    mine, more = office(), trade(sold(accepted(1), 1, FISH), deposits=(FISH,), queued=(accepted(2),))
    append(ledger, mine, more)
    for _ in range(2):
        assert ledger.perform(at(1, more)) == Appended()
        assert ledger.perform(at(0, mine)) == Appended()
    assert load(ledger).entries == (mine, more)


def test_a_deposed_trader_finds_its_place_taken_by_the_office_entry(ledger: Ledger) -> None:
    mine, theirs = office(1), office(2, "merchant8")
    append(ledger, mine, theirs)
    late = trade(sold(accepted(1), 1, FISH), deposits=(FISH,))
    assert ledger.perform(at(1, late)) == Taken(entry=theirs)
    assert ledger.perform(at(2, trade(unavailable(accepted(1), 1, term=2), term=2))) == Appended()
    assert ledger.perform(at(1, late)) == Taken(entry=theirs)
    assert look_up(ledger, "r1").outcomes[0].sale is None


def test_a_place_that_is_taken_says_so_before_ids_that_are(ledger: Ledger) -> None:
    """Its ids may be recorded by the successor: whoever is deposed must not take that for its own."""
    theirs = office(2, "merchant8")
    append(ledger, office(1), theirs, trade(unavailable(accepted(1), 1, term=2), term=2))
    assert ledger.perform(at(1, trade(unavailable(accepted(1), 1)))) == Taken(entry=theirs)


# -- ids come in once ----------------------------------------------------------------------------------------------


def test_a_request_comes_in_once_and_its_outcome_is_told(trader: LogTrader) -> None:
    trader.write(deposits=(FISH,))
    first = trader.sell(1, FISH)
    for number in range(2, 8):
        trader.sell(number, FISH)
    again = trader.entry(trader.sale(1, trader.next_seq, FISH), trader.sale(9, trader.next_seq + 1, FISH))
    assert trader.append(again) == AlreadyRecorded(outcomes=(first,))
    assert look_up(trader.ledger, "r9") == Found()
    trader.sell(9, FISH)


def test_a_request_comes_in_once_whatever_the_term(ledger: Ledger) -> None:
    old = LogTrader(ledger).take_office()
    old.write(deposits=(FISH,))
    first = old.sell(1, FISH)
    new = LogTrader(ledger, "merchant8").take_office()
    again = new.entry(new.sale(1, new.next_seq, FISH))
    assert new.append(again) == AlreadyRecorded(outcomes=(first,))
    queued_again = new.entry(queued=(accepted(1, term=2),))
    assert new.append(queued_again) == AlreadyRecorded(outcomes=(first,))
    new.sell(2, FISH)


def test_a_request_that_was_queued_and_decided_later_is_told_as_decided(trader: LogTrader) -> None:
    trader.write(deposits=(FISH,), queued=(accepted(1), accepted(2)))
    outcome = trader.sell(1, FISH)
    again = trade(queued=(accepted(1), accepted(3)))
    assert trader.append(again) == AlreadyRecorded(outcomes=(outcome,))


def test_of_one_that_still_waits_there_is_no_outcome_to_tell(trader: LogTrader) -> None:
    trader.write(queued=(accepted(1),))
    assert trader.append(trade(queued=(accepted(1),))) == AlreadyRecorded()
    assert trader.append(trade(unavailable(accepted(1), 1))) == AlreadyRecorded()
    trader.write(unavailable(accepted(1), 1))


def test_a_deposit_comes_in_once(trader: LogTrader) -> None:
    small = stock("d2", 1)
    trader.write(deposits=(FISH, small))
    trader.sell(1, small)
    for each in (FISH, small):
        result = trader.append(trader.entry(deposits=(stock("d7", 5), each)))
        assert isinstance(result, AlreadyRecorded)
        assert (result.outcomes, [recorded.offer for recorded in result.deposits]) == ((), [each.offer])
    trader.write(deposits=(stock("d7", 5),))


def test_requests_and_deposits_that_come_again_are_told_together(trader: LogTrader) -> None:
    trader.write(deposits=(FISH,))
    outcomes = trader.sell(1, FISH), trader.sell(2, FISH)
    again = trader.entry(
        trader.sale(2, 3, FISH), trader.sale(3, 4, FISH), trader.sale(1, 5, FISH), deposits=(stock("d5", 1), FISH)
    )
    result = trader.append(again)
    assert isinstance(result, AlreadyRecorded)
    assert result.outcomes == (outcomes[1], outcomes[0])
    assert [each.offer for each in result.deposits] == [FISH.offer]


def test_what_is_refused_changes_nothing(trader: LogTrader) -> None:
    trader.write(deposits=(FISH,))
    trader.sell(1, FISH)
    end = summary(trader.state)
    assert isinstance(trader.append(trader.entry(trader.sale(1, 2, FISH), deposits=(FISH,))), AlreadyRecorded)
    assert summary(state_of(load(trader.ledger))[0]) == end
    assert look_up(trader.ledger, "r1").outcomes[0].seq == 1


# -- loading -------------------------------------------------------------------------------------------------------


def test_a_successor_finds_what_waits_and_what_is_in_stock(trader: LogTrader) -> None:
    big, small, gone = stock("zz", 3), stock("a", 2), stock("bbb", 1)
    trader.write(deposits=(big, small, gone))
    trader.write(queued=(accepted(12), accepted(3), accepted(7)))
    trader.write(trader.sale(7, 1, gone), trader.sale(20, 2, big))
    state, _ = state_of(load(trader.ledger))
    assert state.post == Post(term=1, trader=TRADER, since_ms=T0_MS + 1, seq=2, arrival=20)
    assert sorted(state.queue) == ["r12", "r3"]
    assert state.stock.on_offer() == (small, msgspec.structs.replace(big, remaining=2))
    assert summary(state) == summary(trader.state)


def test_one_may_succeed_oneself(ledger: Ledger) -> None:
    trader = LogTrader(ledger).take_office()
    trader.write(queued=(accepted(1),))
    again = LogTrader(ledger).take_office()
    assert again.term == 2
    again.write(unavailable(accepted(1), 1, term=2))
    assert isinstance(trader.append(trade(queued=(accepted(2),))), Taken)


def test_a_sale_may_draw_on_a_deposit_of_the_same_entry(trader: LogTrader) -> None:
    two = stock("d1", 2)
    trader.write(trader.sale(1, 1, two), trader.sale(2, 2, two), deposits=(two,))
    state, _ = state_of(load(trader.ledger))
    assert (state.stock.on_offer(), state.post.seq) == ((), 2)


def test_a_large_entry_goes_through_in_one_piece(ledger: Ledger) -> None:
    trader = LogTrader(ledger).take_office()
    plenty = stock("d1", 2000)
    trader.write(deposits=(plenty,), queued=tuple(map(accepted, range(1, 701))))
    trader.write(*(trader.sale(number, number, plenty) for number in range(1, 1501)))
    state, _ = state_of(load(ledger))
    assert (state.post.seq, state.queue, state.stock.on_offer()[0].remaining) == (1500, {}, 500)


# -- reading -------------------------------------------------------------------------------------------------------


def test_what_is_recorded_is_found_again_exactly(trader: LogTrader) -> None:
    fish = stock("d1", 5, price="19.99")
    outcomes = trader.sale(1, 1, fish, quantity=3), unavailable(accepted(2), 2), unavailable(accepted(4), 3)
    trader.write(*outcomes, deposits=(fish,))
    trader.write(queued=(accepted(5), accepted(6)))
    found = look_up(trader.ledger, "r4", "r1", "r6", "nobody", "r2", "r4")
    assert found.outcomes == (outcomes[2], outcomes[0], outcomes[1])
    assert found.queued == (accepted(6),)
    sale = found.outcomes[1].sale
    assert sale is not None
    assert (sale.amount, sale.commission, sale.earned) == (Decimal("59.97"), Decimal("11.99"), Decimal("47.98"))


def test_a_queued_request_that_was_decided_is_found_as_decided(trader: LogTrader) -> None:
    trader.write(queued=(accepted(1), accepted(2)))
    first = unavailable(accepted(1), 1)
    trader.write(first)
    assert look_up(trader.ledger, "r1", "r2") == Found(outcomes=(first,), queued=(accepted(2),))


def test_looking_up_nothing_finds_nothing(trader: LogTrader) -> None:
    assert look_up(trader.ledger) == Found()
    assert look_up(trader.ledger, "r1") == Found()


def test_a_seller_finds_its_sales_and_what_it_has_left(trader: LogTrader) -> None:
    mine, more, out, other = stock("d22", 9), stock("d1", 4), stock("d3", 1), stock("d4", 9, seller="seller2")
    trader.write(deposits=(mine, more, out, other))
    outcomes: list[Outcome] = [
        trader.sale(1, 1, mine),
        trader.sale(2, 2, other),
        trader.sale(3, 3, out),
        unavailable(accepted(4), 4),
        trader.sale(5, 5, mine),
    ]
    trader.write(*outcomes[:3])
    trader.write(*outcomes[3:])

    def sales(after_seq: int, limit: int = 1000) -> Found:
        found = trader.ledger.perform(FindSales(seller="seller1", after_seq=after_seq, limit=limit))
        assert isinstance(found, Found)
        return found

    assert [outcome.seq for outcome in sales(0).outcomes] == [1, 3, 5]
    assert [outcome.seq for outcome in sales(1).outcomes] == [3, 5]
    assert [outcome.seq for outcome in sales(0, limit=2).outcomes] == [1, 3]
    assert sales(5).outcomes == ()
    assert sales(0).outcomes[1] == outcomes[2]
    assert sales(5).deposits == (more, msgspec.structs.replace(mine, remaining=7))
    nothing = trader.ledger.perform(FindSales(seller="nobody", after_seq=0))
    assert isinstance(nothing, Found)
    assert without_place(nothing) == Found()


# -- the books -----------------------------------------------------------------------------------------------------


def test_the_books_may_be_made_twice_and_again_from_further_back(ledger: Ledger) -> None:
    trader = LogTrader(ledger, makes_books=False).take_office()
    trader.write(deposits=(FISH,), queued=(accepted(2),))
    for number in range(1, 6):
        trader.sell(number, FISH)
    state = PostState()
    to_make = [state.take_in(entry) for entry in load(ledger).entries]
    for changes in [*to_make[:4], *to_make[:4], *to_make, *to_make[2:]]:
        assert ledger.perform(changes) == Done()
    assert summary(state_of(load(ledger))[0]) == summary(trader.state)
    assert [outcome.seq for outcome in look_up(ledger, "r2", "r5").outcomes] == [2, 5]


def test_an_election_is_written_down_once_a_term(ledger: Ledger) -> None:
    assert ledger.perform(RecordElection(record=election(1))) == Done()
    assert ledger.perform(RecordElection(record=election(1, messages=13, took_ms=160.5))) == Done()


def test_a_ledger_that_is_there_gives_a_sign_of_life_and_changes_nothing(ledger: Ledger) -> None:
    before = summary(state_of(load(ledger))[0])
    assert ledger.perform(Reach()) == Done()
    assert summary(state_of(load(ledger))[0]) == before


def test_copies_of_the_ledger_in_memory_go_their_own_ways() -> None:
    ledger = MemoryLedger()
    trader = LogTrader(ledger).take_office()
    trader.write(trader.sale(1, 1, FISH), deposits=(FISH,))
    twin = copy.deepcopy(ledger)
    before = ledger.documents()
    assert twin.documents() == before
    other = LogTrader(twin, "merchant8").take_office()
    other.write(other.sale(2, 2, FISH), deposits=(stock("d2", 1),), queued=(accepted(3),))
    assert ledger.documents() == before
    trader.sell(2, FISH)
    assert twin.documents() != ledger.documents()
