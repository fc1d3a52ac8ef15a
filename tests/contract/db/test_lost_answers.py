"""What a ledger says when the database's answer does not come, whether that is true, and what the same again gives.

An answer may be lost of an entry that landed, of one that did not, and of one that lands later. In each case the same
entry at the same place gets there, once, or is told what stands there.
"""

from __future__ import annotations

import time
from typing import Any

import pytest
from pymongo import MongoClient

from db.ledger import mongo
from db.ledger.mongo import MongoLedger
from db.mongod.process import free_port
from peers.core.ledger.log import Entry
from peers.core.ledger.port import (
    AlreadyRecorded,
    Append,
    Appended,
    Done,
    FindSales,
    Found,
    LedgerAway,
    Load,
    Loaded,
    LookUp,
    Operation,
    RecordElection,
    Taken,
    Unknown,
)
from peers.errors import LedgerError
from tests.fixtures.mongo import Books, MakeLedger
from tests.helpers.deals import accepted, at, election, office, sold, stock, trade, unavailable
from tests.helpers.failpoints import failing
from tests.helpers.log_trader import LogTrader, assert_books_follow
from tests.helpers.relay import APPEND, Loss, Relay
from tests.helpers.waiting import wait_until

Client = MongoClient[dict[str, Any]]

FISH = stock("d1", 9)
SALE = trade(sold(accepted(1), 1, FISH), deposits=(FISH,))
ENTRIES: dict[str, Entry] = {"sale": SALE, "queueing": trade(queued=(accepted(1),)), "office": office(2)}


@pytest.fixture
def ledger(relay: Relay, make_ledger: MakeLedger, monkeypatch: pytest.MonkeyPatch) -> MongoLedger:
    """A ledger behind the relay, less patient than usual, with a trader in office."""
    monkeypatch.setattr(mongo, "PATIENCE_S", 0.6)
    ledger = make_ledger(relay.uri)
    assert ledger.perform(at(0, office())) == Appended()
    return ledger


@pytest.fixture(params=list(ENTRIES))
def append(request: pytest.FixtureRequest) -> Append:
    """What is written when the answer is lost."""
    return at(1, ENTRIES[request.param])


def places(books: Books) -> list[int]:
    return [each["_id"] for each in books.log.find({}, {"_id": 1}).sort("_id", 1)]


@pytest.mark.parametrize("stays_cut", [True, False])
@pytest.mark.parametrize("loss", ["request", "answer"])
def test_without_an_answer_the_same_again_tells(
    ledger: MongoLedger, relay: Relay, books: Books, append: Append, loss: Loss, stays_cut: bool
) -> None:
    relay.lose(loss, stays_cut=stays_cut)
    assert isinstance(ledger.perform(append), Unknown)
    assert places(books) == ([0, 1] if loss == "answer" else [0])
    if stays_cut:
        assert isinstance(ledger.perform(append), LedgerAway | Unknown)
        relay.heal()
    assert ledger.perform(append) == Appended()
    assert places(books) == [0, 1]
    assert ledger.perform(append) == Appended()


def test_an_entry_that_lands_after_it_was_written_again_stands_once(
    ledger: MongoLedger, relay: Relay, books: Books, append: Append
) -> None:
    relay.lose("held")
    assert isinstance(ledger.perform(append), Unknown)
    relay.heal()
    assert ledger.perform(append) == Appended()
    assert b"duplicate key" in relay.deliver()
    assert places(books) == [0, 1]


def test_an_entry_that_lands_before_it_is_written_again_is_found(
    ledger: MongoLedger, relay: Relay, books: Books, append: Append
) -> None:
    relay.lose("held")
    assert isinstance(ledger.perform(append), Unknown)
    relay.heal()
    assert b"duplicate key" not in relay.deliver()
    assert ledger.perform(append) == Appended()
    assert places(books) == [0, 1]


def test_the_answer_that_another_stands_there_may_be_lost_too(
    ledger: MongoLedger, relay: Relay, make_ledger: MakeLedger, append: Append
) -> None:
    theirs = office(2, "merchant8")
    assert make_ledger().perform(at(1, theirs)) == Appended()
    relay.lose("answer")
    assert isinstance(ledger.perform(append), Unknown)
    relay.heal()
    assert ledger.perform(append) == Taken(entry=theirs)


def test_the_answer_that_an_id_is_recorded_may_be_lost_too(ledger: MongoLedger, relay: Relay) -> None:
    assert ledger.perform(at(1, SALE)) == Appended()
    again = at(2, trade(sold(accepted(1), 2, FISH)))
    relay.lose("answer")
    assert isinstance(ledger.perform(again), Unknown)
    relay.heal()
    assert ledger.perform(again) == AlreadyRecorded(outcomes=SALE.outcomes)


@pytest.mark.parametrize("known", ["place", "id"])
def test_unable_to_read_what_is_in_the_way_is_unknown(ledger: MongoLedger, mongo_client: Client, known: str) -> None:
    assert ledger.perform(at(1, SALE)) == Appended()
    again = at(1 if known == "place" else 2, trade(sold(accepted(1), 2, FISH)))
    with failing(mongo_client, ["find"], errorCode=11600):
        assert isinstance(ledger.perform(again), Unknown)
    expected = Taken(entry=SALE) if known == "place" else AlreadyRecorded(outcomes=SALE.outcomes)
    assert ledger.perform(again) == expected


def test_an_id_that_nobody_has_any_more_is_in_nobodys_way(
    ledger: MongoLedger, books: Books, mongo_client: Client
) -> None:
    """The primary that refused it for that has fallen since, and so has what held it."""
    why = {"keyPattern": {"new_requests": 1}, "keyValue": {"new_requests": "r1"}}
    with failing(mongo_client, ["insert"], errorCode=11000, errorExtraInfo=why):
        assert isinstance(ledger.perform(at(1, SALE)), Unknown)
    assert ledger.perform(at(1, SALE)) == Appended()
    assert places(books) == [0, 1]


def test_an_id_that_the_books_do_not_show_is_recorded_all_the_same(
    ledger: MongoLedger, make_ledger: MakeLedger, books: Books
) -> None:
    """Somebody deleted it there: the log has it, and a trader that was told nothing would ask for ever."""
    trader = LogTrader(make_ledger(), "merchant8").take_office()
    trader.write(queued=(accepted(1, term=2),))
    wait_until(lambda: books.requests.delete_one({"_id": "r1"}).deleted_count, "it was in the books")
    again = at(trader.state.place + 1, trade(queued=(accepted(1, term=2),), term=2, trader="merchant8"))
    assert isinstance(ledger.perform(again), AlreadyRecorded)


OPERATIONS: list[Operation] = [
    at(1, SALE),
    Load(),
    LookUp(request_ids=("r1",)),
    FindSales(seller="seller1", after_seq=0),
    RecordElection(record=election(1)),
]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: type(operation).__name__)
def test_a_ledger_cut_off_is_away_and_comes_back(
    ledger: MongoLedger, relay: Relay, books: Books, operation: Operation
) -> None:
    relay.cut()
    started_s = time.monotonic()
    # An operation that writes may notice the cut only while it is sent; then nobody knows whether it was done.
    honest = LedgerAway | Unknown if isinstance(operation, Append | RecordElection) else LedgerAway
    assert isinstance(ledger.perform(operation), honest)
    # Once the ledger is known to be away, the answer is certain.
    assert isinstance(ledger.perform(operation), LedgerAway)
    assert time.monotonic() - started_s < 5
    assert places(books) == [0]
    relay.heal()
    # Where the machine is busy, what it is asked first may take longer than this ledger is patient.
    back = Appended | Loaded | Found | Done
    wait_until(lambda: isinstance(ledger.perform(operation), back), what="the ledger back")


def test_a_ledger_that_nobody_serves_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mongo, "PATIENCE_S", 0.3)
    ledger = MongoLedger(f"mongodb://127.0.0.1:{free_port('127.0.0.1')}/?directConnection=true")
    for operation in (Load(), at(0, office())):
        assert isinstance(ledger.perform(operation), LedgerAway)
    ledger.close()


def test_a_ledger_connects_when_it_is_needed_first(relay: Relay, make_ledger: MakeLedger) -> None:
    relay.cut()
    ledger = make_ledger(relay.uri)
    relay.heal()
    assert isinstance(ledger.perform(Load()), Loaded)


def test_a_closed_ledger_is_away(ledger: MongoLedger) -> None:
    ledger.close()
    assert isinstance(ledger.perform(at(1, SALE)), LedgerAway)
    ledger.close()


@pytest.mark.parametrize("code", [91, 10107, 11600, 11602, 189])
def test_a_failure_that_passes_is_unknown(
    ledger: MongoLedger, books: Books, mongo_client: Client, append: Append, code: int
) -> None:
    """The server is going down, or is no primary any more: whether it wrote before that is nobody's guess."""
    with failing(mongo_client, ["insert"], errorCode=code):
        assert isinstance(ledger.perform(append), Unknown)
    assert ledger.perform(append) == Appended()
    assert places(books) == [0, 1]


def test_a_failure_that_does_not_pass_is_an_error(ledger: MongoLedger, books: Books, mongo_client: Client) -> None:
    with failing(mongo_client, ["insert"], errorCode=13), pytest.raises(LedgerError, match="refused"):
        ledger.perform(at(1, SALE))
    assert places(books) == [0]


def test_what_a_majority_does_not_have_is_not_called_appended(
    ledger: MongoLedger, mongo_client: Client, append: Append
) -> None:
    late = {"code": 64, "codeName": "WriteConcernFailed", "errmsg": "planted", "errInfo": {"wtimeout": True}}
    with failing(mongo_client, ["insert"], writeConcernError=late):
        assert isinstance(ledger.perform(append), Unknown)
    # On a busy machine that may not be known at once either; then the same is asked again, as by a trader.
    wait_until(lambda: ledger.perform(append) == Appended(), deadline_s=30)


@pytest.mark.parametrize("command", ["find", "getMore"])
def test_reading_that_fails_is_away(ledger: MongoLedger, mongo_client: Client, command: str) -> None:
    place = 1
    for place in range(1, 120):  # These are so many that one answer does not hold them.
        assert ledger.perform(at(place, trade(queued=(accepted(place),)))) == Appended()
    with failing(mongo_client, [command], errorCode=11600):
        for operation in (Load(), LookUp(request_ids=("r1",)), FindSales(seller="seller1", after_seq=0)):
            assert isinstance(ledger.perform(operation), LedgerAway)
    loaded = ledger.perform(Load())
    assert isinstance(loaded, Loaded)
    assert loaded.made + len(loaded.entries) == place


def test_a_frozen_answer_is_waited_for_no_longer_than_promised(
    ledger: MongoLedger, books: Books, mongo_client: Client
) -> None:
    with failing(mongo_client, ["insert"], mode={"times": 1}, blockConnection=True, blockTimeMS=4000):
        started_s = time.monotonic()
        assert isinstance(ledger.perform(at(1, SALE)), Unknown)
        assert time.monotonic() - started_s < 3
        assert ledger.perform(at(1, SALE)) == Appended()
    assert places(books) == [0, 1]


@pytest.mark.parametrize("every", [2, 3])
def test_a_trader_whose_answers_are_lost_all_the_time_loses_nothing(
    relay: Relay, make_ledger: MakeLedger, books: Books, every: int
) -> None:
    trader = LogTrader(make_ledger(relay.uri)).take_office()
    losses: list[Loss] = ["answer", "request"]
    trader.write(deposits=(stock("d2", 1000),))
    for number in range(1, 25):
        if number % every == 0:
            relay.lose(losses[number // every % 2], APPEND, stays_cut=False)
        trader.sell(number, stock("d2", 1000))
    assert trader.surprises
    assert all(isinstance(each, Unknown | LedgerAway) for each in trader.surprises)
    assert places(books) == list(range(26))
    trader.ledger.close()
    assert_books_follow(books)
    assert [each["_id"] for each in books.requests.find().sort("seq", 1)] == [f"r{n}" for n in range(1, 25)]


def test_a_sale_is_refused_to_one_who_was_deposed_while_it_had_no_answer(
    ledger: MongoLedger, relay: Relay, make_ledger: MakeLedger, books: Books
) -> None:
    relay.lose("request")
    assert isinstance(ledger.perform(at(1, SALE)), Unknown)
    new = LogTrader(make_ledger(), "merchant8").take_office()
    new.write(unavailable(accepted(1, term=2), 1, term=2, trader="merchant8"))
    relay.heal()
    taken = ledger.perform(at(1, SALE))
    assert isinstance(taken, Taken)
    assert taken.entry is not None
    assert (taken.entry.term, taken.entry.trader) == (2, "merchant8")
    assert books.log.count_documents({"trader": "merchant9"}) == 1
