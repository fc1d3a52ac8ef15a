"""What a ledger says when the database's answer does not come, and whether that is the truth."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from db import lane
from db.mongo import MongoLedger
from db.mongod import MongodProcess, free_port
from peers.core.ledger import (
    AlreadyRecorded,
    Done,
    FindSales,
    Found,
    LedgerAway,
    LookUp,
    OfficeTaken,
    Operation,
    RecordElection,
    TakeOffice,
    Unknown,
)
from peers.core.records import ElectionRecord
from tests.deals import T0_MS, commit, enqueue, entry, sold, stock, take_office, unavailable
from tests.relay import Loss, Relay

Books = Database[dict[str, Any]]

FISH = stock("d1", 9)
SALE = commit(sold(entry(1), 1, FISH), deposits=(FISH,))
ELECTION = ElectionRecord(
    term=1,
    algorithm="bully",
    reason="start",
    started_by="buyer0",
    trader="merchant9",
    messages=1,
    started_at_ms=T0_MS,
    took_ms=1,
)


@pytest.fixture
def relay(mongod: MongodProcess) -> Iterator[Relay]:
    with Relay(mongod.port) as relay:
        yield relay


@pytest.fixture(params=["pipelined", "driver"])
def ledger(
    request: pytest.FixtureRequest, relay: Relay, books: Books, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MongoLedger]:
    """A ledger behind the relay, less patient than usual, with a trader in office."""
    monkeypatch.setattr(lane, "PATIENCE_S", 0.6)
    monkeypatch.setattr(lane, "COMMIT_PATIENCE_S", 0.3)
    ledger = MongoLedger(relay.uri, books.name, pipelined=request.param == "pipelined")
    take_office(ledger)
    yield ledger
    relay.heal()
    ledger.close()


def look_up(ledger: MongoLedger) -> Found:
    found = ledger.perform(LookUp(request_ids=("r1", "r2"), deposit_ids=("d1",)))
    assert isinstance(found, Found), found
    return found


@pytest.mark.parametrize("loss", ["request", "answer"])
def test_a_commit_without_an_answer_is_unknown_until_looked_up(
    ledger: MongoLedger, relay: Relay, books: Books, loss: Loss
) -> None:
    happened = loss == "answer"
    relay.lose_commit(loss)
    assert isinstance(ledger.perform(SALE), Unknown)
    assert (books.requests.count_documents({}) == 1) is happened
    relay.heal()
    found = look_up(ledger)
    assert [outcome.seq for outcome in found.outcomes] == ([1] if happened else [])
    assert found.post.seq == (1 if happened else 0)
    assert len(found.deposits) == (1 if happened else 0)
    assert ledger.perform(SALE) == (AlreadyRecorded() if happened else Done())
    assert ledger.perform(commit(sold(entry(2), 2, FISH), seq=1)) == Done()


@pytest.mark.parametrize("loss", ["request", "answer"])
def test_queueing_without_an_answer_is_unknown_until_looked_up(ledger: MongoLedger, relay: Relay, loss: Loss) -> None:
    happened = loss == "answer"
    relay.lose_commit(loss)
    assert isinstance(ledger.perform(enqueue(entry(1))), Unknown)
    relay.heal()
    assert look_up(ledger).queued == ((entry(1),) if happened else ())
    assert ledger.perform(enqueue(entry(1))) == (AlreadyRecorded() if happened else Done())
    assert ledger.perform(enqueue(entry(2))) == Done()


@pytest.mark.parametrize("operation", [SALE, enqueue(entry(1))], ids=["commit", "enqueue"])
def test_a_commit_on_its_way_for_long_is_refused_once_it_was_looked_up(
    ledger: MongoLedger, relay: Relay, books: Books, operation: Operation
) -> None:
    relay.lose_commit("held")
    assert isinstance(ledger.perform(operation), Unknown)
    relay.heal()
    assert look_up(ledger) == Found(post=look_up(ledger).post)
    assert b"NoSuchTransaction" in relay.deliver()
    assert books.requests.count_documents({}) == 0
    assert ledger.perform(operation) == Done()


def test_without_the_look_it_would_have_gone_through(ledger: MongoLedger, relay: Relay, books: Books) -> None:
    relay.lose_commit("held")
    assert isinstance(ledger.perform(SALE), Unknown)
    assert b"NoSuchTransaction" not in relay.deliver()
    assert books.requests.count_documents({}) == 1


def test_a_commit_on_its_way_for_long_is_refused_once_the_office_was_taken(
    ledger: MongoLedger, relay: Relay, books: Books, mongod: MongodProcess
) -> None:
    relay.lose_commit("held")
    assert isinstance(ledger.perform(SALE), Unknown)
    successor = MongoLedger(mongod.uri, books.name)
    started = time.monotonic()
    assert take_office(successor, expected_term=1).post.seq == 0
    assert time.monotonic() - started < 0.5
    successor.close()
    assert b"NoSuchTransaction" in relay.deliver()
    assert books.requests.count_documents({}) == 0


@pytest.mark.parametrize("loss", ["request", "answer"])
def test_a_commit_is_asked_for_again_and_answered(
    ledger: MongoLedger, relay: Relay, books: Books, loss: Loss, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "COMMIT_PATIENCE_S", 2.0)
    relay.lose_commit(loss, stays_cut=False)
    assert ledger.perform(SALE) == Done()
    assert books.requests.count_documents({"status": "sold"}) == 1


def test_taking_office_without_an_answer_is_unknown(ledger: MongoLedger, relay: Relay) -> None:
    relay.lose_commit("answer")
    assert isinstance(ledger.perform(TakeOffice(trader="merchant9", expected_term=1, now_ms=T0_MS)), Unknown)
    relay.heal()
    assert look_up(ledger).post.term == 2
    take_office(ledger, expected_term=2)


def test_in_office_but_unable_to_read_the_books_is_unknown(
    ledger: MongoLedger, mongo_client: MongoClient[dict[str, Any]]
) -> None:
    raising = TakeOffice(trader="merchant9", expected_term=1, now_ms=T0_MS)
    # The first find reads the post; the next ones, after the raise, are those that fail.
    with failing(mongo_client, ["find"], mode={"skip": 1}, errorCode=11600):
        assert isinstance(ledger.perform(raising), Unknown)
    assert look_up(ledger).post.term == 2


OPERATIONS: list[Operation] = [
    SALE,
    enqueue(entry(1)),
    TakeOffice(trader="merchant8", expected_term=1, now_ms=T0_MS),
    LookUp(request_ids=("r1",)),
    FindSales(seller="seller1", after_seq=0),
    RecordElection(record=ELECTION),
]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: type(operation).__name__)
def test_a_ledger_cut_off_is_away_and_comes_back(ledger: MongoLedger, relay: Relay, operation: Operation) -> None:
    relay.cut()
    started = time.monotonic()
    # An election is written without a transaction: where the cut is only noticed in sending, nobody knows.
    honest = LedgerAway | Unknown if isinstance(operation, RecordElection) else LedgerAway
    assert isinstance(ledger.perform(operation), honest)
    assert time.monotonic() - started < 5
    relay.heal()
    found = look_up(ledger)
    assert (found.outcomes, found.queued, found.post.term, found.post.seq) == ((), (), 1, 0)
    assert isinstance(ledger.perform(operation), Done | Found | OfficeTaken)


@pytest.mark.parametrize(
    ("first", "then", "word"),
    [(enqueue(entry(1)), SALE, b"fences"), (SALE, enqueue(entry(1)), b"posts")],
    ids=["queueing", "committing"],
)
def test_what_one_lane_left_open_is_not_in_the_way_of_the_other(
    ledger: MongoLedger, relay: Relay, first: Operation, then: Operation, word: bytes
) -> None:
    """The same request is in both: the server would hold it for the lane that is gone until it gives that one up."""
    relay.lose_message(word)
    assert isinstance(ledger.perform(first), LedgerAway)
    relay.heal()
    assert ledger.perform(then) == Done()


@pytest.mark.parametrize("trouble", ["none", "cut", "slow"])
def test_what_there_is_to_do_meanwhile_waits_for_nothing(
    ledger: MongoLedger, relay: Relay, mongo_client: MongoClient[dict[str, Any]], trouble: str
) -> None:
    done_s: list[float] = []

    def meanwhile() -> bool:
        done_s.append(time.monotonic())
        return len(done_s) < 20

    if trouble == "cut":
        relay.cut()
    slow = trouble == "slow"
    delay = {"blockConnection": True, "blockTimeMS": 400} if slow else {}
    with failing(mongo_client, ["insert"], mode={"times": 1} if slow else "off", **delay):
        answer = ledger.perform(SALE, meanwhile)
        answered_s = time.monotonic()
    assert answer == Done() or trouble == "cut"
    assert done_s  # what is left of it is the caller's to do
    if trouble != "none":
        assert done_s[19] < answered_s - 0.2


def test_a_ledger_that_nobody_serves_is_away() -> None:
    started = time.monotonic()
    ledger = MongoLedger(f"mongodb://127.0.0.1:{free_port('127.0.0.1')}/?directConnection=true")
    assert time.monotonic() - started < 0.05  # it does not connect before it has to
    assert isinstance(ledger.perform(LookUp()), LedgerAway)
    ledger.close()


def test_a_closed_ledger_is_away(ledger: MongoLedger) -> None:
    ledger.close()
    assert isinstance(ledger.perform(SALE), LedgerAway)
    ledger.close()


@contextmanager
def failing(client: MongoClient[dict[str, Any]], commands: list[str], mode: object, **how: object) -> Iterator[None]:
    """Makes the server fail these commands of ledgers, and of nobody else."""
    data = {"failCommands": commands, "appName": "bazaar", **how}
    client.admin.command("configureFailPoint", "failCommand", mode=mode, data=data)
    try:
        yield
    finally:
        client.admin.command("configureFailPoint", "failCommand", mode="off")


CONFLICT = {"errorCode": 112, "errorLabels": ["TransientTransactionError"]}


@pytest.mark.parametrize("command", ["insert", "update", "commitTransaction"])
def test_a_passing_failure_is_tried_again(
    ledger: MongoLedger, books: Books, mongo_client: MongoClient[dict[str, Any]], command: str
) -> None:
    with failing(mongo_client, [command], mode={"times": 2}, **CONFLICT):
        assert ledger.perform(SALE) == Done()
    assert books.requests.count_documents({}) == 1


@pytest.mark.parametrize("command", ["insert", "update", "commitTransaction"])
def test_a_failure_that_does_not_pass_means_it_did_not_happen(
    ledger: MongoLedger, books: Books, mongo_client: MongoClient[dict[str, Any]], command: str
) -> None:
    with failing(mongo_client, [command], mode="alwaysOn", **CONFLICT):
        assert isinstance(ledger.perform(SALE), LedgerAway)
    assert books.requests.count_documents({}) == 0
    assert ledger.perform(SALE) == Done()


def test_a_commit_not_yet_with_the_majority_is_not_called_done(
    ledger: MongoLedger, mongo_client: MongoClient[dict[str, Any]]
) -> None:
    late = {"code": 64, "codeName": "WriteConcernFailed", "errmsg": "planted", "errInfo": {"wtimeout": True}}
    with failing(mongo_client, ["commitTransaction"], mode="alwaysOn", writeConcernError=late):
        assert isinstance(ledger.perform(SALE), Unknown)
    assert look_up(ledger).post.seq == 1


def test_a_frozen_answer_is_waited_for_no_longer_than_promised(
    ledger: MongoLedger, mongo_client: MongoClient[dict[str, Any]]
) -> None:
    with failing(mongo_client, ["insert"], mode={"times": 1}, blockConnection=True, blockTimeMS=4000):
        started = time.monotonic()
        answer = ledger.perform(SALE)
        took_s = time.monotonic() - started
    assert isinstance(answer, LedgerAway | Done), answer
    assert took_s < 3
    if answer != Done():
        assert ledger.perform(unavailable_commit()) == Done()


def unavailable_commit() -> Operation:
    return commit(unavailable(entry(2), 1))
