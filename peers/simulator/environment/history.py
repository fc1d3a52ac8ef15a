"""What happened in a schedule, for people: a space-time listing, and ShiViz' format with vector clocks.

The vector clocks here are the simulator's own. They count the events of each process and follow what caused what
(a message, a call, a ledger's answer), whatever clocks the peers keep.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from peers.core.inputs import Input
from peers.core.ledger.port import Operation, Result
from peers.core.reports import Asked, LinksChanged, Offered, Report
from peers.simulator.describe import describe_input, describe_operation, describe_result
from peers.simulator.environment.process import Process

SHIVIZ_REGEX = r"(?<host>\S+) (?<clock>\{.*\})\n(?<event>.*)"
LEDGER = "ledger"

Clock = dict[str, int]


class History:
    """Keeps all that happens in one schedule."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._events: list[tuple[str, Clock, str]] = []
        self._clocks: dict[str, Clock] = {LEDGER: {}}
        self._causes: dict[int, tuple[str, Clock]] = {}
        # The host whose event is being handled, and so the cause of what is scheduled meanwhile. None after a fault.
        self._at: str | None = None

    # -- what happens ------------------------------------------------------------------------------------

    def on_push(self, number: int) -> None:
        if self._at is not None:
            self._causes[number] = (self._at, dict(self._clocks[self._at]))

    def on_requeue(self, number: int, pushed: int) -> None:
        """What came while a process hung keeps its cause."""
        if number in self._causes:
            self._causes[pushed] = self._causes[number]

    def on_birth(self, process: Process) -> None:
        self._clocks.setdefault(process.name, {})

    def on_input(self, process: Process, event: Input, number: int, now_s: float) -> None:
        what = describe_input(event)
        self._event(process.name, number, what)
        self._lines.append(f"{now_s:9.4f}  {process.name:<10}  {what}")

    def on_ledger(self, process: Process, operation: Operation, result: Result, number: int) -> None:
        what = f"{process.name}: {describe_operation(operation)} -> {describe_result(result)}"
        self._event(LEDGER, number, what)
        self._lines.append(f"{'':9}  {LEDGER:<10}  {what}")

    def on_report(self, process: Process, report: Report, now_s: float) -> None:
        sentence = report.sentence() or _quiet(report)
        if sentence:
            self._lines.append(f"{now_s:9.4f}  {process.name:<10}    * {sentence}")

    def on_fault(self, process: Process | None, what: str, now_s: float) -> None:
        who = process.name if process is not None else "world"
        self._at = None
        self._lines.append(f"{now_s:9.4f}  {who:<10}  ### {what}")

    def _event(self, host: str, number: int, what: str) -> None:
        clock = self._clocks[host]
        cause = self._causes.pop(number, None)
        if cause is not None and cause[0] != host:
            for name, count in cause[1].items():
                clock[name] = max(clock.get(name, 0), count)
        clock[host] = clock.get(host, 0) + 1
        self._at = host
        self._events.append((host, dict(clock), what))

    # -- for people ----------------------------------------------------------------------------------------

    def listing(self, *, all_beats: bool = False) -> Iterator[str]:
        """The space-time listing, a line at a time; without beats and clock news unless asked for."""
        for line in self._lines:
            if all_beats or not any(noise in line for noise in _NOISE):
                yield line

    def shiviz(self) -> Iterator[str]:
        """The lines of a log for ShiViz: its regular expression, an empty delimiter, then two lines an event."""
        yield SHIVIZ_REGEX
        yield ""
        for host, clock, what in self._events:
            yield f"{host} {json.dumps(clock, sort_keys=True)}"
            yield what


_NOISE = ("<- Heartbeat", "<- ClockNews", "timer heartbeat", "timer clock", "-> ok (read)")


def _quiet(report: Report) -> str | None:
    if isinstance(report, Asked):
        request = report.request
        return f"asks for {request.quantity} {request.item} ({request.request_id}, clock {request.clock.time})"
    if isinstance(report, Offered):
        return f"offers {report.offer.quantity} {report.offer.item} ({report.offer.deposit_id})"
    if isinstance(report, LinksChanged):
        return f"is next to {', '.join(report.neighbours) or 'nobody'}"
    return None
