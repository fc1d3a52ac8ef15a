"""Long books are audited in a stream: what the audit holds in memory stays small. The figures are printed."""

from __future__ import annotations

import json
import tracemalloc
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from db.audit.auditing import audit
from db.mongod.process import MongodProcess
from tests.fixtures.mongo import Books
from tests.helpers.bookkeeping import RATE, to_bson
from tests.helpers.long_books import long_books

SALES = 5_000
MOST_BYTES_A_SALE = 1500
"""150 MB for 100,000 sales."""


def write_books(books: Books, directory: Path, sales: int) -> None:
    """Generates a sound log and its books straight into MongoDB, and the journals beside them."""
    (directory / "journals").mkdir()
    pieces = long_books(sales, log=True)
    with (directory / "journals" / "all.jsonl").open("w") as journal:
        for chunk in iter(lambda: list(islice(pieces, 5000)), []):
            kept: dict[str, list[dict[str, Any]]] = {}
            for collection, document in chunk:
                kept.setdefault(collection, []).append(document)
            journal.writelines(json.dumps(entry) + "\n" for entry in kept.pop("journals", ()))
            for post in kept.pop("posts", ()):
                books.posts.replace_one({"_id": "main"}, post, upsert=True, bypass_document_validation=True)
            for collection, documents in kept.items():
                books[collection].insert_many(map(to_bson, documents), ordered=False, bypass_document_validation=True)


def test_long_books_are_audited_in_little_memory(
    mongod: MongodProcess, books: Books, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_books(books, tmp_path, SALES)
    tracemalloc.start()
    try:
        report = audit(mongod.uri, books.name, tmp_path, commission_rate=RATE)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert report.verdict is not None
    assert report.answer == "holds", str(report.verdict)
    assert report.verdict.counts.sales == SALES
    assert report.verdict.counts.journal_entries == 3 * SALES + SALES // 10
    with capsys.disabled():
        print(f"\n{SALES:,} sales audited in {report.seconds:.1f} s while traced, {peak / 1e6:.0f} MB at the peak")
    assert peak < SALES * MOST_BYTES_A_SALE
