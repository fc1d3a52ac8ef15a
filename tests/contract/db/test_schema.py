"""The database's shape: made by the program, checked at start, strict, indexed for every query of the trader."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from bson.decimal128 import Decimal128
from pymongo import MongoClient
from pymongo.errors import DuplicateKeyError, WriteError

from db.ledger.mongo import MongoLedger
from db.mongod.process import MongodProcess, free_port
from db.schema.collections import COLLECTIONS, VIEWS
from db.schema.documents import deposit_document, entry_document, post_document, request_document
from db.schema.prepare import prepare
from peers.core.ledger.port import Appended, Load
from peers.core.market.records import Post
from peers.errors import LedgerError
from tests.fixtures.mongo import Books
from tests.helpers.deals import T0_MS, accepted, at, office, sold, stock, trade, unavailable
from tests.helpers.log_trader import LogTrader, assert_books_follow, made, trade_a_while, written
from tests.helpers.waiting import wait_until

Document = dict[str, Any]

FISH = stock("d1", 9)


def shape(books: Books) -> list[Any]:
    ours = {each.name for each in (*COLLECTIONS, *VIEWS)}
    infos = sorted((each for each in books.list_collections() if each["name"] in ours), key=lambda each: each["name"])
    indexes = {each.name: sorted(books[each.name].index_information()) for each in COLLECTIONS}
    # The server lists these two only once they were set.
    usual = {
        "validationLevel": "strict",
        "validationAction": "error",
    }
    return [[(info["name"], info["type"], usual | info["options"]) for info in infos], indexes]


# -- making it, and making it again --------------------------------------------------------------------------------


def test_everything_is_made_and_the_post_is_laid_out(books: Books) -> None:
    names = set(books.list_collection_names())
    assert {each.name for each in COLLECTIONS} | {each.name for each in VIEWS} <= names
    post = books.posts.find_one()
    assert post is not None
    assert (post["_id"], post["term"], post["trader"], post["seq"], post["made"]) == ("main", 0, None, 0, -1)


def test_the_log_is_kept_compressed(books: Books) -> None:
    stats = books.command("collStats", "log")
    assert "block_compressor=zstd" in stats["wiredTiger"]["creationString"]
    trader_like = [entry_document(place, trade(queued=(accepted(place),))) for place in range(1, 2000)]
    books.log.insert_many(trader_like)
    books.client.admin.command("fsync")
    stats = books.command("collStats", "log")
    assert stats["storageSize"] < stats["size"] / 2


def test_preparing_again_changes_nothing(ledger: MongoLedger, mongod: MongodProcess, books: Books) -> None:
    trader = LogTrader(ledger).take_office()
    trade_a_while(trader, 10)
    ledger.close()
    before = shape(books), written(books)
    for _ in range(2):
        prepare(mongod.uri, books.name)
        assert (shape(books), written(books)) == before


@pytest.mark.parametrize("_time", range(3))
def test_several_may_prepare_at_once(
    mongod: MongodProcess, mongo_client: MongoClient[Document], books: Books, _time: int
) -> None:
    name = f"{books.name}_too"
    failures: list[Exception] = []

    def run() -> None:
        try:
            prepare(mongod.uri, name)
        except LedgerError as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert failures == []
    assert shape(mongo_client[name]) == shape(books)
    mongo_client.drop_database(name)


def test_what_is_of_an_older_make_is_mended(mongod: MongodProcess, books: Books) -> None:
    right = shape(books)
    books.command("collMod", "requests", validator={"_id": {"$type": "string"}}, validationLevel="moderate")
    books.command("collMod", "deposits", validator={}, validationAction="warn")
    books.requests.drop_index("seq")
    books.requests.create_index([("seq", 1)], name="seq")
    books.deposits.drop_index("stock")
    books.drop_collection("earnings")
    books.command("collMod", "queue", viewOn="deposits", pipeline=[])
    books.drop_collection("market")
    books.command("create", "market", viewOn="deposits", pipeline=[])
    books.posts.delete_many({})
    books.command("collMod", "log", validator={})
    books.log.drop_index("new_requests")
    books.log.create_index([("new_requests", 1)], name="new_requests")
    books.log.drop_index("new_deposits")
    prepare(mongod.uri, books.name)
    assert shape(books) == right
    assert books.log.index_information()["new_requests"]["unique"] is True
    assert books.requests.index_information()["seq"]["unique"] is True
    assert books.posts.count_documents({}) == 1


def test_indexes_of_others_are_left_alone(mongod: MongodProcess, books: Books) -> None:
    books.requests.create_index([("buyer", 1)], name="somebodys")
    prepare(mongod.uri, books.name)
    assert "somebodys" in books.requests.index_information()


@pytest.mark.parametrize(
    ("name", "alien"),
    [
        ("requests", "capped"),
        ("requests", "view"),
        ("requests", "documents"),
        ("sales", "capped"),
        ("sales", "documents"),
    ],
)
def test_what_is_somebody_elses_is_refused(mongod: MongodProcess, books: Books, name: str, alien: str) -> None:
    for view in VIEWS:
        books.drop_collection(view.name)  # Otherwise, it would not let another take the place of its source.
    books.drop_collection(name)
    if alien == "capped":
        books.create_collection(name, capped=True, size=4096)
    elif alien == "view":
        books.command("create", name, viewOn="deposits", pipeline=[])
    else:
        books[name].insert_one({"colour": "blue"})
    with pytest.raises(LedgerError, match="not ours"):
        prepare(mongod.uri, books.name)


def test_a_database_that_is_not_there_is_a_ledger_error() -> None:
    with pytest.raises(LedgerError, match="no database answers"):
        prepare(f"mongodb://127.0.0.1:{free_port('127.0.0.1')}/?directConnection=true", timeout_s=0.2)


@pytest.mark.parametrize("uri", ["", "http://example.org", "mongodb://127.0.0.1:notaport", "mongodb://"])
def test_an_address_that_is_none_is_a_ledger_error(uri: str) -> None:
    with pytest.raises(LedgerError):
        prepare(uri)
    with pytest.raises(LedgerError, match=r"address is unusable.*mend --mongo"):
        MongoLedger(uri).perform(Load())


def test_a_ledger_prepares_what_was_emptied_under_it(
    ledger: MongoLedger, mongo_client: MongoClient[Document], books: Books
) -> None:
    right = shape(books)
    ledger.perform(Load())
    mongo_client.drop_database(books.name)
    trader = LogTrader(ledger).take_office()
    assert trader.term == 1
    trade_a_while(trader, 10)
    ledger.close()
    assert shape(books) == right
    assert_books_follow(books)


@pytest.mark.parametrize("name", ["requests", "deposits", "posts"])
def test_one_of_the_books_that_was_dropped_is_made_again(
    ledger: MongoLedger, mongod: MongodProcess, books: Books, name: str
) -> None:
    trade_a_while(LogTrader(ledger).take_office(), 20)
    ledger.close()
    right = shape(books)
    books.drop_collection(name)
    prepare(mongod.uri, books.name)
    assert shape(books) == right
    post = books.posts.find_one()
    assert post is not None
    assert post["made"] == -1  # So whoever comes next makes all of them again.
    again = MongoLedger(mongod.uri, books.name)
    LogTrader(again, "merchant8").take_office()
    again.close()
    assert_books_follow(books)


@pytest.mark.parametrize("name", ["requests", "deposits", "posts"])
def test_one_that_was_dropped_under_a_trader_who_went_on_is_made_again_too(
    ledger: MongoLedger, mongod: MongodProcess, books: Books, name: str
) -> None:
    """What that trader writes makes the collection anew, without what makes it ours."""
    trader = LogTrader(ledger).take_office()
    number = trade_a_while(trader, 20)
    right = shape(books)
    wait_until(lambda: made(books) == trader.state.place, "the books are made")
    books.drop_collection(name)
    for later in range(number, number + 10):
        trader.write(trader.decline(later), deposits=(stock(f"more{later}", 4, term=trader.term),))
    wait_until(lambda: made(books) == trader.state.place, "its maker goes on")
    again = MongoLedger(mongod.uri, books.name)
    successor = LogTrader(again, "merchant8").take_office()
    trade_a_while(successor, 10, number + 10)
    wait_until(lambda: made(books) == successor.state.place, "all is made again")
    again.close()
    assert shape(books) == right
    assert_books_follow(books)


def test_books_of_version_0_1_are_refused_with_what_to_do(
    mongod: MongodProcess, mongo_client: MongoClient[Document], books: Books
) -> None:
    """They had no log. Emptied or not: nothing of them is touched."""
    name = f"{books.name}_old"
    old = mongo_client[name]
    old.posts.insert_one({"_id": "main", "term": 3, "trader": "seller5", "since": None, "seq": 9, "commits": 12})
    old.fences.insert_one({"_id": "queue", "term": 3})
    old.requests.insert_one({"_id": "r1", "status": "queued"})
    before = {each: list(old[each].find()) for each in ("posts", "fences", "requests")}
    with pytest.raises(LedgerError, match=r"version 0\.1.*--fresh, or another --dir or database"):
        prepare(mongod.uri, name)
    assert set(old.list_collection_names()) == {"posts", "fences", "requests"}
    assert {each: list(old[each].find()) for each in before} == before
    mongo_client.drop_database(name)


# -- what the validators refuse ------------------------------------------------------------------------------------

SOLD = request_document(sold(accepted(1), 1, FISH), 4)
QUEUED = request_document(accepted(1), 4)
DECLINED = request_document(unavailable(accepted(1), 1), 4)
DEPOSIT = deposit_document(FISH, at=4)
POST = {**post_document(Post(term=3, trader="seller5", since_ms=T0_MS, seq=9, arrival=12), 17), "_id": "side"}
OFFICE = entry_document(4, office())
DECIDE = entry_document(5, trade(sold(accepted(1), 1, FISH), deposits=(FISH,), queued=(accepted(2),)))
QUEUE = entry_document(6, trade(queued=(accepted(3),)))
LATER = entry_document(7, trade(unavailable(accepted(3), 2), known=("r3",)))
CUT: Document = {"_id": 8, "cut": True, "new_requests": ["r8", "r9"], "new_deposits": ["d8"]}


def without(document: Document, *names: str) -> Document:
    return {key: value for key, value in document.items() if key not in names}


@pytest.mark.parametrize(
    ("collection", "document"),
    [
        ("requests", SOLD),
        ("requests", QUEUED),
        ("requests", DECLINED),
        ("deposits", DEPOSIT),
        ("posts", POST),
        ("posts", {**POST, "trader": None, "since": None, "made": -1}),
        ("log", OFFICE),
        ("log", DECIDE),
        ("log", QUEUE),
        ("log", LATER),
        ("log", CUT),
        ("log", {"_id": 9, "cut": True}),
    ],
)
def test_what_is_right_is_taken(books: Books, collection: str, document: Document) -> None:
    books[collection].insert_one(dict(document))


WRONG: dict[str, tuple[str, Document]] = {
    **{
        f"{field} in a float": ("requests", {**SOLD, field: 7.2})
        for field in ("price", "amount", "commission", "earned")
    },
    "price in a string": ("requests", {**SOLD, "price": "7.20"}),
    "deposit's price in a float": ("deposits", {**DEPOSIT, "price": 7.2}),
    "less than a cent": ("deposits", {**DEPOSIT, "price": Decimal128("0.005")}),
    "negative price": ("deposits", {**DEPOSIT, "price": Decimal128("-0.01")}),
    "negative stock": ("deposits", {**DEPOSIT, "remaining": -1}),
    "quantity 0": ("requests", {**QUEUED, "quantity": 0}),
    "half a fish": ("requests", {**QUEUED, "quantity": 0.5}),
    "queued with a seq": ("requests", {**QUEUED, "seq": 1}),
    "no such status": ("requests", {**QUEUED, "status": "lost"}),
    "sold by nobody": ("requests", without(SOLD, "seller")),
    "sold without a seq": ("requests", without(SOLD, "seq")),
    "unavailable but sold": ("requests", {**SOLD, "status": "unavailable"}),
    "a field too many": ("requests", {**QUEUED, "colour": "blue"}),
    "two clocks": ("requests", {**QUEUED, "clock": {"lamport": 1, "vector": {}}}),
    "no clock": ("requests", {**QUEUED, "clock": {}}),
    "a clock of text": ("requests", {**QUEUED, "clock": {"vector": {"buyer0": "3"}}}),
    "a time of day in text": ("requests", {**QUEUED, "queued_at": "2026-11-03"}),
    "an id that is a number": ("requests", {**QUEUED, "_id": 7}),
    "a request from nowhere in the log": ("requests", without(SOLD, "at")),
    "a deposit from nowhere in the log": ("deposits", without(DEPOSIT, "at")),
    "a place before the first": ("deposits", {**DEPOSIT, "at": -1}),
    "a post without a term": ("posts", without(POST, "term")),
    "a post that does not say how far": ("posts", without(POST, "made")),
    "a post of version 0.1": ("posts", {**POST, "commits": 3}),
    "an entry before the first": ("log", {**OFFICE, "_id": -1}),
    "a place that is half": ("log", {**OFFICE, "_id": 1.5}),
    "an entry without an id": ("log", without(OFFICE, "entry")),
    "office for no reason": ("log", without(OFFICE, "reason")),
    "office for nobody": ("log", without(OFFICE, "trader")),
    "office before the first term": ("log", {**OFFICE, "term": 0}),
    "office that sells": ("log", {**OFFICE, "decided": [SOLD]}),
    "no such kind": ("log", {**QUEUE, "kind": "fence"}),
    "an entry with a field too many": ("log", {**QUEUE, "colour": "blue"}),
    "no new ids, but a list of them": ("log", {**QUEUE, "new_requests": []}),
    "new ids that are numbers": ("log", {**QUEUE, "new_requests": [7]}),
    "decisions that are none": ("log", {**DECIDE, "decided": ["r1"]}),
    "cut, but a body": ("log", {**QUEUE, "cut": True}),
    "a body without a head": ("log", {"_id": 9, "decided": [SOLD]}),
    "nothing at a place": ("log", {"_id": 9}),
    "cut, but not": ("log", {"_id": 9, "cut": False}),
}


@pytest.mark.parametrize(("collection", "document"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_refused(books: Books, collection: str, document: Document) -> None:
    with pytest.raises(WriteError) as caught:
        books[collection].insert_one(dict(document))
    assert caught.value.code == 121


def test_a_float_is_refused_on_the_way_of_an_update_too(books: Books) -> None:
    books.deposits.insert_one(dict(DEPOSIT))
    with pytest.raises(WriteError):
        books.deposits.update_one({"_id": "d1"}, {"$set": {"price": 7.2}})
    with pytest.raises(WriteError):
        books.deposits.update_one({"_id": "d1"}, {"$inc": {"remaining": -10}})


def test_a_seq_is_given_once(books: Books) -> None:
    books.requests.insert_one(dict(SOLD))
    with pytest.raises(DuplicateKeyError):
        books.requests.insert_one({**SOLD, "_id": "r2"})


@pytest.mark.parametrize("ids", ["new_requests", "new_deposits"])
def test_an_id_comes_into_the_log_once(books: Books, ids: str) -> None:
    # Entries without ids are in nobody's way.
    books.log.insert_many([dict(OFFICE), dict(DECIDE), dict(LATER), dict(CUT)])
    for held in (DECIDE, CUT):
        with pytest.raises(DuplicateKeyError) as caught:
            books.log.insert_one({**QUEUE, "_id": 20, "new_requests": ["x"], ids: ["y", held[ids][0]]})
        assert caught.value.details is not None
        assert caught.value.details["keyPattern"] == {ids: 1}
    books.log.insert_one({**QUEUE, "_id": 20, ids: ["y"]})


def test_a_ledger_that_meets_a_wrong_validator_says_so(ledger: MongoLedger, books: Books) -> None:
    assert ledger.perform(at(0, office())) == Appended()
    books.command("collMod", "log", validator={"_id": {"$type": "string"}})
    with pytest.raises(LedgerError, match="refused"):
        ledger.perform(at(1, trade(queued=(accepted(1),))))
