"""Any sequence of operations gets the same answers from both ledgers, and leaves the same log and the same books."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule
from pymongo import MongoClient
from pymongo.database import Database

from db.ledger.connection import connect
from db.ledger.maker import catch_up
from db.ledger.memory import MemoryLedger
from db.ledger.mongo import MongoLedger
from db.mongod.process import MongodProcess
from db.schema.prepare import ensure_schema, prepare
from peers.core.ledger.log import Entry, OfficeEntry
from peers.core.ledger.port import (
    AlreadyRecorded,
    Appended,
    FindReversals,
    FindSales,
    Found,
    Load,
    Loaded,
    LookUp,
    MakeBooks,
    RecordElection,
    Result,
)
from peers.core.ledger.post_state import PostState, state_of
from peers.core.market.records import Deposit, Outcome
from tests.helpers.deals import (
    accepted,
    at,
    election,
    office,
    recount,
    sold,
    stock,
    taken_back,
    trade,
    unavailable,
)
from tests.helpers.log_trader import COLLECTIONS, by_id, summary, written

Books = Database[dict[str, Any]]

NUMBERS = st.integers(1, 12)
TRADERS = st.sampled_from(["merchant7", "merchant8"])
SELLERS = st.sampled_from(["seller0", "seller1", "seller2"])
DEPOSITS = tuple(
    stock(f"d{i}", quantity, seller=f"seller{i % 2}", price=price)
    for i, (quantity, price) in enumerate([(1, "5.00"), (2, "7.20"), (5, "0.01"), (9, "19.99"), (3, "1.00")])
)


@dataclass(frozen=True)
class Place:
    """A prepared database: its address, a plain look at it, and one as a ledger has it."""

    uri: str
    books: Books
    settled: Books


class TwoLedgers(RuleBasedStateMachine):
    """One log, written to both ledgers by traders that make every mistake the protocol knows, and no other."""

    place: Place

    to_make = Bundle("to_make")

    def __init__(self) -> None:
        super().__init__()
        for name in COLLECTIONS:
            self.place.books[name].delete_many({})
        ensure_schema(self.place.books)
        self.mongo = MongoLedger(self.place.uri, self.place.books.name)
        self.memory = MemoryLedger()
        self.state = PostState()

    @initialize(target=to_make)
    def first_trader(self) -> MakeBooks:
        made = self._append(office(1, "merchant7"))
        assert made is not None
        return made

    @rule(target=to_make, trader=TRADERS)
    def take_office(self, trader: str) -> Any:
        made = self._append(office(self.state.post.term + 1, trader))
        return multiple() if made is None else made

    @rule(target=to_make, data=st.data())
    def write(self, data: st.DataObject) -> Any:
        """An entry that follows from the state, but may hold ids that were there long ago."""
        post = self.state.post
        term, trader = post.term, post.trader or ""
        deposits = tuple(data.draw(st.lists(st.sampled_from(DEPOSITS), max_size=2, unique_by=id), label="deposits"))
        left = {each.offer.deposit_id: each.remaining for each in (*deposits, *self.state.stock.on_offer())}
        by_name = {each.offer.deposit_id: each for each in (*DEPOSITS, *deposits)}
        queue, outcomes = self.state.queue, list[Outcome]()
        numbers = data.draw(st.lists(NUMBERS, max_size=4, unique=True), label="decided")
        for seq, number in enumerate(numbers, start=post.seq + 1):
            request = queue.get(f"r{number}") or accepted(number, term=term, quantity=data.draw(st.integers(1, 2)))
            quantity = request.request.quantity
            sources: list[Deposit] = [by_name[name] for name, rest in left.items() if rest >= quantity]
            available = bool(sources) and data.draw(st.booleans(), label="available")
            if available:
                source = data.draw(st.sampled_from(sources))
                left[source.offer.deposit_id] -= quantity
                outcomes.append(sold(request, seq, source, term=term, trader=trader))
            else:
                outcomes.append(unavailable(request, seq, term=term, trader=trader))
        others = data.draw(st.lists(NUMBERS, max_size=2, unique=True), label="queued")
        queued = tuple(
            accepted(number, term=term) for number in others if number not in numbers and f"r{number}" not in queue
        )
        entry = trade(*outcomes, deposits=deposits, queued=queued, known=tuple(queue), term=term, trader=trader)
        made = self._append(entry)
        return multiple() if made is None else made

    @rule(target=to_make, data=st.data())
    def take_back(self, data: st.DataObject) -> Any:
        """Sales are undone, some perhaps a second time, and deposits counted anew."""
        post = self.state.post
        sales = [
            each
            for each in self.memory.index.requests.values()
            if isinstance(each, Outcome) and each.sale is not None
        ]
        some = data.draw(st.lists(st.sampled_from(sales), max_size=3, unique_by=id) if sales else st.just([]))
        reversals = tuple(
            taken_back(each, number, term=post.term, trader=post.trader or "", place=self.state.place + 1)
            for number, each in enumerate(some, start=post.reversals + 1)
        )
        deposits = {each.sale.deposit for each in some if each.sale is not None}
        if self.memory.index.deposits:
            deposits |= data.draw(st.sets(st.sampled_from(sorted(self.memory.index.deposits)), max_size=2))
        recounts = []
        for deposit_id in sorted(deposits):
            deposit = self.memory.index.as_left(deposit_id)
            returned = sum(each.request.quantity for each in some if each.sale and each.sale.deposit == deposit_id)
            most = deposit.remaining + returned
            off = data.draw(st.integers(0, most))
            recounts.append(recount(deposit, left=deposit.remaining, returned=returned, written_off=off))
        if not recounts:
            return multiple()
        entry = trade(reversals=reversals, recounts=tuple(recounts), term=post.term, trader=post.trader or "")
        made = self._append(entry)
        return multiple() if made is None else made

    @rule(back=st.integers(0, 4), data=st.data())
    def write_late(self, back: int, data: st.DataObject) -> None:
        """The entry of a trader that was deposed, or the same one again."""
        place = max(0, self.state.place - back)
        standing = self.memory.entry_at(place)
        assert standing is not None
        late = data.draw(st.sampled_from(["again", "office", "trade"]))
        entry: Entry = standing
        if late == "office":
            entry = office(standing.term, "merchant8")
        elif late == "trade":
            entry = trade(unavailable(accepted(data.draw(NUMBERS)), 1), term=standing.term)
        self._same(self.mongo.perform(at(place, entry)), self.memory.perform(at(place, entry)))

    @rule(changes=consumes(to_make))
    def make(self, changes: MakeBooks) -> None:
        self._make(changes)

    @rule(changes=to_make)
    def make_and_again_later(self, changes: MakeBooks) -> None:
        self._make(changes)

    @rule()
    def load(self) -> None:
        """The memory says it of books that are made at once; so what is compared is what they add up to."""
        for ledger in (self.mongo, self.memory):
            loaded = ledger.perform(Load())
            assert isinstance(loaded, Loaded)
            assert summary(state_of(loaded)[0]) == summary(self.state)

    @rule(numbers=st.lists(NUMBERS, max_size=4))
    def look_up(self, numbers: list[int]) -> None:
        operation = LookUp(
            request_ids=tuple(f"r{number}" for number in numbers),
            deposit_ids=tuple(dict.fromkeys(f"d{number % 5}" for number in numbers)),
        )
        ours, theirs = (ledger.perform(operation) for ledger in (self.mongo, self.memory))
        assert _told(ours, looked_up=True) == _told(theirs, looked_up=True)

    @rule(customer=st.sampled_from(["seller0", "seller1", "buyer0", "buyer1"]), after=st.integers(0, 4))
    def find_reversals(self, customer: str, after: int) -> None:
        operation = FindReversals(customer=customer, after=after, limit=2)
        self._same(self.mongo.perform(operation), self.memory.perform(operation))

    @rule(seller=SELLERS, after_seq=st.integers(0, 8), limit=st.integers(1, 3))
    def find_sales(self, seller: str, after_seq: int, limit: int) -> None:
        operation = FindSales(seller=seller, after_seq=after_seq, limit=limit)
        self._same(self.mongo.perform(operation), self.memory.perform(operation))

    @rule(term=st.integers(1, 3), messages=st.integers(0, 9))
    def record_election(self, term: int, messages: int) -> None:
        operation = RecordElection(record=election(term, messages=messages))
        self._same(self.mongo.perform(operation), self.memory.perform(operation))

    @invariant()
    def places_have_no_gap(self) -> None:
        assert self.memory.end == self.state.place

    def teardown(self) -> None:
        """Once all is made, both hold the same documents."""
        self.mongo.close()
        catch_up(self.place.settled)
        loaded = self.memory.perform(Load())
        assert isinstance(loaded, Loaded)
        for changes in state_of(loaded)[1]:
            self.memory.make(changes)
        assert written(self.place.books) == by_id(self.memory.documents())

    def _append(self, entry: Entry) -> MakeBooks | None:
        operation = at(self.state.place + 1, entry)
        answer = self.memory.perform(operation)
        self._same(self.mongo.perform(operation), answer)
        event(f"{type(entry).__name__}: {type(answer).__name__}")
        if answer != Appended():
            assert not isinstance(entry, OfficeEntry)
            return None
        return self.state.take_in(entry)

    def _make(self, changes: MakeBooks) -> None:
        self.mongo.perform(changes)
        self.memory.perform(changes)

    @staticmethod
    def _same(ours: Result, theirs: Result) -> None:
        assert _told(ours) == _told(theirs)


def _told(result: Result, *, looked_up: bool = False) -> Result:
    """What is told of a deposit by its id is that it is there, not what it still holds."""
    if not isinstance(result, AlreadyRecorded) and not looked_up:
        return result
    assert isinstance(result, AlreadyRecorded | Found)
    deposits = tuple(msgspec.structs.replace(each, remaining=0) for each in result.deposits)
    return msgspec.structs.replace(result, deposits=deposits)


@pytest.fixture
def place(mongod: MongodProcess, mongo_client: MongoClient[dict[str, Any]]) -> Iterator[Place]:
    name = f"test_{uuid.uuid4().hex[:12]}"
    prepare(mongod.uri, name)
    settled = connect(mongod.uri, name)
    yield Place(mongod.uri, mongo_client[name], settled)
    settled.client.close()
    mongo_client.drop_database(name)


def test_both_ledgers_agree(place: Place) -> None:
    where = place

    class Machine(TwoLedgers):
        place = where

    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    case = Machine.TestCase
    case.settings = settings(max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=checks)
    case("runTest").runTest()
