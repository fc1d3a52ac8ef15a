"""The database's shape: made by the program, checked at start, strict, indexed for every query of the trader."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from bson.decimal128 import Decimal128
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError, WriteError

from db.documents import deposit_document, outcome_document, queued_document
from db.mongo import MongoLedger
from db.mongod import MongodProcess, free_port
from db.prepare import prepare
from db.schema import COLLECTIONS, VIEWS
from peers.core.ledger import Done, FindSales, LookUp, TakeOffice
from peers.errors import LedgerError
from tests.deals import T0_MS, commit, enqueue, entry, sold, stock, take_office, unavailable

Books = Database[dict[str, Any]]
Document = dict[str, Any]

FISH = stock("d1", 9)


@pytest.fixture
def ledger(mongod: MongodProcess, books: Books) -> Iterator[MongoLedger]:
    ledger = MongoLedger(mongod.uri, books.name)
    yield ledger
    ledger.close()


def shape(books: Books) -> list[Any]:
    infos = sorted(books.list_collections(), key=lambda info: info["name"])
    indexes = {each.name: sorted(books[each.name].index_information()) for each in COLLECTIONS}
    usual = {
        "validationLevel": "strict",
        "validationAction": "error",
    }  # the server lists them only once they were set
    return [[(info["name"], info["type"], usual | info["options"]) for info in infos], indexes]


# Making it, and making it again.


def test_everything_is_made_and_the_post_is_laid_out(books: Books) -> None:
    names = set(books.list_collection_names())
    assert {each.name for each in COLLECTIONS} | {each.name for each in VIEWS} <= names
    post = books.posts.find_one()
    assert post is not None
    assert (post["_id"], post["term"], post["trader"], post["seq"]) == ("main", 0, None, 0)


def test_preparing_again_changes_nothing(ledger: MongoLedger, mongod: MongodProcess, books: Books) -> None:
    take_office(ledger)
    before = shape(books), books.posts.find_one()
    prepare(mongod.uri, books.name)
    assert (shape(books), books.posts.find_one()) == before


def test_several_may_prepare_at_once(
    mongod: MongodProcess, mongo_client: MongoClient[Document], books: Books
) -> None:
    name = f"{books.name}_too"
    failures: list[Exception] = []

    def run() -> None:
        try:
            prepare(mongod.uri, name)
        except LedgerError as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
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
    prepare(mongod.uri, books.name)
    assert shape(books) == right
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
        books.drop_collection(view.name)  # or they would not have another in the place of their source
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
    with pytest.raises(LedgerError, match="no address"):
        MongoLedger(uri).perform(LookUp())


def test_a_ledger_prepares_what_was_emptied_under_it(
    ledger: MongoLedger, mongo_client: MongoClient[Document], books: Books
) -> None:
    mongo_client.drop_database(books.name)
    with pytest.raises(LedgerError, match="post is missing"):
        ledger.perform(LookUp())
    assert take_office(ledger).post.term == 1
    assert books.command("validate", "requests")["valid"]


# What the validators refuse.

SOLD = outcome_document(sold(entry(1), 1, FISH).outcome)
QUEUED = queued_document(entry(1))
DECLINED = outcome_document(unavailable(entry(1), 1).outcome)
DEPOSIT = deposit_document(FISH)


def without(document: Document, *names: str) -> Document:
    return {key: value for key, value in document.items() if key not in names}


@pytest.mark.parametrize(
    ("collection", "document"),
    [("requests", SOLD), ("requests", QUEUED), ("requests", DECLINED), ("deposits", DEPOSIT)],
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
    "a post without a term": ("posts", {"_id": "side", "trader": None, "since": None, "seq": 0}),
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


def test_a_ledger_that_meets_a_wrong_validator_says_so(ledger: MongoLedger, books: Books) -> None:
    take_office(ledger)
    books.command("collMod", "requests", validator={"_id": {"$type": "int"}})
    with pytest.raises(LedgerError, match="refused"):
        ledger.perform(enqueue(entry(1)))


# The views for people.


@pytest.fixture
def market_day(ledger: MongoLedger) -> None:
    take_office(ledger)
    ten, two, gone = (stock(f"d{i}", 5, seller=f"seller{i}", price=f"{i}.50") for i in (10, 2, 3))
    day = [
        sold(entry(1, quantity=2), 1, two),
        unavailable(entry(2), 2),
        sold(entry(3, quantity=5), 3, gone),
        sold(entry(4), 4, ten),
    ]
    assert ledger.perform(commit(*day, deposits=(ten, two, gone))) == Done()
    assert ledger.perform(enqueue(entry(17), entry(6), entry(9))) == Done()


@pytest.mark.usefixtures("market_day")
def test_the_views_show_the_market(books: Books) -> None:
    assert [each["_id"] for each in books.queue.find()] == ["r6", "r9", "r17"]
    assert [(each["seq"], each["seller"]) for each in books.sales.find()] == [
        (1, "seller2"),
        (3, "seller3"),
        (4, "seller10"),
    ]
    assert list(books.market.find()) == [
        {
            "_id": "fish",
            "item": "fish",
            "stock": 7,
            "sellers": ["seller2", "seller10"],
            "lowest_price": Decimal128("2.50"),
        }
    ]


@pytest.mark.usefixtures("market_day")
def test_the_earnings_add_up(books: Books) -> None:
    earnings = {each["peer"]: each for each in books.earnings.find()}
    assert list(earnings) == ["buyer0", "buyer1", "merchant9", "seller2", "seller3", "seller10"]
    assert earnings["seller2"] == {
        "_id": "seller2",
        "peer": "seller2",
        "sold": 2,
        "bought": 0,
        "spent": Decimal128("0.00"),
        "earned": Decimal128("4.00"),
        "commission": Decimal128("0.00"),
    }
    assert earnings["buyer0"]["bought"] == 5
    assert earnings["merchant9"]["commission"] == Decimal128("6.60")

    def total(field: str) -> Decimal:
        return sum((each[field].to_decimal() for each in earnings.values()), Decimal(0))

    assert total("spent") == total("earned") + total("commission") == Decimal("33.00")


# Every query of the trader, by index.


def test_every_query_goes_by_an_index(ledger: MongoLedger, books: Books) -> None:
    take_office(ledger)
    fish = [stock(f"d{i}", 50, seller=f"seller{i % 7}") for i in range(40)]
    decisions = [sold(entry(i), i, fish[i % 40]) for i in range(1, 301)]
    assert ledger.perform(commit(*decisions, deposits=tuple(fish))) == Done()
    assert ledger.perform(enqueue(*map(entry, range(400, 440)))) == Done()
    books.command("profile", 2)
    ledger.perform(commit(*(sold(entry(i), i - 99, fish[0], queued=True) for i in range(400, 410)), seq=300))
    ledger.perform(commit(sold(entry(500), 311, fish[1]), unavailable(entry(501), 312), seq=310))
    ledger.perform(enqueue(entry(600)))
    ledger.perform(LookUp(request_ids=("r1", "r400", "none"), deposit_ids=("d1", "d2")))
    ledger.perform(FindSales(seller="seller3", after_seq=100, limit=10))
    ledger.perform(TakeOffice(trader="merchant8", expected_term=1, now_ms=T0_MS))
    books.command("profile", 0)
    seen = [each for each in books["system.profile"].find() if "planSummary" in each]
    names = {f"{each['op']} {each['ns'].split('.', 1)[1]}" for each in seen}
    assert {"query requests", "query deposits", "query posts"} <= names
    assert {"remove requests", "update deposits", "update posts", "update fences"} <= names
    for each in seen:
        how = each["planSummary"], each["op"], each["ns"], each.get("command")
        assert "COLLSCAN" not in each["planSummary"], how
        assert each.get("docsExamined", 0) <= 40, how
        assert not each.get("hasSortStage"), how


def test_profiling_would_have_shown_a_scan(books: Books) -> None:
    books.command("profile", 2)
    list(books.requests.find({"buyer": "buyer0"}))
    books.command("profile", 0)
    (seen,) = [each for each in books["system.profile"].find() if each["op"] == "query"]
    assert seen["planSummary"] == "COLLSCAN"


def test_dates_are_dates(ledger: MongoLedger, books: Books) -> None:
    take_office(ledger)
    post = books.posts.find_one()
    assert post is not None
    assert post["since"] == datetime.fromtimestamp(T0_MS / 1000, UTC)
