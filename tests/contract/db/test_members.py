"""What is said of a set whose members are asked one by one while one of them is between two states."""

from __future__ import annotations

import threading

from bson.int64 import Int64

from db.audit.members import compare_members
from db.ledger.mongo import MongoLedger
from tests.helpers.deals import stock
from tests.helpers.log_trader import LogTrader
from tests.helpers.mongod_set import MongodSet


def test_a_member_that_cannot_answer_yet_is_asked_again(several: MongodSet, name: str) -> None:
    trader = LogTrader(MongoLedger(several.uri, name)).take_office()
    trader.write(deposits=(stock("d1", 10),))
    trader.ledger.close()
    secondary = next(port for port in several.ports if port != several.primary)
    with several.direct(secondary) as direct:
        # It refuses all reads from now on, as one does that has just been started or is taking something back.
        direct.admin.command("replSetMaintenance", True)
        back = threading.Timer(1.0, direct.admin.command, ["replSetMaintenance", False])
        back.start()
        report = compare_members(several.uri, name, timeout_s=20.0)
        back.join()
    assert report.answer == "holds", list(report.lines())


def test_a_member_that_never_answers_is_named(several: MongodSet, name: str) -> None:
    secondary = next(port for port in several.ports if port != several.primary)
    several.kill(secondary)
    try:
        report = compare_members(several.uri, name, timeout_s=1.0)
    finally:
        several.start(secondary)
    assert report.answer == "could not tell"
    assert [each.address for each in report.members if each.why] == [f"127.0.0.1:{secondary}"]


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
