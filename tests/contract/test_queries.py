"""The trader's queries go by index, however much there is in the books.

The server itself says so: its profiler writes down the plan of everything it was asked, those parts of `explain` that
tell how it went, so no query can be forgotten here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pymongo.database import Database

from db.mongo import MongoLedger
from db.mongod import MongodProcess
from peers.core.ledger import Done, FindSales, Found, LookUp, OfficeTaken, RecordElection
from peers.core.records import ElectionRecord
from tests.deals import T0_MS, commit, enqueue, entry, sold, stock, take_office

Books = Database[dict[str, Any]]

LARGE = stock("large", 1_000)
SALES = 300


@pytest.fixture(params=["pipelined", "driver"])
def ledger(request: pytest.FixtureRequest, mongod: MongodProcess, books: Books) -> Iterator[MongoLedger]:
    """Books with hundreds of sales, emptied deposits and one that is not, and a trader in office."""
    ledger = MongoLedger(mongod.uri, books.name, pipelined=request.param == "pipelined")
    take_office(ledger)
    small = [stock(f"d{n}", 1, seller="seller2") for n in range(SALES)]
    decisions = [sold(entry(n + 1), n + 1, each) for n, each in enumerate(small)]
    assert ledger.perform(commit(*decisions, deposits=(*small, LARGE))) == Done()
    yield ledger
    ledger.close()


@pytest.fixture
def asked(books: Books) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What the server was asked since the test began."""
    books.command("profile", 2)
    yield lambda: list(books["system.profile"].find({"op": {"$ne": "insert"}, "command.profile": {"$exists": False}}))
    books.command("profile", 0)


def trade(ledger: MongoLedger) -> None:
    """Everything a trader ever asks of the books."""
    first, second = entry(SALES + 1), entry(SALES + 2)
    assert ledger.perform(enqueue(first, second)) == Done()
    queued = sold(first, SALES + 1, LARGE, queued=True)
    fresh = sold(entry(SALES + 3), SALES + 2, LARGE)
    assert ledger.perform(commit(queued, fresh, seq=SALES)) == Done()
    assert isinstance(
        ledger.perform(LookUp(request_ids=("r1", "r2", "nobody's"), deposit_ids=("large", "d1"))), Found
    )
    assert isinstance(ledger.perform(FindSales(seller="seller1", after_seq=SALES)), Found)
    record = ElectionRecord(
        term=1,
        algorithm="bully",
        reason="start",
        started_by="buyer0",
        trader="merchant9",
        messages=1,
        started_at_ms=T0_MS,
        took_ms=1,
    )
    assert ledger.perform(RecordElection(record=record)) == Done()
    assert isinstance(take_office(ledger, expected_term=1), OfficeTaken)


def test_every_query_of_the_trader_goes_by_index(
    ledger: MongoLedger, asked: Callable[[], list[dict[str, Any]]]
) -> None:
    trade(ledger)
    plans = [(each["op"], each["ns"].partition(".")[2], each["planSummary"]) for each in asked()]
    touched = {(op, collection) for op, collection, _ in plans}
    assert touched >= {
        ("remove", "requests"),
        ("update", "deposits"),
        ("update", "posts"),
        ("update", "fences"),
        ("update", "elections"),
        ("query", "requests"),
        ("query", "deposits"),
        ("query", "posts"),
    }
    assert [plan for plan in plans if not plan[2].startswith(("IXSCAN", "IDHACK"))] == []


def test_no_query_of_the_trader_looks_at_more_than_it_needs(
    ledger: MongoLedger, asked: Callable[[], list[dict[str, Any]]]
) -> None:
    trade(ledger)
    wasteful = [
        (each["op"], each["ns"], each["planSummary"], each["docsExamined"])
        for each in asked()
        if each["docsExamined"] > max(each.get(found, 0) for found in ("nreturned", "nMatched", "ndeleted")) + 1
    ]
    assert wasteful == []
