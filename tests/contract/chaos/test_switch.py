"""The switch between real sockets: what callers and servers notice of each thing that can be wrong with a wire."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from peers.chaos.switch.client import SwitchClient
from peers.chaos.switch.faults import Ended, Listening, Places, ToSwitch, WireFault, to_run
from peers.errors import TownError
from peers.runtime.faults.through_switch import CONNECTED, preface, reach_through
from peers.town.plan.options import SWITCHED
from tests.helpers.waiting import wait_until

PATIENCE_S = 30.0


class Echo:
    """A server that sends back what comes, and knows how its connections ended."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.ends: list[str] = []
        self.got = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                while came := connection.recv(1 << 16):
                    self.got += len(came)
                    connection.sendall(came)
                self.ends.append("end")
            except OSError:
                self.ends.append("reset")

    def close(self) -> None:
        self._listener.close()


class Apparatus:
    """A switch, and, for each test, an echo at the other side of it that is called `callee`; we are `caller`. With
    `files`, it may have so many open."""

    def __init__(self, *member_ports: int, files: int | None = None) -> None:
        command = [sys.executable, "-P", "-m", "peers.chaos.switch.process", "1", *map(str, member_ports)]
        if files is not None:
            command = ["sh", "-c", f'ulimit -n {files}; exec "$@"', "sh", *command]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        said = self.hear()
        assert isinstance(said, Listening)
        self.port = said.port
        self.echo = self.renew()

    def renew(self) -> Echo:
        self.echo = Echo()
        self.tell(Places(names={self.echo.port: "callee"}))
        return self.echo

    def tell(self, what: ToSwitch) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(msgspec.json.encode(what) + b"\n")
        self.process.stdin.flush()

    def hear(self) -> Listening | Ended:
        assert self.process.stdout is not None
        return to_run.decode(self.process.stdout.readline())

    def ended(self) -> Ended:
        said = self.hear()
        assert isinstance(said, Ended)
        return said

    def call(self, timeout_s: float = PATIENCE_S) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.echo.port), timeout_s)

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        assert self.process.wait(PATIENCE_S) == 0
        self.process.stdout.close()


@pytest.fixture(scope="module")
def apparatus() -> Iterator[Apparatus]:
    made = Apparatus()
    yield made
    made.close()


@pytest.fixture
def through(apparatus: Apparatus, monkeypatch: pytest.MonkeyPatch) -> Iterator[Apparatus]:
    monkeypatch.setattr(socket.socket, "connect", socket.socket.connect)  # It is put back at the end.
    reach_through(apparatus.port, "caller")
    apparatus.renew()
    yield apparatus
    apparatus.echo.close()


def fault(seconds: float = 0.5, number: int = 1, **what: object) -> WireFault:
    fields = {"ones": ("caller",), "others": ("callee",), **what}
    return WireFault(number=number, seconds=seconds, **fields)  # type: ignore[arg-type]


def echoed(connection: socket.socket, what: bytes = b"hello") -> float:
    """Sends, and waits for it to come back; returns how long that took."""
    began_s = time.monotonic()
    connection.sendall(what)
    came = b""
    while len(came) < len(what):
        chunk = connection.recv(1 << 16)
        assert chunk, "the connection ended"
        came += chunk
    assert came == what
    return time.monotonic() - began_s


def test_with_nothing_wrong_everything_gets_through(through: Apparatus) -> None:
    with through.call() as connection:
        echoed(connection)
        much = bytes(range(256)) * 20_000
        threading.Thread(target=connection.sendall, args=(much,), daemon=True).start()
        came = bytearray()
        while len(came) < len(much):
            came += connection.recv(1 << 16)
        assert came == much
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
    wait_until(lambda: through.echo.ends == ["end"], "the end at the other side")


def test_nobody_there_is_refused(through: Apparatus) -> None:
    through.echo.close()
    with pytest.raises(ConnectionRefusedError):
        wait_until(lambda: through.call().close(), "a refusal")


def test_callers_that_leave_at_once_do_it_no_harm(apparatus: Apparatus) -> None:
    echo = apparatus.renew()
    wanted = preface("caller", "127.0.0.1", echo.port)
    for _ in range(300):
        with socket.create_connection(("127.0.0.1", apparatus.port), PATIENCE_S) as hasty:
            hasty.sendall(wanted)
    with socket.create_connection(("127.0.0.1", apparatus.port), PATIENCE_S) as patient:
        patient.sendall(wanted)
        assert patient.recv(1) == CONNECTED
        echoed(patient)
    echo.close()


def test_a_connection_is_forgotten_when_its_server_died_and_the_caller_asked_once_more(through: Apparatus) -> None:
    open_before = open_files(through)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for _ in range(10):
            with socket.create_connection(listener.getsockname(), PATIENCE_S) as caller:
                listener.accept()[0].close()
                assert caller.recv(1) == b""
                caller.sendall(b"another")
    wait_until(lambda: open_files(through) == open_before, "it has let go of them")


def test_a_connection_is_forgotten_when_its_caller_left_and_the_server_answered_late(through: Apparatus) -> None:
    open_before = open_files(through)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for _ in range(10):
            socket.create_connection(listener.getsockname(), PATIENCE_S).close()
            with listener.accept()[0] as server:
                assert server.recv(1) == b""
                server.sendall(b"late")
    wait_until(lambda: open_files(through) == open_before, "it has let go of them")


def open_files(apparatus: Apparatus) -> int:
    return psutil.Process(apparatus.process.pid).num_fds()


def test_with_no_files_left_callers_wait_until_there_are_some() -> None:
    made = Apparatus(files=60)
    wanted = preface("caller", "127.0.0.1", made.echo.port)
    lines = [socket.create_connection(("127.0.0.1", made.port), PATIENCE_S) for _ in range(50)]
    try:
        for line in lines:
            line.sendall(wanted)
        for line in lines:  # Each that ends makes room for another.
            assert line.recv(1) == CONNECTED
            echoed(line)
            line.close()
    finally:
        for line in lines:
            line.close()
        made.close()
        made.echo.close()


def test_a_late_wire_is_late_by_what_was_said(through: Apparatus) -> None:
    with through.call() as connection:
        sound_s = min(echoed(connection) for _ in range(20))
        through.tell(fault(1.0, delay_s=0.1))
        late_s = wait_until(lambda: (took_s := echoed(connection)) > 0.05 and took_s, "a late answer")
        assert late_s >= 0.2
        assert late_s > 5 * sound_s
        assert through.ended().touched == 1
        assert min(echoed(connection) for _ in range(20)) < 0.1


@pytest.mark.parametrize("way", ["out", "in"])
def test_a_cut_wire_is_silent_and_what_was_sent_comes_after_it(through: Apparatus, way: str) -> None:
    with through.call(0.3) as connection:
        through.tell(fault(1.0, way=way, cut=True))
        with pytest.raises(TimeoutError):
            wait_until(lambda: echoed(connection, b"hello") < 0, "silence")
        with pytest.raises(TimeoutError):
            through.call(0.3)
        connection.settimeout(PATIENCE_S)
        assert connection.recv(100) == b"hello"
        assert through.ended().touched >= 2


def test_who_is_at_the_other_end_of_a_cut_wire_is_not_told_of_an_end(through: Apparatus) -> None:
    with through.call() as connection:
        echoed(connection)
        through.tell(fault(1.0, cut=True))
        with pytest.raises(TimeoutError):
            through.call(0.2)  # By now it is cut.
    assert through.echo.ends == []
    assert through.ended().number == 1
    wait_until(lambda: through.echo.ends == ["end"], "the end, once the wire is whole")


def test_a_caller_that_gives_up_counts_once_though_both_ways_are_cut(through: Apparatus) -> None:
    with through.call(0.3) as connection:
        through.tell(fault(1.5, cut=True))
        with pytest.raises(TimeoutError):
            wait_until(lambda: echoed(connection) < 0, "silence")
        with pytest.raises(TimeoutError):
            through.call(0.3)
    ended = through.ended()
    assert (ended.touched, ended.given_up) == (2, 2)


@pytest.mark.parametrize("way", ["out", "in", "both"])
def test_a_caller_that_gives_up_in_a_jam_counts_and_one_that_waited_for_nothing_does_not(
    through: Apparatus, way: str
) -> None:
    with through.call(0.3) as connection, through.call() as idle:
        echoed(idle)
        through.tell(fault(1.5, way=way, jam=True))
        with pytest.raises(TimeoutError):
            wait_until(lambda: echoed(connection) < 0, "silence")
    ended = through.ended()
    assert (ended.touched, ended.given_up) == (2, 1)


def test_a_reset_is_told_to_both(through: Apparatus) -> None:
    with through.call() as connection:
        echoed(connection)
        through.tell(fault(0.0, once="reset"))
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
        assert through.ended().touched == 1
        wait_until(lambda: through.echo.ends == ["reset"], "a reset at the other side")
    with through.call() as another:
        echoed(another)


def test_a_half_open_connection_swallows_what_is_sent_for_ever(through: Apparatus) -> None:
    with through.call(0.5) as connection:
        echoed(connection)
        through.tell(fault(1.5, once="half-open"))
        wait_until(lambda: through.echo.ends == ["reset"], "the other side is told")
        connection.sendall(b"hello")
        with pytest.raises(TimeoutError):
            connection.recv(1)
        assert through.echo.got == len(b"hello")
    with through.call() as another:
        echoed(another)
    ended = through.ended()
    assert (ended.touched, ended.given_up) == (1, 1)


def test_a_jammed_wire_takes_no_more_at_some_time(through: Apparatus) -> None:
    with through.call(0.3) as connection:
        echoed(connection)
        through.tell(fault(2.0, jam=True, way="out"))
        with pytest.raises(TimeoutError):
            connection.sendall(bytes(1 << 26))
        with through.call(0.3) as another, pytest.raises(TimeoutError):
            echoed(another)
    ended = through.ended()
    assert ended.touched == 2


def test_a_slow_wire_lets_so_many_bytes_through(through: Apparatus) -> None:
    with through.call() as connection:
        through.tell(fault(1.0, bytes_a_second=5000.0, way="out"))
        wait_until(lambda: echoed(connection, bytes(1000)) > 0.15, "a slow answer")
        assert through.ended().touched == 1


def test_a_slow_wire_holds_nothing_back_once_it_is_slow_no_more(through: Apparatus) -> None:
    with through.call() as connection:
        through.tell(fault(1.5, bytes_a_second=500.0))
        wait_until(lambda: echoed(connection, bytes(50)) > 0.15, "a slow answer")
        much = bytes(40_000)  # At that pace this takes 80 s each way.
        connection.sendall(much)
        assert through.ended().touched == 1
        assert echoed_after(connection, len(much)) < PATIENCE_S


def echoed_after(connection: socket.socket, on_the_way: int) -> float:
    """The same, where so many bytes are still to come back before."""
    began_s = time.monotonic()
    connection.sendall(b"after")
    came = bytearray()
    while len(came) < on_the_way + len(b"after"):
        chunk = connection.recv(1 << 16)
        assert chunk, "the connection ended"
        came += chunk
    assert came.endswith(b"after")
    return time.monotonic() - began_s


def test_others_are_not_hit(through: Apparatus) -> None:
    with through.call() as connection:
        through.tell(fault(0.3, ones=("somebody",), cut=True))
        through.tell(fault(0.3, number=2, others=("somebody",), cut=True))
        while echoed(connection) and len(through.echo.ends) == 0 and through.echo.got < 2000:
            pass
        assert [through.ended().touched, through.ended().touched] == [0, 0]


def test_the_run_starts_it_and_hears_what_came_of_a_fault(tmp_path: Path) -> None:
    async def run() -> None:
        switch = SwitchClient(1, tmp_path / "switch.log")
        try:
            assert await switch.start() > 0
            assert switch.alive()
            ended = await switch.suffer(fault(0.05, cut=True))
            assert (ended.number, ended.touched) == (1, 0)
        finally:
            await switch.close()
        assert not switch.alive()
        with pytest.raises(TownError, match="switch is gone"):
            await switch.suffer(fault())

    asyncio.run(run())
    assert (tmp_path / "switch.log").read_text() == ""


@pytest.mark.skipif(sys.platform != "linux", reason="only there is all of 127.0.0.0/8 this machine's own")
def test_members_of_the_books_are_known_by_their_processes_and_can_be_cut_from_each_other() -> None:
    member = Echo()
    made = Apparatus(member.port)
    try:
        names = {member.port: "mongod2"}
        made.tell(Places(names=names, pids={os.getpid(): "mongod"}))
        with socket.create_connection((SWITCHED, member.port), PATIENCE_S) as line:
            line.sendall(b"before")
            assert line.recv(100) == b"before"
            made.tell(fault(1.5, ones=("mongod",), others=("mongod2",), cut=True))
            line.sendall(b"meanwhile")
            line.settimeout(0.3)
            with pytest.raises(TimeoutError):
                line.recv(100)
            assert made.ended().touched == 1
            line.settimeout(PATIENCE_S)
            assert line.recv(100) == b"meanwhile"
        wait_until(lambda: member.ends == ["end"], what="the end of the first connection")
        made.tell(Places(names=names, pids={os.getpid(): "mongod3"}))
        made.tell(fault(0.5, ones=("mongod",), others=("mongod2",), cut=True))
        with socket.create_connection((SWITCHED, member.port), PATIENCE_S) as line:
            line.sendall(b"another")
            assert line.recv(100) == b"another"
        assert made.ended().touched == 0
    finally:
        made.close()
        member.close()
