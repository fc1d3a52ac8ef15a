"""Sound logs of any kind hold, with books made to any place, torn or cut; and no single change goes unseen."""

from __future__ import annotations

from copy import deepcopy
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from db.audit.invariants import check_books
from tests.helpers.bookkeeping import RATE, Document, LogBuilder
from tests.helpers.long_books import long_books
from tests.helpers.planting import judge_log
from tests.unit.audit.test_invariants_model import operations

histories = st.lists(st.one_of(operations, st.tuples(st.sampled_from(("queue", "flush")))), max_size=40)
seeds = st.integers(0, 2**32)

SAYS_NOTHING = {"entry", "written_at", "reason"}
"""Fields of an entry that the books do not repeat; `written_at` is checked where it says since when a trader is."""


def play(history: list[tuple[Any, ...]]) -> LogBuilder:
    builder = LogBuilder()
    for name, *arguments in history:
        getattr(builder, name)(*arguments)
    builder.flush()
    return builder


@given(histories)
def test_sound_logs_of_any_kind_hold(history: list[tuple[Any, ...]]) -> None:
    builder = play(history)
    verdict = judge_log(builder, journals=builder.journals, calm=builder.waiting == 0)
    assert verdict.holds, str(verdict)
    assert verdict.counts.entries == len(builder.log)


@given(histories, seeds)
def test_books_may_be_behind_torn_and_their_log_cut(history: list[tuple[Any, ...]], seed: int) -> None:
    builder, rng = play(history), Random(seed)
    made = rng.randrange(-1, len(builder.log))
    books = builder.books(made, rng.choice)
    builder.cut(rng.randrange(made + 2))
    verdict = judge_log(builder, books, journals=builder.journals, calm=False)
    assert verdict.holds, str(verdict)


def changed(value: Any) -> Any:
    if isinstance(value, datetime):
        return value + timedelta(milliseconds=1)
    if isinstance(value, int | Decimal):
        return value + 1
    if isinstance(value, dict):
        return {"lamport": 999}
    return value[:-1] if isinstance(value, list) else f"{value}x"


def change(document: Document, rng: Random) -> str:
    """Changes a field of the document, or takes it away; returns what was done."""
    field = rng.choice(sorted(document))
    was = document[field]
    if rng.random() < 0.3:
        del document[field]
    else:
        document[field] = changed(was)
    return f"{field} of {document.get('_id')} was {was}, is {document.get(field)}"


def inner(builder: LogBuilder) -> list[Document]:
    arrays = ("queued", "deposits", "decided")
    return [each for entry in builder.log for array in arrays for each in entry.get(array, ())]


def spoil(builder: LogBuilder, books: dict[str, list[Document]], rng: Random) -> str:
    """One change to the log or the books; returns what was done, or nothing if it says nothing."""
    kind = rng.choice(
        ("entry", "inner", "inner", "book", "book", "post", "drop", "twice", "swap", "lose", "lose", "more")
    )
    records = books["requests"] + books["deposits"]
    if kind == "entry":
        entry = rng.choice(builder.log)
        before = deepcopy(entry)
        what = change(entry, rng)
        differs = {field for field in {**before, **entry} if before.get(field) != entry.get(field)}
        return "" if differs <= SAYS_NOTHING else what
    if kind == "inner" and inner(builder):
        return change(rng.choice(inner(builder)), rng)
    if kind == "book" and records:
        return change(rng.choice(records), rng)
    if kind == "post" and books["posts"]:
        return change(books["posts"][0], rng)
    if kind == "drop":
        return f"without {builder.log.pop(rng.randrange(len(builder.log)))}"
    if kind == "twice":
        entry = deepcopy(rng.choice(builder.log))
        builder.log.append({**entry, "_id": len(builder.log)})
        return f"{entry['_id']} again at the end"
    if kind == "swap" and len(builder.log) > 1:
        one, other = rng.sample(builder.log, 2)
        one["_id"], other["_id"] = other["_id"], one["_id"]
        return f"{one['_id']} and {other['_id']} have changed places"
    if kind == "lose" and records:
        lost = rng.choice(records)
        for name in ("requests", "deposits"):
            books[name] = [each for each in books[name] if each is not lost]
        return f"{lost['_id']} is lost from the books"
    if kind == "more" and records:
        name = rng.choice([name for name in ("requests", "deposits") if books[name]])
        books[name].append({**rng.choice(books[name]), "_id": "x"})
        return "one more in the books"
    return ""


@given(histories, seeds)
def test_no_single_change_goes_unseen(history: list[tuple[Any, ...]], seed: int) -> None:
    builder, rng = play(history), Random(seed)
    books = builder.books()
    what = spoil(builder, books, rng)
    verdict = judge_log(builder, books, calm=True)
    if what and builder.waiting == 0:
        assert verdict.violated, what
    elif what:
        assert set(verdict.violated) - {"nothing_forgotten"}, what


@given(histories, seeds)
def test_no_change_to_books_that_are_behind_goes_unseen(history: list[tuple[Any, ...]], seed: int) -> None:
    builder, rng = play(history), Random(seed)
    made = rng.randrange(len(builder.log))
    books = builder.books(made, rng.choice)
    record = rng.choice([*books["requests"], *books["deposits"], *books["posts"]])
    what = change(record, rng)
    if what.startswith("made of main") and "made" in record:
        return  # Books that hold newer documents than they claim may just as well claim more.
    verdict = judge_log(builder, books, calm=False)
    assert "books_follow_log" in verdict.violated, what


def test_long_sound_logs_hold() -> None:
    books: dict[str, list[Document]] = {}
    for collection, document in long_books(3000, log=True):
        books.setdefault(collection, []).append(document)
    verdict = check_books(**books, commission_rate=RATE)  # type: ignore[arg-type]
    assert verdict.holds, str(verdict)
    assert verdict.counts.sales == 3000
