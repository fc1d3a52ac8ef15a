"""The private mongod: starts fast, survives what is done to it, and outlives nobody."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from pymongo import MongoClient
from pymongo.database import Database

from db.mongo import MongoLedger
from db.mongod import MongodProcess, free_port
from db.prepare import prepare
from peers.core.ledger import AlreadyRecorded, Commit, Done, Enqueue, Found, LedgerAway, LookUp, Result, Unknown
from peers.errors import LedgerError
from tests.deals import commit, enqueue, entry, sold, stock, take_office
from tests.waiting import wait_until


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """Where a mongod of this test's own keeps its files; hundreds of megabytes, so they do not stay."""
    yield tmp_path / "mongo"
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.fixture
def own(directory: Path) -> Iterator[MongodProcess]:
    """A mongod that this test may kill."""
    process = MongodProcess(directory)
    process.start()
    yield process
    process.stop()


def put(process: MongodProcess, **document: object) -> None:
    with MongoClient[dict[str, Any]](process.uri) as client:
        client.test.things.insert_one(document)


def things(process: MongodProcess) -> int:
    with MongoClient[dict[str, Any]](process.uri) as client:
        return client.test.things.count_documents({})


def kill(process: MongodProcess) -> None:
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: not process.alive())


def test_it_starts_from_an_empty_folder_and_leaves_nothing_running(directory: Path) -> None:
    with MongodProcess(directory) as process:
        assert process.alive()
        assert process.pid is not None
        assert psutil.Process(process.pid).cmdline()[0].endswith("mongod")
        put(process, a=1)
        pid = process.pid
        process.start()  # it runs already
        assert process.pid == pid
    assert not process.alive()
    assert not psutil.pid_exists(pid)
    process.stop()


def test_after_a_kill_it_starts_again_where_it_was(own: MongodProcess) -> None:
    uri = own.uri
    put(own, a=1)
    kill(own)
    own.start()
    assert own.uri == uri
    assert things(own) == 1


def test_its_files_serve_on_another_port_too(own: MongodProcess, directory: Path) -> None:
    put(own, a=1)
    own.stop()
    with MongodProcess(directory, port=free_port("127.0.0.1")) as another:
        assert another.port != own.port
        assert things(another) == 1


def test_two_run_side_by_side(own: MongodProcess, tmp_path: Path) -> None:
    with MongodProcess(tmp_path / "beside") as beside:
        put(beside, a=1)
        assert things(own) == 0


def test_a_port_that_is_taken_is_refused(directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LedgerError, match=f"port {port} .* is taken"):
            MongodProcess(directory, port=port).start()


@pytest.mark.parametrize("seen", [True, False])
def test_a_port_lost_to_another_mongod_is_not_mistaken_for_ours(
    own: MongodProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: bool
) -> None:
    """Somebody took it between the looking and the starting; then another is picked."""
    ports = iter([own.port, free_port("127.0.0.1")])
    monkeypatch.setattr("db.mongod.free_port", lambda _host: next(ports))
    if not seen:
        monkeypatch.setattr("db.mongod._is_free", lambda _host, _port: True)
    with MongodProcess(tmp_path / "other") as other:
        assert other.port != own.port
        put(other, a=1)
        assert things(own) == 0


def test_an_address_of_another_machine_is_refused(directory: Path) -> None:
    with pytest.raises(LedgerError, match=r"192\.0\.2\.1 is no address of this machine"):
        MongodProcess(directory, host="192.0.2.1").start()


def test_a_directory_in_use_is_refused(own: MongodProcess, directory: Path) -> None:
    with pytest.raises(LedgerError, match=f"in use: mongod {own.pid}"):
        MongodProcess(directory).start()
    put(own, a=1)


def test_a_mongod_left_behind_is_ended(own: MongodProcess, directory: Path) -> None:
    put(own, a=1)
    (directory / "mongod.owner").write_text(f"{os.getpid()} 1.0\n")  # one who had our number long ago
    with MongodProcess(directory) as process:
        wait_until(lambda: not own.alive())
        assert things(process) == 1


def test_a_lock_file_that_names_a_stranger_harms_nobody(own: MongodProcess, directory: Path) -> None:
    own.stop()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        (directory / "data" / "mongod.lock").write_text(f"{stranger.pid}\n")
        with MongodProcess(directory):
            assert stranger.poll() is None
        stranger.kill()


_TOWN = """
import sys
from db.mongod import MongodProcess
process = MongodProcess(sys.argv[1])
process.start()
print(process.pid, flush=True)
sys.stdin.readline()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel offers no such leash")
def test_it_dies_with_the_process_that_started_it(directory: Path) -> None:
    command = [sys.executable, "-c", _TOWN, str(directory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as town:
        assert town.stdout is not None
        pid = int(town.stdout.readline())
        assert psutil.pid_exists(pid)
        assert os.getsid(pid) != os.getsid(town.pid)  # the terminal's Ctrl-C does not reach it
        town.kill()
    wait_until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


def test_it_does_not_die_with_the_thread_that_started_it(directory: Path) -> None:
    process = MongodProcess(directory)
    thread = threading.Thread(target=process.start)
    thread.start()
    thread.join(30)
    try:
        put(process, a=1)
        assert things(process) == 1
        assert process.alive()
    finally:
        process.stop()


def test_a_stopped_one_can_be_ended(own: MongodProcess) -> None:
    assert own.pid is not None
    os.kill(own.pid, signal.SIGSTOP)
    assert own.alive()
    own.stop()
    assert not own.alive()


def test_a_mongod_that_cannot_start_is_named_with_its_log(directory: Path) -> None:
    with pytest.raises(LedgerError, match=r"while it was starting; see .*mongod\.log|ended with code"):
        MongodProcess(directory, parameters={"thereIsNoSuchThing": 1}).start()


class Bookkeeper:
    """A trader that sells fish one by one, and looks its ids up whenever it was not told how a commit ended."""

    def __init__(self, ledger: MongoLedger) -> None:
        self.ledger = ledger
        self.fish = stock("d1", 1_000_000)
        self.told: list[str] = []
        self.surprises: list[Result] = []
        take_office(ledger)
        assert ledger.perform(commit(deposits=(self.fish,))) == Done()

    def sell(self) -> None:
        number = len(self.told) + 1
        queued = number % 2 == 0
        if queued:
            self._insist(enqueue(entry(number)), f"r{number}")
        self._insist(commit(sold(entry(number), number, self.fish, queued=queued), seq=number - 1), f"r{number}")
        self.told.append(f"r{number}")

    def _insist(self, operation: Enqueue | Commit, request_id: str) -> None:
        while (result := self.ledger.perform(operation)) != Done():
            assert isinstance(result, Unknown | LedgerAway), result
            self.surprises.append(result)
            found = self._look_up(request_id)
            if found.queued if isinstance(operation, Enqueue) else found.outcomes:
                return

    def _look_up(self, request_id: str) -> Found:
        while True:
            found = self.ledger.perform(LookUp(request_ids=(request_id,)))
            if isinstance(found, Found):
                return found
            assert isinstance(found, LedgerAway)


def sound(books: Database[dict[str, Any]], keeper: Bookkeeper) -> bool:
    decided = list(books.requests.find({"status": "sold"}, sort=[("seq", 1)]))
    deposit = books.deposits.find_one()
    post = books.posts.find_one()
    assert deposit is not None
    assert post is not None
    assert [each["_id"] for each in decided] == keeper.told
    assert [each["seq"] for each in decided] == list(range(1, len(decided) + 1))
    assert deposit["remaining"] == deposit["quantity"] - len(decided)
    return bool(post["seq"] == len(decided))


@pytest.mark.parametrize("trouble", ["killed", "frozen"])
def test_the_books_survive_what_happens_to_their_mongod(own: MongodProcess, trouble: str) -> None:
    prepare(own.uri)
    ledger = MongoLedger(own.uri)
    keeper = Bookkeeper(ledger)
    going = threading.Event()

    def make_trouble() -> None:
        assert own.pid is not None
        going.wait(10)
        if trouble == "killed":
            kill(own)
            own.start()
        else:
            os.kill(own.pid, signal.SIGSTOP)
            wait_until(lambda: keeper.surprises)  # until somebody noticed
            os.kill(own.pid, signal.SIGCONT)

    thread = threading.Thread(target=make_trouble)
    thread.start()
    started = time.monotonic()
    while thread.is_alive() or len(keeper.told) < 50:
        keeper.sell()
        if len(keeper.told) == 20:
            going.set()
        assert time.monotonic() - started < 40
    thread.join(10)
    for _ in range(10):
        keeper.sell()
    with MongoClient[dict[str, Any]](own.uri) as client:
        assert sound(client.bazaar, keeper)
    assert trouble == "killed" or keeper.surprises
    last = keeper.told[-1]
    assert ledger.perform(enqueue(entry(0, request_id=last))) == AlreadyRecorded()
    ledger.close()
