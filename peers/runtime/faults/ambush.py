"""A peer of a chaos town dies, or a thread of it is held, at a point that the run names: around a commit, say.

A kill from outside hits a peer at any moment, and hardly ever at the few that matter: between an entry's way to the
database and its answer, or between that and the first caller who is told. Nothing of this is in the product's own
code: in a chaos town the ledger is wrapped, and the sending of replies is.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from peers.core.ledger.log import TradeEntry
from peers.core.ledger.port import Append, Ledger, MakeBooks, Operation, Result
from peers.core.reports import Report
from peers.points import Point
from peers.rpc.deferred_replies import DeferredReplies
from peers.runtime.spec import LieInWait

# "While" something happens is some moment of the next few milliseconds, which is how long it takes.
_WHILE_S = 0.004

Warn = Callable[..., Any]


class Ambush:
    """What lies in wait in this process: one order at a time. From any thread."""

    def __init__(self, warn: Warn) -> None:
        self._warn = warn
        self._order: LieInWait | None = None
        self._until_s = 0.0
        self._lock = threading.Lock()
        # Whether this thread has just had the answer to an entry, which its callers have not heard of.
        self._local = threading.local()

    def lay(self, order: LieInWait) -> None:
        """Lies in wait as ordered, instead of what was ordered before."""
        with self._lock:
            self._order, self._until_s = order, time.monotonic() + order.within_s

    def at(self, point: Point) -> None:
        """This point is reached: dies, or holds this thread, if that is what was ordered."""
        if self._order is None:
            return
        with self._lock:
            order = self._order
            if order is None or order.point != point or time.monotonic() > self._until_s:
                return
            self._order = None
        self._warn("ambushed on the town's order", point=point, hold_s=order.hold_s)
        if order.hold_s:
            time.sleep(order.hold_s)
        else:
            os.kill(os.getpid(), signal.SIGKILL)

    def during(self, point: Point) -> None:
        """What the point names begins: it is reached at some moment of that."""
        if self._order is not None and self._order.point == point:
            threading.Timer(random.uniform(0.0, _WHILE_S), self.at, [point]).start()

    # -- where the points are ------------------------------------------------------------------------------

    def around(self, make_ledger: Callable[[], Ledger]) -> Callable[[], Ledger]:
        """Returns what makes a ledger whose operations reach the points."""
        return lambda: _AmbushedLedger(make_ledger(), self)

    def watch_replies(self) -> None:
        """Has the sending of replies, in this process, reach the point before it."""
        hand_out, ring = DeferredReplies.hand_out, DeferredReplies.ring

        def watched_hand_out(replies: DeferredReplies) -> None:
            self._before_told()
            hand_out(replies)

        def watched_ring(replies: DeferredReplies) -> None:
            self._before_told()
            ring(replies)

        DeferredReplies.hand_out = watched_hand_out  # type: ignore[method-assign, assignment]
        DeferredReplies.ring = watched_ring  # type: ignore[method-assign, assignment]

    def answered(self) -> None:
        """This thread has the answer to an entry."""
        self._local.answered = True

    def _before_told(self) -> None:
        if getattr(self._local, "answered", False):
            self._local.answered = False
            self.at("before callers are told")

    def around_reports(self, on_report: Callable[[Report], None]) -> Callable[[Report], None]:
        """Returns what takes a report in and reaches the point within the core, whose lock is held meanwhile."""

        def watched(report: Report) -> None:
            self.at("in the core")
            on_report(report)

        return watched


class _AmbushedLedger:
    """A ledger whose operations reach the points on their way."""

    def __init__(self, ledger: Ledger, ambush: Ambush) -> None:
        self._ledger = ledger
        self._ambush = ambush

    def perform(self, operation: Operation) -> Result:
        """Carries out one operation. LedgerError as the ledger raises it."""
        ambush = self._ambush
        if not isinstance(operation, Append | MakeBooks):
            return self._ledger.perform(operation)
        if isinstance(operation, MakeBooks):
            ambush.during("making the books")
            return self._ledger.perform(operation)
        if not isinstance(operation.entry, TradeEntry):
            ambush.during("taking office")
            return self._ledger.perform(operation)
        ambush.at("before the entry is sent")
        ambush.during("while it is written")
        result = self._ledger.perform(operation)
        ambush.at("after the answer")
        ambush.answered()
        return result

    def close(self) -> None:
        """Closes the ledger."""
        self._ledger.close()
