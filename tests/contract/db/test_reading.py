"""What a ledger asks of the server goes by index, however much there is in log and books.

The server itself says so: its profiler writes down the plan of everything it was asked, those parts of `explain` that
tell how it went, so no query can be forgotten here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from db.ledger.connection import connect
from db.ledger.cutting import cut
from db.ledger.maker import catch_up
from db.ledger.mongo import MongoLedger
from db.mongod.process import MongodProcess
from peers.core.ledger.port import (
    AlreadyRecorded,
    Done,
    FindSales,
    Found,
    Load,
    Loaded,
    LookUp,
    RecordElection,
    Taken,
)
from tests.fixtures.mongo import Books, MakeLedger
from tests.helpers.deals import accepted, at, election, office, stock, trade, unavailable
from tests.helpers.log_trader import LogTrader, assert_books_follow

Asked = Callable[[], list[dict[str, Any]]]

LARGE = stock("large", 1_000)
SALES = 300


@pytest.fixture
def settled(mongod: MongodProcess, books: Books) -> Iterator[Books]:
    database = connect(mongod.uri, books.name)
    yield database
    database.client.close()


@pytest.fixture
def trader(ledger: MongoLedger, books: Books, settled: Books) -> LogTrader:
    """Log and books with hundreds of sales, emptied deposits and one that is not, and a trader in office."""
    trader = LogTrader(ledger, makes_books=False).take_office()
    small = [stock(f"d{n}", 1, seller="seller2") for n in range(SALES)]
    trader.write(deposits=(*small, LARGE))
    for first in range(0, SALES, 10):
        trader.write(*(trader.sale(n + 1, n + 1, small[n]) for n in range(first, first + 10)))
    catch_up(settled)
    assert_books_follow(books)
    return trader


@pytest.fixture
def asked(books: Books, trader: LogTrader) -> Iterator[Asked]:
    """What the server was asked since the test began, but for plain inserts, which look nothing up."""
    assert trader.term == 1
    books.command("profile", 2)
    ours = {"op": {"$ne": "insert"}, "command.profile": {"$exists": False}, "command.listCollections": None}
    yield lambda: list(books["system.profile"].find(ours))
    books.command("profile", 0)


def use_everything(trader: LogTrader, rival: MongoLedger, settled: Books) -> None:
    """Everything that is ever asked of log and books."""
    ledger = trader.ledger
    trader.makes_books = True
    trader.write(queued=(accepted(SALES + 1), accepted(SALES + 2)))
    trader.write(trader.sale(SALES + 1, SALES + 1, LARGE), trader.sale(SALES + 3, SALES + 2, LARGE))
    trader.write(deposits=(stock("new", 3),))
    assert isinstance(trader.append(trade(queued=(accepted(1),))), AlreadyRecorded)
    assert isinstance(trader.append(trade(deposits=(LARGE,))), AlreadyRecorded)
    assert isinstance(ledger.perform(LookUp(request_ids=("r1", "r2", "nobody's"))), Found)
    assert isinstance(ledger.perform(FindSales(seller="seller1", after_seq=SALES)), Found)
    assert isinstance(ledger.perform(Load()), Loaded)
    assert ledger.perform(RecordElection(record=election(1))) == Done()
    assert isinstance(rival.perform(at(trader.state.place, office(2, "merchant8"))), Taken)
    successor = LogTrader(rival, "merchant8", makes_books=False).take_office()
    successor.write(successor.decline(SALES + 2))
    trader.ledger.close()
    catch_up(settled)
    assert cut(settled, 5) > 1


def test_every_query_goes_by_index(
    trader: LogTrader, make_ledger: MakeLedger, settled: Books, asked: Asked, books: Books
) -> None:
    use_everything(trader, make_ledger(), settled)
    plans = [(each["op"], each["ns"].partition(".")[2], each.get("planSummary", "")) for each in asked()]
    touched = {(op, collection) for op, collection, _ in plans}
    assert touched >= {
        ("query", "log"),
        ("update", "log"),
        ("query", "requests"),
        ("update", "requests"),
        ("query", "deposits"),
        ("update", "deposits"),
        ("query", "posts"),
        ("update", "posts"),
        ("update", "elections"),
    }
    assert [plan for plan in plans if not plan[2].startswith(("IXSCAN", "IDHACK"))] == []
    assert books.requests.count_documents({"status": "queued"}) == 0


def test_no_query_looks_at_more_than_it_needs(
    trader: LogTrader, make_ledger: MakeLedger, settled: Books, asked: Asked
) -> None:
    use_everything(trader, make_ledger(), settled)
    seen = asked()
    wasteful = []
    for each in seen:
        needed = max(each.get(found, 0) for found in ("nreturned", "nMatched", "ndeleted"))
        if each.get("docsExamined", 0) > needed + 1:
            wasteful.append((each["op"], each["ns"], each["planSummary"], each["docsExamined"]))
    assert wasteful == []
    assert not [each for each in seen if each.get("hasSortStage")]


def test_profiling_would_have_shown_a_scan(books: Books, asked: Asked) -> None:
    list(books.requests.find({"buyer": "buyer0"}))
    (seen,) = [each for each in asked() if each["op"] == "query" and each["ns"].endswith(".requests")]
    assert seen["planSummary"] == "COLLSCAN"


def test_an_entry_is_written_without_looking_anything_up(trader: LogTrader, asked: Asked) -> None:
    trader.write(unavailable(accepted(SALES + 1), SALES + 1))
    assert asked() == []
