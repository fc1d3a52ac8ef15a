"""Plays one scenario and says how it went."""

from __future__ import annotations

import msgspec

from peers.simulator.environment.history import History
from peers.simulator.environment.ledger_trace import LedgerTrace
from peers.simulator.environment.record import Breach
from peers.simulator.runs.world import World
from peers.simulator.scenario import Scenario

_DEFECTS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What a defect of the core raises."""


class Played(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule that is over: what it broke, how often the interesting happened, how much there was of it."""

    breaches: tuple[Breach, ...]
    sometimes: dict[str, int]
    inputs: int
    decisions: int
    virtual_s: float


def play(scenario: Scenario, history: History | None = None, trace: LedgerTrace | None = None) -> Played:
    """Runs a schedule and judges it. A core that raises breaks `no_exception`, and the run goes on with the next."""
    world = World(scenario, history, trace)
    try:
        breaches = world.run()
    except _DEFECTS as error:
        at = f"at {world.environment.schedule.now_s:.4f}"
        breaches = [Breach(invariant="no_exception", what=f"{at}: {type(error).__name__}: {error}{_where(error)}")]
    return Played(
        breaches=tuple(breaches),
        sometimes=world.environment.record.sometimes,
        inputs=world.environment.lives.inputs,
        decisions=world.environment.road.post().seq,
        virtual_s=world.environment.schedule.now_s,
    )


def _where(error: BaseException) -> str:
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return ""
    code = traceback.tb_frame.f_code
    return f" (in {code.co_qualname}, line {traceback.tb_lineno})"
