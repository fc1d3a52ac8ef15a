"""Sound books of any kind hold; and the replay of the queue says what the plain rule, pair by pair, says."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from db.audit.invariants import Evidence, check_books, lowest_clock_first
from tests.helpers.bookkeeping import RATE, Clerk
from tests.helpers.long_books import long_books

TRADERS = ("merchant7", "merchant8", "buyer0")
SELLERS = ("seller3", "seller4", "merchant7")
BUYERS = ("buyer0", "buyer1", "merchant7", "customer")

clocks = st.integers(0, 30)
items = st.sampled_from(("fish", "salt"))
operations = st.one_of(
    st.tuples(st.just("deposit"), st.sampled_from(SELLERS), items, st.integers(1, 9), st.just("1.13"), clocks),
    st.tuples(st.just("ask"), st.sampled_from(BUYERS), items, st.integers(1, 4), clocks),
    st.tuples(st.just("decide"), st.integers(1, 4)),
    st.tuples(st.just("elect"), st.sampled_from(TRADERS)),
    st.tuples(st.just("wait")),
)
histories = st.lists(operations, max_size=40)


def play(history: list[tuple[Any, ...]]) -> Clerk:
    clerk = Clerk()
    for name, *arguments in history:
        getattr(clerk, name)(*arguments)
    return clerk


@given(histories)
def test_sound_books_of_any_kind_hold(history: list[tuple[Any, ...]]) -> None:
    clerk = play(history)
    verdict = check_books(
        clerk.requests.values(),
        clerk.deposits.values(),
        clerk.posts,
        elections=clerk.elections,
        journals=clerk.journals,
        calm=clerk.waiting == 0,
        commission_rate=RATE,
    )
    assert verdict.holds, str(verdict)


def test_long_sound_books_hold() -> None:
    books: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("requests", "deposits", "posts", "elections", "journals")
    }
    for collection, document in long_books(3000):
        books[collection].append(document)
    verdict = check_books(
        requests=books["requests"],
        deposits=books["deposits"],
        posts=books["posts"],
        elections=books["elections"],
        journals=books["journals"],
    )
    assert verdict.holds, str(verdict)
    assert verdict.counts.sales == 3000


# -- the plain rule ------------------------------------------------------------------------------------------


def passed_over_somebody(requests: list[dict[str, Any]]) -> bool:
    """Looks at every pair: was anything decided while a lower order was certainly waiting?"""
    decided = sorted((each for each in requests if "seq" in each), key=lambda each: each["seq"])
    for place, one in enumerate(decided):
        newest = max(each["arrival"] for each in decided[: place + 1])
        gone = {each["_id"] for each in decided[: place + 1]}
        for other in requests:
            if other["_id"] in gone or other["order"] > one["order"]:
                continue
            same_clock = other["queued_term"] == one["term"] and other["queued_at"] < one["decided_at"]
            if other["arrival"] <= newest or other["queued_term"] < one["term"] or same_clock:
                return True
    return False


def spoilt_books(rng: Random) -> Clerk:
    """Books as a trader that is not always fair would have made them: within a batch, neighbours change places."""
    clerk = Clerk()
    for _ in range(rng.randrange(40)):
        clerk.wait(rng.randrange(2))
        choice = rng.random()
        if choice < 0.6:
            clerk.ask(rng.choice(BUYERS), "fish", 1, rng.randrange(30))
        elif choice < 0.95:
            clerk.decide(rng.randrange(1, 5))
        else:
            clerk.elect(rng.choice(TRADERS))
    requests = list(clerk.requests.values())
    decided = sorted((each for each in requests if "seq" in each), key=lambda each: each["seq"])
    for one, other in pairwise(decided):
        if one["decided_at"] == other["decided_at"] and one["term"] == other["term"] and rng.random() < 0.1:
            one["seq"], other["seq"] = other["seq"], one["seq"]
    if decided and rng.random() < 0.2:  # The last request decided is left in the queue.
        for field in ("seq", "term", "trader", "decided_at"):
            del decided[-1][field]
        decided[-1]["status"] = "queued"
    return clerk


def test_the_replay_agrees_with_the_plain_rule() -> None:
    seen = {True: 0, False: 0}
    for seed in range(1500):
        clerk = spoilt_books(Random(seed))
        requests = list(clerk.requests.values())
        expected = passed_over_somebody(requests)
        judged = lowest_clock_first(Evidence(requests=requests, posts=clerk.posts))
        assert (judged.state == "violated") == expected, f"seed {seed}: {judged}"
        assert not judged.notes
        seen[expected] += 1
    assert min(seen.values()) > 300, f"the interesting cases are too rare: {seen}"
