"""Customers that never stop buying, whatever becomes of the trader; for measuring how long trade stands still.

Unlike other customers they know all peers, and when the trader does not answer they ask these whom they take for
trader, a few times in a hundredth of a second. So what is measured is the market's own pause.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from peers.errors import WireError
from peers.rpc.rpc_connection import CallFailed, RpcConnection
from peers.runtime.journal import Journal
from plots.measure.apparatus.customers import ITEM

# These bound how exactly a pause is measured: to some milliseconds, where pauses are ten times that and more.
_TIMEOUT_S = 0.15
_ASK_TIMEOUT_S = 0.1
_PAUSE_S = 0.004


class Prober:
    """One customer on a thread of its own. `uris` are those of all peers by name."""

    def __init__(self, name: str, uris: dict[str, str], directory: Path) -> None:
        self.name = name
        self.errors: list[BaseException] = []
        self._uris = dict(uris)
        self._journal = Journal(directory, name)
        self._lines: dict[str, RpcConnection] = {}
        self._trader: str | None = None
        self._next = itertools.cycle(sorted(uris))
        self._avoid: frozenset[str] = frozenset()
        self._news = threading.Condition()
        # The last sale: when it was answered (monotonic), its term and its trader.
        self._last: tuple[float, int, str] = (0.0, 0, "")
        self._first_of: dict[int, float] = {}  # By term, when its first sale was answered (monotonic).
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped = True
        self._thread.join(5.0)
        self._journal.close()

    def avoid(self, names: Iterable[str]) -> None:
        """Does not ask these who is trader: they are known not to answer."""
        self._avoid = frozenset(names)

    def term(self) -> int:
        return self._last[1]

    def trader(self) -> str:
        return self._last[2]

    def first_after(self, term: int, patience_s: float) -> float | None:
        """Waits for a sale of a later term; returns when it was answered (monotonic), None if there was none."""
        with self._news:
            self._news.wait_for(lambda: self._last[1] > term or bool(self.errors), patience_s)
            later = [at for t, at in self._first_of.items() if t > term]
        return min(later, default=None)

    def _run(self) -> None:
        try:
            for number in itertools.count():
                if self._stopped:
                    break
                self._buy(f"{self.name}-{number}")
        except BaseException as error:  # noqa: BLE001 - told to whoever waits
            with self._news:
                self.errors.append(error)
                self._news.notify_all()
        for line in self._lines.values():
            line.close()

    def _buy(self, request_id: str) -> None:
        clock = {"lamport": 0}
        request = {"request_id": request_id, "buyer": self.name, "item": ITEM, "quantity": 1, "clock": clock}
        while not self._stopped:
            trader = self._trader
            if trader is not None:
                try:
                    outcome = self._line(trader, _TIMEOUT_S).call("buy", request)
                except (CallFailed, WireError):
                    self._trader = None
                else:
                    self._note(outcome)
                    return
            self._ask_around()

    def _note(self, outcome: dict[str, Any]) -> None:
        now = time.monotonic()
        self._journal.write(time.time_ns() // 1_000_000, "told", outcome=outcome)
        with self._news:
            self._last = (now, outcome["term"], outcome["trader"])
            if self._first_of.setdefault(outcome["term"], now) == now:
                self._news.notify_all()

    def _ask_around(self) -> None:
        """Asks the next peer whom it takes for trader."""
        name = next(self._next)
        if name in self._avoid:
            return
        try:
            said = self._line(name, _ASK_TIMEOUT_S).call("heartbeat")
        except (CallFailed, WireError):
            said = {}
        trader = said.get("trader")
        if trader is not None and trader not in self._avoid:
            self._trader = trader
        else:
            time.sleep(_PAUSE_S)

    def _line(self, name: str, timeout_s: float) -> RpcConnection:
        line = self._lines.get(name)
        if line is None:
            line = self._lines[name] = RpcConnection(self._uris[name], timeout_s)
        return line
