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

from nameserver.client import NameServerClient, find
from nameserver.names import CLOSING, NAME_SERVER_OBJECT
from nameserver.process import NameServerProcess
from peers.core.membership.members import Member
from peers.core.names import Role, peer_name
from peers.endpoints import endpoint
from peers.errors import TownError

URI = "PYRO:buyer0@127.0.0.1:4711"
ELSEWHERE = "PYRO:buyer0@127.0.0.1:4712"


def member(rank: int, role: Role, uri: str = URI) -> Member:
    return Member(rank=rank, name=peer_name(role, rank), role=role, uri=uri, incarnation=1)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NameServerProcess]:
    process = NameServerProcess(log=tmp_path / "nameserver.log")
    process.start()
    yield process
    process.stop()


@pytest.fixture
def names(server: NameServerProcess) -> Iterator[NameServerClient]:
    with find(server.host, server.port) as found:
        yield found


def test_peers_are_listed_by_rank(names: NameServerClient) -> None:
    seller = member(2, "seller")
    names.register(member(10, "buyer"))
    names.register(seller)
    names.register_trader(seller, 1)
    assert [(peer.name, peer.rank, peer.role) for peer in names.peers()] == [
        ("seller2", 2, "seller"),
        ("buyer10", 10, "buyer"),
    ]
    names.unregister(seller)
    names.unregister(seller)
    assert [peer.uri for peer in names.peers()] == [URI]


def test_the_trader_of_the_highest_term_is_listed_whoever_comes_last(names: NameServerClient) -> None:
    early, late = member(1, "buyer"), member(2, "seller", ELSEWHERE)
    assert names.trader() is None
    names.register_trader(late, 7)
    names.register_trader(early, 6)
    listed = names.trader()
    assert listed is not None
    assert (listed.uri, listed.term) == (ELSEWHERE, 7)
    names.unregister_trader(early)
    assert names.trader() == listed
    names.unregister_trader(late)
    assert names.trader() is None


def test_who_came_back_elsewhere_is_not_unregistered_by_its_former_life(names: NameServerClient) -> None:
    names.register(member(0, "buyer"))
    names.register(member(0, "buyer", ELSEWHERE))
    names.unregister(member(0, "buyer"))
    assert [peer.uri for peer in names.peers()] == [ELSEWHERE]


def test_the_towns_card(names: NameServerClient) -> None:
    assert names.card() is None
    card = {"mongo_uri": "mongodb://127.0.0.1:1/?a=b:c", "database": "bazaar"}
    names.leave_card(card)
    assert names.card() == card
    assert names.peers() == []
    names.say_closing()
    assert names.card() == {**card, CLOSING: "yes"}


def test_restart_keeps_the_port_and_forgets_the_names(server: NameServerProcess, names: NameServerClient) -> None:
    names.register(member(0, "buyer"))
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


def test_marshal_is_refused(server: NameServerProcess, names: NameServerClient) -> None:
    with Proxy(f"PYRO:{NAME_SERVER_OBJECT}@{endpoint(server.host, server.port)}") as proxy:
        proxy._pyroSerializer = "marshal"
        proxy._pyroTimeout = 2.0
        with pytest.raises((PyroError, OSError)):
            proxy.list()
    names.ping()


def test_many_connections_at_once(server: NameServerProcess) -> None:
    clients = [find(server.host, server.port) for _ in range(150)]
    for each in clients:
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


def test_it_starts_without_what_it_never_needs() -> None:
    code = (
        "import sys, nameserver.server; "
        "heavy = {'pymongo', 'bson', 'numpy', 'pydantic', 'cryptography'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
