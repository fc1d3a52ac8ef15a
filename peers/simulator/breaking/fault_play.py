"""Plays the faults of a plan: begins each at its time, and ends those that last.

What else a fault has to draw comes from its own key, so that taking another fault out of the plan changes as little
as can be.
"""

from __future__ import annotations

from collections.abc import Iterable

from peers.simulator.breaking.ledger_faults import ledger_faults
from peers.simulator.breaking.network_faults import NetworkFaults
from peers.simulator.breaking.peer_faults import PeerFaults
from peers.simulator.breaking.targets import Begin, Undo
from peers.simulator.environment.environment import Environment
from peers.simulator.faults import Fault


class FaultPlay:
    """Begins and ends faults."""

    def __init__(self, environment: Environment) -> None:
        self._schedule = environment.schedule
        self._begin: dict[str, Begin] = {
            **NetworkFaults(environment).kinds,
            **PeerFaults(environment).kinds,
            **ledger_faults(environment),
        }
        self._undo: dict[int, Undo] = {}

    def schedule(self, plan: Iterable[Fault]) -> None:
        """Has all faults of the plan begin at their times."""
        for number, fault in enumerate(plan):
            self._schedule.push(fault.at_s, self._start, None, (number, fault))

    def _start(self, _: None, which: tuple[int, Fault]) -> None:
        number, fault = which
        undo = self._begin[fault.kind](fault)
        if undo is not None:
            self._undo[number] = undo
            self._schedule.push(fault.until_s, self._end, None, number)

    def _end(self, _: None, number: int) -> None:
        undo = self._undo.pop(number, None)
        if undo is not None:
            undo()

    def end_all(self) -> None:
        """All that still goes on is over."""
        for number in list(self._undo):
            self._end(None, number)
