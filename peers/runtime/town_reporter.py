"""What a peer tells its town, and its log, on a thread of its own: neither may ever hold up trade.

The town's end of the channel may be slow, or stopped. So what is to be told waits in a queue that has an end; what
finds it full is dropped, and counted.
"""

from __future__ import annotations

import socket
import threading
from collections import deque
from contextlib import suppress
from typing import cast

import msgspec

from peers.core.reports import (
    Answered,
    AnyReport,
    Asked,
    Deposited,
    Earned,
    EntryRefused,
    JournalTrouble,
    LedgerTrouble,
    Offered,
    Report,
    Slept,
)
from peers.rpc.wake_up import WakeUp
from peers.runtime.logs import Log
from peers.runtime.spec import Believed, Finished, Ready, Told

MOST_UNTOLD = 10_000
"""The most reports kept for a town that does not listen; a busy trader has as many in some seconds. No setting: it
only bounds memory, and what is dropped is counted."""

_MOST_AT_ONCE = 500
"""The most reports written in one go, so that a long queue is not one long write."""

_JOURNAL_ONLY = (Asked, Offered)
_TRADE = (Asked, Answered, Deposited, Offered, Earned, Slept)


class TownReporter:
    """Writes to the town's `channel` and to the log. `quiet`: the town is told nothing of trade."""

    def __init__(self, channel: socket.socket, log: Log, *, quiet: bool) -> None:
        self._channel = channel
        self._log = log
        # Reports of these kinds are not told.
        self._silent = _TRADE if quiet else _JOURNAL_ONLY
        self._untold: deque[Report | Ready | Believed | Finished] = deque()
        self._wake_up = WakeUp()
        self._dropped = 0
        self._closed = False
        self._encode = msgspec.json.Encoder().encode
        self._thread = threading.Thread(target=self._run, name="town-reporter", daemon=True)
        self._thread.start()

    def report(self, report: Report) -> None:
        """Has a report told, if it is for people. Never blocks."""
        if isinstance(report, self._silent):
            return
        if len(self._untold) >= MOST_UNTOLD:
            self._dropped += 1
            return
        self._untold.append(report)
        self._wake_up.ring()

    def say(self, message: Ready | Believed | Finished) -> None:
        """Tells the town, after what waits to be told."""
        self._untold.append(message)
        self._wake_up.ring()

    def close(self, timeout_s: float) -> None:
        """Tells what waits, then ends; gives up after `timeout_s`."""
        self._closed = True
        self._wake_up.ring()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        with suppress(OSError):  # The town is gone, and nobody listens any more.
            while not self._closed or self._untold:
                if self._untold:
                    self._tell()
                else:
                    self._wake_up.wait()

    def _tell(self) -> None:
        lines: list[bytes] = []
        while self._untold and len(lines) < _MOST_AT_ONCE:
            message = self._untold.popleft()
            if isinstance(message, Report):
                if not isinstance(message, _TRADE):
                    self._write_log(message)
                lines.append(self._encode(Told(report=cast("AnyReport", message))))
            else:
                lines.append(self._encode(message))
        if self._dropped:
            self._log.warning("the town does not listen", reports_dropped=self._dropped)
            self._dropped = 0
        self._channel.sendall(b"\n".join(lines) + b"\n")

    def _write_log(self, report: Report) -> None:
        details = msgspec.to_builtins(report)
        details.pop("peer", None)
        event = details.pop("event")
        if isinstance(report, LedgerTrouble | JournalTrouble | EntryRefused):
            self._log.warning(event, **details)
        else:
            self._log.info(event, **details)
