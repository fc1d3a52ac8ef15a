"""Whom a fault hits, decided when it begins: the trader of that moment, or the peer of a rank."""

from __future__ import annotations

from collections.abc import Callable

from peers.simulator.environment.environment import LEAST_LIVE, Environment
from peers.simulator.environment.process import Process
from peers.simulator.faults import TRADER, Fault

Undo = Callable[[], None]
Begin = Callable[[Fault], Undo | None]


def target_of(fault: Fault, environment: Environment) -> Process | None:
    """The process that the fault is aimed at, None where it is not alive."""
    live = environment.lives.live()
    if fault.target == TRADER:
        areas = sorted({p.area for p in live})
        live = [p for p in live if p.area == areas[fault.key % len(areas)]]
        held = [p for p in live if p.view.in_office]
        if held:
            return max(held, key=lambda p: p.view.term)
        return live[fault.key % len(live)]
    return next((p for p in live if p.rank == fault.target), None)


def can_spare(process: Process, environment: Environment) -> bool:
    """Whether enough others are alive and awake."""
    others = [p for p in environment.lives.neighbours_of(process) if not p.hung]
    return len(others) >= LEAST_LIVE - 1
