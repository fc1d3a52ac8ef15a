"""Any sequence of operations gets the same answers from both ledgers, and leaves the same books."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from bson.decimal128 import Decimal128
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from pymongo import MongoClient
from pymongo.database import Database

from db.memory import MemoryLedger
from db.mongo import MongoLedger
from db.mongod import MongodProcess
from db.prepare import ensure_schema, prepare
from peers.core.ledger import (
    Decision,
    FindSales,
    LookUp,
    OfficeTaken,
    Operation,
    RecordElection,
    TakeOffice,
)
from peers.core.records import ElectionRecord
from tests.deals import T0_MS, commit, enqueue, entry, sold, stock, take_office, unavailable

Books = Database[dict[str, Any]]

NUMBERS = st.integers(1, 8)
DEPOSITS = tuple(
    stock(f"d{i}", quantity, seller=f"seller{i % 2}", price=price)
    for i, (quantity, price) in enumerate([(1, "5.00"), (2, "7.20"), (5, "0.01")])
)
SLIPS = st.sampled_from([0, 0, 0, 0, 0, 0, 1, -1])
"""Mostly right, sometimes off by one."""


@st.composite
def operations(draw: st.DrawFn, term: int, seq: int) -> Operation:
    """An operation of one who believes that the post stands at (`term`, `seq`), and may be mistaken."""
    term = max(0, term + draw(SLIPS))
    seq = max(0, seq + draw(SLIPS))
    match draw(st.sampled_from(["take", "enqueue", "commit", "commit", "commit", "look", "find", "election"])):
        case "take":
            trader = draw(st.sampled_from(["merchant7", "merchant8"]))
            return TakeOffice(trader=trader, expected_term=term, now_ms=T0_MS + term)
        case "enqueue":
            return enqueue(*map(entry, draw(st.lists(NUMBERS, max_size=3))), term=max(1, term))
        case "commit":
            term = max(1, term)
            numbers = draw(st.lists(NUMBERS, max_size=4))
            decisions = [draw(decision(number, seq + i, term)) for i, number in enumerate(numbers, start=1)]
            deposits = draw(st.lists(st.sampled_from(DEPOSITS), max_size=2))
            return commit(*decisions, seq=seq, term=term, deposits=tuple(deposits))
        case "look":
            ids = tuple(f"r{number}" for number in draw(st.lists(NUMBERS, max_size=4)))
            return LookUp(request_ids=ids, deposit_ids=tuple(draw(st.lists(st.sampled_from(["d0", "d1", "d9"])))))
        case "find":
            seller = draw(st.sampled_from(["seller0", "seller1", "seller2"]))
            return FindSales(seller=seller, after_seq=draw(st.integers(0, 5)), limit=draw(st.integers(1, 3)))
        case _:
            return RecordElection(record=election(term))


@st.composite
def decision(draw: st.DrawFn, number: int, seq: int, term: int) -> Decision:
    queued = draw(st.booleans())
    accepted = entry(number, quantity=draw(st.integers(1, 2)))
    if draw(st.booleans()):
        return unavailable(accepted, seq, term=term, queued=queued)
    return sold(accepted, seq, draw(st.sampled_from(DEPOSITS)), term=term, queued=queued)


def election(term: int) -> ElectionRecord:
    return ElectionRecord(
        term=term,
        algorithm="ring",
        reason="crashed",
        started_by="buyer1",
        trader="merchant7",
        messages=term * 3,
        started_at_ms=T0_MS,
        took_ms=12.5 + term,
    )


@pytest.fixture(scope="module")
def shared(mongod: MongodProcess, mongo_client: MongoClient[dict[str, Any]]) -> Iterator[tuple[MongoLedger, Books]]:
    name = f"test_{uuid.uuid4().hex[:12]}"
    prepare(mongod.uri, name)
    ledger = MongoLedger(mongod.uri, name)
    yield ledger, mongo_client[name]
    ledger.close()
    mongo_client.drop_database(name)


def written(books: Books) -> dict[str, list[dict[str, Any]]]:
    """The books as `MemoryLedger.documents` gives them: without what MongoDB alone needs, sorted by id."""
    found = {name: [plain(each) for each in books[name].find()] for name in ("requests", "deposits", "elections")}
    ours_alone = {"commits": 0, "sessions": 0}
    found["posts"] = [plain(each) for each in books.posts.find({}, ours_alone)]
    return by_id(found)


def plain(document: dict[str, Any]) -> dict[str, Any]:
    return {key: each.to_decimal() if isinstance(each, Decimal128) else each for key, each in document.items()}


def by_id(collections: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    return {name: sorted(documents, key=lambda each: each["_id"]) for name, documents in collections.items()}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_both_ledgers_agree(shared: tuple[MongoLedger, Books], data: st.DataObject) -> None:
    mongo, books = shared
    for name in ("requests", "deposits", "elections", "posts", "fences"):
        books[name].delete_many({})
    ensure_schema(books)
    memory = MemoryLedger()
    term = seq = 0
    if data.draw(st.sampled_from([True, True, True, False]), label="in office"):
        assert take_office(mongo) == take_office(memory)
        term = 1
    for _ in range(data.draw(st.integers(4, 16), label="length")):
        operation = data.draw(operations(term, seq))
        answer = memory.perform(operation)
        assert mongo.perform(operation) == answer, operation
        event(f"{type(operation).__name__}: {type(answer).__name__}")
        post = memory.perform(LookUp()).post  # type: ignore[union-attr]
        term, seq = post.term, post.seq
        if isinstance(answer, OfficeTaken):
            assert answer.post == post
    assert written(books) == by_id(memory.documents())
