"""The peer's process: what it says on its channel, how it begins, and the ways it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar, cast

import msgspec
import pytest

from nameserver.client import NameServerClient
from nameserver.process import NameServerProcess
from peers.core.membership.members import Member, Snapshot
from peers.core.reports import Departed, Lost, Opened, Slept
from peers.errors import TownError
from peers.rpc.rpc_connection import RpcConnection
from peers.runtime.logs import NoLog
from peers.runtime.process import FAULT
from peers.runtime.spec import Begin, Finish, Finished, PeerSpec, Ready, Told, ToTown
from peers.runtime.town_reporter import MOST_UNTOLD, TownReporter
from tests.helpers.hosting import Market
from tests.helpers.waiting import wait_until

pytestmark = pytest.mark.timeout(60)

M = TypeVar("M")

PROGRAM = """
import socket, sys, msgspec
from peers.runtime.process import run_peer
from peers.runtime.spec import PeerSpec
run_peer(msgspec.json.decode(sys.argv[2], type=PeerSpec), socket.socket(fileno=int(sys.argv[1])))
"""
BROKEN = PROGRAM.replace(
    "run_peer(",
    "from peers.core.peer import Peer\nPeer.handle = lambda *a: 1 / 0\nrun_peer(",
)
PATIENT = {"heartbeat_interval_s": 10.0, "suspect_s": 60.0}


class Peer:
    """A peer's process, seen from the town's end of its channel."""

    def __init__(self, spec: PeerSpec, program: str) -> None:
        self.spec = spec
        self.channel, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-c", program, str(theirs.fileno()), msgspec.json.encode(spec).decode()],
                pass_fds=(theirs.fileno(),),
                stderr=subprocess.PIPE,
            )
        self.channel.settimeout(20)
        self._lines = self.channel.makefile("rb")
        self.ready = self.hear(Ready)

    def hear(self, kind: type[M]) -> M:
        """The next message of this kind; what comes before it is passed over."""
        for line in self._lines:
            message: object = msgspec.json.decode(line, type=cast("type[ToTown]", ToTown))
            if isinstance(message, kind):
                return message
        raise AssertionError(f"the channel ended without {kind.__name__}: {self.errors()}")

    def hear_of(self, kind: type) -> object:
        while True:
            told = self.hear(Told)
            if isinstance(told.report, kind):
                return told.report

    def say(self, message: Begin | Finish) -> None:
        self.channel.sendall(msgspec.json.encode(message) + b"\n")

    def begin(self) -> None:
        """Alone in the market, and without an election: it would need a database."""
        self.say(Begin(snapshot=Snapshot(members=(self.member,), edges=()), starts_election=False))
        self.hear_of(Opened)

    @property
    def member(self) -> Member:
        return self.ready.member

    def errors(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.read().decode()

    def wait(self) -> int:
        return self.process.wait(10)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stderr is not None
        self.process.stderr.close()
        self._lines.close()
        self.channel.close()


@contextmanager
def started(spec: PeerSpec, program: str = PROGRAM) -> Iterator[Peer]:
    peer = Peer(spec, program)
    try:
        yield peer
    finally:
        peer.close()


@pytest.fixture
def peer(market: Market) -> Iterator[Peer]:
    # Without a database the peer is no trader, and an election that nobody wins goes on; so nobody hurries it.
    timing = {**PATIENT, "election_s": 60.0}
    with started(market.spec(7, "buyer", timing=timing)) as peer:
        yield peer


def listed(nameserver: NameServerProcess) -> set[str]:
    with NameServerClient(nameserver.host, nameserver.port) as client:
        return {registered.name for registered in client.peers()}


def test_ready_means_listening_and_registered(peer: Peer, nameserver: NameServerProcess) -> None:
    assert isinstance(peer.ready, Ready)
    assert peer.ready.pid == peer.process.pid
    line = RpcConnection(peer.member.uri, 2.0)
    assert line.call("ping") == "buyer7"
    line.close()
    assert "buyer7" in listed(nameserver)


@pytest.mark.parametrize("begun", [True, False])
def test_finish_ends_it_in_order(peer: Peer, begun: bool) -> None:
    if begun:
        peer.begin()
    peer.say(Finish())
    assert peer.hear(Finished) == Finished(name="buyer7")
    assert peer.wait() == 0


@pytest.mark.parametrize("how", ["finish", "SIGTERM"])
def test_leaving_is_told_to_all(peer: Peer, how: str, nameserver: NameServerProcess) -> None:
    peer.begin()
    if how == "finish":
        peer.say(Finish(leave=True))
    else:
        peer.process.send_signal(signal.SIGTERM)
    peer.hear_of(Departed)
    peer.hear(Finished)
    assert peer.wait() == 0
    assert "buyer7" not in listed(nameserver)


def test_it_ends_with_its_town(peer: Peer) -> None:
    peer.begin()
    peer.channel.shutdown(socket.SHUT_RDWR)
    assert peer.wait() == 0


def test_the_terminals_interrupt_is_not_for_it(peer: Peer) -> None:
    peer.begin()
    peer.process.send_signal(signal.SIGINT)
    peer.say(Finish())
    peer.hear(Finished)
    assert peer.wait() == 0


def test_a_town_that_does_not_listen_stops_nobody() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        reporter = TownReporter(theirs, NoLog(), quiet=False)
        report = Lost(peer="buyer7", lost="x" * 1000)
        began_s = time.monotonic()
        for _ in range(2 * MOST_UNTOLD):
            reporter.report(report)
        assert time.monotonic() - began_s < 2
        ours.close()
        reporter.close(2.0)


@pytest.mark.parametrize(("quiet", "told"), [(False, {"Slept", "Lost"}), (True, {"Lost"})])
def test_a_quiet_town_is_told_of_no_trade(quiet: bool, told: set[str]) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        reporter = TownReporter(theirs, NoLog(), quiet=quiet)
        reporter.report(Slept(peer="buyer7", sleep_s=1.0))
        reporter.report(Lost(peer="buyer7", lost="buyer8"))
        reporter.close(2.0)
        lines = ours.recv(10_000).splitlines()
    assert {json.loads(line)["report"]["event"] for line in lines} == told


def test_a_bug_ends_it_loudly(market: Market) -> None:
    with started(market.spec(8, "buyer"), BROKEN) as peer:
        peer.say(Begin(snapshot=Snapshot(members=(), edges=()), starts_election=False))
        assert peer.wait() == FAULT
        assert "ZeroDivisionError" in peer.errors()
    assert "ZeroDivisionError" in (market.directory / "logs" / "buyer8.log").read_text()


def test_a_killed_neighbour_is_missed_within_milliseconds(market: Market, peer: Peer) -> None:
    """With beats ten seconds apart, from the end of the edge that beats and from the one that does not."""
    for rank in (6, 8):
        market.add(market.spec(rank, "seller", trades=False, timing=PATIENT))
    member = peer.member
    snapshot = market.open(((6, 7), (7, 8)), (member,))
    peer.say(Begin(snapshot=snapshot, starts_election=False))
    wait_until(lambda: all("buyer7" in h.status().neighbours for h in market.hosts.values()), what="edges")
    linked = [link for h in market.hosts.values() for link in h._runner._links._links.values()]
    wait_until(lambda: all(link._connection.connected for link in linked), what="links")
    wait_until(lambda: all(link_ranks(h) == {7} for h in market.hosts.values()), what="links back")
    killed_s = time.monotonic()
    os.kill(peer.process.pid, signal.SIGKILL)
    wait_until(lambda: market.reports(Lost), what="the loss", deadline_s=5)
    took_s = time.monotonic() - killed_s
    assert {lost.lost for lost in market.reports(Lost)} == {"buyer7"}
    assert took_s < 1  # It takes milliseconds on an idle machine; a beat would take ten seconds.
    wait_until(lambda: all(h.status().neighbours for h in market.hosts.values()), what="the joined graph")


def link_ranks(host: object) -> set[int]:
    """From which ranks links come in."""
    connections = host._server.connections()  # type: ignore[attr-defined]
    return {connection.rank for connection in connections} - {None}


def test_without_a_name_server_it_says_so(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("peers.runtime.hosting.host.REGISTER_PATIENCE_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    spec = msgspec.structs.replace(market.spec(9, "buyer"), nameserver_port=port)
    with pytest.raises(TownError, match="no name server answers"):
        market.add(spec)
