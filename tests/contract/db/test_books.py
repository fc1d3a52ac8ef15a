"""The books follow the log: behind it, torn, deleted, restored, made twice; and nobody who takes over is misled."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from db.ledger import maker, mongo
from db.ledger.backlog import Backlog, Changes, Round, encode_requests
from db.ledger.connection import connect, is_passing
from db.ledger.maker import catch_up, write_documents
from db.ledger.mongo import MongoLedger
from db.mongod.process import MongodProcess
from db.schema.documents import entry_document
from db.schema.prepare import prepare
from peers.core.ledger.port import Appended, LedgerAway, Load, Loaded, MakeBooks, Unknown
from peers.core.ledger.post_state import PostState
from peers.errors import LedgerError
from tests.fixtures.mongo import Books, MakeLedger
from tests.helpers.deals import accepted, at, office, stock, trade
from tests.helpers.failpoints import failing
from tests.helpers.log_trader import (
    LogTrader,
    assert_books_follow,
    load,
    made,
    state_in,
    summary,
    trade_a_while,
)
from tests.helpers.waiting import wait_until

Client = MongoClient[dict[str, Any]]

BOOKS = ("requests", "deposits", "posts")
FISH = stock("d1", 1_000_000)


@pytest.fixture
def history(make_ledger: MakeLedger) -> LogTrader:
    """Two terms' log, and no books."""
    first = LogTrader(make_ledger(), makes_books=False).take_office()
    number = trade_a_while(first, 20)
    second = LogTrader(make_ledger(), "merchant8", makes_books=False).take_office()
    trade_a_while(second, 20, number)
    return second


def all_changes(trader: LogTrader) -> list[MakeBooks]:
    """What each entry of the log changes in the books; nothing of it is made yet."""
    loaded = trader.ledger.perform(Load())
    assert isinstance(loaded, Loaded)
    state = PostState()
    return [state.take_in(entry) for entry in loaded.entries]


def caught_up(books: Books) -> bool:
    """Makes the books from the log; whether the database answered, for who makes them asks again until it does."""
    try:
        catch_up(books)
    except PyMongoError as error:
        if not is_passing(error):
            raise
        return False
    return True


def gathered(changes: list[MakeBooks]) -> Round:
    backlog = Backlog()
    for each in changes:
        backlog.add(Changes(each, encode_requests(each)))
    return backlog.take(1_000_000)


# -- behind, and torn ----------------------------------------------------------------------------------------------


def test_books_left_behind_mislead_nobody(history: LogTrader, books: Books, settled: Books) -> None:
    assert made(books) == -1
    assert state_in(load(history.ledger)) == summary(history.state)
    assert catch_up(settled) == history.state.place
    assert_books_follow(books)
    assert state_in(load(history.ledger)) == summary(history.state)


@pytest.mark.parametrize("upto", [0, 7, 21, 30])
@pytest.mark.parametrize("torn", ["whole", "requests", "deposits", "the last ones", "one in two"])
def test_documents_may_be_newer_than_the_books_say(
    history: LogTrader, books: Books, settled: Books, upto: int, torn: str
) -> None:
    changes = all_changes(history)
    if upto:
        before = gathered(changes[:upto])
        write_documents(settled, before)
        assert maker.say_made(settled, before)
    newer = gathered(changes[upto:])
    match torn:
        case "requests":
            newer.deposits.clear()
        case "deposits":
            newer.inserts.clear()
            newer.replacements.clear()
        case "the last ones":
            newer = gathered(changes[-3:])
        case "one in two":
            newer.inserts, newer.replacements = newer.inserts[::2], newer.replacements[1::2]
            newer.deposits = dict(list(newer.deposits.items())[::2])
    write_documents(settled, newer)
    assert made(books) == upto - 1
    assert state_in(load(history.ledger)) == summary(history.state)
    catch_up(settled)
    assert_books_follow(books)


def test_what_is_made_in_the_wrong_order_is_not_called_made(history: LogTrader, books: Books) -> None:
    changes = all_changes(history)
    ledger = history.ledger
    for each in (*changes[10:20], *changes[5:12], *changes[30:], *changes[:3]):
        ledger.perform(each)
    ledger.close()
    assert_books_follow(books)  # Whoever finds a gap fills it from the log.


# -- deleted and restored ------------------------------------------------------------------------------------------


@pytest.fixture
def whole(history: LogTrader, settled: Books) -> LogTrader:
    """Two terms' log, and all of its books."""
    catch_up(settled)
    return history


@pytest.mark.parametrize("lost", [*BOOKS, "all", "what is in them"])
@pytest.mark.parametrize("prepared", [True, False], ids=["town started anew", "meanwhile"])
def test_books_that_were_deleted_are_made_again(
    whole: LogTrader, mongod: MongodProcess, books: Books, settled: Books, lost: str, prepared: bool
) -> None:
    for name in BOOKS:
        if lost == "what is in them":
            books[name].delete_many({})
        elif lost in (name, "all"):
            books.drop_collection(name)
    if prepared:
        prepare(mongod.uri, books.name)
    assert state_in(load(whole.ledger)) == summary(whole.state)
    catch_up(settled)
    assert_books_follow(books)
    assert "queue" in books.requests.index_information()
    assert "validator" in books.deposits.options()
    trader = LogTrader(whole.ledger).take_office()
    trader.sell(900, stock("plenty1", 1000))
    trader.ledger.close()
    assert_books_follow(books)


def test_books_restored_from_an_older_state_are_brought_up_again(
    history: LogTrader, books: Books, settled: Books
) -> None:
    before = gathered(all_changes(history)[:15])
    write_documents(settled, before)
    maker.say_made(settled, before)
    backup = {name: list(books[name].find()) for name in BOOKS}
    catch_up(settled)
    for name, documents in backup.items():
        books[name].delete_many({})
        books[name].insert_many(documents)
    assert made(books) == 14
    assert state_in(load(history.ledger)) == summary(history.state)
    catch_up(settled)
    assert_books_follow(books)


def test_a_log_restored_from_an_older_state_than_the_books_is_refused(
    whole: LogTrader, mongod: MongodProcess, books: Books, settled: Books
) -> None:
    books.log.delete_many({"_id": {"$gt": 20}})
    why = "restored from an older state than the books; restore both .* or drop the collections requests, deposits"
    with pytest.raises(LedgerError, match=why):
        whole.ledger.perform(Load())
    with pytest.raises(LedgerError, match=why):
        catch_up(settled)
    for name in BOOKS:
        books.drop_collection(name)
    prepare(mongod.uri, books.name)
    assert load(whole.ledger).post.term == 0
    catch_up(settled)
    assert made(books) == 20
    assert_books_follow(books)


# -- by several at once --------------------------------------------------------------------------------------------


def test_two_ledgers_may_make_the_books_at_once(
    history: LogTrader, make_ledger: MakeLedger, books: Books, settled: Books
) -> None:
    changes = all_changes(history)
    ledgers = [make_ledger() for _ in range(3)]
    failures: list[BaseException] = []

    def make_all(i: int) -> None:
        """From the start, or from further on: then a gap has to be filled first."""
        try:
            if i == len(ledgers):
                wait_until(lambda: caught_up(settled), "all is made from the log")
                return
            for each in changes[3 * i :]:
                ledgers[i].perform(each)
                assert state_in(load(history.ledger)) == summary(history.state)
            ledgers[i].close()
        except (AssertionError, LedgerError) as error:
            failures.append(error)

    threads = [threading.Thread(target=make_all, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert_books_follow(books)


# -- how far behind ------------------------------------------------------------------------------------------------


def put_log(books: Books, entries: int) -> PostState:
    """Puts a log there as many terms would leave it, all at once; returns the state at its end."""
    state = PostState()
    log = [entry_document(0, office())]
    state.take_in(office())
    plenty = stock("d1", entries)
    writer = LogTrader.__new__(LogTrader)
    writer.state, writer.name = state, "merchant9"
    for place in range(1, entries):
        if place == 1:
            entry = trade(deposits=(plenty,), queued=(accepted(100_000_000),))
        else:
            entry = writer.entry(writer.sale(place, writer.next_seq, plenty))
        state.take_in(entry)
        log.append(entry_document(place, entry))
    books.log.insert_many(log)
    return state


def test_books_far_behind_are_made_before_anybody_takes_office(ledger: MongoLedger, books: Books) -> None:
    """Where that takes longer than one operation may, who asks again finds more of them made."""
    state = put_log(books, 3000)

    def load_again() -> Loaded | None:
        loaded = ledger.perform(Load())
        assert isinstance(loaded, Loaded | LedgerAway), loaded
        return loaded if isinstance(loaded, Loaded) else None

    loaded = wait_until(load_again, "the books are made", deadline_s=30)
    assert state_in(loaded) == summary(state)
    # Whoever asked again may find the last of them still to be made, fewer than are worth waiting for.
    assert loaded.made + len(loaded.entries) == 2999
    assert len(loaded.entries) < mongo.FAR_BEHIND
    catch_up(books)
    assert_books_follow(books)


def test_books_a_little_behind_are_not_waited_for(
    ledger: MongoLedger, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mongo, "FAR_BEHIND", 100)
    state = put_log(books, 99)
    loaded = load(ledger)
    assert (loaded.made, len(loaded.entries)) == (-1, 99)
    assert state_in(loaded) == summary(state)


def test_taking_over_takes_no_longer_with_a_long_log(
    mongod: MongodProcess, mongo_client: Client, books: Books, settled: Books
) -> None:
    """A hundred times as many entries, in the books as well as in the log."""
    other = f"{books.name}_short"
    prepare(mongod.uri, other)
    short = connect(mongod.uri, other)
    put_log(books, 20_000)
    put_log(mongo_client[other], 200)
    catch_up(settled)
    catch_up(short)
    ledgers = MongoLedger(mongod.uri, books.name), MongoLedger(mongod.uri, other)
    took_s: tuple[list[float], list[float]] = ([], [])
    for _ in range(30):
        for ledger, times_s in zip(ledgers, took_s, strict=True):
            started_s = time.perf_counter()
            assert load(ledger).entries == ()
            times_s.append(time.perf_counter() - started_s)
    for ledger in ledgers:
        ledger.close()
    short.client.close()
    mongo_client.drop_database(other)
    assert min(took_s[0]) < 2 * min(took_s[1])


def test_a_burst_leaves_the_books_only_a_little_behind(ledger: MongoLedger, books: Books) -> None:
    trader = LogTrader(ledger).take_office()
    trader.write(deposits=(FISH,))
    started_s = time.monotonic()
    for burst in range(60):
        sales = [trader.sale(40 * burst + i, trader.next_seq + i, FISH) for i in range(40)]
        trader.write(*sales)
    burst_s = time.monotonic() - started_s
    wait_until(lambda: made(books) == trader.state.place)
    # The books kept up: what was left to make when the last entry stood is little beside all there was to make.
    assert time.monotonic() - started_s < 1.5 * burst_s + 0.1
    assert_books_follow(books)


@pytest.mark.parametrize("entries", [1, 50])
def test_everything_is_made_at_the_end(ledger: MongoLedger, books: Books, entries: int) -> None:
    trader = LogTrader(ledger).take_office()
    trader.write(deposits=(FISH,))
    for burst in range(entries):
        trader.write(*(trader.sale(40 * burst + i, trader.next_seq + i, FISH) for i in range(40)))
    ledger.close()
    assert_books_follow(books)


def test_a_log_too_far_ahead_waits_for_the_books_and_loses_nothing(
    ledger: MongoLedger, books: Books, mongo_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maker, "MOST_BEHIND", 10)
    monkeypatch.setattr(mongo, "PATIENCE_S", 0.7)
    trader = LogTrader(ledger).take_office()
    trader.write(deposits=(FISH,))
    wait_until(lambda: made(books) == 1)
    with failing(mongo_client, ["insert"], errorCode=262, namespace=f"{books.name}.requests"):
        waiting, result = 0, None
        while not isinstance(result, LedgerAway):
            if not isinstance(result, Unknown):
                waiting += 1
                entry = trader.entry(trader.sale(waiting, trader.next_seq, FISH))
            result = ledger.perform(at(trader.state.place + 1, entry))
            if result == Appended():
                ledger.perform(trader.state.take_in(entry))
            assert waiting < 50
        assert "behind" in result.why
        assert books.log.count_documents({}) == trader.state.place + 1
        assert state_in(load(ledger)) == summary(trader.state)
    assert trader.append(entry) == Appended()
    for number in range(waiting + 1, waiting + 40):
        trader.sell(number, FISH)
    ledger.close()
    assert_books_follow(books)
