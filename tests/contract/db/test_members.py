"""What is said of a set whose members are asked one by one, and one is behind, differs, or cannot answer yet."""

from __future__ import annotations

import threading
import tracemalloc
from functools import partial
from typing import Any

import pytest
from bson.int64 import Int64
from pymongo import MongoClient
from pymongo.database import Database

from db.audit.members import MemberBooks, compare_members
from db.ledger.mongo import MongoLedger
from db.mongod.process import MongodProcess
from peers.core.ledger.port import Appended
from tests.fixtures.mongo import Books
from tests.helpers.deals import recount, stock, taken_back, trade
from tests.helpers.log_trader import LogTrader
from tests.helpers.mongod_set import HOST, MongodSet
from tests.helpers.waiting import wait_until

FISH = stock("d1", 9)


def a_secondary(several: MongodSet) -> int:
    return next(port for port in several.ports if port != several.primary)


def of_port(members: tuple[MemberBooks, ...], port: int) -> MemberBooks:
    return next(each for each in members if each.address == f"{HOST}:{port}")


def trade_two_sales(several: MongodSet, name: str) -> LogTrader:
    """A trader that has sold twice, by entries 2 and 3; all members have the books made so far."""
    trader = LogTrader(MongoLedger(several.uri, name)).take_office()
    trader.write(deposits=(FISH,))
    for number in (1, 2):
        trader.sell(number, FISH)
    for port in several.ports:
        wait_until(partial(_has_made, several, port, name, trader.state.place))
    return trader


def _has_made(several: MongodSet, port: int, name: str, place: int) -> bool:
    with several.direct(port) as member:
        return bool(member[name].posts.count_documents({"made": place}))


def take_back(trader: LogTrader, number: int) -> None:
    """Has the sale to request `r<number>` undone, of which nothing is there any more."""
    held = trader.state.stock.get(FISH.offer.deposit_id)
    assert held is not None
    undone = taken_back(trader.sale(number, number, FISH), 1, place=trader.state.place + 1)
    counted = recount(held, left=held.remaining, returned=1, written_off=1)
    assert trader.append(trade(reversals=(undone,), recounts=(counted,))) == Appended()


def write_many(books: Database[dict[str, Any]], number: int) -> None:
    """So many entries and decisions, of which only the ids are of the market's making."""
    for collection in ("log", "requests"):
        ids = range(number) if collection == "log" else [f"buyer0-{each}" for each in range(number)]
        documents = [{"_id": each, "seq": at, "at": at} for at, each in enumerate(ids)]
        books[collection].insert_many(documents, bypass_document_validation=True)
    post = {"seq": number, "made": number}
    books.posts.update_one({"_id": "main"}, {"$set": post}, upsert=True, bypass_document_validation=True)


def test_a_member_that_is_behind_a_sale_that_was_taken_back_holds_the_same(several: MongodSet, name: str) -> None:
    trader = trade_two_sales(several, name)
    behind = a_secondary(several)
    with several.direct(behind) as member:
        member.admin.command("fsync", lock=True)  # It answers, and takes nothing in.
        try:
            take_back(trader, 1)
            trader.ledger.close()
            report = compare_members(several.uri, name, timeout_s=20.0)
        finally:
            member.admin.command("fsyncUnlock")
    assert report.answer == "holds", list(report.lines())
    assert of_port(report.members, behind).behind == 1
    assert compare_members(several.uri, name, timeout_s=20.0).answer == "holds"


def test_what_a_member_holds_otherwise_is_named(several: MongodSet, name: str) -> None:
    trader = trade_two_sales(several, name)
    take_back(trader, 1)
    trader.ledger.close()
    other = a_secondary(several)
    with several.alone(other) as member:
        books = member[name]
        books.log.delete_one({"_id": 2})
        books.requests.update_one({"_id": "r1"}, {"$unset": {"taken_back": 1}})
        books.requests.update_one({"_id": "r2"}, {"$set": {"quantity": 2}})
        books.requests.insert_one({"_id": "r3", "seq": 0}, bypass_document_validation=True)
    report = compare_members(several.uri, name, timeout_s=20.0)
    assert report.answer == "violated"
    differs = ("entry 2 is missing", "request r1 is another", "request r2 is another", "request r3 is too much")
    assert {each.differs for each in report.members} == {(), differs}
    assert of_port(report.members, other).differs == differs


@pytest.mark.parametrize(
    ("mode", "number", "timeout_s", "answer"),
    [({"times": 2}, 1_200, 20.0, "holds"), ("alwaysOn", 12_000, 1.0, "could not tell")],
)
def test_a_member_that_loses_its_connections_while_it_is_read_is_read_on_in_time(
    mongod: MongodProcess,
    mongo_client: MongoClient[dict[str, Any]],
    books: Books,
    mode: object,
    number: int,
    timeout_s: float,
    answer: str,
) -> None:
    write_many(books, number)
    data = {"failCommands": ["getMore"], "closeConnection": True, "namespace": f"{books.name}.log"}
    mongo_client.admin.command("configureFailPoint", "failCommand", mode=mode, data=data)
    try:
        report = compare_members(mongod.uri, books.name, timeout_s=timeout_s)
    finally:
        mongo_client.admin.command("configureFailPoint", "failCommand", mode="off")
    assert report.answer == answer, list(report.lines())
    assert (report.members[0].entries, report.members[0].differs) == (number, ())


def test_the_books_are_compared_in_memory_that_does_not_grow_with_them(several: MongodSet, name: str) -> None:
    peaks = []
    with several.client() as client:
        for number in (2_000, 20_000):
            books = client[f"{name}-{number}"]
            write_many(books, number)
            for port in several.ports:
                wait_until(partial(_has_made, several, port, books.name, number))
            tracemalloc.start()
            try:
                report = compare_members(several.uri, books.name, timeout_s=60.0)
                peaks.append(tracemalloc.get_traced_memory()[1])
            finally:
                tracemalloc.stop()
            client.drop_database(books.name)
            assert report.answer == "holds", list(report.lines())
            assert [each.behind for each in report.members] == [0, 0, 0]
    assert peaks[1] < 3 * peaks[0], peaks


def test_a_member_that_cannot_answer_yet_is_asked_again(several: MongodSet, name: str) -> None:
    trader = LogTrader(MongoLedger(several.uri, name)).take_office()
    trader.write(deposits=(stock("d1", 10),))
    trader.ledger.close()
    secondary = a_secondary(several)
    with several.direct(secondary) as direct:
        # It refuses all reads from now on, as one does that has just been started or is taking something back.
        direct.admin.command("replSetMaintenance", True)
        back = threading.Timer(1.0, direct.admin.command, ["replSetMaintenance", False])
        back.start()
        report = compare_members(several.uri, name, timeout_s=20.0)
        back.join()
    assert report.answer == "holds", list(report.lines())


def test_a_member_that_never_answers_is_named(several: MongodSet, name: str) -> None:
    secondary = a_secondary(several)
    several.kill(secondary)
    try:
        report = compare_members(several.uri, name, timeout_s=1.0)
    finally:
        several.start(secondary)
    assert report.answer == "could not tell"
    assert [each.address for each in report.members if each.why] == [f"{HOST}:{secondary}"]


def test_odd_values_in_the_books_are_compared_too(several: MongodSet, name: str) -> None:
    with several.client() as client:
        books = client[f"{name}-odd"]  # Nobody has prepared it, so it takes anything.
        books.log.insert_one({"_id": 0})
        far = {"$toDate": Int64(2**55)}
        odd = {"q": {"_id": {"a": 1}}, "u": [{"$set": {"seq": 1, "queued_at": far}}], "upsert": True}
        books.command("update", "requests", updates=[odd], writeConcern={"w": "majority"})
        books.posts.insert_one({"_id": "main", "seq": 1})
        assert compare_members(several.uri, books.name, timeout_s=20.0).answer == "holds"
        books.posts.update_one({}, {"$set": {"seq": "many"}})
        report = compare_members(several.uri, books.name, timeout_s=20.0)
        client.drop_database(books.name)
    assert report.answer == "could not tell"
    assert "does not end at a whole number" in "\n".join(report.lines())
