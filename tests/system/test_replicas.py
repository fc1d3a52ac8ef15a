"""Books in three `mongod` on one machine: any of them may be killed, and a new start finds them all again."""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.helpers.waiting import wait_until
from tests.system.helpers.towns import RunningTown, bazaar

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

SAFE = "any one of them may be lost, and trade goes on"
QUICK = ("--think-s", "0.02", "--resign-after", "0", "--set", "market.stock=500")


@pytest.fixture
def towns() -> Iterator[list[RunningTown]]:
    with ExitStack() as stack:
        started: list[RunningTown] = []
        stack.callback(_kill_all, started)
        yield started


def _kill_all(towns: list[RunningTown]) -> None:
    for town in towns:
        town.kill()


def open_town(tmp_path: Path, towns: list[RunningTown], *options: object) -> RunningTown:
    directory = tmp_path / "town"
    command = [sys.executable, "-m", "peers.cli", "run", "localhost", "4", "--dir", str(directory), *QUICK]
    town = RunningTown([*command, *map(str, options)], directory, tmp_path / f"out{len(towns)}.txt")
    towns.append(town)
    return town


def status(town: RunningTown) -> dict[str, Any]:
    done = bazaar("status", "--json", "--dir", str(town.directory))
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def mongods(town: RunningTown) -> dict[int, psutil.Process]:
    """Those of the town, by port."""
    found = [each for each in town.note_family() if each.name() == "mongod"]
    return {int(each.cmdline()[each.cmdline().index("--port") + 1]): each for each in found}


def primary(town: RunningTown) -> psutil.Process:
    """The process of the one that takes the writes, once there is one."""

    def look() -> psutil.Process | None:
        ports = [int(m["address"].rpartition(":")[2]) for m in status(town)["members"] if m["state"] == "PRIMARY"]
        running = mongods(town)
        return running.get(ports[0]) if ports else None

    return wait_until(look, "a primary", deadline_s=60)


def bought(town: RunningTown) -> int:
    """How much its peers were told they have bought."""
    told = 0
    for journal in (town.directory / "journals").glob("*.jsonl"):
        told += journal.read_text().count('"sold"')
    return told


def trades_on(town: RunningTown) -> None:
    goal = bought(town) + 20
    wait_until(lambda: bought(town) >= goal, f"more trade in:\n{town.text}", deadline_s=60)


def end(town: RunningTown) -> None:
    town.interrupt()
    assert town.wait(90) == 0, town.text
    assert "audit: holds" in town.text
    town.left_nothing()


def test_any_of_three_may_be_killed_or_frozen_and_the_books_hold(tmp_path: Path, towns: list[RunningTown]) -> None:
    town = open_town(tmp_path, towns, "--replicas", 3, "--quiet")
    town.says("trade stops if 127.0.0.1")
    town.says(SAFE)
    assert len(mongods(town)) == 3
    trades_on(town)

    primary(town).kill()
    town.says("mongod died; it is started again")
    trades_on(town)
    town.says("mongod is back")
    wait_until(lambda: status(town)["outlook"].endswith(SAFE), "all three", deadline_s=60)

    frozen = primary(town)
    frozen.send_signal(signal.SIGSTOP)
    try:
        wait_until(lambda: primary(town).pid != frozen.pid, "another primary", deadline_s=60)
        trades_on(town)
    finally:
        frozen.send_signal(signal.SIGCONT)
    trades_on(town)
    end(town)


def test_books_of_three_are_found_again_and_audited_while_nobody_runs(
    tmp_path: Path, towns: list[RunningTown]
) -> None:
    town = open_town(tmp_path, towns, "--replicas", 3, "--quiet")
    town.says(SAFE)
    trades_on(town)
    end(town)
    audited = bazaar("audit", "--dir", str(town.directory), patience_s=90)
    assert audited.returncode == 0, audited.stdout + audited.stderr
    assert re.search(r"[1-9]\d* sold", audited.stdout), audited.stdout
    compared = bazaar("audit", "--members", "--dir", str(town.directory), patience_s=90)
    assert compared.returncode == 0, compared.stdout + compared.stderr
    assert len(re.findall(r"member 127\.0\.0\.1:\d+.*; the same books", compared.stdout)) == 3, compared.stdout

    again = open_town(tmp_path, towns, "--quiet")
    again.says(SAFE)
    assert len(mongods(again)) == 3
    trades_on(again)
    end(again)


@pytest.mark.long
def test_books_in_one_grow_to_three_and_do_not_shrink(tmp_path: Path, towns: list[RunningTown]) -> None:
    town = open_town(tmp_path, towns, "--purchases", 20, "--quiet")
    assert town.wait(90) == 0, town.text
    grown = open_town(tmp_path, towns, "--replicas", 3, "--quiet")
    grown.says(SAFE)
    trades_on(grown)
    end(grown)
    refused = open_town(tmp_path, towns, "--replicas", 1)
    assert refused.wait() == 2, refused.text
    assert "the books here are in 3 members" in refused.text


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--replicas", 2), "--replicas 2: one of 1, 3, 5, 7"),
        (("--replicas", 3, "--mongo", "mongodb://127.0.0.1:1/?replicaSet=rs0"), "for books of the town's own"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(
    tmp_path: Path, towns: list[RunningTown], options: tuple[object, ...], why: str
) -> None:
    refused = open_town(tmp_path, towns, *options)
    assert refused.wait() == 2
    assert why in refused.text


@pytest.mark.long
@pytest.mark.parametrize("is_emptied", [True, False])
def test_books_of_three_are_found_again_without_what_was_noted_of_them(
    tmp_path: Path, towns: list[RunningTown], is_emptied: bool
) -> None:
    town = open_town(tmp_path, towns, "--replicas", 3, "--quiet")
    town.says(SAFE)
    trades_on(town)
    end(town)
    noted = town.directory / "replication.json"

    def lose() -> None:
        if is_emptied:
            noted.write_bytes(b"")
        else:
            noted.unlink()

    lose()
    audited = bazaar("audit", "--dir", str(town.directory), patience_s=90)
    assert audited.returncode == 0, audited.stdout + audited.stderr
    assert "replication.json was lost or illegible; it was made again" in audited.stderr
    lose()
    again = open_town(tmp_path, towns, "--quiet")
    again.says("replication.json was lost or illegible; it was made again")
    again.says(SAFE)
    assert len(mongods(again)) == 3
    trades_on(again)
    end(again)
