"""A database with a log and its books in it, and a directory with journals, for tests of the audit."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from bson.int64 import Int64
from rich.console import Console

from db.audit.auditing import AuditReport, audit, render
from db.mongod.process import MongodProcess
from tests.bookkeeping import RATE, Clerk, LogBuilder, small_log, sort_key, to_bson
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
        """Writes books as they are, and their log if there is one; whatever the schema says of either."""
        log = clerk.log if isinstance(clerk, LogBuilder) else []
        for name, documents in (
            ("log", log),
            ("requests", clerk.requests.values()),
            ("deposits", clerk.deposits.values()),
            ("elections", clerk.elections),
        ):
            for each in documents:
                self.books[name].insert_one(to_bson(each), bypass_document_validation=True)
        replace_post(clerk.post)(self.books)
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
    town.record(small_log())
    return town


def update(collection: str, document: object, **changes: object) -> Plant:
    def plant(books: Books) -> object:
        # A validator would refuse most of these, as it should; here somebody got past it.
        return books[collection].update_one({"_id": document}, {"$set": changes}, bypass_document_validation=True)

    return plant


def replace_post(post: dict[str, Any]) -> Plant:
    return lambda books: books.posts.replace_one({"_id": "main"}, post, upsert=True, bypass_document_validation=True)


def forget(books: Books) -> None:
    """One more request is queued, and waits for ever."""
    order = sort_key(99, "buyer0", "buyer0.r99")
    request = {
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
        "at": 7,
    }
    entry = {"_id": 7, "entry": "e7", "kind": "queue", "term": 2, "trader": "merchant9"}
    entry |= {"written_at": request["queued_at"], "new_requests": ["buyer0.r99"], "queued": [request]}
    books.log.insert_one(entry, bypass_document_validation=True)
    books.requests.insert_one(request, bypass_document_validation=True)
    update("posts", "main", made=7, arrival=7)(books)


def printed(report: AuditReport) -> str:
    out = io.StringIO()
    render(report, Console(file=out, width=200))
    return out.getvalue()
