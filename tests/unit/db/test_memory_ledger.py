"""What the ledger in memory offers beyond what every ledger promises: for simulator, audit and tests."""

from __future__ import annotations

import pytest

from db.ledger.memory import MemoryLedger
from peers.core.ledger.log import NOWHERE, Entry
from peers.core.ledger.port import MakeBooks
from peers.core.ledger.post_state import PostState
from peers.core.market.records import Post
from tests.helpers.deals import T0_MS, TRADER, accepted, at, office, sold, stock, trade, unavailable

FISH, SALT = stock("d1", 3), stock("d2", 1)
SOLD = sold(accepted(1, quantity=2), 1, FISH)
LOG: tuple[Entry, ...] = (
    office(),
    trade(deposits=(FISH, SALT), queued=(accepted(1, quantity=2), accepted(2))),
    trade(SOLD, unavailable(accepted(4), 2), known=("r1",)),
    trade(sold(accepted(3), 3, SALT)),
)


@pytest.fixture
def ledger() -> MemoryLedger:
    """The log above, and no books."""
    ledger = MemoryLedger()
    for place, entry in enumerate(LOG):
        ledger.perform(at(place, entry))
    return ledger


def changes() -> list[MakeBooks]:
    state = PostState()
    return [state.take_in(entry) for entry in LOG]


def test_an_empty_one_is_nowhere() -> None:
    ledger = MemoryLedger()
    assert (ledger.end, ledger.made, ledger.post) == (NOWHERE, NOWHERE, Post())
    assert (ledger.entry_at(0), ledger.recorded("r1"), ledger.recorded_deposit("d1")) == (None, None, None)
    documents = ledger.documents()
    (post,) = documents.pop("posts")
    assert (post["term"], post["made"]) == (0, NOWHERE)
    assert documents == {"log": [], "requests": [], "deposits": [], "elections": []}


def test_the_end_of_the_log_is_known_without_books(ledger: MemoryLedger) -> None:
    assert (ledger.end, ledger.made) == (3, NOWHERE)
    assert ledger.post == Post(term=1, trader=TRADER, since_ms=T0_MS + 1, seq=3, arrival=4)
    assert [ledger.entry_at(place) for place in range(5)] == [*LOG, None]


def test_what_the_log_says_of_each_is_known_without_books(ledger: MemoryLedger) -> None:
    assert ledger.recorded("r1") == SOLD
    assert ledger.recorded("r2") == accepted(2)
    assert ledger.recorded("r9") is None
    assert ledger.recorded_deposit("d1") == (FISH, 1)
    assert ledger.recorded_deposit("d2") == (SALT, 0)
    assert ledger.made_at("d1") == NOWHERE


def test_nobody_writes_past_the_end(ledger: MemoryLedger) -> None:
    with pytest.raises(ValueError, match="place 5 is tried, and the log ends at 3"):
        ledger.perform(at(5, trade()))
    assert ledger.end == 3


def test_documents_may_be_made_before_the_post_says_so(ledger: MemoryLedger) -> None:
    """As a primary falls between the two."""
    for made in changes():
        ledger.make(made, post=False)
    documents = ledger.documents()
    assert (ledger.made, documents["posts"][0]["seq"], len(documents["requests"])) == (NOWHERE, 0, 4)
    assert (ledger.made_at("d1"), ledger.made_at("d2")) == (2, 3)
    for made in changes():
        ledger.make(made)
    assert (ledger.made, ledger.documents()["posts"][0]["seq"]) == (3, 3)
    assert ledger.documents() | {"posts": []} == documents | {"posts": []}


def test_what_is_newer_in_the_books_is_left_as_it_is(ledger: MemoryLedger) -> None:
    one, two, three, four = changes()
    for made in (one, four, three, two):
        ledger.make(made)
    whole = ledger.documents()
    assert ledger.made == 1  # For the others it was not known that everything before them had been made.
    assert {each["_id"]: each["at"] for each in whole["requests"]} == {"r1": 2, "r2": 1, "r3": 3, "r4": 2}
    assert {each["_id"]: each["remaining"] for each in whole["deposits"]} == {"d1": 1, "d2": 0}
    for made in (two, three, four):
        ledger.make(made)
    assert ledger.made == 3


def test_documents_show_the_log_entry_by_entry(ledger: MemoryLedger) -> None:
    log = ledger.documents()["log"]
    assert [document["_id"] for document in log] == [0, 1, 2, 3]
    assert [document["kind"] for document in log] == ["office", "decide", "decide", "decide"]
    assert [document["entry"] for document in log] == [entry.entry_id for entry in LOG]


def test_what_is_given_out_is_not_changed_afterwards(ledger: MemoryLedger) -> None:
    before = ledger.recorded_deposit("d1")
    ledger.perform(at(4, trade(sold(accepted(5), 4, FISH))))
    assert before == (FISH, 1)
    assert ledger.recorded_deposit("d1") == (FISH, 0)
