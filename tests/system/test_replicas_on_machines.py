"""Books in members on three machines, each a network namespace: any machine may be lost, the first too, and trade
goes on; whoever comes back brings peers and member back."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.waiting import wait_until
from tests.system.helpers.lan import Machine, lan, sh
from tests.system.helpers.towns import RunningTown
from tests.system.test_several_machines import Towns, holds, joined

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]

SAFE = re.compile(r"3 members: \S+ \(primary\), [\d.:]+, [\d.:]+; any one of them may be lost")
FAILOVER_S = 40.0
"""A bound of patience, not of what is promised: the bench measures that."""


@pytest.fixture
def towns(tmp_path: Path) -> Iterator[Towns]:
    with ExitStack() as stack:
        made = Towns(stack.enter_context(lan()), tmp_path)
        stack.callback(made.end)
        yield made


def says(town: RunningTown, pattern: re.Pattern[str], *, after: int = 0, patience_s: float = 90.0) -> None:
    def look() -> bool:
        assert town.process.poll() is None, town.text
        return pattern.search(town.text, after) is not None

    wait_until(look, f"{pattern.pattern} in:\n{town.text}", deadline_s=patience_s)


def lose(machine: Machine) -> None:
    """Ends all that runs there at once, as a loss of power does."""

    def pids() -> list[str]:
        done = subprocess.run(["ip", "netns", "pids", machine.namespace], capture_output=True, text=True, check=False)
        return done.stdout.split()

    while found := pids():
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        time.sleep(0.01)


def switch(machine: Machine, way: str) -> None:
    """Cuts a machine off, without a word to anybody, or lets it be reached again."""
    sh("ip", "-n", machine.namespace, "link", "set", "eth", way)


def bought(town: RunningTown) -> int:
    return town.text.count(" bought ")


def trades_on(town: RunningTown, more: int = 3) -> None:
    """Waits for so many more purchases that its terminal tells of."""
    goal = bought(town) + more
    wait_until(lambda: bought(town) >= goal, f"more trade in:\n{town.text[-3000:]}", deadline_s=FAILOVER_S)


def members(towns: Towns, machine: Machine) -> dict[str, dict[str, Any]]:
    code, text = towns.ask(machine, "status", "--json")
    assert code == 0, text
    return {each["address"].partition(":")[0]: each for each in json.loads(text)["members"]}


def three(towns: Towns) -> tuple[list[Machine], list[RunningTown], list[Path]]:
    """Three machines with a member each, of which any one may be lost."""
    machines = [towns.net.machine(number) for number in (10, 11, 12)]
    first = machines[0]
    town = towns.open(first, 3, "--replicas", 3)
    terminals, files = [town], [Path()]
    says(town, re.compile(rf"until 2 more have joined, trade stops if {first.address}:\d+ is lost"))
    for machine in machines[1:]:
        files.append(towns.invite(first, machine.address))
        terminals.append(joined(towns, machine, first, files[-1]))
        if machine is machines[1]:
            says(town, re.compile(r"a copy, without a vote yet\); until 1 more has joined, trade stops if"))
    for terminal in terminals:
        says(terminal, SAFE)
    return machines, terminals, files


@pytest.mark.parametrize("keeps_record", [True, pytest.param(False, marks=pytest.mark.long)])
def test_the_first_machine_may_be_lost_and_comes_back_with_its_member(towns: Towns, keeps_record: bool) -> None:
    machines, terminals, _files = three(towns)
    assert members(towns, machines[0])[machines[0].address]["state"] == "PRIMARY"
    before = len(terminals[1].text)
    lose(machines[0])
    says(
        terminals[1],
        re.compile(rf"{machines[0].address}:\d+ \(away\).*; if one more is lost, trade stops"),
        after=before,
    )
    trades_on(terminals[1])
    trades_on(terminals[2])
    code, text = towns.ask(machines[1], "audit")
    assert code == 2, text
    assert f"journals of {machines[0].address} could not be had" in text
    assert "violated" not in text

    before = len(terminals[2].text)
    if not keeps_record:
        (towns.directory(machines[0]) / "replication.json").write_bytes(b"")
    again = towns.run(machines[0], machines[0].address, 3)
    again.says("have joined it again")
    says(terminals[2], SAFE, after=before)
    trades_on(again)
    assert {each["state"] for each in members(towns, machines[0]).values()} == {"PRIMARY", "SECONDARY"}
    holds(towns, machines[0])

    # Where the market began it may be over, and go on elsewhere: one audit, whichever machine it is asked on.
    again.interrupt()
    assert again.wait() == 0, again.text
    holds(towns, machines[0])
    for terminal in reversed(terminals[1:]):
        terminal.interrupt()
        assert terminal.wait() == 0, terminal.text


@pytest.mark.long
def test_a_machine_that_joined_may_be_lost_and_comes_back_with_its_member(towns: Towns) -> None:
    machines, terminals, files = three(towns)
    before = len(terminals[0].text)
    lose(machines[2])
    trades_on(terminals[0])
    again = joined(towns, machines[2], machines[0], files[2])
    says(terminals[0], SAFE, after=before)
    trades_on(again)
    holds(towns, machines[0])
    terminals[0].interrupt()
    assert terminals[0].wait() == 0, terminals[0].text
    assert "audit: holds" in terminals[0].text
    for terminal in (terminals[1], again):
        assert terminal.wait() == 0, terminal.text


@pytest.mark.long
def test_the_first_machine_may_be_cut_off_and_its_late_entries_do_not_stand(towns: Towns) -> None:
    machines, terminals, _files = three(towns)
    before = [len(terminal.text) for terminal in terminals]
    switch(machines[0], "down")
    says(terminals[1], re.compile(r"if one more is lost, trade stops until"), after=before[1])
    trades_on(terminals[1])
    says(terminals[0], re.compile(r"the books have no majority, and trade waits until"), after=before[0])
    switch(machines[0], "up")
    for terminal, seen in zip(terminals, before, strict=True):
        says(terminal, SAFE, after=seen)
    for terminal in terminals:
        trades_on(terminal)
    holds(towns, machines[1])
    code, text = towns.ask(machines[2], "audit", "--members")
    assert code == 0, text
    terminals[0].interrupt()
    for terminal in terminals:
        assert terminal.wait() == 0, terminal.text


@pytest.mark.long
def test_a_member_whose_disk_was_lost_joins_anew(towns: Towns) -> None:
    """It would have a vote, and has forgotten what it voted for."""
    machines, terminals, files = three(towns)
    before = len(terminals[0].text)
    lose(machines[2])
    shutil.rmtree(towns.directory(machines[2]) / "mongo")
    again = joined(towns, machines[2], machines[0], files[2])
    says(terminals[0], re.compile(r"without a vote yet"), after=before)
    says(again, SAFE)
    holds(towns, machines[2])
    code, text = towns.ask(machines[2], "audit", "--members")
    assert code == 0, text
