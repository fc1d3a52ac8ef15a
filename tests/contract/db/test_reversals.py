"""Sales that were taken back, in MongoDB: what the views show, what a cut log keeps, and books of before."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from pymongo.errors import WriteError

from db.ledger.cutting import cut
from db.ledger.mongo import MongoLedger
from db.mongod.process import MongodProcess
from db.queries import Queries
from db.schema.collections import COLLECTIONS, VIEWS
from db.schema.prepare import prepare
from peers.core.ledger.log import NOWHERE
from peers.core.ledger.port import AlreadyRecorded, Appended, FindReversals, FindSales, Found, LookUp
from peers.core.market.records import Outcome
from tests.fixtures.mongo import Books, MakeLedger
from tests.helpers.deals import recount, stock, taken_back, trade
from tests.helpers.log_trader import LogTrader, assert_books_follow, load, state_in, summary

FISH = stock("d1", 9)


def take_back(trader: LogTrader, outcome: Outcome, *, left: int, written_off: int) -> Outcome:
    """Has a sale out of FISH undone; returns it as it is then."""
    number, place = trader.state.post.reversals + 1, trader.state.place + 1
    undone = taken_back(outcome, number, term=trader.term, trader=trader.name, place=place)
    known = trader.state.stock.get(FISH.offer.deposit_id)
    before = FISH if known is None else known
    counted = recount(before, left=left, returned=outcome.request.quantity, written_off=written_off)
    entry = trade(reversals=(undone,), recounts=(counted,), term=trader.term, trader=trader.name)
    assert trader.append(entry) == Appended()
    return undone


@pytest.fixture
def undone(ledger: MongoLedger) -> Outcome:
    """Of three sales, the second was taken back: of nine 6 were sold, 2 came back, 4 were not there."""
    trader = LogTrader(ledger).take_office()
    trader.write(deposits=(FISH,))
    sales = [trader.sale(number, number, FISH, quantity=2) for number in (1, 2, 3)]
    trader.write(*sales)
    return take_back(trader, sales[1], left=3, written_off=4)


def test_the_views_count_it_as_undone(ledger: MongoLedger, books: Books, undone: Outcome) -> None:
    ledger.close()
    assert [each["_id"] for each in books.sales.find()] == ["r1", "r3"]
    (shown,) = books.reversals.find()
    assert (shown["_id"], shown["status"], shown["taken_back"]["number"]) == ("r2", "sold", 1)
    assert [(each["stock"], each["sellers"]) for each in books.market.find()] == [(1, ["seller1"])]
    (seller,) = books.earnings.find({"_id": "seller1"})
    assert seller["sold"] == 4
    assert seller["earned"].to_decimal() == 2 * (undone.sale.earned if undone.sale else Decimal(0))
    assert books.earnings.find_one({"_id": undone.request.buyer}) is None
    assert_books_follow(books)


def test_whoever_sums_up_leaves_it_out(
    mongod: MongodProcess, ledger: MongoLedger, books: Books, undone: Outcome
) -> None:
    ledger.close()
    with Queries(mongod.uri, books.name) as queries:
        assert sum(each.count for each in queries.dealings(0) if each.sold) == 2
        assert queries.count_taken_back(0) == 1
        assert queries.count_taken_back(undone.seq) == 0


def test_it_is_found_by_either_side_and_cannot_be_taken_back_again(ledger: MongoLedger, undone: Outcome) -> None:
    for customer in ("seller1", undone.request.buyer):
        found = ledger.perform(FindReversals(customer=customer, after=0))
        assert isinstance(found, Found)
        assert found.outcomes == (undone,)
    nothing = ledger.perform(FindReversals(customer="seller1", after=1))
    assert isinstance(nothing, Found)
    assert msgspec.structs.replace(nothing, place=NOWHERE) == Found()
    sales = ledger.perform(FindSales(seller="seller1", after_seq=0))
    assert isinstance(sales, Found)
    assert [each.taken_back is not None for each in sales.outcomes] == [False, True, False]
    again = LogTrader(ledger).take_office()
    refused = again.append(trade(reversals=(taken_back(undone, 2),), recounts=(), term=2, trader=again.name))
    assert refused == AlreadyRecorded(reversals=(undone,))


def test_a_cut_log_keeps_that_it_was_taken_back(
    ledger: MongoLedger, make_ledger: MakeLedger, books: Books, undone: Outcome
) -> None:
    trader = LogTrader(ledger).take_office()
    before = summary(trader.state)
    ledger.close()
    cut(books, 1)
    whole = books.log.find({"cut": {"$exists": False}})
    assert len(list(whole)) == 1
    (entry,) = books.log.find({"new_reversals": "r2"})
    assert entry["cut"] is True
    successor = make_ledger()
    assert state_in(load(successor)) == before
    again = LogTrader(successor).take_office()
    refused = again.append(trade(reversals=(taken_back(undone, 2),), recounts=(), term=3, trader=again.name))
    assert refused == AlreadyRecorded(reversals=(undone,))
    found = successor.perform(LookUp(request_ids=("r2",), deposit_ids=("d1",)))
    assert isinstance(found, Found)
    assert found.outcomes == (undone,)
    assert [(each.remaining, each.written_off) for each in found.deposits] == [(1, 4)]


def test_books_of_before_are_opened_as_they_are(
    mongod: MongodProcess, ledger: MongoLedger, make_ledger: MakeLedger, books: Books
) -> None:
    trader = LogTrader(ledger).take_office()
    trader.write(deposits=(FISH,))
    sale = trader.sale(1, 1, FISH, quantity=2)
    trader.write(sale)
    ledger.close()
    as_they_were(books)
    before = {name: list(books[name].find()) for name in ("log", "requests", "deposits", "posts")}
    prepare(mongod.uri, books.name)
    assert {name: list(books[name].find()) for name in before} == before
    successor = LogTrader(make_ledger()).take_office()
    undone = take_back(successor, sale, left=7, written_off=2)
    found = successor.ledger.perform(LookUp(request_ids=("r1",)))
    assert isinstance(found, Found)
    assert found.outcomes == (undone,)


def as_they_were(books: Books) -> None:
    """The shape of the database before sales could be taken back."""
    books.drop_collection("reversals")
    books.requests.drop_index("reversals")
    books.log.drop_index("new_reversals")
    gone = {"taken_back", "written_off", "reversals", "recounts", "new_reversals"}
    for each in COLLECTIONS:
        old = _without(each.validator, gone)
        books.command("collMod", each.name, validator=old)
    assert {"sales", "queue"} <= {view.name for view in VIEWS}


def _without(value: Any, names: set[str]) -> Any:
    if isinstance(value, dict):
        return {key: _without(each, names) for key, each in value.items() if key not in names}
    if isinstance(value, list):
        return [_without(each, names) for each in value]
    return value


def test_half_a_reversal_is_refused(ledger: MongoLedger, books: Books, undone: Outcome) -> None:
    ledger.close()
    assert undone.taken_back is not None
    with pytest.raises(WriteError):
        books.requests.update_one({"_id": "r2"}, {"$unset": {"taken_back.amount": 1}})
    with pytest.raises(WriteError):
        books.requests.update_one({"_id": "r1"}, {"$set": {"taken_back": {"number": 2}}})
    with pytest.raises(WriteError):
        books.deposits.update_one({"_id": "d1"}, {"$set": {"written_off": -1}})
