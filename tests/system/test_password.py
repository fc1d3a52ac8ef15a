"""Books with a password: a town works with them, and shows the password to nobody."""

from __future__ import annotations

import os
import secrets
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from db.mongod.process import free_port
from db.mongod.program import find_mongod
from peers.books_address import ENVIRONMENT
from tests.helpers.processes import words_of
from tests.helpers.waiting import wait_until
from tests.system.helpers.towns import ROOT, RunningTown

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

_INITIALIZED = 23  # Mongo's error code AlreadyInitialized.
BAZAAR = [sys.executable, "-m", "peers.cli"]


class GuardedBooks:
    """A replica set of one that asks for a password."""

    def __init__(self, directory: Path) -> None:
        self.password = secrets.token_hex(12)
        self.port = free_port("127.0.0.1")
        self.uri = f"mongodb://clerk:{self.password}@127.0.0.1:{self.port}/?replicaSet=rs0&authSource=admin"
        self.shown = self.uri.replace(self.password, "***")
        key = directory / "key"
        key.touch(mode=0o600)
        key.write_text(secrets.token_hex(100))
        data = directory / "data"
        data.mkdir()
        command = [str(find_mongod()), "--dbpath", str(data), "--port", str(self.port), "--bind_ip", "127.0.0.1"]
        command += ["--replSet", "rs0", "--auth", "--keyFile", str(key), "--nounixsocket", "--oplogSize", "64"]
        command += ["--wiredTigerCacheSizeGB", "0.25", "--logpath", str(directory / "mongod.log")]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def open(self) -> None:
        """Returns once the user is known. Until there is one, whoever comes from this machine may make it."""
        with MongoClient[dict[str, object]](
            "127.0.0.1", self.port, directConnection=True, serverSelectionTimeoutMS=200
        ) as client:
            member = {"_id": 0, "host": f"127.0.0.1:{self.port}"}

            def is_set_up() -> bool:
                try:
                    client.admin.command("replSetInitiate", {"_id": "rs0", "members": [member]})
                except OperationFailure as error:
                    return error.code == _INITIALIZED
                except PyMongoError:
                    return False
                return True

            wait_until(is_set_up, "a replica set")
            wait_until(lambda: client.admin.command("hello")["isWritablePrimary"], "a primary")
            client.admin.command("createUser", "clerk", pwd=self.password, roles=["root"])


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[GuardedBooks]:
    place = tmp_path / "books"
    place.mkdir()
    books = GuardedBooks(place)
    try:
        books.open()
        yield books
    finally:
        books.process.kill()
        books.process.wait()


def said(*arguments: object, **environment: str) -> tuple[int, str]:
    """Exit code and all the output of one command."""
    done = subprocess.run(
        [*BAZAAR, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
        env=os.environ | environment,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("way", ["environment", "file"])
def test_a_password_is_shown_to_nobody(tmp_path: Path, guarded: GuardedBooks, way: str) -> None:
    directory = tmp_path / "town"
    command = [*BAZAAR, "run", "localhost", "4", "--dir", str(directory), "--seed", "5"]
    environment = {}
    if way == "environment":
        environment = {ENVIRONMENT: guarded.uri}
    else:
        file = tmp_path / "address"
        file.touch(mode=0o600)
        file.write_text(guarded.uri + "\n")
        command += ["--mongo", f"@{file}"]
    town = RunningTown(command, directory, tmp_path / "town.out", **environment)
    try:
        town.says(" bought ")
        members = [town.process.pid, *(process.pid for process in town.note_family())]
        assert not [each for each in members if guarded.password in " ".join(words_of(each))]
        for form in [], ["--json"]:
            code, text = said("status", "--dir", directory, *form)
            assert code == 0, text
            assert guarded.shown in text
            assert guarded.password not in text
        assert said("audit", "--dir", directory)[0] == 0
        town.interrupt()
        assert town.wait() == 0, town.text
        town.left_nothing()
    finally:
        town.kill()
    code, text = said("audit", "--dir", directory)
    assert code == 0, text
    keeping = [path for path in directory.rglob("*") if path.is_file() and _holds(path, guarded.password)]
    assert {stat.S_IMODE(path.stat().st_mode) for path in keeping} == {0o600}
    assert guarded.password not in town.text
    # Everything else in the directory may be shown around; then the password has to be given again.
    for path in keeping:
        path.unlink()
    code, text = said("audit", "--dir", directory)
    assert code == 2
    assert ENVIRONMENT in text
    assert said("audit", "--dir", directory, **{ENVIRONMENT: guarded.uri})[0] == 0


def _holds(path: Path, password: str) -> bool:
    return password.encode() in path.read_bytes()


def test_a_guest_is_told_where_the_books_are_but_not_the_password(tmp_path: Path, guarded: GuardedBooks) -> None:
    directory = tmp_path / "town"
    elsewhere = tmp_path / "guest"
    environment = {ENVIRONMENT: guarded.uri}
    town = RunningTown(
        [*BAZAAR, "run", "localhost", "4", "--dir", str(directory)], directory, tmp_path / "town.out", **environment
    )
    guests: list[RunningTown] = []
    try:
        town.says(" bought ")
        state = town.state()
        nameserver = f"{state['nameserver_host']}:{state['nameserver_port']}"
        join = [*BAZAAR, "run", "localhost", "1", "--nameserver", nameserver, "--dir", str(elsewhere)]
        for given in ({}, environment):
            guests.append(RunningTown(join, elsewhere, tmp_path / f"guest{len(guests)}.out", **given))
            if not given:
                assert guests[0].wait() == 2
                assert f"{ENVIRONMENT} or --mongo @FILE" in guests[0].text
        guests[1].says("1 peer has joined")
        guests[1].interrupt()
        assert guests[1].wait() == 0, guests[1].text
        town.interrupt()
        assert town.wait() == 0, town.text
    finally:
        for each in [*guests, town]:
            each.kill()


def test_errors_do_not_tell_it(tmp_path: Path, guarded: GuardedBooks) -> None:
    wrong = guarded.uri.replace(guarded.password, guarded.password + "x")
    silent = guarded.uri.replace(f":{guarded.port}", f":{free_port('127.0.0.1')}")
    unescaped = guarded.uri.replace(guarded.password, guarded.password + "/7")
    for address in wrong, silent, unescaped:
        for command in ("run", "localhost", "2"), ("audit",):
            code, text = said(*command, "--dir", tmp_path / "town", **{ENVIRONMENT: address})
            assert code == 2, text
            assert guarded.password not in text
            assert "Traceback" not in text
    assert not [path for path in (tmp_path / "town").rglob("*.log") if _holds(path, guarded.password)]
