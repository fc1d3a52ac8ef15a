"""Books that are behind their log or torn, and a log that was cut: what holds, and which fault is named."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.helpers.bookkeeping import Document, LogBuilder, small_log
from tests.helpers.log_planting import (
    Plant,
    book,
    both,
    decide_again,
    entry,
    extra,
    post,
    unmake,
)
from tests.helpers.planting import (
    BOAR,
    FIRST,
    FISH,
    FOURTH,
    IN_VAIN,
    SALT,
    SECOND,
    THIRD,
    judge_log,
)

# -- books that are behind, or torn --------------------------------------------------------------------------


@pytest.mark.parametrize("made", range(-1, 7))
def test_books_may_be_behind_while_things_are_not_calm(made: int) -> None:
    b = small_log()
    for pick in (None, lambda versions: versions[-1]):
        verdict = judge_log(b, b.books(made, pick), calm=False)
        assert verdict.holds, str(verdict)
        notes = verdict.of("books_follow_log").notes
        entries = "1 entry" if made == 5 else f"{6 - made} entries"
        assert notes == (() if made == 6 else (f"the books were {entries} behind the log",))


def test_at_rest_they_are_not() -> None:
    b = small_log()
    verdict = judge_log(b, b.books(2))
    assert verdict.violated == ("books_follow_log",)
    assert "the log goes on to 6; at rest, the books are made only up to 2" in verdict.violations[0].what


def torn(b: LogBuilder) -> dict[str, list[Document]]:
    """Made up to 2, with all documents newer that can be."""
    return b.books(2, lambda versions: versions[-1])


@pytest.mark.parametrize(
    ("collection", "record_id", "changes", "words"),
    [
        ("requests", FOURTH, {"seller": "seller3"}, "at 5, its seller is seller3; the log says seller4"),
        ("requests", FOURTH, {"at": 3}, "at 3, its status is sold; the log says queued"),
        ("requests", FOURTH, {"at": 4}, "its at is 4; it is touched by the log at 3, 5"),
        ("deposits", SALT, {"remaining": 4}, "remaining is 4; at 5 the log adds up to 1"),
        ("deposits", FISH, {"at": 2}, "remaining is 2; at 2 the log adds up to 6"),
    ],
)
def test_a_newer_document_is_checked_too(collection: str, record_id: str, changes: Document, words: str) -> None:
    b = small_log()
    books = torn(b)
    next(each for each in books[collection] if each["_id"] == record_id).update(changes)
    verdict = judge_log(b, books, calm=False)
    assert verdict.violated == ("books_follow_log",)
    assert words in verdict.violations[0].what


def test_books_that_were_deleted_are_missing_as_far_as_they_were_made() -> None:
    b = small_log()
    books = {"requests": [], "deposits": [], "posts": b.books(3)["posts"]}
    finding = judge_log(b, books, calm=False).of("books_follow_log")
    assert finding.found == 5 + 4
    assert judge_log(b, {"requests": [], "deposits": [], "posts": []}, calm=False).holds


# -- a log that was cut --------------------------------------------------------------------------------------


@pytest.mark.parametrize("places", range(1, 8))
def test_where_the_log_was_cut_the_books_serve(places: int) -> None:
    b = small_log()
    b.cut(places)
    verdict = judge_log(b, journals=b.journals)
    assert verdict.holds, str(verdict)
    assert (verdict.counts.entries, verdict.counts.cut, verdict.counts.sales) == (7, places, 5)
    (note,) = verdict.of("books_follow_log").notes
    assert note.startswith(f"the log was cut at {'0' if places == 1 else f'0 to {places - 1}'}; ")


@pytest.mark.parametrize(
    ("places", "invariant", "plant", "words"),
    [
        (3, "books_follow_log", lambda b: b.requests.pop(SECOND), "missing: the entry at 2 wrote it"),
        (3, "books_follow_log", lambda b: b.deposits.pop(BOAR), "missing: the entry at 1 wrote it"),
        (3, "books_follow_log", book(FISH, remaining=9), "remaining is 9; at 5 the log adds up to 2"),
        (7, "books_follow_log", book(FISH, remaining=9), "remaining is 9; at 5 the log adds up to 2"),
        (3, "books_follow_log", lambda b: extra(b, seq=7), "the books hold this outcome; the log has no such"),
        (7, "books_follow_log", lambda b: extra(b, seq=7), "no entry up to 6, which was cut, brought it"),
        (7, "books_follow_log", lambda b: extra(b, seq=None), "the log has no such"),
        (4, "books_follow_log", lambda b: unmake(b, THIRD), "as it was at 3: the entry at 5"),
        (5, "books_follow_log", post(made=4, term=1, seq=2), "it is merchant9's, of term 1"),
        (4, "books_follow_log", post(made=3, term=2, seq=2), "its term is 2; the next entry begins term 2"),
        (5, "books_follow_log", post(made=3), "it was cut, although the books are made only up to 3"),
        (3, "decided_once", entry(6, new_requests=[IN_VAIN, FIRST]), "name buyer0.r5, which it does not hold"),
        (3, "decided_once", lambda b: b.log[1]["new_requests"].append(SECOND), "at place 2, and came before"),
        (3, "decided_once", decide_again, "seq 1 was given to nobody"),
        (7, "decided_once", both(IN_VAIN, seq=7), "seq 6 was given to nobody"),
        (3, "money_conserved", book(FIRST, earned=Decimal("11.53")), "make 14.41"),
        (7, "no_oversell", book(SALT, quantity=2), "sold 3 out of 2 that were left"),
    ],
)  # fmt: skip
def test_faults_around_a_cut(places: int, invariant: str, plant: Plant, words: str) -> None:
    b = small_log()
    b.cut(places)
    plant(b)
    verdict = judge_log(b)
    assert any(words in violation.what for violation in verdict.of(invariant).violations), str(verdict)


@pytest.mark.parametrize("rubbish", [None, "x", -1, 3.5, True, [], {}, [{}], ["x"], [None], 2**70, float("nan")])
def test_rubbish_in_any_field_is_judged_and_not_stumbled_over(rubbish: object) -> None:
    fields = {field for each in small_log().log for field in each}
    for field in sorted(fields | {"made", "arrival", "since", "at", "seq", "remaining"}):
        for place in range(7):
            b = small_log()
            inside = [each for array in ("queued", "deposits", "decided") for each in b.log[place].get(array, ())]
            for document in (b.log[place], b.post, *inside, *b.requests.values(), *b.deposits.values()):
                if field in document:
                    document[field] = rubbish
            judge_log(b, journals=b.journals)


def test_journals_are_held_against_the_log() -> None:
    b = small_log()
    assert judge_log(b, b.books(0), journals=b.journals, calm=False).holds
    b.log.pop()
    verdict = judge_log(b, b.books(5), journals=b.journals, calm=False)
    assert verdict.violated == ("acknowledged_is_recorded",)
    assert verdict.violations[0].documents == (IN_VAIN,)


def test_who_was_queued_by_an_earlier_entry_was_certainly_waiting() -> None:
    """Neither numbers nor times tell, within one millisecond; places do."""

    def overtaken(*, queued: bool) -> LogBuilder:
        b = LogBuilder()
        high, low = b.ask("buyer0", "fish", 1, 50), b.ask("buyer1", "fish", 1, 1)
        if queued:
            b.queue()
        b.decide()
        b.requests[high]["seq"], b.requests[low]["seq"] = 1, 2
        b.rewrite()
        b.log[-1]["decided"].sort(key=lambda each: each["seq"])
        return b

    assert judge_log(overtaken(queued=False)).holds
    assert judge_log(overtaken(queued=True)).violated == ("lowest_clock_first",)
