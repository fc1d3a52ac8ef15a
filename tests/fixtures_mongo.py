"""A real mongod for the tests that want one: one per test session (and per xdist worker), a database per test."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from db.mongod import MongodProcess
from db.prepare import prepare

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
