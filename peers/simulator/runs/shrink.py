"""Makes a failing scenario smaller: fewer faults, then shorter ones, then less time, as long as it fails alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from peers.simulator.environment.record import Breach
from peers.simulator.runs.play import play
from peers.simulator.scenario import Scenario

Verdict = Callable[[Scenario], Sequence[Breach]]
"""Says what a scenario breaks."""


class Shrunk(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of a scenario, and what that breaks: maybe less than the whole did, or another time."""

    scenario: Scenario
    breaches: tuple[Breach, ...]


def broken_by(scenario: Scenario) -> tuple[Breach, ...]:
    """Runs a scenario; returns what it breaks."""
    return play(scenario).breaches


def shrink(scenario: Scenario, *, most_runs: int = 400, verdict: Verdict = broken_by) -> Shrunk:
    """Returns a smaller scenario that breaks at least one of the same invariants; the same one if none is smaller.

    Something else that is raised, or elsewhere, is not the same."""
    breaches = verdict(scenario)
    wanted = _kinds(breaches)
    runs = 0
    smaller = True
    while smaller and runs < most_runs:
        smaller = False
        for candidate in _smaller(scenario):
            runs += 1
            found = verdict(candidate)
            if _kinds(found) & wanted:
                scenario, breaches, smaller = candidate, found, True
                break
            if runs >= most_runs:
                break
    return Shrunk(scenario=scenario, breaches=tuple(breaches))


def _kinds(breaches: Sequence[Breach]) -> set[tuple[str, str]]:
    return {(breach.invariant, breach.where) for breach in breaches}


def _smaller(scenario: Scenario) -> Iterator[Scenario]:
    plan = scenario.plan
    size = len(plan)
    # First half of the faults is left out at once, then a quarter, and so on down to single ones.
    while size > 1:
        size = (size + 1) // 2
        for first in range(0, len(plan), size):
            yield msgspec.structs.replace(scenario, plan=plan[:first] + plan[first + size :])
    if len(plan) == 1:
        yield msgspec.structs.replace(scenario, plan=())
    last_s = max((fault.until_s for fault in plan), default=0.0)
    for chaos_s in (last_s + 0.5, (last_s + scenario.chaos_s) / 2, scenario.chaos_s - 0.5):
        if last_s <= chaos_s <= scenario.chaos_s - 0.25:
            yield msgspec.structs.replace(scenario, chaos_s=round(chaos_s, 3))
    for number, fault in enumerate(plan):
        lasts_s = fault.until_s - fault.at_s
        if lasts_s > 0.2:
            shorter = msgspec.structs.replace(fault, until_s=round(fault.at_s + lasts_s / 2, 4))
            yield msgspec.structs.replace(scenario, plan=(*plan[:number], shorter, *plan[number + 1 :]))
