"""What a schedule leaves behind: how often the interesting happened, what was broken, and all of it where wanted."""

from __future__ import annotations

import msgspec

from peers.simulator.environment.history import History
from peers.simulator.environment.ledger_trace import LedgerTrace
from peers.simulator.environment.process import Process
from peers.simulator.environment.schedule import Schedule


class Breach(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """An invariant that did not hold, and how. `where`: what was raised, and in which line, if that broke it."""

    invariant: str
    what: str
    where: str = ""

    def __str__(self) -> str:
        return f"{self.invariant}: {self.what}"


class Record:
    """`sometimes` counts what is interesting, `breaches` are those seen while the schedule ran; `history`, where
    there is one, keeps all that happens, and `trace` what the ledger can tell apart."""

    def __init__(self, schedule: Schedule, history: History | None, trace: LedgerTrace | None = None) -> None:
        self.history = history
        self.trace = trace
        self.sometimes: dict[str, int] = {}
        self.breaches: list[Breach] = []
        self._schedule = schedule

    def saw(self, what: str) -> None:
        """Counts something interesting."""
        self.sometimes[what] = self.sometimes.get(what, 0) + 1

    def violate(self, invariant: str, what: str) -> None:
        """Notes a breach seen just now."""
        self.breaches.append(Breach(invariant=invariant, what=f"at {self._schedule.now_s:.4f}: {what}"))

    def note(self, process: Process | None, what: str) -> None:
        """Writes down what the outside does, to a process or to all."""
        if self.history is not None:
            self.history.on_fault(process, what, self._schedule.now_s)
