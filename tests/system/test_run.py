"""The main job as people do it: `bash run.sh <host> <n>`, with everything real."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.helpers.waiting import wait_until
from tests.system.helpers.towns import ROOT, RunningTown, bazaar

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

Run = Callable[..., RunningTown]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Starts `run.sh` in the environment the tests run in."""
    towns = []
    number = itertools.count()

    def start(*arguments: str, name: str = "town") -> RunningTown:
        directory = tmp_path / name
        command = ["bash", str(ROOT / "run.sh"), *arguments, "--dir", str(directory)]
        town = RunningTown(command, directory, tmp_path / f"{next(number)}.out", VIRTUAL_ENV=sys.prefix)
        towns.append(town)
        return town

    yield start
    for town in reversed(towns):
        town.kill()


def status_of(town: RunningTown) -> dict[str, Any]:
    done = bazaar("status", "--json", "--dir", str(town.directory))
    assert done.returncode == 0, done.stderr
    status: dict[str, Any] = json.loads(done.stdout)
    return status


def test_a_bounded_run_ends_by_itself_and_balances(run: Run) -> None:
    town = run("localhost", "6", "--purchases", "60", "--think-s", "0.02", "--seed", "5")
    town.says("I am the new coordinator")
    town.says(" bought ")
    town.note_family()
    assert town.wait(90) == 0, town.text
    town.left_nothing()
    for words in ("joins as buyer", "joins as seller", "deposited", "earned", "purchases", "audit: holds"):
        assert words in town.text, words
    assert "Traceback" not in town.text
    network = town.network()
    assert len(network) == 6
    assert all(1 <= len(links) <= 3 for links in network.values())
    assert (town.directory / "network.png").stat().st_size > 1000
    assert list((town.directory / "journals").glob("*.jsonl"))
    assert bazaar("audit", "--dir", str(town.directory)).returncode == 0


def test_ctrl_c_once_is_enough(run: Run) -> None:
    town = run("127.0.0.1", "8")
    town.says(" bought ")
    town.interrupt()
    assert town.wait() == 0, town.text
    town.left_nothing()
    assert "audit: holds" in town.text


def test_a_second_run_goes_on_with_the_books(run: Run) -> None:
    first = run("localhost", "6", "--purchases", "20", "--think-s", "0.02")
    assert first.wait(90) == 0, first.text
    term = first.state()["term"]
    second = run("localhost", "6", "--purchases", "20", "--think-s", "0.02")
    second.says(f"term {term}, ")
    assert second.wait(90) == 0, second.text
    assert second.state()["term"] > term
    assert second.state()["seed"] == first.state()["seed"]
    fresh = run("localhost", "6", "--purchases", "5", "--fresh", "--quiet")
    assert fresh.wait(90) == 0, fresh.text
    assert ", empty" in fresh.text
    assert " deposited " not in fresh.text


def test_more_join_from_a_second_terminal(run: Run) -> None:
    town = run("localhost", "5")
    town.says(" bought ")
    refused = run("localhost", "3", "--fresh")
    assert refused.wait() == 2, refused.text
    assert "--fresh begins a new town, and one runs in" in refused.text
    guest = run("localhost", "3")
    guest.says("3 peers have joined")

    def all_linked() -> bool:
        peers = status_of(town)["peers"]
        return len(peers) == 8 and all(peer["alive"] and peer["neighbours"] for peer in peers)

    wait_until(all_linked, "eight peers, all with neighbours")
    guest.says(" bought ") if any("buyer" in name for name in guest.peers()) else None
    guest.interrupt()
    assert guest.wait() == 0, guest.text
    guest.left_nothing()
    wait_until(lambda: len(town.network()) == 5, "the graph without the guests")
    town.interrupt()
    assert town.wait() == 0, town.text
    town.left_nothing()


def test_a_town_that_closes_takes_its_guests_along(run: Run) -> None:
    town = run("localhost", "4")
    town.says(" bought ")
    guest = run("localhost", "2")
    guest.says("2 peers have joined")
    guest.note_family()
    town.interrupt()
    assert town.wait() == 0, town.text
    assert guest.wait() == 0, guest.text
    town.left_nothing()
    guest.left_nothing()


def test_the_trader_is_killed_and_the_market_goes_on(run: Run) -> None:
    town = run("localhost", "6", "--resign-after", "0", "--think-s", "0.05")
    town.says(" bought ")
    status = wait_until(lambda: (s := status_of(town))["trader"] and s, "a trader")
    pids = {peer["name"]: peer["pid"] for peer in status["peers"]}
    psutil.Process(pids[status["trader"]]).kill()
    wait_until(lambda: status_of(town)["term"] > status["term"], "the next term")
    wait_until(lambda: len(town.network()) == 5, "the graph joined up again")
    town.interrupt()
    assert town.wait() == 0, town.text
    town.left_nothing()


def test_two_towns_side_by_side(run: Run) -> None:
    towns = [run("localhost", "4", "--purchases", "15", name=name) for name in ("one", "two")]
    for town in towns:
        assert town.wait(90) == 0, town.text


def test_peers_that_do_not_trade_wait_for_customers(run: Run) -> None:
    town = run("localhost", "4", "--no-trade", "--duration", "3")
    assert town.wait(90) == 0, town.text
    assert "0 purchases" in town.text


def test_a_directory_that_is_removed_ends_its_towns_and_no_other(run: Run) -> None:
    town = run("localhost", "4")
    town.says(" bought ")
    guest = run("localhost", "2")
    guest.says("2 peers have joined")
    for each in (town, guest):
        each.note_family()
    wait_until(lambda: _removed(town.directory), "the directory removed")
    other = run("localhost", "4")
    for each in (town, guest):
        assert each.wait() == 2, each.text
        each.left_nothing()
        assert "Traceback" not in each.text
        assert each.text.count(f"bazaar: {town.directory} was removed") == 1
    other.says(" bought ")
    other.interrupt()
    assert other.wait() == 0, other.text
    other.left_nothing()
    assert "audit: holds" in other.text
    assert bazaar("audit", "--dir", str(other.directory)).returncode == 0


def _removed(directory: Path) -> bool:
    """Removes it; what its town writes meanwhile may be in the way."""
    with contextlib.suppress(OSError):
        shutil.rmtree(directory)
    return not directory.exists()


@pytest.mark.parametrize("arguments", [[], ["localhost"]])
def test_usage_is_one_line(arguments: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", str(ROOT / "run.sh"), *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "VIRTUAL_ENV": sys.prefix},
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "bash run.sh <host> <n>" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["localhost", "many"], "not a number"),
        (["localhost", "1"], "2 peers or more"),
        (["no-such-host.invalid", "6"], "not a host"),
        (["localhost", "6", "--mongo", "mongodb://127.0.0.1:1"], "127.0.0.1:1"),
    ],
)
def test_errors_of_the_user(run: Run, arguments: list[str], says: str) -> None:
    town = run(*arguments)
    assert town.wait() == 2
    assert says in town.text
    assert "Traceback" not in town.text
