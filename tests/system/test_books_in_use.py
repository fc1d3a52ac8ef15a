"""Books are of one town: a second one is refused with the word how to join, and the next one after a crash is not."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
import time
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


def start(place: Path, name: str, uri: str, *options: str, host: str = "localhost") -> RunningTown:
    directory = place / name
    command = [sys.executable, "-m", "peers.cli", "run", host, "4", "--dir", str(directory), *options]
    return RunningTown(command, directory, place / f"{name}-{time.monotonic_ns()}.txt", BAZAAR_MONGO=uri)


def joins_by_what_it_says(refused: RunningTown) -> RunningTown:
    """Runs the very command that a refusal gave, which ends with its sentence."""
    assert refused.wait() == 2, refused.text
    found = re.search(r"join that one: bash run\.sh (.+?)\. Or name another database", " ".join(refused.text.split()))
    assert found is not None, refused.text
    words = shlex.split(found.group(1))
    assert words[words.index("--dir") + 1] == str(refused.directory)
    command = [sys.executable, "-m", "peers.cli", "run", *words]
    joined = RunningTown(command, refused.directory, refused.out.with_suffix(".joined.txt"))
    joined.says("peers have joined")
    return joined


def test_a_second_town_on_the_same_books_is_told_to_join(tmp_path: Path, mongod: MongodProcess) -> None:
    first = start(tmp_path, "first", mongod.uri)
    try:
        first.says(" bought ")
        second = start(tmp_path, "second", mongod.uri)
        assert second.wait() == 2, second.text
        assert f"in use by the town on 127.0.0.1 (--dir {first.directory})" in second.text
        guest = joins_by_what_it_says(second)
        guest.interrupt()
        assert guest.wait() == 0, guest.text
        # Who was killed comes back to its own books, and books whose town has died are free after a while.
        first.kill()
        first = start(tmp_path, "first", mongod.uri)
        first.says(" bought ")
        first.kill()
        third = start(tmp_path, "third", mongod.uri)
        try:
            third.says(" bought ")
            # Who was killed comes back once more, and sees the one that has come since.
            first = start(tmp_path, "first", mongod.uri)
            assert first.wait() == 2, first.text
            assert f"in use by the town on 127.0.0.1 (--dir {third.directory})" in first.text
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


def test_who_lost_its_directory_but_has_its_certificates_is_told_how_to_come_back(
    tmp_path: Path, mongod: MongodProcess
) -> None:
    host = "127.0.0.2"
    first = start(tmp_path, "first", mongod.uri, "--tls", host=host)
    others: list[RunningTown] = []
    try:
        first.says(" bought ")
        shutil.copytree(first.directory / "tls", tmp_path / "other" / "tls")
        where = f"{host}:{first.state()['nameserver_port']}"
        others.append(start(tmp_path, "other", mongod.uri, "--tls", "--nameserver", where, host=host))
        others[0].says("4 peers have joined")
        first.kill()
        for path in first.directory.iterdir():
            if path.name != "tls":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        first = start(tmp_path, "first", mongod.uri, "--tls", host=host)
        others.append(joins_by_what_it_says(first))
        assert f"--nameserver {host}:{others[0].state()['nameserver_port']}" in first.text
        # Who has other certificates is no member, and is told how to become one.
        stranger = start(tmp_path, "stranger", mongod.uri, "--tls", host=host)
        assert stranger.wait() == 2, stranger.text
        assert re.search(
            rf"bazaar invite {host} --out FILE --dir \S+. Bring FILE here, then: bash run.sh", stranger.text
        )
        for each in reversed(others):
            each.interrupt()
            # What was told in the directory that is lost can never be had again.
            assert each.wait() == 2, each.text
            assert "violated" not in each.text
    finally:
        for each in [first, *others]:
            each.kill()
