"""What was carried out counts as carried out, whether or not it could be undone."""

from __future__ import annotations

import asyncio
import time
from typing import Any, cast

import pytest

from peers.chaos.events import Injected
from peers.chaos.history import History
from peers.chaos.injection.breaking import Breaker
from peers.chaos.injection.hardships import Hardships
from peers.chaos.kinds import Kind
from peers.chaos.plan import Plan, Planned
from peers.chaos.switch.client import SwitchClient
from peers.core.names import Role
from peers.errors import TownError
from peers.town.terminals.town import Town
from tests.unit.chaos.made_up import MadeUpTown

ROLES: dict[str, Role] = {
    "seller0": "seller",
    "buyer1": "buyer",
    "buyer2": "buyer",
    "seller3": "seller",
    "buyer4": "buyer",
}
NOBODY = "nobody introduced it"


def carried_out(town: MadeUpTown, kind: Kind) -> tuple[History, list[str]]:
    """Carries out one such fault; returns what happened, and what was said of it."""
    planned = Planned(number=1, at_s=0.0, kind=kind, pick=0.0, lasts_s=0.01)
    plan = Plan(seed=1, duration_s=0.02, peers=len(ROLES), kinds=(kind,), faults=(planned,))
    history, said = History(), list[str]()

    def hear(fault: Injected) -> None:
        said.append(fault.skipped or fault.detail)

    breaker = Breaker(cast(Town, town), cast(SwitchClient, None), history, hear)
    asyncio.run(breaker.carry_out(plan))
    return history, said


def test_who_was_squeezed_to_death_was_squeezed_though_nobody_can_have_it_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    town = MadeUpTown(ROLES, trader="seller0", refuses=TownError(NOBODY))

    async def inflict(_self: Any, _planned: Planned, fault: Injected) -> None:
        town.end(fault.peers[0])

    monkeypatch.setattr(Hardships, "inflict", inflict)
    history, said = carried_out(town, "squeeze-peer")
    (fault,) = history.carried_out()
    assert fault.peers == ("buyer1",)
    assert NOBODY in fault.detail
    assert NOBODY in said[-1]
    assert history.was_squeezed("buyer1", time.monotonic())
    assert not history.was_squeezed("buyer2", time.monotonic())
    assert not history.was_squeezed("buyer1", time.monotonic() + 60)


def test_who_had_to_be_killed_for_it_has_left() -> None:
    town = MadeUpTown(ROLES, trader="seller0", refuses=TownError("it did not leave in time, and was killed"))
    history, said = carried_out(town, "leave")
    (fault,) = history.carried_out()
    assert "was killed" in fault.detail
    assert "was killed" in said[-1]


def test_who_could_not_come_back_has_not() -> None:
    town = MadeUpTown(ROLES, trader="seller0", refuses=TownError(NOBODY))
    town.end("buyer1")
    history, said = carried_out(town, "come-back")
    assert not history.carried_out()
    assert NOBODY in said[-1]
