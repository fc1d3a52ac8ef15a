"""Runs a private `mongod`: a replica set of one member, with its files in a directory of ours.

Only a replica set says what a majority has, hence a set of one. The directory is kept from run to run while the port
changes, so the set's own idea of its address is mended at each start. The process dies with the one that started
it, does not hear the terminal's Ctrl-C, and can be started again on the same port after a crash.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
from pymongo import MongoClient
from pymongo.errors import AutoReconnect, OperationFailure, PyMongoError

from db.mongod.guard import Guard
from db.mongod.ownership import claim, disown
from db.mongod.program import NOT_LOADED, find_mongod, how_to_bring, missing_libraries
from db.mongod.set_of_one import ALREADY_INITIALIZED, SET_NAME, first_config, is_writable
from peers.endpoints import endpoint, try_to_bind
from peers.errors import LedgerError
from peers.processes import end
from peers.waiting import wait_until

_DIE_WITH_PARENT = Path(__file__).with_name("die_with_parent.py")

# These two are no settings: a mongod starts in a second, and a port that was free a moment ago is seldom taken.
_POLL_S = 0.005
_TRIES_FOR_A_PORT = 5

_UNAUTHORIZED = 13
"""The server's error code for what needs a password."""
_LOOPBACK = "127.0.0.1"
_ANYWHERE = "0.0.0.0"


def free_port(host: str) -> int:
    """Returns a TCP port nobody listens on just now; somebody else may take it the next moment.

    LedgerError if `host` is no address of this machine.
    """
    try:
        return try_to_bind(host, 0)
    except OSError as error:
        raise LedgerError(f"{host} is no address of this machine: {error.strerror}") from error


def _is_free(host: str, port: int) -> bool:
    """Whether `port` could be listened on just now: a port asked for by number is better refused at once."""
    try:
        try_to_bind(host, port)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise LedgerError(f"{host}:{port} is no address of this machine: {error.strerror}") from error
        return False
    return True


class _PortTaken(Exception):
    """Somebody else got the port first."""


class MongodProcess:
    """A private mongod. `start()` it, use `uri`, `stop()` it; or use it as a context manager.

    `host` is the address it listens on, and its clients use unless they call it `called`; `port` 0 picks a free one,
    `preferred` if that is.
    Without a `guard` there is no password: whoever can reach `host` can change the books, so anything but loopback is
    for networks you trust. One that does not found a set (`founds`) waits for one to let it in, and `start()` returns
    before that.
    """

    def __init__(
        self,
        directory: str | Path,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        preferred: int = 0,
        mongod: str | Path | None = None,
        guard: Guard | None = None,
        called: str | None = None,
        founds: bool = True,
        parameters: Mapping[str, object] | None = None,
        start_timeout_s: float = 30.0,
    ) -> None:
        self.directory = Path(directory).resolve()
        self.host = host
        self.port = port
        self._preferred = preferred
        self._mongod = mongod
        self._program = Path()  # Found at the start.
        self._guard = guard
        self._called = called or (_LOOPBACK if host == _ANYWHERE else host)
        self._founds = founds
        self._parameters = {"diagnosticDataCollectionEnabled": "false", **(parameters or {})}
        self._start_timeout_s = start_timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        # Where in the log file the present run begins, in bytes.
        self._log_from = 0

    @property
    def dbpath(self) -> Path:
        return self.directory / "data"

    @property
    def _guarded(self) -> Path:
        """There once the books have a user."""
        return self.directory / "guarded"

    @property
    def log(self) -> Path:
        return self.directory / "mongod.log"

    @property
    def uri(self) -> str:
        """The address for any MongoDB client; direct, for a set of one has nowhere to fail over to."""
        if self._guard is not None:
            return self._guard.uri(self.address)
        return f"mongodb://{self.address}/?directConnection=true"

    @property
    def direct_uri(self) -> str:
        """The address of this one on this machine, whatever others call it."""
        here = endpoint(_LOOPBACK if self.host == _ANYWHERE else self.host, self.port)
        if self._guard is not None:
            return self._guard.uri(here)
        return f"mongodb://{here}/?directConnection=true"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def address(self) -> str:
        """`host:port`, as its clients call it."""
        return endpoint(self._called, self.port)

    def alive(self) -> bool:
        """Whether the process runs (a stopped one does)."""
        return self._process is not None and self._process.poll() is None

    def __enter__(self) -> MongodProcess:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def start(self) -> None:
        """Returns once it takes writes, or, where it is one of several, once it listens.

        Does nothing if it runs already; LedgerError if it cannot: the next start may, once there is room, say."""
        if not self.alive():
            with _refusals_told(self.directory):
                self._start()

    def _start(self) -> None:
        self._program = find_mongod(self._mongod)
        # Whoever joined a set has its users with its books.
        if self._founds and self._guard is not None and self.dbpath.exists() and not self._guarded.exists():
            self._guard_old_books(self._guard)
        self.dbpath.mkdir(parents=True, exist_ok=True)
        claim(self.directory, self.dbpath)
        deadline = time.monotonic() + self._start_timeout_s
        picks = self.port == 0
        preferred, self._preferred = self._preferred, 0
        for _ in range(_TRIES_FOR_A_PORT if picks else 1):
            if picks:
                self.port = preferred or free_port(self.host)
                preferred = 0
            if not _is_free(self.host, self.port):
                continue
            try:
                self._launch()
                self._wait_for_port(deadline)
                if self._founds:
                    self._make_writable(deadline)
                elif not _listens(self._process, self.port):
                    raise _PortTaken
            except _PortTaken:
                continue
            except BaseException:
                self.kill()
                raise
            return
        taken = self.port
        self.port = 0 if picks else taken
        raise LedgerError(f"port {taken} on {self.host} is taken; choose another, or none to have one picked")

    def _guard_old_books(self, guard: Guard) -> None:
        """Makes the user in books that were kept without one: over loopback only, and before anybody can come."""
        with (
            MongodProcess(self.directory, mongod=self._mongod, start_timeout_s=self._start_timeout_s) as alone,
            MongoClient[dict[str, object]](alone.uri, socketTimeoutMS=5000) as client,
        ):
            guard.make_user(client)
        self._guarded.touch()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Ends it: asked first, killed after `timeout_s`."""
        if self._process is None:
            return
        end(self._process, timeout_s)
        disown(self.directory)

    def kill(self) -> None:
        """Ends it at once, without a last write; what was acknowledged is in the journal."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _launch(self) -> None:
        command = [str(self._program), "--dbpath", str(self.dbpath), "--port", str(self.port)]
        command += ["--replSet", SET_NAME, "--nounixsocket"]
        if self._guard is None or self.host == _ANYWHERE:
            command += ["--bind_ip", self.host]
        else:
            # Only who comes over loopback may make the first user.
            command += ["--bind_ip", f"{_LOOPBACK},{self.host}"]
        command += self._guard.arguments() if self._guard is not None else []
        command += ["--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "64"]
        command += ["--quiet", "--logpath", str(self.log), "--logappend"]
        if ":" in self.host:
            command.append("--ipv6")
        for name, value in self._parameters.items():
            command += ["--setParameter", f"{name}={value}"]
        self._log_from = self.log.stat().st_size if self.log.exists() else 0
        self._process = _spawn([sys.executable, "-I", "-S", str(_DIE_WITH_PARENT), str(os.getpid()), *command])

    def _wait_for_port(self, deadline: float) -> None:
        """Returns once the port listens: a client made before would wait a whole heartbeat before it looks again."""

        def listens() -> bool:
            self._check_running(deadline)
            with contextlib.suppress(OSError):
                socket.create_connection((self.host, self.port), timeout=1.0).close()
                return True
            return False

        wait_until(listens, self._start_timeout_s, look_s=_POLL_S)

    def _make_writable(self, deadline: float) -> None:
        if self._guard is not None:
            self._admit(self._guard, deadline)
        with MongoClient[dict[str, object]](self.uri, serverSelectionTimeoutMS=2000, socketTimeoutMS=5000) as client:
            try:
                self._check_ours(client)
                wait_until(lambda: self._is_writable(client, deadline), self._start_timeout_s, look_s=_POLL_S)
            except PyMongoError as error:
                self._check_running(deadline)
                raise LedgerError(f"mongod did not become usable: {error}; see {self.log}") from error

    def _admit(self, guard: Guard, deadline: float) -> None:
        """Has mongod know the guard's user, which it does from its first start on."""
        uri = guard.anonymous_uri(endpoint(_LOOPBACK, self.port))
        with MongoClient[dict[str, object]](uri, serverSelectionTimeoutMS=2000, socketTimeoutMS=5000) as client:

            def is_known() -> bool:
                self._check_running(deadline)
                with contextlib.suppress(AutoReconnect):
                    try:
                        client.admin.command("replSetInitiate", first_config(self.address))
                    except OperationFailure as error:
                        if error.code == _UNAUTHORIZED:
                            return True  # There is a user, so nobody is let in without a password any more.
                        if error.code != ALREADY_INITIALIZED:
                            raise
                    is_primary = bool(client.admin.command("hello").get("isWritablePrimary"))
                    return is_primary and guard.make_user(client)
                return False

            try:
                wait_until(is_known, self._start_timeout_s, look_s=_POLL_S)
            except PyMongoError as error:
                self._check_running(deadline)
                raise LedgerError(f"mongod could not be given a password: {error}; see {self.log}") from error
        self._guarded.touch()

    def _is_writable(self, client: MongoClient[dict[str, object]], deadline: float) -> bool:
        """Whether the set takes writes by now."""
        self._check_running(deadline)
        return is_writable(client, self.address)

    def _check_ours(self, client: MongoClient[dict[str, object]]) -> None:
        """Raises _PortTaken if another server answers, which took the port while ours was still starting."""
        try:
            options = client.admin.command("getCmdLineOpts")["parsed"]
        except OperationFailure as error:
            raise _PortTaken from error
        if options.get("storage", {}).get("dbPath") != str(self.dbpath):
            self.kill()
            raise _PortTaken

    def _check_running(self, deadline: float) -> None:
        assert self._process is not None
        code = self._process.poll()
        if code is not None:
            if "Address already in use" in self._logged():
                raise _PortTaken
            if code == NOT_LOADED and (missing := missing_libraries(self._program)):
                raise LedgerError(how_to_bring(missing))
            raise LedgerError(f"mongod ended with code {code} while it was starting; see {self.log}")
        if time.monotonic() > deadline:
            raise LedgerError(f"mongod was not ready after {self._start_timeout_s:g} s; see {self.log}")

    def _logged(self) -> str:
        """Returns what the process has logged since it was launched."""
        try:
            return self.log.read_bytes()[self._log_from :].decode(errors="replace")
        except OSError:
            return ""


@contextlib.contextmanager
def _refusals_told(directory: Path) -> Iterator[None]:
    """What the system refuses within, for want of room or of leave, fails with a LedgerError that says so."""
    try:
        yield
    except OSError as error:
        why = error.strerror or error
        raise LedgerError(
            f"{error.filename or directory} cannot be used for the books ({why}): make room there, or see what keeps "
            "it from being written to"
        ) from error
    except (psutil.Error, PyMongoError) as error:
        raise LedgerError(f"{directory} cannot be used for the books ({error})") from error


def _listens(process: subprocess.Popen[bytes] | None, port: int) -> bool:
    """Whether it is that process that listens at the port; a mongod that knows nobody yet cannot be asked."""
    assert process is not None
    listening = psutil.Process(process.pid).net_connections("tcp")
    return any(each.status == psutil.CONN_LISTEN and each.laddr.port == port for each in listening)


def _spawn(command: list[str]) -> subprocess.Popen[bytes]:
    """Starts `command` from a thread that lives as long as it does.

    The kernel kills such a process when the *thread* that started it ends, and the caller's may be a passing one.
    """
    started = threading.Event()
    held: list[subprocess.Popen[bytes] | OSError] = []

    def hold() -> None:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # In a session of its own it does not get the terminal's Ctrl-C.
            )
        except OSError as error:
            held.append(error)
            started.set()
            return
        held.append(process)
        started.set()
        process.wait()

    try:
        threading.Thread(target=hold, name="mongod-keeper", daemon=True).start()
    except RuntimeError as error:
        raise LedgerError(f"mongod cannot be started: {error}; this machine lets us have no more of them") from error
    started.wait()
    process = held[0]
    if isinstance(process, OSError):
        raise LedgerError(f"mongod cannot be started: {process}")
    return process
