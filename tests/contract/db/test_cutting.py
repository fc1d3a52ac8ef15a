"""Cutting the log behind the books: bodies go, places and ids stay, and nobody who reads or writes is misled."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from pymongo import MongoClient

from db.ledger import cutting
from db.ledger.cutting import LogCutter, cut
from db.ledger.maker import catch_up
from db.ledger.mongo import MongoLedger
from db.mongod.process import MongodProcess
from db.schema.documents import entry_document
from db.schema.prepare import prepare
from peers.core.ledger.port import AlreadyRecorded, Appended, FindSales, Found, Load, Loaded, LookUp, Operation, Taken
from peers.core.settings import make_settings
from peers.errors import LedgerError, SettingsError
from tests.fixtures.mongo import Books, MakeLedger
from tests.helpers.deals import accepted, at, office, sold, stock, trade, unavailable
from tests.helpers.failpoints import failing
from tests.helpers.log_trader import LogTrader, state_in, summary, trade_a_while, written
from tests.helpers.relay import Relay
from tests.helpers.waiting import wait_until

Client = MongoClient[dict[str, Any]]

PLENTY = stock("plenty1", 1000)
PLENTY_MORE = stock("more", 1_000_000)


@pytest.fixture
def trader(ledger: MongoLedger, settled: Books) -> LogTrader:
    """A trader in office with 41 entries behind it, all made."""
    trader = LogTrader(ledger, makes_books=False).take_office()
    trade_a_while(trader, 40)
    catch_up(settled)
    return trader


def whole(books: Books) -> list[int]:
    """The places whose bodies are there."""
    return [each["_id"] for each in books.log.find({"cut": {"$exists": False}}, {"_id": 1}).sort("_id", 1)]


@pytest.mark.usefixtures("trader")
def test_bodies_go_and_places_and_ids_stay(books: Books, settled: Books) -> None:
    before = written(books)
    assert cut(settled, 10) == 31
    after = written(books)
    assert after["log"][31:] == before["log"][31:]
    ids = [
        {key: each[key] for key in ("_id", "new_requests", "new_deposits") if key in each} for each in before["log"]
    ]
    assert after["log"][:31] == [{**each, "cut": True} for each in ids[:31]]
    assert {name: after[name] for name in ("requests", "deposits", "posts")} == {
        name: before[name] for name in ("requests", "deposits", "posts")
    }
    assert books.command("validate", "log")["valid"]


@pytest.mark.parametrize("keep", [1, 5, 40, 41, 1000])
def test_so_many_are_kept_and_cutting_again_changes_nothing(
    trader: LogTrader, books: Books, settled: Books, keep: int
) -> None:
    assert trader.state.place == 40
    first = max(0, 41 - keep)
    for _ in range(2):
        assert cut(settled, keep) == first
        assert whole(books) == list(range(first, 41))


def test_nothing_is_cut_that_is_not_in_the_books(trader: LogTrader, books: Books, settled: Books) -> None:
    for number in range(500, 510):
        trader.sell(number, PLENTY)
    assert cut(settled, 1) == 40
    assert whole(books) == list(range(40, 51))
    catch_up(settled)
    assert cut(settled, 1) == 50


def test_without_books_nothing_is_cut(ledger: MongoLedger, books: Books, settled: Books) -> None:
    trader = LogTrader(ledger, makes_books=False).take_office()
    trade_a_while(trader, 10)
    assert cut(settled, 1) == 0
    books.posts.delete_many({})
    assert cut(settled, 1) == 0
    assert whole(books) == list(range(11))


def test_keeping_nothing_is_a_mistake(settled: Books) -> None:
    with pytest.raises(ValueError, match="newest entry stays"):
        LogCutter(settled, 0)


@pytest.mark.parametrize("batch", [1, 7, 1000])
@pytest.mark.usefixtures("trader")
def test_where_it_got_to_is_found_again(
    books: Books, settled: Books, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cutting, "BATCH", batch)
    for keep, first in ((38, 3), (30, 11), (29, 12), (3, 38), (10, 38)):  # What was cut stays cut.
        assert cut(settled, keep) == first
        assert whole(books) == list(range(first, 41))


# -- who reads -----------------------------------------------------------------------------------------------------


def test_a_successor_loads_as_if_all_were_there(trader: LogTrader, make_ledger: MakeLedger, settled: Books) -> None:
    cut(settled, 1)
    loaded = trader.ledger.perform(Load())
    assert isinstance(loaded, Loaded)
    assert state_in(loaded) == summary(trader.state)
    successor = LogTrader(make_ledger(), "merchant8").take_office()
    assert (successor.term, successor.next_seq) == (2, trader.next_seq)
    successor.sell(900, PLENTY)


def test_what_was_decided_is_found_as_before(trader: LogTrader, settled: Books) -> None:
    questions: list[Operation] = [
        LookUp(request_ids=tuple(f"r{n}" for n in range(1, 60))),
        FindSales(seller="seller2", after_seq=3),
    ]
    before = [trader.ledger.perform(question) for question in questions]
    cut(settled, 1)
    assert [trader.ledger.perform(question) for question in questions] == before
    assert all(isinstance(each, Found) and each.outcomes for each in before)


def test_a_reader_that_the_cut_overtakes_begins_again(
    trader: LogTrader, make_ledger: MakeLedger, relay: Relay, books: Books, settled: Books
) -> None:
    """It has read up to where the books are made; then they go on, and the log is cut behind them."""
    for number in range(500, 510):
        trader.sell(number, PLENTY)
    reader = make_ledger(relay.uri)
    assert isinstance(reader.perform(LookUp(request_ids=())), Found)

    def overtake() -> None:
        catch_up(settled)
        assert cut(settled, 1) == 50

    relay.before(b"find\x00\x04\x00\x00\x00log\x00", overtake)
    loaded = reader.perform(Load())
    assert isinstance(loaded, Loaded)
    assert loaded.made == 50
    assert state_in(loaded) == summary(trader.state)
    assert whole(books) == [50]


def test_books_that_are_lost_with_the_log_cut_are_an_error(
    trader: LogTrader, mongod: MongodProcess, books: Books, settled: Books
) -> None:
    cut(settled, 10)
    books.drop_collection("deposits")
    why = r"log was cut beyond what the books hold; restore the books, or begin with --fresh"
    with pytest.raises(LedgerError, match=why):
        trader.ledger.perform(Load())
    prepare(mongod.uri, books.name)
    with pytest.raises(LedgerError, match=why):
        catch_up(settled)


# -- who writes ----------------------------------------------------------------------------------------------------


def test_a_late_entry_never_gets_a_place_that_was_cut(
    make_ledger: MakeLedger, relay: Relay, books: Books, settled: Books
) -> None:
    """In a place that were free again it would stand, and be acknowledged: an old trader's sale, in the past."""
    old = LogTrader(make_ledger(relay.uri), makes_books=False).take_office()
    old.write(deposits=(PLENTY,))
    late = at(2, trade(sold(accepted(1), 1, PLENTY)))
    relay.lose("held")
    old.ledger.perform(late)
    new = LogTrader(make_ledger(), "merchant8", makes_books=False).take_office()
    for number in range(10, 30):
        new.sell(number, PLENTY)
    catch_up(settled)
    assert cut(settled, 1) == 22
    assert b"duplicate key" in relay.deliver()
    relay.heal()
    assert old.ledger.perform(late) == Taken(entry=None)
    assert old.ledger.perform(at(2, office(2))) == Taken(entry=None)
    nothing = old.ledger.perform(LookUp(request_ids=("r1",)))
    assert isinstance(nothing, Found)
    assert not nothing.outcomes + nothing.queued
    assert books.log.count_documents({}) == 23


def test_the_newest_entry_stays_and_is_known_as_ones_own(
    make_ledger: MakeLedger, relay: Relay, books: Books, settled: Books
) -> None:
    """Its writer has no answer yet when somebody else makes the books of it, and cuts."""
    trader = LogTrader(make_ledger(relay.uri), makes_books=False).take_office()
    entry = trader.entry(deposits=(PLENTY,))
    relay.lose("answer")
    trader.ledger.perform(at(1, entry))
    catch_up(settled)
    cut(settled, 1)
    relay.heal()
    assert trader.append(entry) == Appended()
    assert whole(books) == [1]


def test_ids_stay_taken(trader: LogTrader, settled: Books) -> None:
    cut(settled, 1)
    assert "r3" in trader.state.queue
    assert trader.append(trade(queued=(accepted(3),))) == AlreadyRecorded()
    result = trader.append(trader.entry(deposits=(PLENTY,)))
    assert isinstance(result, AlreadyRecorded)
    assert [each.offer for each in result.deposits] == [PLENTY.offer]
    sale = trader.ledger.perform(LookUp(request_ids=("r2", "r4", "r5", "r6")))
    assert isinstance(sale, Found)
    for outcome in sale.outcomes:
        again = trade(unavailable(outcome.accepted, trader.next_seq))
        assert trader.append(again) == AlreadyRecorded(outcomes=(outcome,))


# -- by the way ----------------------------------------------------------------------------------------------------


def test_a_ledger_cuts_by_the_way(make_ledger: MakeLedger, books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting, "BATCH", 20)
    trader = LogTrader(make_ledger(keep_entries=30)).take_office()
    number = trade_a_while(trader, 120)
    # What the log keeps is as many entries as it should, and less than a batch more.
    wait_until(lambda: 30 <= len(whole(books)) < 30 + 20 + 1)
    successor = LogTrader(make_ledger(keep_entries=30), "merchant8").take_office()
    trade_a_while(successor, 100, number)
    wait_until(lambda: 30 <= len(whole(books)) < 30 + 20 + 1)
    assert whole(books)[-1] == successor.state.place
    assert whole(books) == list(range(whole(books)[0], successor.state.place + 1))
    assert state_in(successor.load()) == summary(successor.state)


def test_a_ledger_keeps_all_unless_it_is_told_otherwise(
    ledger: MongoLedger, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cutting, "BATCH", 1)
    trader = LogTrader(ledger).take_office()
    trade_a_while(trader, 40)
    ledger.close()
    assert len(whole(books)) == 41


def test_two_may_cut_at_once_and_trade_goes_on(
    make_ledger: MakeLedger, books: Books, settled: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cutting, "BATCH", 5)
    trader = LogTrader(make_ledger(keep_entries=10)).take_office()
    stop = threading.Event()
    failures: list[Exception] = []

    def cut_on() -> None:
        try:
            while not stop.is_set():
                cut(settled, 10)
                loaded = reader.perform(Load())
                assert isinstance(loaded, Loaded)
                state_in(loaded)
        except (AssertionError, ValueError, LedgerError) as error:
            failures.append(error)

    reader = make_ledger()
    thread = threading.Thread(target=cut_on)
    thread.start()
    trade_a_while(trader, 150)
    trader.ledger.close()
    stop.set()
    thread.join(20)
    assert failures == []
    # Nobody who writes `made` waits for a majority to have it, and only what a majority has is cut behind.
    wait_until(lambda: (settled.posts.find_one({}) or {})["made"] == 150)
    cut(settled, 10)
    assert whole(books) == list(range(141, 151))
    assert books.log.count_documents({}) == 151


@pytest.mark.parametrize(("code", "warned"), [(262, False), (13, True)])
def test_the_books_are_made_though_the_log_cannot_be_cut(
    make_ledger: MakeLedger,
    books: Books,
    mongo_client: Client,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    warned: bool,
) -> None:
    monkeypatch.setattr(cutting, "BATCH", 5)
    told: list[str] = []
    trader = LogTrader(make_ledger(keep_entries=10, warn=told.append)).take_office()
    with failing(mongo_client, ["update"], errorCode=code, namespace=f"{books.name}.log"):
        number = trade_a_while(trader, 60)
        wait_until(lambda: (books.posts.find_one() or {})["made"] == trader.state.place)
        if warned:
            wait_until(lambda: told)
        assert len(whole(books)) == 61  # Outside of the trouble the next round may cut at any moment.
    # Without the trouble, each round of the books cuts a batch until nothing is left to cut.
    again = LogTrader(make_ledger(keep_entries=10)).take_office()
    again.write(deposits=(PLENTY_MORE,))

    def is_cut() -> bool:
        nonlocal number
        number += 1
        again.sell(number, PLENTY_MORE)
        return len(whole(books)) < 30

    wait_until(is_cut)
    assert [each.startswith("the log cannot be cut") for each in told] == [True] * warned


def test_a_long_log_is_cut_bit_by_bit(books: Books, settled: Books, ledger: MongoLedger) -> None:
    """One that was kept whole for years: each step takes one batch, so that the books never wait for long."""
    log = [entry_document(0, office())] + [
        entry_document(place, trade(unavailable(accepted(place), place))) for place in range(1, 1001)
    ]
    books.log.insert_many(log)
    catch_up(settled)
    cutter = LogCutter(settled, 100)
    for step in range(1, 5):
        cutter.step(1000)
        assert len(whole(books)) == 1001 - step * cutting.BATCH
    cutter.step(1000)
    assert len(whole(books)) == 201  # What is left to cut is less than a batch.
    assert cutter.cut_all() == 901
    loaded = ledger.perform(Load())
    assert isinstance(loaded, Loaded)


# -- the setting ---------------------------------------------------------------------------------------------------


def test_the_setting_keeps_all_or_enough() -> None:
    assert make_settings({}).ledger.keep_entries == 0
    assert make_settings({"ledger": {"keep_entries": "5000"}}).ledger.keep_entries == 5000
    for wrong in (-1, 1, 999, 10**10):
        with pytest.raises(SettingsError, match=r"ledger"):
            make_settings({"ledger": {"keep_entries": wrong}})
