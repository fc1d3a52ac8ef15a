"""Faults to plant by hand in the toy post's log (see `bookkeeping.small_log`) and in the books made from it."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from decimal import Decimal

from tests.helpers.bookkeeping import LogBuilder, sort_key
from tests.helpers.planting import (
    FIRST,
    FISH,
    FOURTH,
    IN_VAIN,
    SALT,
    THIRD,
)

Plant = Callable[[LogBuilder], object]


def entry(place: int, **changes: object) -> Plant:
    return lambda b: b.log[place].update(changes)


def drop(place: int, field: str) -> Plant:
    return lambda b: b.log[place].pop(field)


def written(record_id: str, which: int = -1, **changes: object) -> Plant:
    """Changes a record in the log alone: its last version, or another."""
    return lambda b: b.written(record_id)[which].update(changes)


def both(record_id: str, **changes: object) -> Plant:
    """Changes a record in the log and in the books."""

    def plant(b: LogBuilder) -> None:
        record = b.requests.get(record_id) or b.deposits[record_id]
        record.update(changes)
        b.rewrite()

    return plant


def book(record_id: str, **changes: object) -> Plant:
    return lambda b: (b.requests.get(record_id) or b.deposits[record_id]).update(changes)


def post(**changes: object) -> Plant:
    return lambda b: b.post.update(changes)


def all_of(*plants: Plant) -> Plant:
    return lambda b: [plant(b) for plant in plants]


def renumber(*places: int) -> Plant:
    """Gives the entries other places, in the log alone."""
    return lambda b: [each.update(_id=place) for each, place in zip(b.log, places, strict=True)]


def oversell(b: LogBuilder) -> None:
    """Four of four salts were sold; then one more, at the end, out of the same deposit."""
    sold = b.requests[IN_VAIN]
    sold.pop("reason")
    sold.update(
        item="salt", quantity=2, status="sold", seller="seller4", deposit=SALT, price=Decimal("1.13"),
        amount=Decimal("2.26"), commission=Decimal("0.45"), earned=Decimal("1.81"),
    )  # fmt: skip
    b.deposits[SALT].update(remaining=-1, at=6)
    b.rewrite()


def decide_again(b: LogBuilder) -> None:
    """The first is decided once more, in an entry of its own."""
    again = {**b.requests[FIRST], "seq": 7, "at": 7, "term": 2, "trader": "merchant9"}
    b.log.append({**b.log[6], "_id": 7, "decided": [again]})
    del b.log[7]["new_requests"]
    b.requests[FIRST] = again
    b.post.update(seq=7, made=7)
    b.deposits[FISH].update(at=7, remaining=0)


def queue_again(b: LogBuilder) -> None:
    b.log.append({**deepcopy(b.log[3]), "_id": 7, "term": 2, "trader": "merchant9"})
    b.post["made"] = 7
    for each in b.log[7]["queued"]:
        each.update(at=7, queued_term=2)


def later(b: LogBuilder, deposit_id: str) -> None:
    """Goods come into the log only with its last entry."""
    goods = next(each for each in b.log[1]["deposits"] if each["_id"] == deposit_id)
    b.log[1]["deposits"].remove(goods)
    b.log[1]["new_deposits"].remove(deposit_id)
    b.log[6].update(deposits=[goods | {"at": 6, "term": 2}], new_deposits=[deposit_id])


def swap(b: LogBuilder) -> None:
    """The one that waited with the lowest order is decided after its neighbour."""
    third, fourth = b.requests[THIRD], b.requests[FOURTH]
    third["seq"], fourth["seq"] = fourth["seq"], third["seq"]
    b.rewrite()
    b.log[5]["decided"].sort(key=lambda each: each["seq"])


def extra(b: LogBuilder, seq: int | None) -> None:
    more = {**b.requests[IN_VAIN], "_id": "x", "arrival": 7, "order": sort_key(20, "buyer2", "x")}
    if seq is None:
        for field in ("seq", "term", "trader", "decided_at", "reason"):
            del more[field]
        more["status"] = "queued"
    else:
        more["seq"] = seq
    b.requests["x"] = more


def unmake(b: LogBuilder, request_id: str) -> None:
    b.requests[request_id] = b.versions(request_id)[0]
