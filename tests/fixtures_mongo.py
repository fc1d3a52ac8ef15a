"""A real mongod for the tests that want one: one per test session (and per xdist worker), a database per test."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from db.ledger.connection import connect
from db.ledger.mongo import MongoLedger
from db.mongod.process import MongodProcess
from db.schema.prepare import prepare
from tests.mongod_set import MongodSet
from tests.relay import Relay

Books = Database[dict[str, Any]]


@pytest.fixture(scope="session")
def mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongodProcess]:
    """A running mongod that takes failpoints. Do not kill this one: others use it."""
    directory = tmp_path_factory.mktemp("mongod")
    process = MongodProcess(directory, parameters={"enableTestCommands": 1})
    try:
        process.start()
        yield process
    finally:
        process.stop()
        shutil.rmtree(directory, ignore_errors=True)  # a third of a gigabyte, and pytest keeps three of them


@pytest.fixture(scope="session")
def mongo_client(mongod: MongodProcess) -> Iterator[MongoClient[dict[str, Any]]]:
    """For looking at the books from outside, and for failpoints."""
    with MongoClient[dict[str, Any]](mongod.uri, tz_aware=True) as client:
        yield client


@pytest.fixture
def books(mongod: MongodProcess, mongo_client: MongoClient[dict[str, Any]]) -> Iterator[Books]:
    """A fresh, prepared database of this test's own."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    prepare(mongod.uri, name)
    yield mongo_client[name]
    mongo_client.drop_database(name)


MakeLedger = Callable[..., MongoLedger]


@pytest.fixture
def settled(mongod: MongodProcess, books: Books) -> Iterator[Books]:
    """The database as a ledger has it: settled reads, durable writes."""
    database = connect(mongod.uri, books.name)
    yield database
    database.client.close()


@pytest.fixture
def make_ledger(mongod: MongodProcess, books: Books) -> Iterator[MakeLedger]:
    """Makes ledgers of this test's database, straight or by another address, and closes them."""
    made: list[MongoLedger] = []

    def make(uri: str = mongod.uri, **options: Any) -> MongoLedger:
        made.append(MongoLedger(uri, books.name, **options))
        return made[-1]

    yield make
    for ledger in made:
        ledger.close()


@pytest.fixture
def ledger(make_ledger: MakeLedger) -> MongoLedger:
    """A ledger of this test's database."""
    return make_ledger()


@pytest.fixture
def relay(mongod: MongodProcess) -> Iterator[Relay]:
    """What may stand between a ledger and the mongod, and lose things."""
    with Relay(mongod.port) as relay:
        yield relay


@pytest.fixture(scope="session")
def secured_set(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongodSet]:
    """A set of one that speaks TLS with members of its town only, and asks them for a password."""
    directory = tmp_path_factory.mktemp("secured")
    try:
        with MongodSet(directory, 1, secured=True) as several:
            yield several
    finally:
        shutil.rmtree(directory, ignore_errors=True)
