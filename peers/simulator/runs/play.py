"""Plays one scenario and says how it went."""

from __future__ import annotations

import msgspec

from peers.simulator.describe import describe_error, place_of
from peers.simulator.environment.history import History
from peers.simulator.environment.ledger_trace import LedgerTrace
from peers.simulator.environment.record import Breach
from peers.simulator.runs.world import World
from peers.simulator.scenario import Scenario


class Played(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule that is over: what it broke, how often the interesting happened, how much there was of it."""

    breaches: tuple[Breach, ...]
    sometimes: dict[str, int]
    inputs: int
    decisions: int
    virtual_s: float


def play(scenario: Scenario, history: History | None = None, trace: LedgerTrace | None = None) -> Played:
    """Runs a schedule and judges it. A core that raises, be it a refusal that is meant for a caller, breaks
    `no_exception`, and the run goes on with the next."""
    world = World(scenario, history, trace)
    try:
        breaches = world.run()
    except Exception as error:  # noqa: BLE001 - Whatever it is, it concerns this seed, and is what seeds are for.
        what = f"at {world.environment.schedule.now_s:.4f}: {describe_error(error)}"
        where = f"{type(error).__name__} in {place_of(error)}"
        breaches = [Breach(invariant="no_exception", what=what, where=where)]
    return Played(
        breaches=tuple(breaches),
        sometimes=world.environment.record.sometimes,
        inputs=world.environment.lives.inputs,
        decisions=world.environment.road.post().seq,
        virtual_s=world.environment.schedule.now_s,
    )
