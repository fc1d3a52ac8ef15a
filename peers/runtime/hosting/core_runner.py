"""Runs the core of a peer: takes inputs to it, one at a time, and has its commands carried out.

There is one lock, around `step`. Under it commands are only handed over (put into a queue, written to the journal);
whatever may block happens on a thread of its own: links, ledger, calls to the trader, news to sellers, the entry at
the name server. An exception out of the core is a bug, and a peer with a bug must not go on: `on_fault` is told, and
ends the process.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from peers.core.calls import Failure, Reply
from peers.core.commands import (
    CallTrader,
    CancelTimer,
    Command,
    Crash,
    Perform,
    Publish,
    Respond,
    Send,
    SetLinks,
    SetTimer,
)
from peers.core.inputs import CallCompleted, Input, LedgerReplied, Now, TimerFired, TimerName
from peers.core.journal import JOURNALED
from peers.core.ledger.port import Ledger, Operation, Result
from peers.core.membership.members import Member
from peers.core.messages import LinkMessage
from peers.core.reports import Demoted, Report, Returned
from peers.rpc.deferred_replies import DeferredReplies
from peers.rpc.security.tls import is_secured
from peers.rpc.serving.served_connection import ServedConnection
from peers.runtime.hosting.core import Core
from peers.runtime.hosting.waiting_calls import WaitingCalls
from peers.runtime.journal import Journal, NotedFirst
from peers.runtime.ledger_executor import LedgerExecutor
from peers.runtime.links.exchange import LinkExchange
from peers.runtime.links.links import Links
from peers.runtime.logs import Log
from peers.runtime.spec import PeerSpec
from peers.runtime.timers import Timers
from peers.runtime.trader_client import TraderClient

ANSWER_WITHIN = 0.8
"""A caller is told "not decided yet" after this part of a call's timeout, before it gives up by itself. No setting:
it has only to be less than 1, by more than the way of an answer takes."""


class CoreRunner:
    """A core, and what gives it inputs or carries out its commands: links, ledger, timers, journal, calls either way.

    `attach` the core before anything else. `on_report` is called under the lock and must not block; `on_fault` gets
    what the core raised.
    """

    def __init__(
        self,
        spec: PeerSpec,
        timeout_s: float,
        make_ledger: Callable[[], Ledger],
        log: Log,
        on_report: Callable[[Report], None],
        on_fault: Callable[[BaseException], None],
    ) -> None:
        self.core: Core
        self.lock = threading.Lock()
        # How many inputs the core has handled, and the neighbours that it has; both are read without the lock.
        self.handled = 0
        self.neighbours: tuple[Member, ...] = ()
        self.begun = threading.Event()
        self._ended = False
        self._on_report, self._on_fault = on_report, on_fault
        self._replies = DeferredReplies(ANSWER_WITHIN * timeout_s, lambda: self.calls.turn_away_the_late())  # noqa: PLW0108 - there are none yet
        self._journal = Journal(Path(spec.directory), spec.name)
        self.noted_first = NotedFirst(self._journal, spec.name, on_report)
        self._timers = Timers(self.lock, self._fire)
        self.ledger = LedgerExecutor(make_ledger, self._on_result, self._replies, log)
        self.calls = WaitingCalls(self.step, self.lock, self.ledger.carry_out, self._replies)
        self.exchange = LinkExchange(
            spec.rank,
            spec.incarnation,
            self.step,
            self.lock,
            self.begun,
            timeout_s,
            known=(lambda: self.core.snapshot().members) if is_secured() else None,
        )
        self._links = Links(self.exchange, timeout_s, log)
        self._trader_client = TraderClient(timeout_s, self._on_replied)
        # `step` itself carries out Send, Perform and Publish, for these need more than the command.
        self._carry_out: dict[type[Command], Callable[[Any], None]] = {
            Respond: lambda command: self.calls.answer(command.call_id, command.reply),
            SetTimer: lambda command: self._timers.set(command.timer, command.after_s),
            CancelTimer: lambda command: self._timers.cancel(command.timer),
            CallTrader: lambda command: self.noted_first.then(lambda: self._trader_client.ask(command)),
            SetLinks: self._set_links,
            Crash: lambda _: os.kill(os.getpid(), signal.SIGKILL),
        }

    # -- beginning and end ---------------------------------------------------------------------------------

    def attach(self, core: Core, carry_out: Mapping[type[Command], Callable[[Any], None]]) -> None:
        """Takes inputs to this core from now on; `carry_out` does so with those commands that no part here does."""
        self.core = core
        self._carry_out.update(carry_out)

    def begin(self, start: Input) -> None:
        """Gives the core its first input, and lets in what others have said meanwhile."""
        self._timers.start()
        with self.lock:
            self.step(start)
            self.begun.set()

    def end(self) -> None:
        """Takes in nothing more. Under the lock."""
        self._ended = True
        self._timers.stop()
        self._trader_client.stop()
        self._links.retire_all()
        self.calls.close()

    def drain(self, timeout_s: float) -> None:
        """Returns when what was said has been sent, or the time is up."""
        self._replies.close()
        self.begun.set()
        self._links.drain(timeout_s)

    def join(self, timeout_s: float) -> None:
        """Waits for the threads that make calls or answer them, for each no longer than that; closes the journal."""
        self._timers.join()
        self._replies.join(timeout_s)
        self._trader_client.join(timeout_s)
        self._journal.close()

    # -- what other threads hand over ----------------------------------------------------------------------

    def on_hangup(self, connection: ServedConnection) -> None:
        """A caller's connection has ended: if it was a neighbour's, looks whether that is still there."""
        if connection.rank is not None and not self._ended:
            self._links.probe(connection.rank)

    def _fire(self, timer: TimerName) -> None:
        self.step(TimerFired(timer=timer))

    def _on_result(self, operation: Operation, result: Result) -> None:
        self.feed(LedgerReplied(operation=operation, result=result))

    def _on_replied(self, ask_id: int, reply: Reply | Failure) -> None:
        self.feed(CallCompleted(ask_id=ask_id, reply=reply))

    # -- the core ------------------------------------------------------------------------------------------

    def feed(self, event: Input) -> None:
        """Takes the lock, and gives the core one input."""
        with self.lock:
            self.step(event)

    def step(
        self,
        event: Input,
        *,
        back: list[LinkMessage] | None = None,
        sender: int | None = None,
        claims: bool = False,
    ) -> Operation | None:
        """Under the lock: one input to the core, and its commands handed over.

        Messages for `sender` go into `back`. With `claims`, an entry for the log may be returned, which the calling
        thread must then carry out itself.
        """
        if self._ended:
            return None
        now = Now(mono_s=time.monotonic(), wall_ms=time.time_ns() // 1_000_000)
        claimed: Operation | None = None
        try:
            self.noted_first.look()
            for command in self.core.handle(event, now):
                if isinstance(command, Send):
                    if back is not None and command.to.rank == sender:
                        back.append(command.message)
                    else:
                        self._links.send(command.to, command.message)
                elif isinstance(command, Perform):
                    if claims and claimed is None and self.ledger.claim(command.operation):
                        claimed = command.operation
                    else:
                        self.ledger.put(command.operation)
                elif isinstance(command, Publish):
                    self._publish(command.report, now)
                else:
                    self._carry_out[type(command)](command)
        except BaseException as error:
            self._ended = True
            self.calls.close()
            self._on_fault(error)
            raise
        self.handled += 1
        if not claims and type(event) is not LedgerReplied:  # These threads hand replies out by themselves.
            self._replies.ring()
        return claimed

    def _publish(self, report: Report, now: Now) -> None:
        if isinstance(report, JOURNALED):
            self.noted_first.publish(report, now.wall_ms)
            return
        if isinstance(report, Returned | Demoted):
            self.exchange.incarnation = report.incarnation
        self._on_report(report)

    def _set_links(self, command: SetLinks) -> None:
        self.neighbours = command.neighbours
        self._links.set_neighbours(command.neighbours)
