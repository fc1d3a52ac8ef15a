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

from db.ledger.mongo import MongoLedger
from db.mongod.process import MongodProcess, free_port
from db.schema.prepare import prepare
from peers.errors import LedgerError
from peers.process_identity import identity_of
from tests.helpers.deals import stock
from tests.helpers.log_trader import LogTrader, assert_books_follow
from tests.helpers.waiting import wait_until


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
        process.start()  # The process runs already.
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
    monkeypatch.setattr("db.mongod.process.free_port", lambda _host: next(ports))
    if not seen:
        monkeypatch.setattr("db.mongod.process._is_free", lambda _host, _port: True)
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


@pytest.mark.parametrize("name", ["data", "mongod.owner"])
def test_what_the_system_refuses_is_said_and_the_next_start_does_it(directory: Path, name: str) -> None:
    """What is in the way stands for a disk without room, of which the system says so just as well."""
    in_the_way = directory / name
    in_the_way.parent.mkdir(parents=True)
    if name == "data":
        in_the_way.touch()
    else:
        in_the_way.mkdir()
    process = MongodProcess(directory)
    with pytest.raises(LedgerError, match=r"mongo\S* cannot be used for the books \(.*\): make room"):
        process.start()
    assert not process.alive()
    shutil.rmtree(directory)
    with process:
        put(process, a=1)


@pytest.mark.parametrize("as_before", [False, True], ids=["now", "by an earlier version"])
def test_a_directory_in_use_is_refused_though_the_clock_was_set(
    own: MongodProcess, directory: Path, monkeypatch: pytest.MonkeyPatch, as_before: bool
) -> None:
    """Linux tells when a process began by the clock on the wall as it is now, whatever it was then."""
    if as_before:
        (directory / "mongod.owner").write_text(f"{os.getpid()} {psutil.Process().create_time()}\n")
    began_s = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: began_s(process) + 3600.0)
    with pytest.raises(LedgerError, match=f"mongod {own.pid} belongs to the running process {os.getpid()};"):
        MongodProcess(directory).start()
    put(own, a=1)


def test_a_mongod_left_behind_is_ended(own: MongodProcess, directory: Path) -> None:
    put(own, a=1)
    # The owner named here had our process number long ago.
    place, _, began = identity_of(os.getpid()).rpartition("/")
    before = f"{place}/{int(began) - 1}" if place else repr(float(began) - 1)
    (directory / "mongod.owner").write_text(f"{os.getpid()} {before}\n")
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
from db.mongod.process import MongodProcess
process = MongodProcess(sys.argv[1])
process.start()
print(process.pid, flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize("without", ["", "pdeathsig"])
def test_it_dies_with_the_process_that_started_it(directory: Path, without: str) -> None:
    command = [sys.executable, "-c", _TOWN, str(directory)]
    environment = {**os.environ, "BAZAAR_WITHOUT": without}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as town:
        assert town.stdout is not None
        pid = int(town.stdout.readline())
        assert psutil.pid_exists(pid)
        assert os.getsid(pid) != os.getsid(town.pid)  # The terminal's Ctrl-C does not reach it.
        beside = psutil.Process(pid).children()
        assert len(beside) == (1 if without else 0)
        town.kill()
    wait_until(lambda: all(map(_has_ended, [pid, *(each.pid for each in beside)])))


def _has_ended(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_what_looks_after_it_ends_with_it(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAZAAR_WITHOUT", "pdeathsig")
    with MongodProcess(directory) as process:
        assert process.pid is not None
        (beside,) = psutil.Process(process.pid).children()
    wait_until(lambda: _has_ended(beside.pid))


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


@pytest.mark.parametrize("trouble", ["killed", "frozen"])
def test_log_and_books_survive_what_happens_to_their_mongod(own: MongodProcess, trouble: str) -> None:
    prepare(own.uri)
    trader = LogTrader(MongoLedger(own.uri)).take_office()
    fish = stock("d1", 1_000_000)
    trader.write(deposits=(fish,))
    going = threading.Event()

    def make_trouble() -> None:
        assert own.pid is not None
        going.wait(10)
        if trouble == "killed":
            kill(own)
            own.start()
        else:
            os.kill(own.pid, signal.SIGSTOP)
            wait_until(lambda: trader.surprises)  # The trader must have noticed before mongod goes on.
            os.kill(own.pid, signal.SIGCONT)

    thread = threading.Thread(target=make_trouble)
    thread.start()
    started_s, sold_already = time.monotonic(), 0
    while thread.is_alive() or sold_already < 60:
        sold_already += 1
        trader.sell(sold_already, fish)
        if sold_already == 20:
            going.set()
        assert time.monotonic() - started_s < 40
    thread.join(10)
    for _ in range(10):
        sold_already += 1
        trader.sell(sold_already, fish)
    trader.ledger.close()
    with MongoClient[dict[str, Any]](own.uri, tz_aware=True) as client:
        books = client.bazaar
        assert_books_follow(books)
        decided = [each["_id"] for each in books.requests.find().sort("seq", 1)]
        assert decided == [f"r{number}" for number in range(1, sold_already + 1)]
        assert books.log.count_documents({}) == sold_already + 2
    assert trouble == "killed" or trader.surprises
