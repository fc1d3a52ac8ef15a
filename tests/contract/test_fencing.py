"""A deposed trader writes nothing, wherever the raise of the term finds it, and cannot hold its successor up."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import OperationFailure

from db.lane import Lane
from db.mongo import MongoLedger
from db.mongod import MongodProcess
from peers.core.ledger import Deposed, Done, LookUp, OfficeRefused, OfficeTaken, Operation, TakeOffice
from peers.core.records import Post
from tests.deals import T0_MS, commit, enqueue, entry, sold, stock, take_office, unavailable
from tests.relay import Relay

Books = Database[dict[str, Any]]

FISH = stock("d1", 9)
OPERATIONS: dict[str, Operation] = {
    "commit": commit(sold(entry(1), 1, FISH), deposits=(FISH,)),
    "deposits only": commit(deposits=(FISH,)),
    "nothing": commit(),
    "enqueue": enqueue(entry(1)),
    "enqueue nothing": enqueue(),
}
DEPOSED = Deposed(post=Post(term=2, trader="merchant8", seq=0))

each_operation = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())


@pytest.fixture(params=["pipelined", "driver"])
def way(request: pytest.FixtureRequest) -> str:
    """How transactions are sent."""
    way: str = request.param
    return way


@pytest.fixture
def relay(mongod: MongodProcess) -> Iterator[Relay]:
    with Relay(mongod.port) as relay:
        yield relay


@pytest.fixture
def make_ledger(mongod: MongodProcess, books: Books, way: str) -> Iterator[Callable[..., MongoLedger]]:
    made: list[MongoLedger] = []

    def make(uri: str = mongod.uri) -> MongoLedger:
        made.append(MongoLedger(uri, books.name, pipelined=way == "pipelined"))
        return made[-1]

    yield make
    for ledger in made:
        ledger.close()


@pytest.fixture
def old(make_ledger: Callable[[], MongoLedger]) -> MongoLedger:
    """The ledger of a trader in office at term 1."""
    ledger = make_ledger()
    take_office(ledger)
    return ledger


@pytest.fixture
def new(make_ledger: Callable[[], MongoLedger]) -> MongoLedger:
    """The ledger of its successor to be, connected."""
    ledger = make_ledger()
    ledger.perform(LookUp())
    return ledger


def succeed(new: MongoLedger) -> None:
    take_office(new, expected_term=1, trader="merchant8")


def raise_bluntly(books: Books) -> None:
    """Raises the term as somebody would who knows nothing of sessions: no transaction is ended."""
    with books.client.start_session() as session, session.start_transaction():
        books.posts.update_one({"_id": "main"}, {"$set": {"term": 2, "trader": "merchant8"}}, session=session)
        books.fences.update_one({"_id": "queue"}, {"$set": {"term": 2}}, session=session)


def assert_untouched(books: Books) -> None:
    assert books.requests.count_documents({}) == 0
    assert books.deposits.count_documents({}) == 0
    assert books.posts.find_one({}, {"_id": 0, "term": 1, "seq": 1}) == {"term": 2, "seq": 0}


@contextmanager
def interrupted(monkeypatch: pytest.MonkeyPatch, owner: type, method: str, act: Callable[[], None]) -> Iterator[None]:
    """Calls `act` once, in the middle of what the block does: before the first call of this method."""
    original = getattr(owner, method)
    pending = [act]

    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        if pending:
            pending.pop()()
        return original(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(owner, method, wrapper)
        yield
    assert not pending


def in_a_thread(act: Callable[[], None]) -> None:
    """Runs `act` as another trader would: beside what it interrupts, not inside it."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            act()
        except AssertionError as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(10)
    assert not failures, failures
    assert not thread.is_alive()


@each_operation
def test_the_term_is_raised_before_it_starts(
    old: MongoLedger, new: MongoLedger, books: Books, operation: Operation
) -> None:
    succeed(new)
    assert old.perform(operation) == DEPOSED
    assert_untouched(books)


@pytest.mark.parametrize("name", ["commit", "deposits only", "enqueue"])
@pytest.mark.parametrize("blunt", [True, False])
def test_the_term_is_raised_after_its_snapshot(
    make_ledger: Callable[..., MongoLedger], new: MongoLedger, books: Books, relay: Relay, name: str, blunt: bool
) -> None:
    """It has written what it has to say, and is about to touch the fence."""
    old = make_ledger(relay.uri)
    take_office(old)
    fence = b"fences" if name == "enqueue" else b"posts"
    interruptions: list[None] = []

    def interrupt() -> None:
        raise_bluntly(books) if blunt else succeed(new)
        interruptions.append(None)

    relay.before_message(fence, interrupt)
    assert old.perform(OPERATIONS[name]) == DEPOSED
    assert len(interruptions) == 1
    assert_untouched(books)


@each_operation
def test_the_term_is_raised_while_it_is_open(
    old: MongoLedger, new: MongoLedger, books: Books, operation: Operation, monkeypatch: pytest.MonkeyPatch
) -> None:
    with interrupted(monkeypatch, Lane, "_commit", lambda: in_a_thread(lambda: succeed(new))):
        assert old.perform(operation) == DEPOSED
    assert_untouched(books)


def test_a_plain_raise_conflicts_with_an_open_commit(
    old: MongoLedger, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without ending the predecessor's session the raise cannot get through: hence the sessions in the post."""

    def blocked() -> None:
        with pytest.raises(OperationFailure) as caught:
            raise_bluntly(books)
        assert caught.value.code == 112

    with interrupted(monkeypatch, Lane, "_commit", blocked):
        assert old.perform(OPERATIONS["commit"]) == Done()


def test_every_commit_really_changes_its_fence(old: MongoLedger, books: Books) -> None:
    def fences() -> list[Any]:
        return [books.posts.find_one(), books.fences.find_one()]

    writes = [
        OPERATIONS["commit"],
        commit(deposits=(stock("d2", 1),), seq=1),
        commit(seq=1),
        enqueue(entry(2)),
        enqueue(),
    ]
    for operation in writes:
        before = fences()
        assert old.perform(operation) == Done(), operation
        assert sum(was != now for was, now in zip(before, fences(), strict=True)) == 1, operation


def test_a_queueing_does_not_collide_with_a_commit(
    old: MongoLedger, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = []

    def queue() -> None:
        answers.append(old.perform(enqueue(entry(2))))

    with interrupted(monkeypatch, Lane, "_commit", lambda: in_a_thread(queue)):
        assert old.perform(OPERATIONS["commit"]) == Done()
    assert answers == [Done()]
    assert books.requests.count_documents({"status": "queued"}) == 1


def test_one_of_many_candidates_gets_the_office(make_ledger: Callable[[], MongoLedger], books: Books) -> None:
    ledgers = [make_ledger() for _ in range(6)]
    answers: list[object] = [None] * len(ledgers)
    barrier = threading.Barrier(len(ledgers))

    def run(i: int) -> None:
        barrier.wait(10)
        answers[i] = ledgers[i].perform(TakeOffice(trader=f"merchant{i}", expected_term=0, now_ms=T0_MS))

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(ledgers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    (winner,) = [answer for answer in answers if isinstance(answer, OfficeTaken)]
    refusals = [answer for answer in answers if answer is not winner]
    assert refusals == [OfficeRefused(post=winner.post)] * 5
    post = books.posts.find_one()
    assert post is not None
    assert (post["term"], post["trader"]) == (1, winner.post.trader)


@contextmanager
def held_trader(uri: str, database: str, what: str, way: str) -> Iterator[subprocess.Popen[str]]:
    """A trader in a process of its own, stopped with everything written and nothing committed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.held_trader", uri, database, what, way],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "open\n"
            yield process
        finally:
            process.kill()


def open_transactions(client: MongoClient[dict[str, Any]]) -> int:
    pipeline: list[dict[str, Any]] = [
        {"$currentOp": {"idleSessions": True}},
        {"$match": {"transaction": {"$exists": True}}},
    ]
    return len(list(client.admin.aggregate(pipeline)))


@pytest.mark.parametrize("what", ["commit", "enqueue"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
def test_a_trader_that_stops_in_mid_transaction_holds_nobody_up(
    mongod: MongodProcess, books: Books, new: MongoLedger, what: str, way: str, how: signal.Signals
) -> None:
    with held_trader(mongod.uri, books.name, what, way) as trader:
        trader.send_signal(how)
        if how == signal.SIGKILL:
            trader.wait(10)
        assert open_transactions(books.client) == 1
        started = time.monotonic()
        succeed(new)
        assert time.monotonic() - started < 0.5
        assert_untouched(books)
        assert new.perform(commit(unavailable(entry(1), 1, term=2), term=2)) == Done()
        if how == signal.SIGSTOP:
            trader.send_signal(signal.SIGCONT)
            answer, _ = trader.communicate("go on\n", timeout=10)
            assert answer == "Deposed\n"
    assert books.requests.distinct("term") == [2]


def test_a_session_that_was_ended_serves_again(old: MongoLedger, new: MongoLedger, books: Books) -> None:
    """The ids in the post stay right: the deposed trader may come back to office with the same sessions."""
    before = books.posts.find_one()
    succeed(new)
    assert isinstance(old.perform(enqueue(entry(1))), Deposed)
    take_office(old, expected_term=2)
    assert old.perform(enqueue(entry(1, term=3), term=3)) == Done()
    assert old.perform(commit(unavailable(entry(1, term=3), 1, term=3, queued=True), term=3)) == Done()
    after = books.posts.find_one()
    assert before is not None
    assert after is not None
    assert before["sessions"] == after["sessions"]
    assert len(set(after["sessions"])) == 3
