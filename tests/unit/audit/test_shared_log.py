"""A log that areas share, judged: posts and queues of each, one stock, what a cache foretold, what is set aside."""

from __future__ import annotations

import time

import msgspec

from db.audit.checkers.follow import BooksFollowLog
from db.audit.findings import Checker
from db.audit.folding.deposits import DepositFold
from db.audit.invariants import (
    Evidence,
    check_books,
    lowest_clock_first,
    no_oversell,
    one_trader_a_term,
    trader_neutral,
)
from db.audit.log_rows import EntryRow, Places, read_entry
from db.audit.rows import read_deposit
from db.ledger.memory import MemoryLedger
from db.schema.documents import entry_document
from db.schema.forms import PLAIN, Document
from peers.core.ledger.log import Entry, Leasing
from peers.core.ledger.port import Appended
from peers.core.ledger.post_state import PostState
from tests.helpers.deals import accepted, at
from tests.helpers.shared_log import FISH, NORTH, SOUTH, decided, shared_log, takes_office, trades

OFFICES = (takes_office(NORTH), takes_office(SOUTH))
STOCKED = (*OFFICES, trades(NORTH, deposits=(FISH,)))


def leased(area: str, units: int) -> Entry:
    return msgspec.structs.replace(trades(area), leases=(Leasing(deposit=FISH.offer.deposit_id, units=units),))


def log_of(*entries: Entry) -> list[Document]:
    return [entry_document(place, entry, PLAIN) for place, entry in enumerate(entries)]


def judged(*entries: Entry) -> Evidence:
    return Evidence(log=log_of(*entries))


def books_of(*entries: Entry) -> dict[str, list[Document]]:
    ledger, state = MemoryLedger(), PostState()
    for place, entry in enumerate(entries):
        assert ledger.perform(at(place, entry)) == Appended()
        ledger.make(state.take_in(entry))
    return ledger.documents()


def violations(entries: tuple[Entry, ...]) -> list[str]:
    books = books_of(*entries)
    verdict = check_books(books["requests"], books["deposits"], books["posts"], log=books["log"], calm=False)
    return [str(violation) for violation in verdict.violations]


def test_a_sound_log_of_two_areas_holds_and_so_do_its_books() -> None:
    assert violations(shared_log()) == []


def test_what_is_leased_given_back_and_freed_stands_in_the_books_as_in_the_log() -> None:
    promised = msgspec.structs.replace(decided(SOUTH, 2, 1, FISH), foretold="promised")
    entries = (
        *STOCKED,
        leased(SOUTH, 9),
        trades(SOUTH, promised),
        leased(SOUTH, 5),
        takes_office(SOUTH, 2, "merchant7"),
        trades(NORTH, decided(NORTH, 1, 2, FISH)),
    )
    assert violations(entries) == []


def test_books_that_say_otherwise_of_a_lease_are_named() -> None:
    books = books_of(*STOCKED, leased(SOUTH, 5))
    books["deposits"][0]["leases"] = {"north": 5}
    verdict = check_books(books["requests"], books["deposits"], books["posts"], log=books["log"], calm=False)
    assert verdict.violated == ("books_follow_log",)


def test_books_that_name_another_trader_of_an_area_are_named() -> None:
    books = books_of(*shared_log())
    books["posts"][0]["areas"]["south"]["trader"] = "buyer1"
    verdict = check_books(books["requests"], books["deposits"], books["posts"], log=books["log"], calm=False)
    assert verdict.violated == ("books_follow_log",)


def test_an_entry_without_an_office_in_its_area_is_named() -> None:
    (violation,) = one_trader_a_term(judged(OFFICES[0], trades(SOUTH, queued=(accepted(1),)))).violations
    assert "which nobody began with an office entry" in violation.what


def test_each_area_counts_terms_of_its_own() -> None:
    assert one_trader_a_term(judged(*OFFICES, takes_office(SOUTH, 2, "merchant8"))).state == "holds"
    assert one_trader_a_term(judged(*OFFICES, takes_office(SOUTH, 3, "merchant8"))).state == "violated"


def test_the_trader_of_another_area_sells_nothing_either() -> None:
    of_a_trader = msgspec.structs.replace(FISH, offer=msgspec.structs.replace(FISH.offer, seller="merchant9"))
    log = judged(*OFFICES, trades(NORTH, decided(NORTH, 1, 1, of_a_trader), deposits=(of_a_trader,)))
    (violation,) = trader_neutral(log).violations
    assert "merchant9 bought or sold while it was trader of another area" in violation.what


def test_where_a_seller_holds_enough_only_a_cache_may_have_refused() -> None:
    sold = trades(NORTH, decided(NORTH, 1, 1, FISH))
    refused = decided(NORTH, 3, 2, None)
    assert lowest_clock_first(judged(*STOCKED, sold, trades(NORTH, refused))).state == "violated"
    by_a_cache = msgspec.structs.replace(refused, foretold="refused")
    assert lowest_clock_first(judged(*STOCKED, sold, trades(NORTH, by_a_cache))).state == "holds"


def test_what_is_set_aside_for_one_area_is_not_sold_by_another() -> None:
    promised = msgspec.structs.replace(decided(NORTH, 1, 1, FISH), foretold="promised")
    log = judged(*STOCKED, leased(SOUTH, 9), trades(NORTH, promised))
    (violation,) = no_oversell(log).violations
    assert "of which others have {'south': 9}" in violation.what


def test_what_is_set_aside_counts_for_nobody_who_was_promised_nothing() -> None:
    sold = trades(SOUTH, decided(SOUTH, 2, 1, FISH))
    refused = decided(NORTH, 3, 2, None)
    assert lowest_clock_first(judged(*STOCKED, sold, leased(SOUTH, 8), trades(NORTH, refused))).state == "holds"


def play(terms: int) -> float:
    """How long it takes to play the deposits of an area that has so many terms, and four new deposits in each."""
    log: list[tuple[EntryRow, list[Document]]] = []
    for place in range(0, 2 * terms, 2):
        deposits = [{"_id": f"d{place}-{each}", "quantity": 10, "remaining": 10} for each in range(4)]
        office, decide = ({"_id": place + each, "area": NORTH, "term": place // 2 + 1} for each in (0, 1))
        log.append((read_entry(office | {"kind": "office"}, place - 1), []))
        log.append((read_entry(decide | {"kind": "decide"}, place), deposits))
    fold = DepositFold(Checker(), BooksFollowLog(), Places(), ())
    began_s = time.process_time()
    for row, deposits in log:
        fold.begin(row)
        for deposit in deposits:
            fold.take_in(row.place, read_deposit(deposit), deposit)
        fold.end(row)
    return time.process_time() - began_s


def test_who_takes_office_costs_no_more_the_more_deposits_there_were() -> None:
    assert min(play(2_000) for _ in range(2)) < 25 * min(play(200) for _ in range(3))
