"""A sale that was taken back gave back goods and money, once, and both sides were told; what did not is named."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from db.audit.checkers.compensation import TOLD_WITHIN_MS
from db.audit.checkers.together import Checkers
from db.audit.findings import Verdict
from db.audit.folding.fold import Fold, StoredBooks
from db.audit.invariants import Evidence, check_books, compensated_whole
from db.audit.rows import JournalEntry
from db.ledger.memory import MemoryLedger
from peers.core.journal import journal_line
from peers.core.ledger.log import Entry
from peers.core.ledger.port import Append, Appended
from peers.core.ledger.post_state import PostState
from peers.core.market.records import Outcome
from peers.core.reports import GotBack, TookBack
from tests.helpers.deals import T0_MS, accepted, office, recount, sold, stock, taken_back, trade, unavailable

Documents = dict[str, list[dict[str, Any]]]
Plant = Callable[[Documents], object]

FISH = stock("d1", 9)
SALES = tuple(sold(accepted(number, quantity=2), number, FISH) for number in (1, 2, 3))
UNDONE = taken_back(SALES[1], 1, term=2, trader="merchant8")
TAKES_BACK = 3
"""The place of the entry that takes r2 back: of nine 6 were sold, 2 come back, and 4 are not there."""


def entries() -> tuple[Entry, ...]:
    """The sale of r2 is taken back under a later trader than it was made, and what came back is sold again; then its
    buyer asks for more than there is."""
    counted = recount(FISH, left=3, returned=2, written_off=4)
    again = sold(accepted(4, term=2), 4, FISH, term=2, trader="merchant8")
    in_vain = unavailable(accepted(5, quantity=5, term=2), 5, term=2, trader="merchant8")
    return (
        office(1),
        trade(*SALES, deposits=(FISH,)),
        office(2, "merchant8"),
        trade(reversals=(UNDONE,), recounts=(counted,), term=2, trader="merchant8"),
        trade(again, in_vain, term=2, trader="merchant8"),
    )


def documents(*, books: int = 4) -> Documents:
    """The log, and books that are made up to the entry at that place."""
    ledger, state = MemoryLedger(), PostState()
    for place, entry in enumerate(entries()):
        assert ledger.perform(Append(place=place, entry=entry)) == Appended()
        made = state.take_in(entry)
        if place <= books:
            ledger.make(made)
    return deepcopy(ledger.documents())


def judge(given: Documents, *, journals: list[dict[str, Any]] | None = None, calm: bool = True) -> Verdict:
    return check_books(
        given["requests"],
        given["deposits"],
        given["posts"],
        log=given["log"] or None,
        journals=journals or [],
        calm=calm,
        commission_rate=Decimal("0.20"),
    )


def cut(given: Documents, places: int) -> Documents:
    """The first entries of the log lose their bodies."""
    ids = ("_id", "new_requests", "new_deposits", "new_reversals")
    for place in range(min(places, len(given["log"]))):
        whole = given["log"][place]
        given["log"][place] = {field: whole[field] for field in ids if field in whole} | {"cut": True}
    return given


def test_a_sale_that_was_taken_back_whole_holds() -> None:
    verdict = judge(documents())
    assert verdict.violated == (), str(verdict)
    assert (verdict.counts.sales, verdict.counts.reversals) == (4, 1)
    assert verdict.counts.amount == 5 * FISH.offer.price


@pytest.mark.parametrize("made", range(-1, 5))
def test_while_the_town_is_at_work_the_books_may_be_behind(made: int) -> None:
    verdict = judge(documents(books=made), calm=False)
    assert verdict.violated == (), str(verdict)


@pytest.mark.parametrize("places", range(1, 5))
def test_of_a_log_that_was_cut_the_books_say_it(places: int) -> None:
    verdict = judge(cut(documents(), places))
    assert verdict.violated == (), str(verdict)
    assert verdict.counts.reversals == 1
    assert verdict.counts.sales == 4


def test_books_without_a_log_say_it_by_themselves() -> None:
    given = documents()
    for each in (*given["requests"], *given["deposits"]):
        del each["at"]
    del given["posts"][0]["made"]
    verdict = judge({**given, "log": []})
    assert verdict.violated == (), str(verdict)
    assert verdict.counts.reversals == 1


def in_entry(**changes: object) -> Plant:
    """Something else stands in what undid the sale, in log and books alike."""

    def plant(given: Documents) -> None:
        (undone,) = given["log"][TAKES_BACK]["reversals"]
        undone["taken_back"].update(changes)
        book = next(each for each in given["requests"] if each["_id"] == "r2")
        book["taken_back"].update(changes)

    return plant


def recounted(**changes: object) -> Plant:
    return lambda given: given["log"][TAKES_BACK]["recounts"][0].update(changes)


def in_sale(**changes: object) -> Plant:
    """What is taken back is another sale than was made."""

    def plant(given: Documents) -> None:
        given["log"][TAKES_BACK]["reversals"][0].update(changes)
        next(each for each in given["requests"] if each["_id"] == "r2").update(changes)

    return plant


def twice(given: Documents) -> None:
    undone = given["log"][TAKES_BACK]["reversals"][0]
    again = {**undone, "at": 5, "taken_back": {**undone["taken_back"], "number": 2}}
    counted = deepcopy(given["log"][TAKES_BACK]["recounts"][0])
    counted["deposit"].update(remaining=0, written_off=7, at=5)
    counted.update(returned=2, written_off=3)
    entry = {**given["log"][TAKES_BACK], "_id": 5, "entry": "again", "reversals": [again], "recounts": [counted]}
    given["log"].append(entry)


@pytest.mark.parametrize(
    ("plant", "documents_named", "words"),
    [
        (in_entry(commission=Decimal("0.00")), ("r2",), "its commission was 2.88; given back was 0.00"),
        (in_entry(amount=None), ("r2",), "its amount was 14.40; given back was None"),
        (in_entry(number=2), ("r2",), "it is reversal 2; the next number is 1"),
        (in_entry(term=1), ("r2", "log 3"), "taken back by merchant8 in term 1"),
        (in_sale(quantity=1), ("d1", "log 3"), "sales of 1 out of it are taken back, and 2 come back to it"),
        (recounted(returned=4), ("d1", "log 3"), "sales of 2 out of it are taken back, and 4 come back to it"),
        (recounted(returned=0), ("d1", "log 3"), "and 0 come back to it"),
        (lambda given: given["log"][TAKES_BACK].update(new_reversals=["r1"]), ("log 3",), "its new_reversals"),
        (in_sale(seller="seller2"), ("r2",), "is not what was sold to it before, as seq 2"),
        (twice, ("r2",), "its sale is taken back a second time"),
    ],
)
def test_what_is_half_undone_is_named(plant: Plant, documents_named: tuple[str, ...], words: str) -> None:
    given = documents()
    plant(given)
    finding = compensated_whole(
        Evidence(requests=given["requests"], deposits=given["deposits"], posts=given["posts"], log=given["log"])
    )
    assert finding.state == "violated"
    first = finding.violations[0]
    assert words in first.what
    assert first.documents == documents_named


def test_goods_that_come_back_and_are_not_there_are_an_oversell() -> None:
    given = documents()
    given["log"][TAKES_BACK]["recounts"][0]["deposit"]["remaining"] = 3
    verdict = judge(given)
    assert "it is counted at 3 left and 4 written off; that makes 1 and 4" in str(
        verdict.of("no_oversell").violations
    )


def test_books_that_do_not_say_that_a_sale_was_taken_back_are_named() -> None:
    given, before = documents(), documents(books=2)
    given["requests"] = [*(each for each in given["requests"] if each["_id"] != "r2")]
    given["requests"] += [each for each in before["requests"] if each["_id"] == "r2"]
    verdict = judge(given)
    assert verdict.violated == ("books_follow_log",)
    assert "the entry at 3 took the sale back; the books do not say so" in verdict.violations[0].what


def test_books_that_took_back_what_the_log_did_not_are_named() -> None:
    given = documents()
    sale = next(each for each in given["requests"] if each["_id"] == "r3")
    sale |= {"at": 3, "taken_back": given["log"][TAKES_BACK]["reversals"][0]["taken_back"]}
    verdict = judge(given)
    assert verdict.violated == ("books_follow_log",)


# -- journals ------------------------------------------------------------------------------------------------------


def line(report: GotBack | TookBack, after_ms: int = 100) -> dict[str, Any]:
    written = journal_line(report)
    assert written is not None
    return {"at_ms": T0_MS + 20_001 + after_ms, "peer": report.peer, **written}


def told(outcome: Outcome = UNDONE) -> list[dict[str, Any]]:
    return [line(GotBack(peer="buyer2", outcome=outcome)), line(TookBack(peer="seller1", outcome=outcome))]


def knows(peer: str, at_ms: int) -> dict[str, Any]:
    """A line that speaks of a decision after the reversal."""
    if peer == "seller1":
        return {"at_ms": at_ms, "peer": peer, "kind": "earned", "sale": {"request_id": "r4", "seq": 4}}
    return {"at_ms": at_ms, "peer": peer, "kind": "told", "outcome": {"request_id": "r5", "seq": 5}}


def later(peer: str, after_ms: int = TOLD_WITHIN_MS, *, fast_ms: int = 0) -> list[dict[str, Any]]:
    """What a peer wrote after the reversal, whose clock is fast by so much, and a last line so long afterwards."""
    at_ms = T0_MS + 20_001 + fast_ms
    return [knows(peer, at_ms), {"at_ms": at_ms + after_ms, "peer": peer, "kind": "offered"}]


def test_both_sides_were_told() -> None:
    assert judge(documents(), journals=[*told(), *later("buyer2"), *later("seller1")]).violated == ()


def test_whoever_may_have_said_so_in_a_line_that_cannot_be_read_is_not_blamed() -> None:
    checkers = Checkers(log_given=None)
    fold = Fold(checkers, checkers.follow, StoredBooks(posts=(), deposits=(), undecided=(), decided=()))
    for entry in documents()["log"]:
        fold.entry(entry)
    fold.finish()
    for line in [*told()[1:], *later("buyer2")]:
        checkers.journal_entry(msgspec.convert(line, JournalEntry), None)
    checkers.unreadable("buyer2.jsonl, line 7: it is torn")
    found = checkers.finish().of("compensated_whole")
    assert (found.state, found.why) == ("could not tell", "buyer2.jsonl, line 7: it is torn")


@pytest.mark.parametrize(("peer", "missing"), [("buyer2", 0), ("seller1", 1)])
def test_one_who_lived_on_and_was_not_told_is_named(peer: str, missing: int) -> None:
    lines = told()
    del lines[missing]
    verdict = judge(documents(), journals=[*lines, *later(peer)])
    assert verdict.violated == ("compensated_whole",)
    assert verdict.violations[0].what == f"its sale was taken back, and {peer} was not told"
    assert judge(documents(), journals=[*lines, *later(peer)], calm=False).violated == ()
    assert judge(documents(), journals=[*lines, *later(peer, 10)]).violated == (), "it may have been gone"


@pytest.mark.parametrize("places", range(6))
def test_who_was_gone_by_then_need_not_have_been_told_wherever_the_log_is_cut(places: int) -> None:
    last_ms = T0_MS + TOLD_WITHIN_MS
    of_before = {"at_ms": T0_MS, "peer": "seller1", "kind": "earned", "sale": {"request_id": "r3", "seq": 3}}
    gone = [of_before, {"at_ms": last_ms, "peer": "seller1", "kind": "offered"}]
    assert judge(cut(documents(), places), journals=gone).violated == ()
    assert judge(cut(documents(), places), journals=[of_before, *later("seller1")]).violated == ("compensated_whole",)


@pytest.mark.parametrize("fast_ms", [-3_600_000, 3_600_000])
@pytest.mark.parametrize("peer", ["buyer2", "seller1"])
def test_clocks_that_are_an_hour_apart_accuse_nobody_and_hide_nothing(peer: str, fast_ms: int) -> None:
    assert judge(documents(), journals=later(peer, 10, fast_ms=fast_ms)).violated == ()
    assert judge(documents(), journals=later(peer, fast_ms=fast_ms)).violated == ("compensated_whole",)


def test_whose_journals_cannot_be_had_may_have_been_told_or_not() -> None:
    given = documents()
    checkers = Checkers(log_given=True)
    fold = Fold(
        checkers,
        checkers.follow,
        StoredBooks(
            posts=given["posts"],
            deposits=given["deposits"],
            undecided=(),
            decided=sorted(given["requests"], key=lambda each: each["seq"]),
        ),
    )
    for entry in given["log"]:
        fold.entry(entry)
    fold.finish()
    checkers.journals_missing("journals of 192.0.2.7 could not be had: it does not answer")
    verdict = checkers.finish()
    for name in "compensated_whole", "acknowledged_is_recorded":
        assert verdict.of(name).state == "could not tell"
        assert "192.0.2.7" in verdict.of(name).why
    assert verdict.violated == ()


def test_one_who_was_told_of_what_did_not_happen_is_named() -> None:
    verdict = judge(documents(), journals=told(taken_back(SALES[0], 1)))
    assert "acknowledged_is_recorded" in verdict.violated
    assert "the ledger has it whole" in str(verdict)


def test_one_who_was_told_another_amount_is_named() -> None:
    lines = told()
    lines[0]["reversal"]["amount"] = "14.41"
    verdict = judge(documents(), journals=lines)
    assert verdict.violated == ("acknowledged_is_recorded",)
    assert "was told amount 14.41; the ledger says 14.40" in str(verdict)
