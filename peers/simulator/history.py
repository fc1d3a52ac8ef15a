"""What happened in a schedule, for people: a space-time listing, and ShiViz' format with vector clocks.

The vector clocks here are the simulator's own. They count the events of each process and follow what caused what
(a message, a call, a ledger's answer), whatever clocks the peers keep.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from peers.core.calls import Buy, MakeDeposit
from peers.core.inputs import (
    CallCompleted,
    Input,
    LedgerReplied,
    PeerGone,
    Received,
    RequestReceived,
    SalesNotified,
    TimerFired,
)
from peers.core.ledger.log import Entry, OfficeEntry
from peers.core.ledger.port import Append, Loaded, Operation, Result, Taken
from peers.core.market.records import Deposit, Outcome
from peers.core.messages import (
    ClockNews,
    Coordinator,
    Election,
    ElectionAnswer,
    Heartbeat,
    LinkMessage,
    MemberNews,
    Vacancy,
)
from peers.core.reports import Asked, LinksChanged, Offered, Report

if TYPE_CHECKING:
    from peers.simulator.process import Process

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
        self._at: str | None = None  # the host whose event is at hand

    # -- from the world ------------------------------------------------------------------------------------

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


def describe_input(event: Input) -> str:
    """One line on what reached a peer."""
    if isinstance(event, Received):
        return f"<- {describe_message(event.message)} from {event.sender}"
    if isinstance(event, TimerFired):
        return f"timer {event.timer}"
    if isinstance(event, RequestReceived):
        call = event.call
        of = ""
        if isinstance(call, Buy):
            of = f" {call.request.request_id}"
        elif isinstance(call, MakeDeposit):
            of = f" {call.offer.deposit_id}"
        return f"is asked {type(call).__name__}{of} (call {event.call_id})"
    if isinstance(event, CallCompleted):
        return f"hears {_describe_reply(event.reply)}"
    if isinstance(event, LedgerReplied):
        return f"ledger: {describe_operation(event.operation)} -> {describe_result(event.result)}"
    if isinstance(event, SalesNotified):
        return f"is told of sales {', '.join(str(outcome.seq) for outcome in event.sales)}"
    if isinstance(event, PeerGone):
        return f"finds {event.rank} gone"
    return type(event).__name__


def describe_message(message: LinkMessage) -> str:
    """One line on a link's message."""
    name = type(message).__name__
    if isinstance(message, Heartbeat):
        return f"{name}(term {message.term}, trader {message.trader})"
    if isinstance(message, ClockNews):
        return f"{name}({message.clock.time})"
    if isinstance(message, MemberNews):
        members = ", ".join(f"{m.rank}{'' if m.up else ' gone'}" for m in message.members)
        return f"{name}({members}{', whole' if message.whole else ''})"
    if isinstance(message, Election):
        return f"{name}(after term {message.after_term}, attempt {message.attempt}, candidate {message.candidate})"
    if isinstance(message, ElectionAnswer):
        return f"{name}(after term {message.after_term}, attempt {message.attempt}, rank {message.rank})"
    if isinstance(message, Coordinator):
        return f"{name}(term {message.term}, trader {message.trader})"
    if isinstance(message, Vacancy):
        barred = f", barred {', '.join(map(str, message.barred))}" if message.barred else ""
        return f"{name}(term {message.term}, {message.reason}{barred})"
    return f"{name}(term {message.term}, {message.messages} messages)"


def describe_operation(operation: Operation) -> str:
    """One line on what the ledger is asked."""
    name = type(operation).__name__
    if isinstance(operation, Append):
        return f"{name}({operation.place}: {describe_entry(operation.entry)})"
    return name


def describe_entry(entry: Entry) -> str:
    """A few words on an entry of the log."""
    if isinstance(entry, OfficeEntry):
        return f"{entry.trader} takes office for term {entry.term}"
    outcomes = entry.outcomes
    parts = (
        f"{len(entry.deposits)} deposits" if entry.deposits else "",
        f"seq {outcomes[0].seq} to {outcomes[-1].seq}" if outcomes else "",
        f"queues {', '.join(each.request.request_id for each in entry.queued)}" if entry.queued else "",
    )
    return f"term {entry.term}, {', '.join(filter(None, parts))}"


def describe_result(result: Result) -> str:
    """One line on what it says."""
    name = type(result).__name__
    if isinstance(result, Taken):
        return f"{name}({describe_entry(result.entry) if result.entry is not None else 'its body is cut away'})"
    if isinstance(result, Loaded):
        return f"{name}(made {result.made}, {len(result.entries)} entries more, {len(result.queue)} pending)"
    return name


def _describe_reply(reply: object) -> str:
    if isinstance(reply, Outcome):
        return f"{reply.status} (seq {reply.seq})"
    if isinstance(reply, Deposit):
        return f"deposited ({reply.offer.deposit_id})"
    return str(reply) if isinstance(reply, Exception) else type(reply).__name__
