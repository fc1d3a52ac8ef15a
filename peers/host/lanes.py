"""The lanes to the ledger: what the core wants performed is carried out here, outside its lock, in the right order.

Two lanes, because a trader's queueing goes on while a commit is under way. In the main lane commits go before what
is read for callers, but no more than one of them before each reading. A commit that finds the lane free is carried
out by the very thread that caused it: two switches of threads less, which is much of what a lone purchase costs.

What a commit leaves to be done (answers to send) is done while the ledger works on the next one, if there is a next.
So with many customers both cores are busy: 1.1 times as many purchases of 64 customers, in turns with and without.

The ledger is made when it is first needed, and closed again some time after this peer was last in office: of the
peers, only the trader talks to the database.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from peers.core.ledger import (
    Commit,
    Enqueue,
    Ledger,
    LedgerAway,
    Meanwhile,
    Operation,
    Result,
    TakeOffice,
    work_off,
)
from peers.errors import LedgerError
from peers.host.bell import Bell
from peers.host.logs import Log

REST_AFTER_S = 5.0

OnResult = Callable[[Operation, Result], None]


class Lanes:
    """`on_result` gets every result, on the thread that got it from the ledger. `afterwards` does what that leaves to
    be done, bit by bit; that may overlap with the next operation."""

    def __init__(
        self, make_ledger: Callable[[], Ledger], on_result: OnResult, afterwards: Meanwhile, log: Log
    ) -> None:
        self._make_ledger = make_ledger
        self._on_result = on_result
        self._afterwards = afterwards
        self._log = log
        self._lock = threading.Lock()
        self._ledger: Ledger | None = None
        self._users = 0
        self._in_office = False
        self._main = _Lane("ledger", self._work, self._rest)
        self._queueing = _Lane("queueing", self._work, self._rest)

    # Called under the host's lock:

    def put(self, operation: Operation) -> None:
        """Has `operation` carried out."""
        (self._queueing if isinstance(operation, Enqueue) else self._main).put(operation)

    def claim(self, operation: Operation) -> bool:
        """Whether the caller may, and then must, `carry_out` this operation itself."""
        return type(operation) is Commit and self._main.claim()

    def hold(self, in_office: bool) -> None:
        """While in office, the ledger stays open."""
        self._in_office = in_office

    # Called without it:

    def carry_out(self, operation: Operation) -> None:
        """Carries out what was claimed."""
        self._work(self._main, operation)
        work_off(self._afterwards)

    def close(self, timeout_s: float = 1.0) -> None:
        """Ends both lanes; what is under way is waited for, but not longer than that."""
        self._main.close(timeout_s)
        self._queueing.close(timeout_s)
        with self._lock:
            ledger, self._ledger = self._ledger, None
            busy = self._users > 0
        if ledger is not None and not busy:
            ledger.close()

    def _work(self, lane: _Lane, operation: Operation) -> None:
        result = self._perform(operation)
        lane.release()
        self._on_result(operation, result)
        if not lane.is_waited_for:
            work_off(self._afterwards)

    def _perform(self, operation: Operation) -> Result:
        if type(operation) is not Commit:
            work_off(self._afterwards)
        with self._lock:
            if self._ledger is None:
                self._ledger = self._make_ledger()
            ledger = self._ledger
            self._users += 1
        try:
            return ledger.perform(operation, self._afterwards)
        except LedgerError as error:
            # Nothing was changed, and trying again may not help: people must be told, and trade waits for them.
            self._log.error("the books refuse", operation=type(operation).__name__, why=str(error))
            return LedgerAway(why=str(error))
        finally:
            with self._lock:
                self._users -= 1

    def _rest(self) -> None:
        with self._lock:
            if self._in_office or self._users or self._ledger is None:
                return
            ledger, self._ledger = self._ledger, None
        ledger.close()


class _Lane:
    """One operation at a time, by a thread that exists once there is something to do, or by who claimed the lane."""

    def __init__(self, name: str, work: Callable[[_Lane, Operation], None], rest: Callable[[], None]) -> None:
        self._name = name
        self._work = work
        self._rest = rest
        self._lock = threading.Lock()
        self._bell = Bell()
        self._urgent: deque[Operation] = deque()
        self._others: deque[Operation] = deque()
        self._others_turn = False
        self._busy = False
        self._closed = False
        self._thread: threading.Thread | None = None

    def put(self, operation: Operation) -> None:
        with self._lock:
            urgent = isinstance(operation, Commit | TakeOffice | Enqueue)
            (self._urgent if urgent else self._others).append(operation)
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            if not self._busy:
                self._bell.ring()

    def claim(self) -> bool:
        with self._lock:
            if self._busy or self._urgent or self._closed:
                return False
            self._busy = True
            return True

    @property
    def is_waited_for(self) -> bool:
        """Whether there is more to carry out."""
        return bool(self._urgent or self._others)

    def release(self) -> None:
        with self._lock:
            self._busy = False
            if self.is_waited_for:
                self._bell.ring()

    def close(self, timeout_s: float) -> None:
        with self._lock:
            self._closed = True
            self._bell.ring()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        patience_s: float | None = REST_AFTER_S
        while not self._closed:
            operation = self._next()
            if operation is not None:
                self._work(self, operation)
                patience_s = REST_AFTER_S
            elif not self._bell.wait(patience_s):
                self._rest()
                patience_s = None  # until there is something to do again

    def _next(self) -> Operation | None:
        with self._lock:
            if self._busy:
                return None
            first, second = (self._others, self._urgent) if self._others_turn else (self._urgent, self._others)
            chosen = first or second
            if not chosen:
                return None
            self._others_turn = chosen is self._urgent
            self._busy = True
            return chosen.popleft()
