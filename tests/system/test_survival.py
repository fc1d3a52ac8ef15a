"""The market survives: real processes, real kills, customers that never stop, and the books balance afterwards."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
from pathlib import Path

import pytest

from tests.helpers.waiting import wait_until
from tests.system.helpers.town import BAZAAR, Town, bazaar, running_town

pytestmark = pytest.mark.system

BRISK = ("--think-s", "0.02", "--set", "market.restock_probability=1", "--set", "market.period_s=1")


def ends_well(town: Town) -> None:
    """The town ends on one Ctrl-C, says that the audit holds, and so does an audit of what it left behind."""
    assert town.stop() == 0, town.output()[-6000:]


def test_the_trader_is_killed(tmp_path: Path) -> None:
    with running_town(tmp_path, 6, *BRISK, "--resign-after", 0) as town:
        town.wait_for_sales(20)
        trader = town.wait_for_trader()
        town.signal(trader, signal.SIGKILL)
        successor = town.wait_for_trader(other_than=trader)
        town.wait_for_sales(20)
        assert trader in town.peers(alive=False)
        assert successor != trader
        ends_well(town)


def test_a_stopped_trader_wakes_up_and_is_refused(tmp_path: Path) -> None:
    with running_town(tmp_path, 6, *BRISK, "--resign-after", 0) as town:
        town.wait_for_sales(20)
        trader = town.wait_for_trader()
        town.signal(trader, signal.SIGSTOP)
        town.wait_for_trader(other_than=trader)
        town.wait_for_sales(20)
        town.signal(trader, signal.SIGCONT)
        wait_until(lambda: town.peers().get(trader, {}).get("neighbours"), what=f"{trader} back in the graph")
        town.wait_for_sales(20)
        ends_well(town)


def test_two_are_killed_at_once_the_trader_among_them(tmp_path: Path) -> None:
    with running_town(tmp_path, 8, *BRISK, "--resign-after", 0) as town:
        town.wait_for_sales(20)
        trader = town.wait_for_trader()
        others = {n: p["role"] for n, p in sorted(town.peers().items()) if n != trader}
        # The other has the commonest role: of eight, only two may buy, and a town without buyers sells nothing.
        plentiful = statistics.mode(others.values())
        other = next(n for n, role in others.items() if role == plentiful)
        pids = [town.pid_of(trader), town.pid_of(other)]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        town.wait_for_trader(other_than=trader)
        town.wait_for_sales(20)
        ends_well(town)


@pytest.mark.parametrize("role", ["buyer", pytest.param("seller", marks=pytest.mark.long)])
def test_a_customer_is_killed_and_the_graph_is_joined_up(tmp_path: Path, role: str) -> None:
    with running_town(tmp_path, 8, *BRISK) as town:
        town.wait_for_sales(20)
        trader = town.wait_for_trader()
        victim = next(n for n, p in sorted(town.peers().items()) if n != trader and p["role"] == role)
        town.signal(victim, signal.SIGKILL)

        def joined_up() -> bool:
            graph = {name: set(peer["neighbours"]) for name, peer in town.peers().items()}
            if victim in graph or any(victim in links for links in graph.values()):
                return False
            seen, todo = set(), [next(iter(graph))]
            while todo:
                name = todo.pop()
                seen.add(name)
                todo += graph[name] - seen
            return len(graph) == 7 and seen == set(graph) and all(len(links) <= 3 for links in graph.values())

        wait_until(joined_up, what="one graph of seven")
        town.wait_for_sales(20)
        ends_well(town)


def test_mongod_is_killed(tmp_path: Path) -> None:
    with running_town(tmp_path, 6, *BRISK) as town:
        town.wait_for_sales(20)
        os.kill(town.child("mongod").pid, signal.SIGKILL)
        town.wait_for_sales(20)
        ends_well(town)


def test_the_name_server_is_killed(tmp_path: Path) -> None:
    with running_town(tmp_path, 6, *BRISK) as town:
        town.wait_for_sales(20)
        first = town.child("nameserver").pid
        os.kill(first, signal.SIGKILL)
        town.wait_for_sales(20)
        wait_until(lambda: town.child("nameserver").pid != first, what="another name server")
        wait_until(lambda: len(town.peers()) == 6, what="six registrations again")
        wait_until(lambda: town.status().get("trader"), what="the trader registered again")
        ends_well(town)


@pytest.mark.long
def test_peers_join_a_running_town(tmp_path: Path) -> None:
    with running_town(tmp_path, 4, *BRISK) as town:
        town.wait_for_sales(10)
        with (tmp_path / "joiners.txt").open("w") as output:
            command = [*BAZAAR, "run", "localhost", "2", "--dir", str(tmp_path), *BRISK]
            joiners = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            wait_until(lambda: len(town.peers()) == 6, what="six peers")
            newcomers = [name for name, p in town.peers().items() if p["rank"] >= 4]
            assert len(newcomers) == 2
            town.wait_for_sales(30)
            joiners.send_signal(signal.SIGINT)
            assert joiners.wait(timeout=30) == 0, (tmp_path / "joiners.txt").read_text()
            wait_until(lambda: len(town.peers()) == 4, what="four peers again")
            town.wait_for_sales(10)
        finally:
            if joiners.poll() is None:
                joiners.kill()
        ends_well(town)


@pytest.mark.long
def test_the_audit_of_a_closed_town(tmp_path: Path) -> None:
    with running_town(tmp_path, 6, *BRISK) as town:
        town.wait_for_sales(50)
        live = bazaar("audit", "--dir", tmp_path)
        assert live.returncode == 0, live.stdout + live.stderr
        ends_well(town)
    (tmp_path / "terminal").write_bytes(b"")
    closed = bazaar("audit", "--dir", tmp_path)
    assert closed.returncode == 0, closed.stdout + closed.stderr
