"""Books are of one town: a second one is refused with the word how to join, and the next one after a crash is not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from db.mongod.process import MongodProcess
from tests.system.helpers.towns import RunningTown

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]


@pytest.fixture
def mongod(tmp_path: Path) -> Iterator[MongodProcess]:
    with MongodProcess(tmp_path / "books") as process:
        yield process


def start(place: Path, name: str, uri: str) -> RunningTown:
    directory = place / name
    command = [sys.executable, "-m", "peers.cli", "run", "localhost", "4", "--mongo", uri, "--dir", str(directory)]
    return RunningTown(command, directory, place / f"{name}.txt")


def test_a_second_town_on_the_same_books_is_told_to_join(tmp_path: Path, mongod: MongodProcess) -> None:
    first = start(tmp_path, "first", mongod.uri)
    try:
        first.says(" bought ")
        second = start(tmp_path, "second", mongod.uri)
        assert second.wait() == 2, second.text
        assert f"in use by the town on 127.0.0.1 (--dir {first.directory}" in second.text
        assert "bazaar invite" in second.text
        # Who was killed comes back to its own books, and books whose town has died are free after a while.
        first.kill()
        first = start(tmp_path, "first", mongod.uri)
        first.says(" bought ")
        first.kill()
        third = start(tmp_path, "third", mongod.uri)
        try:
            third.says(" bought ")
            third.interrupt()
            assert third.wait() == 0, third.text
        finally:
            third.kill()
        # Who ended in order has said so, and nobody need wait.
        fourth = start(tmp_path, "fourth", mongod.uri)
        try:
            fourth.says(" bought ")
        finally:
            fourth.kill()
    finally:
        first.kill()
