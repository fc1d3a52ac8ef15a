"""The password of a database that others run, as in docker-compose.yml: made once, in files, and shown nowhere."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from db.mongod.address_file import FILE
from db.mongod.guard import KEY_FILE
from db.mongod.process import free_port
from db.mongod.program import find_mongod
from db.uri import with_options
from peers.books_address import address_given, without_secrets
from peers.rpc.security.certificates import ensure_certificates
from peers.rpc.security.tls import TlsFiles

ROOT = Path(__file__).parents[3]


def done(module: str, *arguments: object) -> str:
    """What a module says as a program that ends well, on all its outputs."""
    process = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout + process.stderr


class Guarded:
    def __init__(self, directory: Path) -> None:
        self.tls, self.secrets = TlsFiles(directory / "tls"), directory / "password"
        ensure_certificates(self.tls)
        self.secrets.mkdir()
        self.port = free_port("127.0.0.1")
        self.said = [self._make_address()]
        data = directory / "data"
        data.mkdir()
        # As docker-compose.yml has it.
        command = [str(find_mongod()), "--dbpath", str(data), "--replSet=bazaar", "--bind_ip=127.0.0.1"]
        command += [f"--port={self.port}", "--tlsMode=requireTLS", f"--tlsCertificateKeyFile={self.tls.member}"]
        command += [
            f"--tlsCAFile={self.tls.authority}",
            f"--keyFile={self.tls.directory / KEY_FILE}",
        ]
        command += [
            "--nounixsocket",
            "--setParameter=enableLocalhostAuthBypass=false",
            "--logpath",
            str(directory / "mongod.log"),
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self.said.append(self.initiate())

    def _make_address(self) -> str:
        where = f"localhost:{self.port}"
        return done("db.mongod.address_file", self.secrets, self.tls.authority, self.tls.member, where, "bazaar")

    def initiate(self) -> str:
        return done("db.mongod.set_of_one", f"@{self.secrets / FILE}", self.secrets / KEY_FILE)

    @property
    def uri(self) -> str:
        return address_given(f"@{self.secrets / FILE}") or ""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    books = Guarded(tmp_path_factory.mktemp("guarded"))
    yield books
    books.process.kill()
    books.process.wait()


def test_who_knows_the_password_writes_the_books_and_nobody_else(guarded: Guarded) -> None:
    with MongoClient[dict[str, object]](guarded.uri) as client:
        assert client.get_default_database().name == "bazaar"
        assert client.bazaar.log.insert_one({}).acknowledged
    options = with_options(guarded.uri, {"authSource": None}).partition("?")[2]
    without = f"mongodb://localhost:{guarded.port}/?{options}"
    with MongoClient[dict[str, object]](without) as stranger:
        with pytest.raises(OperationFailure, match="authentication"):
            stranger.bazaar.log.find_one()
        with pytest.raises(OperationFailure, match="authentication"):
            stranger.admin.command("createUser", "mallory", pwd="x", roles=["root"])


def test_done_again_it_changes_nothing(guarded: Guarded) -> None:
    before = {path: path.read_bytes() for path in guarded.secrets.iterdir()}
    assert guarded._make_address()
    assert guarded.initiate()
    assert {path: path.read_bytes() for path in guarded.secrets.iterdir()} == before


def test_it_stands_in_files_of_its_owner_and_is_said_nowhere(guarded: Guarded) -> None:
    for path in (*guarded.secrets.iterdir(), guarded.tls.directory / KEY_FILE):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    password = guarded.uri.partition("://")[2].partition(":")[2].partition("@")[0]
    assert password not in "".join(guarded.said)
    assert password not in without_secrets(guarded.uri)
    assert (guarded.secrets / KEY_FILE).read_text() not in "".join(guarded.said)
