"""The name server as a process: found, asked, restarted in its place, and gone with whoever started it."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from Pyro5.api import Proxy
from Pyro5.errors import PyroError

from nameserver.finder import Finder, find
from nameserver.process import NameServerProcess
from peers.errors import TownError

URI = "PYRO:buyer0@127.0.0.1:4711"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NameServerProcess]:
    process = NameServerProcess(log=tmp_path / "nameserver.log")
    process.start()
    yield process
    process.stop()


@pytest.fixture
def finder(server: NameServerProcess) -> Iterator[Finder]:
    with find(server.host, server.port) as found:
        yield found


def test_peers_are_listed_by_rank(finder: Finder) -> None:
    for name, rank in (("buyer10", 10), ("seller2", 2)):
        finder.register(f"bazaar.{name}", URI, ["bazaar.peer", f"rank:{rank}", f"role:{name.rstrip('0123456789')}"])
    finder.register("bazaar.trader", URI, ["bazaar.peer", "rank:2", "role:seller"])
    assert [(peer.name, peer.rank, peer.role) for peer in finder.peers()] == [
        ("seller2", 2, "seller"),
        ("buyer10", 10, "buyer"),
    ]
    finder.remove("bazaar.seller2")
    finder.remove("bazaar.seller2")
    assert [peer.uri for peer in finder.peers()] == [URI]


def test_the_towns_card(finder: Finder) -> None:
    assert finder.card() is None
    card = {"mongo_uri": "mongodb://127.0.0.1:1/?a=b:c", "database": "bazaar"}
    finder.leave_card(card)
    assert finder.card() == card
    assert finder.peers() == []


def test_restart_keeps_the_port_and_forgets_the_names(server: NameServerProcess, finder: Finder) -> None:
    finder.register("bazaar.buyer0", URI)
    port, pid = server.port, server.pid
    server.restart()
    assert (server.port, server.pid != pid) == (port, True)
    with find(server.host, port) as again:
        assert again.peers() == []


def test_nobody_there_is_said_soon(server: NameServerProcess) -> None:
    server.stop()
    assert not server.alive()
    with pytest.raises(TownError, match=f"port {server.port}"):
        find(server.host, server.port)


def test_a_hung_one_is_noticed_soon(server: NameServerProcess) -> None:
    assert server.pid is not None
    psutil.Process(server.pid).suspend()
    began = time.monotonic()
    with pytest.raises(TownError, match="no name server answers"):
        find(server.host, server.port, timeout_s=0.3)
    assert time.monotonic() - began < 3
    server.stop()
    assert not server.alive()


def test_a_taken_port_is_named(server: NameServerProcess, tmp_path: Path) -> None:
    second = NameServerProcess(server.host, server.port, tmp_path / "second.log")
    with pytest.raises(TownError, match=f"cannot listen on 127.0.0.1 port {server.port}"):
        second.start()
    assert not second.alive()


def test_marshal_is_refused(finder: Finder) -> None:
    with Proxy(finder.uri) as proxy:
        proxy._pyroSerializer = "marshal"
        proxy._pyroTimeout = 2.0
        with pytest.raises((PyroError, OSError)):
            proxy.list()
    finder.ping()


def test_many_connections_at_once(server: NameServerProcess) -> None:
    finders = [find(server.host, server.port) for _ in range(150)]
    for each in finders:
        each.ping()
        each.close()


def test_it_ends_with_its_starter() -> None:
    starter = (
        "import os; from nameserver.process import NameServerProcess; "
        "server = NameServerProcess(); server.start(); print(server.pid, flush=True); os._exit(0)"
    )
    done = subprocess.run([sys.executable, "-c", starter], capture_output=True, text=True, timeout=60, check=True)
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(int(done.stdout)).wait(10)
