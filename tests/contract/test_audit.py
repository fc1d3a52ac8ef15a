"""The audit of a real database: sound books hold, planted faults are named, and what cannot be read is not judged."""

from __future__ import annotations

import io
import itertools
import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from pymongo import MongoClient
from rich.console import Console

from db.audit import AuditReport, audit, render, to_json
from db.mongod import MongodProcess, free_port
from tests.bookkeeping import RATE, Clerk, small_books, sort_key, to_bson
from tests.fixtures_mongo import Books

Plant = Callable[[Books], object]

RING = {"a": ["b"], "b": ["a"]}


class Town:
    """A database with books in it, and a directory with journals."""

    def __init__(self, uri: str, books: Books, directory: Path) -> None:
        self.uri = uri
        self.books = books
        self.directory = directory

    def record(self, clerk: Clerk) -> None:
        self.books.requests.insert_many([to_bson(each) for each in clerk.requests.values()])
        self.books.deposits.insert_many([to_bson(each) for each in clerk.deposits.values()])
        self.books.elections.insert_many(clerk.elections)
        self.books.posts.update_one({"_id": "main"}, {"$set": clerk.post})
        (self.directory / "journals").mkdir(exist_ok=True)
        for entry in clerk.journals:
            with self.journal(entry["peer"]).open("a") as journal:
                journal.write(json.dumps(entry) + "\n")

    def journal(self, peer: str) -> Path:
        return self.directory / "journals" / f"{peer}.jsonl"

    def audit(self, **options: Any) -> AuditReport:
        options = {"graph": RING, "calm": True, "commission_rate": RATE, **options}
        return audit(self.uri, self.books.name, self.directory, **options)


@pytest.fixture
def town(mongod: MongodProcess, books: Books, tmp_path: Path) -> Town:
    town = Town(mongod.uri, books, tmp_path)
    town.record(small_books())
    return town


def update(collection: str, document: str, **changes: object) -> Plant:
    def plant(books: Books) -> object:
        # A validator would refuse most of these, as it should; here somebody got past it.
        return books[collection].update_one({"_id": document}, {"$set": changes}, bypass_document_validation=True)

    return plant


def renumber(document: str, seq: int) -> Plant:
    def plant(books: Books) -> None:
        books.requests.drop_index("seq")
        update("requests", document, seq=seq)(books)

    return plant


def swap_seqs(one: str, other: str, first: int, second: int) -> Plant:
    def plant(books: Books) -> None:
        books.requests.drop_index("seq")
        update("requests", one, seq=second)(books)
        update("requests", other, seq=first)(books)

    return plant


def forget(books: Books) -> None:
    order = sort_key(99, "buyer0", "buyer0.r99")
    books.requests.insert_one(
        {
            "_id": "buyer0.r99",
            "buyer": "buyer0",
            "item": "fish",
            "quantity": 1,
            "clock": {"lamport": 99},
            "order": order,
            "status": "queued",
            "queued_at": datetime(2026, 11, 2, 9, tzinfo=UTC),
            "queued_term": 2,
            "arrival": Int64(7),
        }
    )


def elect_again(books: Books) -> None:
    election = books.elections.find_one({"_id": 2})
    assert election is not None
    books.elections.insert_one({**election, "_id": 77}, bypass_document_validation=True)


PLANTED: list[tuple[str, Plant, str]] = [
    ("no_oversell", update("deposits", "seller4.d3", remaining=3), "seller4.d3"),
    ("no_oversell", update("deposits", "seller4.d3", remaining=-2), "seller4.d3"),
    ("no_oversell", update("requests", "buyer1.r8", quantity=4), "seller4.d3"),
    ("no_oversell", lambda books: books.deposits.delete_one({"_id": "seller4.d3"}), "buyer1.r8"),
    ("decided_once", renumber("buyer2.r10", 5), "buyer2.r10"),
    ("decided_once", renumber("buyer2.r10", 8), "buyer2.r10"),
    ("decided_once", lambda books: books.requests.delete_one({"_id": "buyer1.r6"}), "buyer2.r9"),
    ("decided_once", update("posts", "main", seq=9), "main"),
    ("decided_once", update("requests", "buyer2.r10", status="lost"), "buyer2.r10"),
    ("money_conserved", update("requests", "buyer0.r5", earned=Decimal128("11.53")), "buyer0.r5"),
    ("money_conserved", update("requests", "buyer0.r5", amount=14.4), "buyer0.r5"),
    ("money_conserved", update("requests", "buyer0.r5", price=Decimal128("7.21")), "buyer0.r5"),
    ("one_trader_a_term", update("requests", "buyer1.r6", trader="merchant7"), "buyer1.r6"),
    ("one_trader_a_term", update("requests", "buyer2.r10", term=1, trader="merchant8"), "buyer2.r10"),
    ("one_trader_a_term", elect_again, "77"),
    ("lowest_clock_first", swap_seqs("buyer2.r9", "buyer0.r7", 3, 5), "buyer2.r9"),
    ("lowest_clock_first", update("requests", "buyer0.r5", order="0"), "buyer0.r5"),
    ("trader_neutral", update("requests", "buyer0.r5", buyer="seller3"), "buyer0.r5"),
    ("trader_neutral", update("requests", "buyer0.r5", trader="seller3"), "buyer0.r5"),
    ("nothing_forgotten", forget, "buyer0.r99"),
    ("acknowledged_is_recorded", lambda books: books.requests.delete_one({"_id": "buyer2.r10"}), "buyer2.r10"),
    ("acknowledged_is_recorded", lambda books: books.deposits.delete_one({"_id": "merchant9.d4"}), "merchant9.d4"),
    ("acknowledged_is_recorded", update("requests", "buyer1.r6", seq=77), "buyer1.r6"),
]


def test_sound_books_hold(town: Town) -> None:
    report = town.audit()
    assert report.verdict is not None
    assert report.answer == "holds", str(report.verdict)
    assert report.exit_code == 0
    assert {finding.state for finding in report.verdict.findings} == {"holds"}
    assert report.verdict.counts.requests == 6
    assert report.verdict.counts.journal_entries == 21


@pytest.mark.parametrize(("invariant", "plant", "document"), PLANTED)
def test_a_planted_fault_is_named(town: Town, invariant: str, plant: Plant, document: str) -> None:
    plant(town.books)
    report = town.audit()
    assert report.exit_code == 1
    assert report.verdict is not None
    assert invariant in report.verdict.violated
    violations = report.verdict.of(invariant).violations
    assert any(document in violation.documents for violation in violations), violations


def test_an_unsound_graph_is_named(town: Town) -> None:
    report = town.audit(graph={"a": [], "b": []})
    assert report.verdict is not None
    assert report.verdict.violated == ("graph_sound",)


def test_a_fresh_town_without_a_single_sale_holds(mongod: MongodProcess, books: Books) -> None:
    assert audit(mongod.uri, books.name).exit_code == 0


# -- journals ------------------------------------------------------------------------------------------------


def test_a_torn_journal_is_tolerated_and_counted(town: Town) -> None:
    with town.journal("buyer0").open("a") as journal:
        journal.write('{"at_ms": 1, "pee')
    report = town.audit()
    assert report.exit_code == 0
    assert report.verdict is not None
    assert report.verdict.counts.torn_lines == 1


def test_a_broken_journal_is_not_judged(town: Town) -> None:
    town.journal("buyer0").write_text('gibberish\n{"at_ms": 1, "peer": "buyer0", "kind": "yawned"}\n')
    report = town.audit()
    assert report.answer == "could not tell"
    assert report.exit_code == 2
    assert report.verdict is not None
    assert "buyer0.jsonl, line 1" in report.verdict.of("acknowledged_is_recorded").why


def test_a_violation_weighs_more_than_a_broken_journal(town: Town) -> None:
    town.journal("buyer0").write_text("gibberish\n")
    update("posts", "main", seq=9)(town.books)
    assert town.audit().exit_code == 1


# -- calm or not ---------------------------------------------------------------------------------------------


def test_whether_things_are_calm_is_found_out(town: Town) -> None:
    forget(town.books)
    assert town.audit(calm=False).exit_code == 0
    report = town.audit(calm=None, patience_s=0.0)
    assert report.verdict is not None
    assert report.verdict.violated == ("nothing_forgotten",)


def test_a_town_at_work_has_forgotten_nothing(town: Town) -> None:
    """The post goes on while the audit watches it."""
    forget(town.books)
    stop = threading.Event()

    def work() -> None:
        with MongoClient[dict[str, Any]](town.uri) as client:
            while not stop.is_set():
                client[town.books.name].posts.update_one({"_id": "main"}, {"$inc": {"term": 1}})

    worker = threading.Thread(target=work)
    worker.start()
    try:
        report = town.audit(calm=None, patience_s=60.0)
    finally:
        stop.set()
        worker.join()
    assert report.verdict is not None
    assert report.verdict.of("nothing_forgotten").state == "not checked"


def test_books_in_use_are_read_as_of_one_moment(town: Town) -> None:
    """Each commit changes the post and a request together; an audit that saw half of one would see a gap."""
    stop, committed = threading.Event(), threading.Semaphore(0)

    def trade() -> None:
        last = town.books.requests.find_one({"_id": "buyer2.r10"}) or {}
        with MongoClient[dict[str, Any]](town.uri) as client, client.start_session() as session:
            books = client[town.books.name]
            for number in itertools.count(7):
                request = {**last, "_id": f"buyer2.r{number}x", "seq": number, "arrival": number}
                request["order"] = sort_key(20, "buyer2", request["_id"])
                with session.start_transaction():
                    books.requests.insert_one(request, session=session)
                    books.posts.update_one({"_id": "main"}, {"$inc": {"seq": 1}}, session=session)
                committed.release()
                if stop.is_set():
                    return

    trader = threading.Thread(target=trade)
    trader.start()
    try:
        for _ in range(10):
            committed.acquire()
            report = town.audit(calm=None)
            assert report.answer == "holds", str(report.verdict or report.why)
    finally:
        stop.set()
        trader.join()
    assert report.verdict is not None
    assert report.verdict.counts.requests > 6


# -- could not tell ------------------------------------------------------------------------------------------


def test_an_unreachable_database_says_nothing() -> None:
    report = audit(f"mongodb://127.0.0.1:{free_port('127.0.0.1')}/?directConnection=true", timeout_s=0.2)
    assert report.verdict is None
    assert report.exit_code == 2
    assert report.why.startswith("no database answers: 127.0.0.1:")
    assert "Topology" not in report.why


@pytest.mark.parametrize("uri", ["", "http://example.org", "mongodb://127.0.0.1:notaport", "mongodb://"])
def test_an_unusable_address_says_nothing(uri: str) -> None:
    report = audit(uri)
    assert report.exit_code == 2
    assert "address is unusable" in report.why


def test_the_wrong_database_says_nothing(mongod: MongodProcess) -> None:
    report = audit(mongod.uri, "nobody_was_here")
    assert report.exit_code == 2
    assert "there are no books in the database 'nobody_was_here'" in report.why


def test_a_date_beyond_the_calendar_is_no_reason_to_stop(town: Town) -> None:
    town.books.command(
        "update",
        "requests",
        updates=[{"q": {"_id": "buyer0.r5"}, "u": [{"$set": {"decided_at": {"$toDate": Int64(2**55)}}}]}],
    )
    report = town.audit()
    assert report.verdict is not None
    assert "buyer0.r5" in report.verdict.of("decided_once").violations[0].documents


# -- what is printed -----------------------------------------------------------------------------------------


def printed(report: AuditReport) -> str:
    out = io.StringIO()
    render(report, Console(file=out, width=200))
    return out.getvalue()


def test_the_report_for_people_says_what_is_wrong_and_where(town: Town) -> None:
    lines = printed(town.audit()).splitlines()
    assert lines[0].split() == ["holds", "no_oversell"]
    assert len(lines) == 9 + 2
    assert lines[-1].startswith("audit: holds (")
    update("deposits", "seller4.d3", remaining=3)(town.books)
    text = printed(town.audit())
    assert "violated        no_oversell  1 found" in text
    assert "    seller4.d3: 4 deposited less 3 remaining is 1; its sales add up to 3" in text
    assert "audit: violated (" in text


def test_ids_are_not_taken_for_markup(town: Town) -> None:
    town.books.deposits.insert_one({"_id": "[red]d[/blue]", "remaining": -1}, bypass_document_validation=True)
    assert "[red]d[/blue]: " in printed(town.audit())


def test_the_report_for_programs(town: Town) -> None:
    update("deposits", "seller4.d3", remaining=3)(town.books)
    body = json.loads(to_json(town.audit()))
    assert body["holds"] is False
    assert body["exit_code"] == 1
    assert body["violated"] == ["no_oversell"]
    assert body["counts"]["amount"] == "70.44"
    assert next(iter(body["invariants"])) == "no_oversell"
    (violation,) = body["invariants"]["no_oversell"]["violations"]
    assert violation["documents"] == ["seller4.d3"]


def test_the_report_of_no_answer() -> None:
    report = audit("http://example.org")
    assert printed(report).startswith("audit: could not tell: the database's address is unusable")
    assert json.loads(to_json(report))["counts"] is None
