"""The commands of `docker-compose.yml`, run for real and in its order, with this machine in place of the containers.

Only names and places are put in place of others: volumes are directories, hosts are loopback addresses, ports are
free ones. So certificates, the database's options, the health checks and the joining of peers are those of the file.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from db.mongod.process import find_mongod, free_port
from peers.town.directory import Directory
from tests.helpers.composition import composition
from tests.helpers.waiting import wait_until

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

HOST = "127.0.0.2"
# The customer is a process of its own, for TLS is set for a whole process.
TRADE = """
import sys
from pathlib import Path
from peers.customer import Customer
from peers.rpc.tls import TlsFiles, secure
host, port, certificates = sys.argv[1:]
secure(TlsFiles(Path(certificates)))
with Customer(host, int(port)) as seller, Customer(host, int(port)) as buyer:
    seller.deposit("salt", 1000, "7.20")
    print(buyer.buy("salt", 11)["status"])
"""


class Machine:
    """Runs the services of the file as processes."""

    def __init__(self, place: Path) -> None:
        self.services: dict[str, Any] = composition()["services"]
        self.town, self.books = place / "town", place / "books"
        self.books.mkdir()
        self.mongo_port, self.name_port = free_port("127.0.0.1"), free_port(HOST)
        self._here = {
            "/authority": str(place / "authority"),
            "=/tls": f"={self.town}/tls",
            "/town": str(self.town),
            "mongo:27017": f"localhost:{self.mongo_port}",
            "localhost:27017": f"localhost:{self.mongo_port}",
            "9090": str(self.name_port),
            "=nameserver": f"={HOST}",
            "$$(hostname)": HOST,
        }
        self._path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self._log = place / "log.txt"
        self.processes: list[subprocess.Popen[bytes]] = []

    def here(self, words: list[str]) -> list[str]:
        """A command of the file as it is run here."""
        there = re.compile("|".join(map(re.escape, self._here)))
        changed = [there.sub(lambda found: self._here[found.group()], word) for word in words]
        return [HOST if word == "nameserver" else word for word in changed]

    def start(self, service: str, *more: str, program: str | None = None) -> subprocess.Popen[bytes]:
        words = self.here(self.services[service]["command"])
        words = [program or words[0], *words[1:], *more]
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, "PATH": self._path}
            )
        self.processes.append(process)
        return process

    def is_healthy(self, service: str) -> Callable[[], bool]:
        """The health check of a service."""
        kind, *words = self.here(self.services[service]["healthcheck"]["test"])
        command = ["sh", "-c", words[0]] if kind == "CMD-SHELL" else words

        def look() -> bool:
            done = subprocess.run(command, capture_output=True, env={**os.environ, "PATH": self._path}, check=False)
            return done.returncode == 0

        return look

    def said(self) -> str:
        return self._log.read_text(errors="replace")

    def end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    running = Machine(tmp_path)
    try:
        yield running
    finally:
        running.end()
        shutil.rmtree(running.books, ignore_errors=True)


def initiate(machine: Machine) -> bool:
    """What the health check of the database does, for where there is no `mongosh`."""
    certificates = machine.town / "tls"
    uri = f"mongodb://localhost:{machine.mongo_port}/?directConnection=true&tls=true"
    uri += f"&tlsCAFile={certificates}/ca.pem&tlsCertificateKeyFile={certificates}/member.pem"
    with MongoClient[dict[str, Any]](uri, serverSelectionTimeoutMS=10_000) as client:
        try:
            client.admin.command("replSetGetStatus")
        except OperationFailure:
            members = [{"_id": 0, "host": f"localhost:{machine.mongo_port}"}]
            client.admin.command("replSetInitiate", {"_id": "bazaar", "members": members})
        return bool(client.admin.command("hello").get("isWritablePrimary"))


def test_the_services_come_up_and_end(machine: Machine) -> None:
    assert machine.start("certs").wait(30) == 0, machine.said()
    # `up` runs it again each time.
    assert machine.start("certs").wait(30) == 0, machine.said()

    more = ("--dbpath", str(machine.books), "--port", str(machine.mongo_port), "--nounixsocket")
    mongod = machine.start("mongo", *more, program=str(find_mongod()))
    healthy = machine.is_healthy("mongo") if shutil.which("mongosh") else lambda: initiate(machine)
    wait_until(healthy, "the database is healthy")
    assert mongod.poll() is None, machine.said()

    town = machine.start("nameserver")
    wait_until(lambda: machine.is_healthy("nameserver")() or town.poll() is not None, "the town is healthy")
    assert town.poll() is None, machine.said()

    peers = [machine.start("peers") for _ in range(2)]
    directory = Directory(machine.town)

    def alive() -> int:
        return sum(peer.ended is None for peer in directory.read_peers())

    wait_until(lambda: alive() == 4 and machine.said().count("1 peer has joined") == 2, "both peers have joined")
    where = [HOST, str(machine.name_port), str(machine.town / "tls")]
    bought = subprocess.run(
        [sys.executable, "-c", TRADE, *where], capture_output=True, text=True, timeout=60, check=True
    )
    assert bought.stdout.strip() == "sold"

    # This is the order of `docker compose stop`: those who depend on others end first.
    for process in (*peers, town):
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, machine.said()
    assert "audit: holds" in machine.said()
