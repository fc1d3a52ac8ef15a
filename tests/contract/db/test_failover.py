"""A set of three whose primary falls in mid-trade: no entry lost, none doubled, no gap, and the books follow."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from pymongo import WriteConcern

from db.ledger.mongo import MongoLedger
from peers.core.ledger.port import Append, Appended, LedgerAway, Load, Loaded, Result, Taken, Unknown
from peers.core.ledger.post_state import state_of
from tests.fixtures.mongo import Books
from tests.helpers.deals import at, office, stock
from tests.helpers.log_trader import LogTrader, assert_books_follow, state_in, summary
from tests.helpers.mongod_set import MongodSet
from tests.helpers.waiting import wait_until

pytestmark = pytest.mark.timeout(180)

FISH = stock("d1", 1_000_000)


@contextmanager
def looked_at(several: MongodSet, name: str) -> Iterator[Books]:
    """The database, from outside."""
    with several.client() as client:
        yield client[name]


class Customers:
    """Has a trader sell, one request an entry, until told to stop."""

    def __init__(self, several: MongodSet, name: str) -> None:
        self._uri, self._name = several.uri, name
        self.told: list[int] = []
        self.surprises = 0
        self._going = True
        self._failures: list[BaseException] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            trader = LogTrader(MongoLedger(self._uri, self._name)).take_office(60)
            trader.write(deposits=(FISH,))
            number = 0
            while self._going:
                number += 1
                result = trader.append(trader.entry(trader.sale(number, trader.next_seq, FISH)), 60)
                assert result == Appended()
                self.told.append(number)
                self.surprises = len(trader.surprises)
            trader.ledger.close()
        except BaseException as error:
            self._failures.append(error)
            raise

    def wait_for_more(self, sales: int = 20) -> None:
        """Returns once so many more are sold."""
        goal = len(self.told) + sales
        wait_until(lambda: len(self.told) >= goal or self._failures, deadline_s=60)
        assert not self._failures, self._failures

    def stop(self) -> None:
        self._going = False
        self._thread.join(60)
        assert not self._thread.is_alive()
        assert not self._failures, self._failures


def step_down(several: MongodSet, customers: Customers) -> None:
    """As often as it takes: where no entry is under way just then, the next finds the new primary at once."""
    deadline_s = time.monotonic() + 60
    while not customers.surprises:
        assert time.monotonic() < deadline_s, "no entry was ever under way"
        several.step_down()
        customers.wait_for_more()


def kill(several: MongodSet, customers: Customers) -> None:
    primary = several.primary
    several.kill(primary)
    customers.wait_for_more()
    several.start(primary)


def freeze(several: MongodSet, customers: Customers) -> None:
    primary = several.primary
    several.freeze(primary)
    try:
        customers.wait_for_more()
    finally:
        several.thaw(primary)


@pytest.mark.parametrize("fall", [step_down, kill, freeze], ids=["steps down", "is killed", "is frozen"])
def test_when_the_primary_falls_nothing_is_lost_or_doubled(
    several: MongodSet, name: str, fall: Callable[[MongodSet, Customers], None]
) -> None:
    customers = Customers(several, name)
    try:
        customers.wait_for_more()
        fall(several, customers)
        customers.wait_for_more()
    finally:
        customers.stop()
    assert customers.surprises
    several.wait_until_complete()
    with looked_at(several, name) as books:
        wait_until(lambda: books.posts.find_one({"made": len(customers.told) + 1}), deadline_s=20)
        assert_books_follow(books)
        decided = [each["_id"] for each in books.requests.find().sort("seq", 1)]
        assert decided == [f"r{number}" for number in customers.told]
        places = [each["_id"] for each in books.log.find({}, {"_id": 1}).sort("_id", 1)]
        assert places == list(range(len(customers.told) + 2))


@contextmanager
def without_majority(several: MongodSet) -> Iterator[int]:
    """Freezes both secondaries, for less long than it takes the primary to give up; the value is its port."""
    primary = several.primary
    others = [port for port in several.ports if port != primary]
    for port in others:
        several.freeze(port)
    try:
        yield primary
    finally:
        for port in others:
            several.thaw(port)


def test_what_only_the_primary_has_is_neither_appended_nor_taken(
    several: MongodSet, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may yet be lost with the primary: nobody goes past it, neither who wrote it nor who finds it there."""
    monkeypatch.setattr("db.ledger.mongo.PATIENCE_S", 0.5)
    writer, rival = MongoLedger(several.uri, name), MongoLedger(several.uri, name)
    for ledger in (writer, rival):
        assert isinstance(ledger.perform(Load()), Loaded)
    mine, theirs = at(0, office()), at(0, office(1, "merchant8"))
    with without_majority(several):
        assert isinstance(writer.perform(mine), Unknown)
        assert isinstance(rival.perform(theirs), Unknown | LedgerAway)
        assert not isinstance(writer.perform(mine), Appended | Taken)
    several.wait_until_complete()
    results: dict[str, Result] = {}
    for who, ledger, operation in (("mine", writer, mine), ("theirs", rival, theirs)):
        results[who] = settled(ledger, operation)
        ledger.close()
    (winner,) = [who for who, result in results.items() if result == Appended()]
    (loser,) = [who for who in results if who != winner]
    assert results[loser] == Taken(entry=(mine if winner == "mine" else theirs).entry)


def settled(ledger: MongoLedger, operation: Append) -> Result:
    """What becomes of an entry in the end."""
    deadline_s = time.monotonic() + 30
    while isinstance(result := ledger.perform(operation), Unknown | LedgerAway):
        assert time.monotonic() < deadline_s, result
    return result


def test_the_books_are_not_called_made_before_a_majority_has_them(several: MongodSet, name: str) -> None:
    """A primary could fall with the documents, and a successor that trusts `posts` would decide a second time."""
    ledger = MongoLedger(several.uri, name)
    trader = LogTrader(ledger, makes_books=False).take_office()
    trader.write(deposits=(FISH,))
    for number in range(1, 11):
        trader.sell(number, FISH)
    trader.makes_books = True
    with without_majority(several) as primary, several.direct(primary) as client:
        local = client.get_database(name, write_concern=WriteConcern(1))
        loaded = ledger.perform(Load())
        assert isinstance(loaded, Loaded)
        for changes in state_of(loaded)[1]:
            ledger.perform(changes)
        wait_until(lambda: local.requests.count_documents({}) == 10)
        post = local.posts.find_one()
        assert post is not None
        # The first round may be of the office entry alone, which has no document but `posts` itself.
        assert post["made"] <= 0
    several.wait_until_complete()
    with looked_at(several, name) as books:
        wait_until(lambda: books.posts.find_one({"made": trader.state.place}), deadline_s=30)
        ledger.close()
        assert_books_follow(books)


def test_a_successor_takes_over_together_with_the_primary(several: MongodSet, name: str) -> None:
    """Trader and primary fall at once: what was acknowledged is there, and the deposed trader stays out."""
    first = LogTrader(MongoLedger(several.uri, name)).take_office()
    first.write(deposits=(FISH,))
    for number in range(1, 30):
        first.sell(number, FISH)
    primary = several.primary
    several.kill(primary)
    started_s = time.monotonic()
    second = LogTrader(MongoLedger(several.uri, name), "merchant8").take_office(60)
    assert time.monotonic() - started_s < 30
    assert second.state.post.seq == 29
    assert second.term == 2
    second.sell(100, FISH)
    assert isinstance(first.append(first.entry(first.sale(100, first.next_seq, FISH)), 60), Taken)
    several.start(primary)
    several.wait_until_complete()
    for trader in (first, second):
        trader.ledger.close()
    with looked_at(several, name) as books:
        wait_until(lambda: books.posts.find_one({"made": second.state.place}), deadline_s=20)
        assert_books_follow(books)
    ledger = MongoLedger(several.uri, name)
    loaded = ledger.perform(Load())
    ledger.close()
    assert isinstance(loaded, Loaded)
    assert state_in(loaded) == summary(second.state)
