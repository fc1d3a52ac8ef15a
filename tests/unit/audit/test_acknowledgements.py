"""`acknowledged_is_recorded`: every way in which what was told can differ from what is recorded is named."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.bookkeeping import Clerk, small_books
from tests.helpers.planting import BOAR, FIRST, FISH, FOURTH, IN_VAIN, Plant, judge, request


def told(clerk: Clerk, kind: str, record_id: str) -> dict[str, Any]:
    """The payload of the journal entry of that kind that speaks of `record_id`."""
    for entry in clerk.journals:
        payload: dict[str, Any] = next(
            value for key, value in entry.items() if key in ("request", "outcome", "deposit", "sale")
        )
        if entry["kind"] == kind and record_id in (payload.get("_id"), payload.get("request_id")):
            return payload
    raise KeyError(record_id)


TOLD: list[tuple[str, Plant, str, str]] = [
    (
        "a lost sale",
        lambda c: c.requests.pop(IN_VAIN),
        IN_VAIN,
        "buyer2 was told of it (told); the ledger has no such",
    ),
    ("a lost deposit", lambda c: c.deposits.pop(BOAR), BOAR, "merchant9 was told of it (deposited)"),
    (
        "another price",
        lambda c: told(c, "told", FIRST).update(price="7.21"),
        FIRST,
        "told price 7.21; the ledger says 7.20",
    ),
    ("another number", lambda c: told(c, "told", FIRST).update(seq=9), FIRST, "told seq 9; the ledger says 1"),
    ("sold, not unavailable", lambda c: told(c, "told", IN_VAIN).update(status="sold"), IN_VAIN, "told status sold"),
    ("told and forgotten", request(IN_VAIN, status="queued"), IN_VAIN, "the ledger says queued"),
    ("earned too much", lambda c: told(c, "earned", FIRST).update(earned="99.00"), FIRST, "was told earned 99.00"),
    ("earned by another", lambda c: told(c, "earned", FIRST).update(request_id=FOURTH), FOURTH, "was told seq 1"),
    (
        "earned for nothing",
        lambda c: told(c, "earned", FIRST).update(request_id=IN_VAIN),
        IN_VAIN,
        "says unavailable",
    ),
    ("asked for less", lambda c: told(c, "asked", FIRST).update(quantity=1), FIRST, "asked for quantity 1"),
    (
        "asked at another time",
        lambda c: told(c, "asked", FIRST).update(clock={"lamport": 4}),
        FIRST,
        "asked for clock",
    ),
    ("deposited more", lambda c: told(c, "deposited", FISH).update(quantity=11), FISH, "told quantity 11"),
    ("fewer remained", lambda c: told(c, "deposited", FISH).update(remaining=1), FISH, "told that 1 remain"),
    ("told the wrong one", lambda c: c.journals[-1].update(peer="buyer0"), IN_VAIN, "its buyer is buyer2"),
]


@pytest.mark.parametrize(
    ("plant", "document", "words"), [each[1:] for each in TOLD], ids=[each[0].replace(" ", "_") for each in TOLD]
)
def test_a_broken_promise_is_named(plant: Plant, document: str, words: str) -> None:
    clerk = small_books()
    plant(clerk)
    finding = judge(clerk, journals=clerk.journals).of("acknowledged_is_recorded")
    assert finding.state == "violated"
    assert finding.violations[0].documents == (document,)
    assert words in finding.violations[0].what


def test_what_was_asked_in_vain_was_never_promised() -> None:
    clerk = small_books()
    asked = {"request_id": "buyer0.r99", "buyer": "buyer0", "item": "fish", "quantity": 1, "clock": {"lamport": 1}}
    journals = [*clerk.journals, {"at_ms": 1, "peer": "buyer0", "kind": "asked", "request": asked}]
    assert judge(clerk, journals=journals).holds


def test_being_told_again_and_other_kinds_of_entries_are_no_fault() -> None:
    clerk = small_books()
    other = {"at_ms": 1, "peer": "buyer0", "kind": "yawned"}
    assert judge(clerk, journals=[*clerk.journals, *clerk.journals, other]).holds


def test_clocks_that_say_the_same_are_the_same() -> None:
    clerk = small_books()
    told(clerk, "asked", FIRST).update(clock={"type": "LamportStamp", "lamport": 5})
    vector = clerk.ask("buyer0", "fish", 1, 0, vector={"buyer0": 90})
    told(clerk, "asked", vector).update(clock={"vector": {"buyer0": 90, "buyer1": 0}})
    clerk.decide()
    assert judge(clerk, journals=clerk.journals).holds


def test_an_entry_that_names_nothing_cannot_be_judged() -> None:
    clerk = small_books()
    verdict = judge(clerk, journals=[{"at_ms": 1, "peer": "buyer0", "kind": "told"}])
    assert verdict.of("acknowledged_is_recorded").state == "could not tell"
    assert not verdict.holds
    assert verdict.violated == ()
