"""Whatever stands in a journal or a document, the audit does not raise; and what it cannot read it does not judge."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection
from copy import deepcopy
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from hypothesis import given
from hypothesis import strategies as st

from db.audit.auditing import read_history
from db.audit.checkers.acknowledgements import Subject
from db.audit.checkers.together import Checkers
from db.audit.findings import Verdict
from db.audit.folding.fold import Fold, StoredBooks
from db.audit.invariants import check_books
from db.audit.journals import Unreadable, Witness, read_journal
from db.audit.log_tail import Records
from db.audit.recorded import Recorded
from db.audit.testimony import hear
from tests.helpers.bookkeeping import RATE, Document, small_log
from tests.helpers.planting import FIRST, FISH, SECOND, judge_log

SEARCH = {
    "what": "search", "item": "fish", "area": "", "term": 1, "seq": 1, "place": 1, "rows": 1, "digest": "0" * 16,
    "first": [[FISH, 8]], "within_ms": 500, "since": {"term": 1, "seq": 0, "place": 0}, "asked_us": 6_000_000,
}  # fmt: skip
LINES: list[Document] = [
    {"kind": "opened"},
    {"kind": "asked", "request": {"request_id": FIRST, "buyer": "buyer0", "item": "fish", "quantity": 2}},
    {"kind": "told", "outcome": {"_id": FIRST, "status": "sold", "seq": 1, "price": "7.20", "clock": {"lamport": 5}}},
    {"kind": "offered", "offer": {"deposit_id": FISH}},
    {"kind": "deposited", "deposit": {"_id": FISH, "seller": "seller3", "quantity": 10, "remaining": 10}},
    {"kind": "earned", "sale": {"request_id": FIRST, "seq": 1, "item": "fish", "quantity": 2, "earned": "11.52"}},
    {"kind": "got_back", "reversal": {"request_id": SECOND, "seq": 2, "amount": "1.00", "number": 1, "place": 3}},
    {"kind": "read", "read": SEARCH},
    {"kind": "read", "read": {"what": "outcome", "request_id": FIRST, "state": "taken_back", "seq": 1, "place": 3}},
    {"kind": "read", "read": {"what": "areas", "wanted": ["a"], "answered": ["a"], "missing": [], "shown": ["a"]}},
]
for _line in LINES:
    _line |= {"peer": "buyer0", "at_ms": 7, "boot": "b", "mono_us": 7_000_000}
    _line.get("read", {}).setdefault("asked_us", 6_000_000)

ODD_JSON = [
    str(number + off) for power in (31, 53, 62, 63, 64) for number in (2**power, -(2**power)) for off in (-1, 0, 1)
]
ODD_JSON += ["9" * 30, "-" + "9" * 30, "9" * 5000, "1e400", "-1e400", "1e308", "1.5", "7.0", "NaN", "Infinity", "-1"]
ODD_JSON += ["null", "true", "{}", "[]", '""', '"\\u0000"', '"\\udc00"', '"\\ud800"', '"sNaN"', '"NaN"', '"x"', "0"]
ODD_JSON += ['"1E+999999"', '"1E-999999"', '"1e99999999999999999999"', "[[1, 2, 3]]", '[["x", 1e99]]', '{"a": [1]}']
ODD_JSON += ["[" * depth + "]" * depth for depth in (20, 300, 900, 100_000)]
ODD_JSON += ['{"a":' * depth + "1" + "}" * depth for depth in (20, 300, 900)]
ODD_JSON += ['"' + "x" * 2_000_000 + '"']

_MARK = "\x01here\x01"


def fields_of(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all fields, inner ones too."""
    inner = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [each for key, value in inner for each in ((*path, key), *fields_of(value, (*path, key)))]


def with_value(document: Document, path: tuple[Any, ...], value: object) -> Document:
    changed = deepcopy(document)
    inner: Any = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return changed


@st.composite
def lines(draw: st.DrawFn) -> str:
    """A line of a journal in which one field, at any depth, holds something odd; sometimes a second one too."""
    line = draw(st.sampled_from(LINES))
    odd = [draw(st.sampled_from(ODD_JSON)) for _ in range(draw(st.integers(1, 2)))]
    for _ in odd:
        path = draw(st.sampled_from(fields_of(line)))
        line = with_value(line, path, _MARK)
    text = json.dumps(line)
    for each in odd:
        text = text.replace(json.dumps(_MARK), each, 1)
    return text


class InMemory(Recorded):
    """What the log leaves recorded, asked for as the audit asks the database."""

    def look_up(self, subjects: Collection[Subject]) -> Records:
        known: dict[str, dict[str, Any]] = {"request": self.requests, "deposit": self.deposits}
        return {each: known[each[0]][each[1]] for each in subjects if each[1] in known[each[0]]}


def judge_lines(*given_lines: str) -> tuple[Verdict, list[Unreadable]]:
    """Judges the small log and these lines of a journal of another machine; returns what could not be read, too."""
    builder = small_log()
    builder.flush()
    books = builder.books()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "buyer0.jsonl"
        path.write_text("".join(f"{line}\n" for line in given_lines), encoding="utf-8")
        witnesses = [Witness(machine="10.0.0.7", paths=(path,))]
        checkers = Checkers(commission_rate=RATE, log_given=None, history=read_history(witnesses))
        recorded = InMemory(checkers)
        decided = sorted((each for each in books["requests"] if each.get("seq", 0) > 0), key=lambda each: each["seq"])
        stored = StoredBooks(posts=books["posts"], deposits=books["deposits"], undecided=(), decided=decided)
        fold = Fold(recorded, checkers.follow, stored)
        for entry in builder.log:
            fold.entry(entry)
        fold.finish()
        list(hear(witnesses, recorded, checkers))
        return checkers.finish(), [each for each in read_journal(path) if isinstance(each, Unreadable)]


@given(st.lists(lines(), min_size=1, max_size=3))
def test_no_line_of_a_journal_ends_the_audit(given_lines: list[str]) -> None:
    verdict, unreadable = judge_lines(*given_lines)
    str(verdict)
    if unreadable:
        assert not verdict.holds


@pytest.mark.parametrize("line", LINES, ids=lambda line: line["kind"])
def test_the_lines_themselves_can_be_read(line: Document) -> None:
    _, unreadable = judge_lines(json.dumps(line))
    assert not unreadable


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 10**22, 2**62, -(2**62)])
@pytest.mark.parametrize("field", ["mono_us", "at_ms"])
def test_a_time_that_no_clock_shows_is_unreadable_and_the_journal_is_named(field: str, value: int) -> None:
    verdict, (unreadable,) = judge_lines(json.dumps(LINES[2] | {field: value}))
    assert not verdict.violated
    found = verdict.of("acknowledged_is_recorded")
    assert (found.state, unreadable.why in found.why) == ("could not tell", True)
    assert "buyer0.jsonl, line 1" in found.why
    assert "10.0.0.7" in found.why


@pytest.mark.parametrize("value", [2**63, "x", -1, True, 1.5, None])
@pytest.mark.parametrize("field", ["asked_us", "within_ms", "term", "seq", "place", "rows"])
def test_what_was_read_as_of_no_number_is_not_judged(field: str, value: object) -> None:
    if (field, value) in (("within_ms", None), ("place", -1)):
        return  # Who asked did not say, so it may miss nothing; and -1 is the place before the first.
    verdict, _ = judge_lines(json.dumps(with_value(LINES[7], ("read", field), value)))
    assert not verdict.violated
    assert not verdict.holds
    assert "buyer0" in " ".join(each.why for each in verdict.findings)


@pytest.mark.parametrize("within_ms", [2**53 - 1, 2**62, 2**63 - 1])
def test_who_may_miss_a_hundred_years_may_miss_everything(within_ms: int) -> None:
    verdict, unreadable = judge_lines(json.dumps(with_value(LINES[7], ("read", "within_ms"), within_ms)))
    assert not unreadable
    assert verdict.of("reads").state == "violated"  # Its digest is wrong.


# -- documents ---------------------------------------------------------------------------------------------

ODD_VALUES: list[Any] = [
    None, True, -1, 0, Int64(2**63 - 1), Int64(-(2**63)), 2**62, 1.5, float("inf"), float("-inf"), float("nan"), "",
    "x", [], {}, [1], {"a": 1}, [[1]], [{}], b"x", Decimal128("1E+6000"), Decimal128("-1E+6000"), "1E+999999",
    Decimal128("1E-6000"), Decimal128("0E+6000"), Decimal128("NaN"), Decimal128("sNaN"), Decimal128("Infinity"),
    Decimal("1E+30"), "1e99999999999999999999", "9" * 5000, Decimal128("9" * 34), DatetimeMS(2**62),
    "x\x00y", datetime(1, 1, 1), datetime(9999, 12, 31, tzinfo=UTC), {"lamport": Int64(2**63 - 1)},
    {"vector": {"a": Int64(2**63 - 1), "b": -1}}, {"vector": []},
    {"number": Int64(2**63 - 1)}, [{"deposit": "x", "units": Int64(2**63 - 1)}],
]  # fmt: skip


@st.composite
def spoilt(draw: st.DrawFn) -> tuple[list[Document], dict[str, list[Document]]]:
    """A log and its books, with odd values in one to three fields."""
    builder = small_log()
    builder.flush()
    log, books = deepcopy(builder.log), builder.books()
    books["elections"] = deepcopy(builder.elections)
    for _ in range(draw(st.integers(1, 3))):
        where = draw(st.sampled_from([log, *books.values()]))
        number = draw(st.integers(0, len(where) - 1))
        path = draw(st.sampled_from(fields_of(where[number]) or [("x",)]))
        where[number] = with_value(where[number], path, draw(st.sampled_from(ODD_VALUES)))
    return log, books


@given(spoilt(), st.booleans())
def test_no_document_ends_the_audit(spoilt: tuple[list[Document], dict[str, list[Document]]], has_log: bool) -> None:
    log, books = spoilt
    journals = small_log().journals
    options: dict[str, Any] = {"elections": books["elections"], "commission_rate": RATE, "journals": journals}
    str(check_books(books["requests"], books["deposits"], books["posts"], log=log if has_log else None, **options))


def test_an_amount_beyond_all_money_is_none() -> None:
    builder = small_log()
    builder.requests[FIRST]["amount"] = Decimal128("1E+6000")
    builder.rewrite()
    assert "money_conserved" in judge_log(builder).violated
