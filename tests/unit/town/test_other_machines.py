"""Which other machines a terminal knows of: how many it remembers, and how many it tells that the town is over."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from peers.core.membership.members import Member, Snapshot
from peers.errors import TownError
from peers.town.files.directory import Directory, Machines
from peers.town.machines import registry as registering
from peers.town.machines.registry import Registry
from peers.town.machines.remembered import MOST_REMEMBERED
from peers.town.processes.belief import Belief
from peers.town.processes.peer_processes import PeerProcesses
from peers.town.view.console import Console


def guest(number: int) -> Member:
    return Member(
        name=f"buyer{number}",
        rank=number,
        role="buyer",
        uri=f"PYRO:x@192.0.2.{number}:1",
        incarnation=1,
        nameserver=f"192.0.2.{number}:9090",
    )


def test_all_machines_are_told_that_the_town_is_over_and_not_only_those_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guests = [guest(number) for number in range(1, MOST_REMEMBERED + 9)]
    belief = Belief()
    belief.begin_with(Snapshot(members=tuple(guests), edges=()))
    group = SimpleNamespace(area="", names=frozenset(), belief=belief, members=lambda: ())
    directory = Directory(tmp_path)
    directory.make()
    told: list[str] = []

    def say_closing(nameservers: tuple[str, ...], town: str) -> list[str]:
        assert town == "this-town"
        told.extend(nameservers)
        return told

    def not_there(_registry: Any) -> None:
        raise TownError("no name server answers")

    monkeypatch.setattr(registering, "say_closing", say_closing)
    monkeypatch.setattr(Registry, "names", not_there)
    ours = Registry(directory, Console(quiet=True), [cast(PeerProcesses, group)], "127.0.0.1", 0)
    away = "192.0.2.254:9090"
    ours.others.open(Machines(town="this-town", founded=True, nameservers=(away,)), remembers=True)
    asyncio.run(ours.close_town())
    assert {each.nameserver for each in guests} | {away} == {*told}
    known = directory.read_machines()
    assert known is not None
    assert len(known.nameservers) <= MOST_REMEMBERED
