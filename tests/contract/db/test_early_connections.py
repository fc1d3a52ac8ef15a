"""Connections that were made while a member of the books was only starting."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import ConfigurationError

from db.ledger.connection import connect, is_passing
from db.ledger.reading import read_end, read_loaded
from db.mongod.process import MongodProcess
from db.mongod.set_of_one import first_config
from db.schema.prepare import prepare
from peers.core.ledger.log import NOWHERE
from peers.core.ledger.port import Found, Loaded
from peers.core.market.records import Post
from tests.helpers.waiting import wait_until


@pytest.fixture
def starting(tmp_path: Path) -> Iterator[MongodProcess]:
    """A mongod that listens, and belongs to no set yet."""
    process = MongodProcess(tmp_path / "mongo", founds=False)
    process.start()
    yield process
    process.stop()
    shutil.rmtree(tmp_path, ignore_errors=True)


def test_one_of_them_does_not_stand_in_the_way_of_readings(starting: MongodProcess) -> None:
    """The driver takes it for that of a server without sessions for good, and each reading is in a session."""
    early = connect(starting.uri, "books")
    early.command("ping")
    with MongoClient[dict[str, Any]](starting.uri) as client:
        client.admin.command("replSetInitiate", first_config(starting.address))
        wait_until(lambda: client.admin.command("hello")["isWritablePrimary"], "a primary")
    prepare(starting.uri, "books")
    with early.client.start_session() as session, pytest.raises(ConfigurationError) as refused:
        early["log"].find_one({}, session=session)
    assert is_passing(refused.value)
    assert read_loaded(early) == Loaded(made=NOWHERE, post=Post(), queue=(), stock=(), entries=())
    assert read_end(early) == Found(place=NOWHERE)
    early.client.close()
