"""Replica sets that a town only connects to: of several `mongod`, or behind TLS and passwords."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

import db.mongod.process
from db.mongod.process import free_port
from db.mongod.program import find_mongod
from peers.rpc.security.certificates import ensure_certificates
from peers.rpc.security.tls import TlsFiles
from tests.helpers.waiting import wait_until

HOST = "127.0.0.1"
SET = "several"
USER, PASSWORD = "trader", "fish and salt"
_DIE_WITH_PARENT = Path(db.mongod.process.__file__).with_name("die_with_parent.py")

Client = MongoClient[dict[str, Any]]


class MongodSet:
    """A running set of `size` members that fails over within seconds. `secured`: TLS both ways, and SCRAM."""

    def __init__(self, directory: Path, size: int, *, secured: bool = False) -> None:
        self._directory = directory
        self._size = size
        self._secured = secured
        self._tls = TlsFiles(directory / "tls")
        self.ports: list[int] = []
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def uri(self) -> str:
        """The address for a ledger."""
        hosts = ",".join(f"{HOST}:{port}" for port in self.ports)
        return f"mongodb://{self._user}{hosts}/?replicaSet={SET}{self._options}"

    @property
    def _user(self) -> str:
        return f"{USER}:{PASSWORD.replace(' ', '%20')}@" if self._secured else ""

    @property
    def _options(self) -> str:
        if not self._secured:
            return ""
        files = f"tlsCAFile={self._tls.authority}&tlsCertificateKeyFile={self._tls.member}"
        return f"&tls=true&authSource=admin&{files}"

    def __enter__(self) -> MongodSet:
        self._directory.mkdir(parents=True, exist_ok=True)
        if self._secured:
            ensure_certificates(self._tls, [HOST])
            key = self._directory / "key"
            key.write_text("c2V2ZXJhbCBtZW1iZXJz" * 3)
            key.chmod(0o600)
        while len(self.ports) < self._size:
            port = free_port(HOST)
            if port not in self.ports:
                self.ports.append(port)
        for port in self.ports:
            self.start(port)
        self._initiate()
        return self

    def __exit__(self, *exc_info: object) -> None:
        for port, process in self._processes.items():
            self.thaw(port)
            process.kill()
            process.wait(10)

    @contextmanager
    def alone(self, port: int) -> Iterator[Client]:
        """A member outside of the set, which takes there what the others do not get; afterwards it is back."""
        with self.direct(port) as client:
            client.admin.command("fsync")  # Outside of the set it does not read its oplog.
        self.kill(port)
        self.start(port, in_set=False)
        with self.direct(port) as client:
            yield client
            client.admin.command("fsync")
        self.kill(port)
        self.start(port)
        self.wait_until_complete()

    def start(self, port: int, *, in_set: bool = True) -> None:
        """Starts a member, and returns once it listens."""
        home = self._directory / str(port)
        home.mkdir(exist_ok=True)
        command = [str(find_mongod()), "--dbpath", str(home), "--port", str(port), "--bind_ip", HOST]
        command += ["--replSet", SET, "--oplogSize", "64"] if in_set else []
        command += ["--nounixsocket", "--wiredTigerCacheSizeGB", "0.25"]
        command += ["--quiet", "--logpath", str(home / "log"), "--logappend"]
        command += ["--setParameter", "diagnosticDataCollectionEnabled=false"]
        if self._secured:
            command += ["--tlsMode", "requireTLS", "--tlsCAFile", str(self._tls.authority)]
            command += ["--tlsCertificateKeyFile", str(self._tls.member), "--keyFile", str(self._directory / "key")]
        # The process ends with the thread that started it: here the main thread, which lives as long as the tests do.
        self._processes[port] = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_DIE_WITH_PARENT), str(os.getpid()), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(lambda: self._answers(port), deadline_s=30)

    def _answers(self, port: int) -> bool:
        try:
            with self.direct(port, as_user=False) as client:
                client.admin.command("hello")
        except PyMongoError:
            return False
        return True

    def direct(self, port: int, *, as_user: bool = True) -> Client:
        """A client of one member, whatever it is in the set."""
        user = self._user if as_user else ""
        uri = f"mongodb://{user}{HOST}:{port}/?directConnection=true{self._options}"
        return Client(uri, serverSelectionTimeoutMS=1000, socketTimeoutMS=5000, tz_aware=True)

    def client(self) -> Client:
        """A client of the whole set."""
        return Client(self.uri, serverSelectionTimeoutMS=15000, tz_aware=True)

    def _initiate(self) -> None:
        members = [{"_id": i, "host": f"{HOST}:{port}"} for i, port in enumerate(self.ports)]
        timing = {"electionTimeoutMillis": 1000, "heartbeatTimeoutSecs": 2, "catchUpTimeoutMillis": 2000}
        timing["heartbeatIntervalMillis"] = 200
        # Everybody copies from the primary, as in a town's own set: one that hangs must not hold up another.
        config = {"_id": SET, "members": members, "settings": {**timing, "chainingAllowed": False}}
        with self.direct(self.ports[0], as_user=False) as client:
            client.admin.command("replSetInitiate", config)
            wait_until(lambda: client.admin.command("hello")["isWritablePrimary"], deadline_s=30)
            if self._secured:
                client.admin.command("createUser", USER, pwd=PASSWORD, roles=["root"])
        wait_until(self._is_complete, deadline_s=30)

    def _is_complete(self) -> bool:
        """Whether everybody is in its place, so that one of them may fall."""
        states = []
        for port in self.ports:
            with self.direct(port) as client:
                states.append(client.admin.command("replSetGetStatus")["myState"])
        return sorted(states) == [1, *[2] * (self._size - 1)]

    def wait_until_complete(self) -> None:
        """Returns once there is a primary, and everybody else follows it."""

        def complete() -> bool:
            try:
                return self._is_complete()
            except PyMongoError:
                return False

        wait_until(complete, deadline_s=40)

    @property
    def primary(self) -> int:
        """The port of the present primary."""
        found: list[int] = []

        def look() -> bool:
            for port in self.ports:
                try:
                    with self.direct(port) as client:
                        if client.admin.command("hello")["isWritablePrimary"]:
                            found.append(port)
                except PyMongoError:
                    continue
            return bool(found)

        wait_until(look, deadline_s=30)
        return found[0]

    def step_down(self) -> None:
        """Has the primary resign, and another be elected."""
        with self.direct(self.primary) as client:
            client.admin.command("replSetStepDown", 5, secondaryCatchUpPeriodSecs=2, force=True)

    def kill(self, port: int) -> None:
        """Ends a member at once."""
        self._processes[port].kill()
        self._processes[port].wait(10)

    def freeze(self, port: int) -> None:
        """Stops a member where it is."""
        self._processes[port].send_signal(signal.SIGSTOP)

    def thaw(self, port: int) -> None:
        """Lets it go on."""
        self._processes[port].send_signal(signal.SIGCONT)
