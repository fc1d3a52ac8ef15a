"""What was told below a majority and is gone could be lost; what no write level allows for is a violation."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from db.audit.findings import LOST, Verdict
from db.audit.invariants import Evidence, acknowledged_is_recorded, check_books
from db.audit.report import AuditReport
from tests.helpers.bookkeeping import LogBuilder

Document = dict[str, Any]


def with_lost_end(level: str | None) -> tuple[LogBuilder, list[Document]]:
    """A log whose first term was at that level and has lost its last two decisions; and all that was told."""
    before = LogBuilder()
    before.deposit("seller1", "fish", 9, "5.00", 1)
    for time in (2, 3):
        before.ask("buyer0", "fish", 1, time)
    before.decide()
    before.flush()
    fallen = deepcopy(before)
    for time in (4, 5):
        fallen.ask("buyer0", "fish", 1, time)
    fallen.deposit("seller1", "salt", 4, "2.00", 6)
    fallen.decide()
    before.elect("merchant9")
    before.ask("buyer2", "fish", 1, 7)
    before.decide()
    if level is not None:
        for entry in before.log:
            if entry["kind"] == "office":
                entry["write_level"] = level
    return before, fallen.journals + before.journals[len(fallen.journals) :]


def judged(books: LogBuilder, journals: list[Document]) -> Verdict:
    documents = (list(books.requests.values()), list(books.deposits.values()), books.posts)
    return check_books(*documents, log=books.log, elections=books.elections, journals=journals)


@pytest.mark.parametrize("level", ["one", "two"])
def test_the_end_of_a_term_below_a_majority_could_be_lost(level: str) -> None:
    books, journals = with_lost_end(level)
    verdict = judged(books, journals)
    found = verdict.of("acknowledged_is_recorded")
    assert (found.state, found.found) == (LOST, 3), found
    assert verdict.violated == ()
    assert not verdict.holds
    assert any(f"at write level {level}" in note for note in found.notes)
    report = AuditReport(database="bazaar", seconds=1.0, verdict=verdict)
    assert (report.answer, report.exit_code) == (LOST, 1)
    alone = acknowledged_is_recorded(Evidence(log=books.log, journals=journals))
    assert alone.state == LOST


def test_the_same_at_a_majority_is_a_violation() -> None:
    books, journals = with_lost_end(None)
    verdict = judged(books, journals)
    assert verdict.of("acknowledged_is_recorded").state == "violated"
    assert AuditReport(database="bazaar", seconds=1.0, verdict=verdict).answer == "violated"


def test_nothing_is_lost_out_of_the_middle_of_a_term() -> None:
    books, journals = with_lost_end("one")
    told = next(line for line in journals if line["kind"] == "told")
    told["outcome"]["trader"] = "merchant9"  # Its number stands in the log, and the log says otherwise.
    verdict = judged(books, journals)
    assert verdict.of("acknowledged_is_recorded").state == "violated"
    assert len(verdict.of("acknowledged_is_recorded").violations) == 1


def test_a_level_below_a_majority_that_lost_nothing_holds_and_is_noted() -> None:
    books, _ = with_lost_end("one")
    verdict = judged(books, books.journals)
    found = verdict.of("acknowledged_is_recorded")
    assert (found.state, found.notes) == (
        "holds",
        ("what was told last could be lost in terms 1 to 2 at write level one",),
    )
    assert verdict.holds
