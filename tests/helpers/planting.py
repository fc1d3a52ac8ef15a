"""Faults to plant by hand in the toy post's books (see `bookkeeping.small_books`), and the judge to see them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from db.audit.invariants import Verdict, check_books
from tests.helpers.bookkeeping import RATE, Clerk, LogBuilder, sort_key

Plant = Callable[[Clerk], object]

FISH, MORE_FISH, SALT, BOAR = "seller3.d1", "seller4.d2", "seller4.d3", "merchant9.d4"
# The requests are named in the order of `seq`.
FIRST, SECOND, THIRD = "buyer0.r5", "buyer1.r6", "buyer2.r9"
FOURTH, FIFTH, IN_VAIN = "buyer1.r8", "buyer0.r7", "buyer2.r10"

RING = {"a": ["b", "d"], "b": ["a", "c"], "c": ["b", "d"], "d": ["c", "a"]}


def judge(clerk: Clerk, **more: Any) -> Verdict:
    """By the books alone, without the journals, which every planted fault would contradict too."""
    settings = {"elections": clerk.elections, "graph": RING, "commission_rate": RATE, **more}
    return check_books(clerk.requests.values(), clerk.deposits.values(), clerk.posts, **settings)


def judge_log(builder: LogBuilder, books: dict[str, list[Any]] | None = None, **more: Any) -> Verdict:
    """By its log; the books are those at its end, as they stand with whatever was planted there."""
    if books is None:
        builder.flush()
        books = {"requests": list(builder.requests.values()), "deposits": list(builder.deposits.values())}
        books["posts"] = builder.posts
    settings = {"elections": builder.elections, "graph": RING, "commission_rate": RATE, **more}
    return check_books(books["requests"], books["deposits"], books["posts"], log=builder.log, **settings)


def request(request_id: str, **changes: object) -> Plant:
    return lambda clerk: clerk.requests[request_id].update(changes)


def deposit(deposit_id: str, **changes: object) -> Plant:
    return lambda clerk: clerk.deposits[deposit_id].update(changes)


def post(**changes: object) -> Plant:
    return lambda clerk: clerk.post.update(changes)


def drop(request_id: str, field: str) -> Plant:
    return lambda clerk: clerk.requests[request_id].pop(field)


def all_of(*plants: Plant) -> Plant:
    return lambda clerk: [plant(clerk) for plant in plants]


def sold_by(seller: str) -> Plant:
    """The salt was never seller4's: it was `seller`'s, from the deposit on."""
    return all_of(
        deposit(SALT, seller=seller, order=sort_key(3, seller, SALT)),
        request(FOURTH, seller=seller),
    )


def bought_by(request_id: str, buyer: str, time: int) -> Plant:
    return request(request_id, buyer=buyer, order=sort_key(time, buyer, request_id))


def swap_seqs(one: str, other: str) -> Plant:
    def swap(clerk: Clerk) -> None:
        a, b = clerk.requests[one], clerk.requests[other]
        a["seq"], b["seq"] = b["seq"], a["seq"]

    return swap


def still_queued(clerk: Clerk, time: int, **changes: object) -> str:
    """One more request, accepted last, that nobody decides."""
    request_id = clerk.ask("buyer0", "fish", 1, time)
    clerk.requests[request_id].update(changes)
    return request_id
