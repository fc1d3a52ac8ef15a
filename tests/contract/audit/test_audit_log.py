"""The audit of a log and of books that are made behind it: torn, late, cut, and while a town trades."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from pymongo import MongoClient

from tests.fixtures.audit import Town, forget, printed, replace_post
from tests.fixtures.mongo import Books
from tests.helpers.bookkeeping import LogBuilder, small_log, to_bson, to_wire

# -- calm or not ---------------------------------------------------------------------------------------------


def test_whether_things_are_calm_is_found_out(town: Town) -> None:
    forget(town.books)
    assert town.audit(calm=False).exit_code == 0
    report = town.audit(calm=None, patience_s=0.0)
    assert report.verdict is not None
    assert report.verdict.violated == ("nothing_forgotten",)


def test_books_that_stay_behind_are_found_out(town: Town) -> None:
    behind = small_log().books(3)
    town.books.requests.delete_many({})
    town.books.requests.insert_many(map(to_bson, behind["requests"]), bypass_document_validation=True)
    town.books.deposits.delete_many({})
    town.books.deposits.insert_many(map(to_bson, behind["deposits"]), bypass_document_validation=True)
    replace_post(behind["posts"][0])(town.books)
    report = town.audit(calm=False)
    assert report.verdict is not None
    assert report.exit_code == 0, str(report.verdict)
    assert report.verdict.of("books_follow_log").notes == ("the books were 3 entries behind the log",)
    assert report.verdict.counts.sales == 5
    assert report.verdict.of("acknowledged_is_recorded").state == "holds"
    report = town.audit(calm=None, patience_s=0.0)
    assert report.verdict is not None
    assert report.verdict.violated == ("books_follow_log",)
    assert "the log goes on to 6; at rest, the books are made only up to 3" in str(report.verdict)


def test_a_town_at_work_has_forgotten_nothing(town: Town) -> None:
    """The log goes on while the audit watches it."""
    forget(town.books)
    stop = threading.Event()

    def work() -> None:
        with MongoClient[dict[str, Any]](town.uri) as client:
            log = client[town.books.name].log
            office = log.find_one({"_id": 4}) or {}
            for term in itertools.count(3):
                log.insert_one({**office, "_id": term + 5, "term": term}, bypass_document_validation=True)
                if stop.is_set():
                    return

    worker = threading.Thread(target=work)
    worker.start()
    try:
        report = town.audit(calm=None, patience_s=60.0)
    finally:
        stop.set()
        worker.join()
    assert report.verdict is not None
    assert report.verdict.of("nothing_forgotten").state == "not checked"
    assert report.verdict.violated == (), str(report.verdict)


class Maker:
    """Writes what a log builder does as a trader would: the entry, then what it tells, and behind that the books."""

    def __init__(self, town: Town, books: Books, builder: LogBuilder) -> None:
        self._town, self._books, self._builder = town, books, builder
        self._entries, self._told = len(builder.log), len(builder.journals)

    def write(self) -> None:
        builder, books = self._builder, self._books
        builder.flush()
        fresh, told = builder.log[self._entries :], builder.journals[self._told :]
        self._entries, self._told = len(builder.log), len(builder.journals)
        for entry in fresh:
            books.log.insert_one(to_bson(entry), bypass_document_validation=True)
        for line in told:
            with self._town.journal(line["peer"]).open("a") as journal:
                journal.write(json.dumps(line) + "\n")
        for name, records in (("requests", builder.requests), ("deposits", builder.deposits)):
            for each in records.values():
                if each["at"] >= fresh[0]["_id"]:
                    books[name].replace_one(
                        {"_id": each["_id"]}, to_bson(each), True, bypass_document_validation=True
                    )
        replace_post(builder.post)(books)


def test_a_town_is_audited_while_it_trades(town: Town) -> None:
    """Books that are made behind the log are torn at any moment; what peers were told may be in the log only."""
    builder, stop, written = small_log(), threading.Event(), threading.Semaphore(0)

    def trade() -> None:
        with MongoClient[dict[str, Any]](town.uri) as client:
            maker = Maker(town, client[town.books.name], builder)
            for number in itertools.count():
                builder.wait()
                if number % 5 == 0:
                    builder.deposit("seller3", "fish", 9, "2.50", 100 + number)
                for buyer in range(4):
                    builder.ask(f"buyer{buyer}", "fish", 1, 100 + number)
                if number % 3:
                    builder.queue()
                if number % 7 == 6:
                    builder.elect(f"merchant{8 + number % 2}")
                builder.wait()
                builder.decide(3)
                maker.write()
                written.release()
                if stop.is_set():
                    return

    trader = threading.Thread(target=trade)
    trader.start()
    try:
        for _ in range(10):
            written.acquire()
            report = town.audit(calm=None)
            assert report.answer == "holds", str(report.verdict or report.why)
    finally:
        stop.set()
        trader.join()
    assert report.verdict is not None
    assert report.verdict.counts.requests > 6
    assert report.verdict.of("acknowledged_is_recorded").state == "holds"


# -- what was told, and a log that is ahead of the books -----------------------------------------------------


def told_buyer(builder: LogBuilder, request: str, **changes: object) -> str:
    outcome = {**to_wire(builder.requests[request]), **changes}
    return json.dumps({"at_ms": 1, "peer": outcome["buyer"], "kind": "told", "outcome": outcome}) + "\n"


def told_seller(builder: LogBuilder, **changes: object) -> str:
    """Of the salt, as it is after all."""
    deposit = {**to_wire(builder.deposits["seller4.d3"]), **changes}
    return json.dumps({"at_ms": 1, "peer": "seller4", "kind": "deposited", "deposit": deposit}) + "\n"


def only_in_the_log(town: Town, builder: LogBuilder, made: int) -> None:
    """The books are as they were after the entry at `made`; there are no other journals."""
    for name, documents in builder.books(made).items():
        town.books[name].delete_many({})
        for each in documents:
            town.books[name].insert_one(to_bson(each), bypass_document_validation=True)
    for journal in (town.directory / "journals").iterdir():
        journal.unlink()


@pytest.mark.parametrize("made", [-1, 0, 1, 3, 5, 6])
def test_what_was_told_may_be_in_the_log_only(town: Town, made: int) -> None:
    builder = small_log()
    only_in_the_log(town, builder, made)
    with town.journal("all").open("w") as journal:
        journal.writelines(json.dumps(line) + "\n" for line in builder.journals)
        journal.write(told_seller(builder))
    finding = town.audit(calm=False).verdict
    assert finding is not None
    assert finding.of("acknowledged_is_recorded").state == "holds", str(finding)
    assert finding.counts.journal_entries == 22


@pytest.mark.parametrize("made", [-1, 1, 3, 5, 6])
@pytest.mark.parametrize(
    ("line", "words"),
    [
        (lambda b: told_buyer(b, "buyer2.r10", seq=9), "told seq 9; the ledger says 6"),
        (lambda b: told_buyer(b, "buyer2.r9", price="1.00"), "the ledger says 7.20"),
        (lambda b: told_buyer(b, "buyer2.r9", _id="r77"), "the ledger has no such request"),
        (lambda b: told_seller(b, remaining=0), "told that 0 remain; the ledger says 1"),
        (lambda b: told_seller(b, _id="d7"), "the ledger has no such deposit"),
    ],
)
def test_what_was_told_wrongly_is_named_wherever_it_stands(
    town: Town, made: int, line: Callable[[LogBuilder], str], words: str
) -> None:
    builder = small_log()
    only_in_the_log(town, builder, made)
    town.journal("all").write_text(line(builder))
    verdict = town.audit(calm=False).verdict
    assert verdict is not None
    assert verdict.violated == ("acknowledged_is_recorded",)
    assert words in str(verdict)


# -- a log that was cut --------------------------------------------------------------------------------------


def test_where_the_log_was_cut_the_books_serve(town: Town) -> None:
    bodies = dict.fromkeys(("entry", "kind", "term", "trader", "written_at", "queued", "deposits", "decided"), "")
    town.books.log.update_many(
        {"_id": {"$lt": 4}},
        {"$unset": bodies | {"reason": ""}, "$set": {"cut": True}},
        bypass_document_validation=True,
    )
    report = town.audit()
    assert report.verdict is not None
    assert report.answer == "holds", str(report.verdict)
    assert (report.verdict.counts.entries, report.verdict.counts.cut, report.verdict.counts.sales) == (7, 4, 5)
    assert "note: the log was cut at 0 to 3; of what it held there only the books could be judged" in printed(report)
    assert "7 log entries (4 cut)" in printed(report)
    town.books.requests.delete_one({"_id": "buyer1.r6"})
    report = town.audit()
    assert report.verdict is not None
    assert "books_follow_log" in report.verdict.violated


def test_a_log_that_was_cut_too_far_is_named(town: Town) -> None:
    """What was told of it can be found nowhere; looking for it comes to an end all the same."""
    builder = small_log()
    only_in_the_log(town, builder, -1)
    place = {"_id": 2, "cut": True, "new_requests": ["buyer1.r6"]}
    town.books.log.replace_one({"_id": 2}, place, bypass_document_validation=True)
    town.journal("buyer1").write_text(told_buyer(builder, "buyer1.r6"))
    verdict = town.audit(calm=False).verdict
    assert verdict is not None
    assert {"acknowledged_is_recorded", "books_follow_log"} <= set(verdict.violated)
    assert "it was cut, although the books are made only up to -1" in str(verdict)
