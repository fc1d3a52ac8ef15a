"""The log is judged, and the books have to follow it: each fault planted in one or the other is named."""

from __future__ import annotations

from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest

from db.audit.invariants import INVARIANTS, Evidence, check_books
from tests.helpers.bookkeeping import RATE, small_log, to_bson
from tests.helpers.log_planting import (
    Plant,
    all_of,
    book,
    both,
    decide_again,
    drop,
    entry,
    extra,
    later,
    oversell,
    post,
    queue_again,
    renumber,
    swap,
    unmake,
    written,
)
from tests.helpers.planting import (
    BOAR,
    FIFTH,
    FIRST,
    FISH,
    FOURTH,
    IN_VAIN,
    MORE_FISH,
    SALT,
    SECOND,
    THIRD,
    judge_log,
)
from tests.unit.audit.test_invariants import FAULTS

LOG_FAULTS: list[tuple[str, str, Plant, str, str]] = [
    # Faults that decided_once finds.
    ("a place is missing", "decided_once", lambda b: b.log.pop(2), "log 3", "place 2 is missing; after 1 comes 3"),
    ("two are missing", "decided_once", lambda b: b.log.__delitem__(slice(1, 3)), "log 3", "place 1 to 2 is missing"),
    ("the first is missing", "decided_once", lambda b: b.log.pop(0), "log 1", "place 0 is missing"),
    ("a place twice", "decided_once", lambda b: b.log.append(deepcopy(b.log[6])), "log 6", "6 was given more than"),
    ("no place at all", "decided_once", entry(6, _id="6"), "log", "its place is '6'"),
    ("places from -1", "decided_once", renumber(-1, 0, 1, 2, 3, 4, 5), "log", "its place is -1"),
    ("a seq left out", "decided_once", both(IN_VAIN, seq=8), IN_VAIN, "seq 6 to 7 was given to nobody"),
    ("a seq twice", "decided_once", both(IN_VAIN, seq=5), IN_VAIN, "seq 5 was given more than once, or out of order"),
    (
        "against the order of places",
        "decided_once",
        all_of(both(FIRST, seq=2), both(SECOND, seq=1)),
        FIRST,
        "seq 1 was",
    ),
    ("decided again", "decided_once", decide_again, FIRST, "it is recorded more than once"),
    ("queued again", "decided_once", queue_again, FIFTH, "comes into the log at place 7, and came before"),
    (
        "an id comes twice",
        "decided_once",
        entry(6, new_requests=[IN_VAIN, THIRD]),
        "log 6",
        f"name {THIRD}, which it",
    ),
    ("an id twice in one", "decided_once", entry(6, new_requests=[IN_VAIN] * 2), "log 6", "name a request twice"),
    ("new although queued", "decided_once", entry(5, new_requests=[THIRD]), THIRD, "at place 5, and came before"),
    ("out of nowhere", "decided_once", drop(6, "new_requests"), IN_VAIN, "neither queued before nor is new there"),
    ("queued out of nowhere", "decided_once", drop(3, "new_requests"), FIFTH, "new_requests do not name it"),
    ("never queued", "decided_once", lambda b: b.log[3]["queued"].pop(), THIRD, "neither queued before nor is new"),
    ("named in vain", "decided_once", entry(1, new_deposits=[FISH, MORE_FISH, SALT, BOAR, "d9"]), "log 1", "name d9"),
    ("goods unnamed", "decided_once", entry(1, new_deposits=[FISH, MORE_FISH, SALT]), BOAR, "do not name it"),
    (
        "goods named twice",
        "decided_once",
        entry(1, new_deposits=[FISH, MORE_FISH, SALT, BOAR, BOAR]),
        "log 1",
        "twice",
    ),
    (
        "goods come again",
        "decided_once",
        lambda b: b.log[6].update(deposits=[b.log[1]["deposits"][3] | {"at": 6, "term": 2}], new_deposits=[BOAR]),
        BOAR,
        "at place 6, and came before",
    ),
    ("another at", "decided_once", written(FIRST, at=3), FIRST, "it stands at place 1; its at is 3"),
    ("another at of goods", "decided_once", written(SALT, at=3), SALT, "it stands at place 1; its at is 3"),
    ("another at in the queue", "decided_once", written(THIRD, 0, at=5), THIRD, "it stands at place 3; its at is 5"),
    ("decided but not so", "decided_once", both(IN_VAIN, status="queued"), IN_VAIN, "its status is queued"),
    ("queued as sold", "decided_once", written(THIRD, 0, status="sold"), THIRD, "it was queued there; its status is"),
    (
        "otherwise than queued",
        "decided_once",
        written(THIRD, 0, quantity=3),
        THIRD,
        "with another quantity than queued",
    ),
    ("kind of no kind", "decided_once", entry(2, kind="sell"), "log 2", "its kind is sell"),
    (
        "office with outcomes",
        "decided_once",
        lambda b: b.log[4].update(queued=b.log[3]["queued"]),
        "log 4",
        "more than",
    ),
    ("queue with outcomes", "decided_once", entry(5, kind="queue"), "log 5", "it queues nothing"),
    (
        "nothing in it",
        "decided_once",
        lambda b: b.log[6].update(decided=[], new_requests=[]),
        "log 6",
        "decides nothing",
    ),
    ("no list", "decided_once", entry(6, decided="much"), "log 6", "its decided is no list of documents"),
    ("no ids", "decided_once", entry(6, new_requests=[6]), "log 6", "its new_requests is no list of ids"),
    ("no writer", "decided_once", drop(6, "entry"), "log 6", "no id of its writer"),
    ("no date", "decided_once", entry(6, written_at="today"), "log 6", "it has no date"),
    ("an election for nothing", "decided_once", drop(4, "reason"), "log 4", "does not say why"),
    # Faults that one_trader_a_term finds.
    ("a term falls", "one_trader_a_term", entry(6, term=1, trader="merchant8"), "log 6", "after term 2 had begun"),
    ("a term without office", "one_trader_a_term", entry(6, term=3), "log 6", "term 3, which nobody began"),
    ("a term left out", "one_trader_a_term", entry(4, term=3), "log 4", "after term 1 comes 2"),
    ("a term begun again", "one_trader_a_term", entry(4, term=1), "log 4", "term 1 begins; term 1 had begun before"),
    ("not from the first", "one_trader_a_term", entry(0, term=2), "log 0", "after term 0 comes 1"),
    ("no office at the start", "one_trader_a_term", entry(0, kind="queue"), "log 0", "term 1, which nobody began"),
    ("another's entry", "one_trader_a_term", entry(6, trader="merchant7"), "log 6", "merchant7 wrote it in term 2"),
    ("no term", "one_trader_a_term", drop(6, "term"), "log 6", "its term is None"),
    ("no trader", "one_trader_a_term", entry(6, trader=None), "log 6", "its trader None"),
    (
        "decided for another",
        "one_trader_a_term",
        both(IN_VAIN, trader="merchant7"),
        IN_VAIN,
        "by merchant7 in term 2",
    ),
    ("decided in another", "one_trader_a_term", both(IN_VAIN, term=1), IN_VAIN, "in term 1; its entry is"),
    ("accepted in another", "one_trader_a_term", both(IN_VAIN, queued_term=1), IN_VAIN, "its queued_term is 1"),
    ("taken in in another", "one_trader_a_term", both(BOAR, term=2), BOAR, "its term is 2; its entry is of term 1"),
    (
        "elected beyond the log",
        "one_trader_a_term",
        lambda b: b.elections.append({**b.elections[1], "_id": 3, "term": 3}),
        "3",
        "has come only to term 2",
    ),
    (
        "elected was another",
        "one_trader_a_term",
        lambda b: b.elections[1].update(trader="merchant7"),
        "2",
        "term 2 has two traders: merchant7 and merchant9",
    ),
    # Faults that no_oversell finds.
    ("more than there was", "no_oversell", oversell, IN_VAIN, "seq 6 sold 2 out of 1 that were left"),
    ("not with all goods", "no_oversell", written(BOAR, remaining=1), BOAR, "taken in with 1 remaining of 2"),
    ("out of thin air", "no_oversell", both(FOURTH, deposit="d9"), FOURTH, "deposit d9, which is not"),
    ("sold before it came", "no_oversell", lambda b: later(b, SALT), FOURTH, f"deposit {SALT}, which is not"),
    ("another's goods", "no_oversell", both(FOURTH, seller="seller7"), FOURTH, "seller is seller7"),
    ("other goods", "no_oversell", both(SALT, item="boar"), FOURTH, "item is salt; its deposit's is boar"),
    # The fault that lowest_clock_first finds.
    ("passed over", "lowest_clock_first", swap, THIRD, "was waiting with a lower order"),
    # Faults that books_follow_log finds.
    ("the post is behind", "books_follow_log", post(made=5), "main", "at rest, the books are made only up to 5"),
    ("the post is beyond", "books_follow_log", post(made=9), "main", "ends at 6: it was restored older than"),
    ("an older log", "books_follow_log", lambda b: b.log.pop(), "main", "are made up to 6; the log ends at 5"),
    ("no word of it", "books_follow_log", lambda b: b.post.pop("made"), "main", "does not say up to where"),
    ("the post's seq", "books_follow_log", post(seq=5), "main", "its seq is 5; after the entry at 6 the log says 6"),
    ("the post's term", "books_follow_log", post(term=1), "main", "its term is 1"),
    ("the post's trader", "books_follow_log", post(trader="merchant8"), "main", "its trader is merchant8"),
    ("the post's date", "books_follow_log", post(since=None), "main", "its since is None"),
    ("the post's arrival", "books_follow_log", post(arrival=7), "main", "its arrival is 7"),
    ("one is lost", "books_follow_log", lambda b: b.requests.pop(IN_VAIN), IN_VAIN, "missing: the entry at 6 wrote"),
    (
        "one in the middle",
        "books_follow_log",
        lambda b: b.requests.pop(SECOND),
        SECOND,
        "missing: the entry at 2 wrote",
    ),
    ("goods are lost", "books_follow_log", lambda b: b.deposits.pop(BOAR), BOAR, "missing: the entry at 1 wrote it"),
    (
        "one too many",
        "books_follow_log",
        lambda b: extra(b, seq=7),
        "x",
        "books hold this outcome; the log has no such",
    ),
    ("one too many waits", "books_follow_log", lambda b: extra(b, seq=None), "x", "the log has no such"),
    (
        "goods too many",
        "books_follow_log",
        lambda b: b.deposits.update(x={**b.deposits[BOAR], "_id": "x"}),
        "x",
        "the books hold this deposit; the log has no such",
    ),
    (
        "otherwise in the books",
        "books_follow_log",
        book(IN_VAIN, reason="?"),
        IN_VAIN,
        "its reason is ?; the log says",
    ),
    ("another number there", "books_follow_log", book(IN_VAIN, seq=9), IN_VAIN, "its seq is 9; the log says 6"),
    ("numbers exchanged", "books_follow_log", all_of(book(FIRST, seq=5), book(FIFTH, seq=1)), FIFTH, "seq is 1"),
    ("one field more", "books_follow_log", book(FIRST, tip=1), FIRST, "its tip is 1; the log says nothing"),
    ("one field less", "books_follow_log", lambda b: b.requests[FIRST].pop("item"), FIRST, "its item is nothing"),
    ("other goods there", "books_follow_log", book(BOAR, item="salt"), BOAR, "its item is salt; the log says boar"),
    (
        "more left there",
        "books_follow_log",
        book(SALT, remaining=2),
        SALT,
        "remaining is 2; at 5 the log adds up to 1",
    ),
    ("as it was", "books_follow_log", book(SALT, remaining=4, at=1), SALT, "it is as it was at 1: the entry at 5"),
    (
        "newer than it can be",
        "books_follow_log",
        book(SALT, at=6),
        SALT,
        "its at is 6; up to there the log touches it",
    ),
    ("at no place", "books_follow_log", lambda b: b.requests[FIRST].pop("at"), FIRST, "its at is None"),
    ("at another place", "books_follow_log", book(FIRST, at=2), FIRST, "its at is 2; it is touched by the log at 1"),
    (
        "still in the queue",
        "books_follow_log",
        lambda b: unmake(b, THIRD),
        THIRD,
        "it is as it was at 3: the entry at",
    ),
]


@pytest.mark.parametrize(
    ("invariant", "plant", "document", "words"),
    [fault[1:] for fault in LOG_FAULTS],
    ids=[fault[0].replace(" ", "_") for fault in LOG_FAULTS],
)
def test_a_planted_fault_is_named(invariant: str, plant: Plant, document: str, words: str) -> None:
    b = small_log()
    plant(b)
    verdict = judge_log(b)
    found = [violation for violation in verdict.of(invariant).violations if words in violation.what]
    assert found, str(verdict)
    assert document in found[0].documents
    if invariant == "books_follow_log" and words != "are made up to 6; the log ends at 5":
        assert verdict.violated == ("books_follow_log",)
    alone = INVARIANTS[invariant](
        Evidence(
            requests=list(b.requests.values()),
            deposits=list(b.deposits.values()),
            posts=b.posts,
            log=b.log,
            elections=b.elections,
            commission_rate=RATE,
        )
    )
    assert alone == verdict.of(invariant)


IN_THE_BOOKS_ALONE = {
    "goods gone, nobody sold",
    "sold, and still there",
    "less than nothing",
    "no number",
    "more deposited",
    "out of thin air",
    "the post lags",
    "the post is ahead",
    "the post says another",
    "a decision vanished",
}
"""What is left of a deposit, and the post, a log adds up by itself; what is missing from the books, it still has."""


@pytest.mark.parametrize("fault", FAULTS, ids=[fault[0].replace(" ", "_") for fault in FAULTS])
def test_faults_of_books_are_found_in_a_log_too(fault: Any) -> None:
    name, invariant, plant, documents, _ = fault
    b = small_log()
    plant(b)
    b.flush()
    b.rewrite()
    verdict = judge_log(b)
    wanted = "books_follow_log" if name in IN_THE_BOOKS_ALONE else invariant
    assert wanted in verdict.violated, str(verdict)
    named = {each for violation in verdict.of(wanted).violations for each in violation.documents}
    assert wanted == "books_follow_log" or named & {each for each in documents if each}


def test_sound_books_follow_their_log() -> None:
    b = small_log()
    verdict = judge_log(b, journals=b.journals)
    assert {finding.state for finding in verdict.findings} == {"holds"}, str(verdict)
    assert (verdict.counts.entries, verdict.counts.cut, verdict.counts.requests, verdict.counts.deposits) == (
        7,
        0,
        6,
        4,
    )
    assert verdict.counts.amount == Decimal("70.44")


def test_without_a_log_books_are_judged_by_themselves() -> None:
    b = small_log()
    verdict = check_books(b.requests.values(), b.deposits.values(), b.posts)
    assert verdict.holds
    assert verdict.of("books_follow_log").state == "not checked"
    assert verdict.of("books_follow_log").why == "there is no log"


def test_an_empty_log_makes_empty_books() -> None:
    assert check_books([], [], [], log=[]).of("books_follow_log").state == "holds"
    start = {"_id": "main", "term": 0, "trader": None, "since": None, "seq": 0, "arrival": 0, "made": -1}
    assert check_books([], [], [start], log=[]).holds
    b = small_log()
    found = check_books(b.requests.values(), b.deposits.values(), b.posts, log=[]).of("books_follow_log")
    assert found.found == 6 + 4 + 1
    assert "the log is empty" in str(found.violations[0])
    assert "made up to 6; the log ends at -1: it was restored older" in found.violations[-1].what


def test_documents_straight_from_mongodb_are_understood() -> None:
    b = small_log()
    log, requests, deposits = (
        [to_bson(each) for each in documents] for documents in (b.log, b.requests.values(), b.deposits.values())
    )
    assert check_books(requests, deposits, b.posts, log=log, elections=b.elections, commission_rate=RATE).holds
