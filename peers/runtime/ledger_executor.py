"""Carries out what the core wants of the ledger, outside the core's lock, in the right order.

Entries and readings have a queue and a thread each: what callers want to read does not stand in the way of trade. An
entry that finds its queue idle is carried out by the very thread that caused it: two switches of threads less, which
is much of what a lone purchase costs. What an entry changes in the books is handed on in the order of the log.

A thread may be held, by whatever, in the middle of all that. The core then asks for the same entry again, at the
same place, and the turn is taken from that thread and given to a new one. The first may wake up at any time: what it
writes then finds its place taken, and what it brings the core has no use for.

When an entry has been written, answers are to be sent. The thread that wrote it sends them, unless the next entry
waits for that thread already: then another one sends them while the ledger works.

The ledger is made when it is first needed, and closed again some time after this peer was last in office: of the
peers, only the trader talks to the database.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol

from peers.core.ledger.port import Append, Ledger, LedgerAway, Load, MakeBooks, Operation, Reach, ReadPost, Result
from peers.errors import LedgerError
from peers.rpc.wake_up import WakeUp
from peers.runtime.logs import Log

REST_AFTER_S = 5.0
"""A peer out of office closes its ledger after so long without an operation. No setting: to open it again costs some
milliseconds."""

OnResult = Callable[[Operation, Result], None]


class Replies(Protocol):
    """Answers that are ready to be sent."""

    def hand_out(self) -> None:
        """Sends them, on this thread."""

    def ring(self) -> None:
        """Has another thread send them."""


class LedgerExecutor:
    """`on_result` gets every result but those of MakeBooks, on the thread that got it from the ledger."""

    def __init__(self, make_ledger: Callable[[], Ledger], on_result: OnResult, replies: Replies, log: Log) -> None:
        self._make_ledger = make_ledger
        self._on_result = on_result
        self._replies = replies
        self._log = log
        self._lock = threading.Lock()
        self._ledger: Ledger | None = None
        # How many operations are under way; the ledger is not closed before it is 0.
        self._users = 0
        self._in_office = False
        self._appends = _Queue("appends", self._work_on, self._rest)
        self._reads = _Queue("reads", self._work_on, self._rest)
        # On a thread of its own: a long reading must not pass for a ledger that cannot be reached.
        self._signs = _Queue("signs of life", self._work_on, self._rest)
        # What is still to be handed on for the books, in the order of the log; `_making` is held for that.
        self._to_make: deque[MakeBooks] = deque()
        self._making = threading.Lock()

    # The following are called under the core's lock.

    def put(self, operation: Operation) -> None:
        """Has `operation` carried out."""
        if isinstance(operation, MakeBooks):
            # It follows from the result of an entry, and the thread that brought that result hands it on.
            self._to_make.append(operation)
        else:
            self._queue_of(operation).put(operation)

    def _queue_of(self, operation: Operation) -> _Queue:
        if isinstance(operation, Append):
            return self._appends
        return self._signs if isinstance(operation, Reach) else self._reads

    def claim(self, operation: Operation) -> bool:
        """Whether the caller may, and then must, `carry_out` this operation itself."""
        return type(operation) is Append and self._appends.claim(operation)

    def hold(self, in_office: bool) -> None:
        """While in office, the ledger stays open."""
        self._in_office = in_office

    # The following are called without it.

    def carry_out(self, operation: Operation) -> None:
        """Carries out what was claimed."""
        self._work(self._appends, operation)
        self._replies.hand_out()
        self._make_books()

    def close(self, timeout_s: float = 1.0) -> None:
        """Ends its threads; what is under way is waited for, but not longer than that. The books are finished."""
        self._appends.close(timeout_s)
        self._reads.close(timeout_s)
        self._signs.close(timeout_s)
        with self._lock:
            ledger, self._ledger = self._ledger, None
            busy = self._users > 0
        if ledger is not None and not busy:
            ledger.close()

    def _work_on(self, queue: _Queue, operation: Operation) -> None:
        self._work(queue, operation)
        if queue.is_waited_for:
            self._replies.ring()
        else:
            self._replies.hand_out()
        self._make_books()

    def _work(self, queue: _Queue, operation: Operation) -> None:
        result = self._perform(operation)
        queue.release()
        self._on_result(operation, result)

    def _make_books(self) -> None:
        """Hands on what entries changed, in their order. Nobody waits for it, nor for a thread that is at it."""
        while self._to_make and self._making.acquire(blocking=False):
            try:
                while self._to_make:
                    self._perform(self._to_make.popleft())
            finally:
                self._making.release()

    def _perform(self, operation: Operation) -> Result:
        with self._lock:
            if self._ledger is None:
                self._ledger = self._make_ledger()
            ledger = self._ledger
            self._users += 1
        try:
            return ledger.perform(operation)
        except LedgerError as error:
            # Nothing was changed, and trying again may not help: people must be told, and trade waits for them.
            self._log.error("the ledger refuses", operation=type(operation).__name__, why=str(error))
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


class _Queue:
    """One operation at a time, by a thread that exists once there is something to do, or by who claimed the turn."""

    def __init__(self, name: str, work: Callable[[_Queue, Operation], None], rest: Callable[[], None]) -> None:
        self._name = name
        self._work = work
        self._rest = rest
        self._lock = threading.Lock()
        self._wake_up = WakeUp()
        self._waiting: deque[Operation] = deque()
        # The operation under way, and the thread that has the turn: the queue's own, or one that claimed it.
        self._under_way: tuple[Operation, int] | None = None
        self._closed = False
        self._thread: threading.Thread | None = None

    @property
    def _busy(self) -> bool:
        return self._under_way is not None

    def put(self, operation: Operation) -> None:
        with self._lock:
            if self._has(operation):
                self._give_to_another(operation)
                return
            if isinstance(operation, Load | ReadPost):
                # It goes first, for a market without a trader, or in doubt of who it is, waits for it.
                self._waiting.appendleft(operation)
            else:
                self._waiting.append(operation)
            if self._thread is None:
                self._start_thread()
            if not self._busy:
                self._wake_up.ring()

    def _has(self, operation: Operation) -> bool:
        """Whether this very entry is under way, or waits."""
        if type(operation) is not Append:
            return False
        is_under_way = self._under_way is not None and self._under_way[0] is operation
        return is_under_way or any(each is operation for each in self._waiting)

    def _give_to_another(self, operation: Operation) -> None:
        """The core has waited for too long: whoever was to do it is held, and loses the turn."""
        if not any(each is operation for each in self._waiting):
            self._waiting.appendleft(operation)
        self._under_way = None
        self._start_thread()

    def _start_thread(self) -> None:
        """Makes a thread the queue's own, instead of the one there was, which ends as soon as it can."""
        if self._closed:
            return
        self._wake_up.ring()
        self._wake_up = WakeUp()
        self._thread = threading.Thread(target=self._run, args=(self._wake_up,), name=self._name, daemon=True)
        self._thread.start()

    def claim(self, operation: Operation) -> bool:
        with self._lock:
            if self._busy or self._waiting or self._closed:
                return False
            self._under_way = (operation, threading.get_ident())
            return True

    @property
    def is_waited_for(self) -> bool:
        """Whether there is more to carry out."""
        return bool(self._waiting)

    def release(self) -> None:
        """Ends the turn of the calling thread, unless it was taken from it."""
        with self._lock:
            if self._under_way is None or self._under_way[1] != threading.get_ident():
                return
            self._under_way = None
            if self._waiting:
                self._wake_up.ring()

    def close(self, timeout_s: float) -> None:
        with self._lock:
            self._closed = True
            self._wake_up.ring()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _run(self, wake_up: WakeUp) -> None:
        patience_s: float | None = REST_AFTER_S
        while not self._closed and wake_up is self._wake_up:
            operation = self._next(wake_up)
            if operation is not None:
                self._work(self, operation)
                patience_s = REST_AFTER_S
            elif not wake_up.wait(patience_s):
                self._rest()
                patience_s = None  # The ledger is closed; the thread sleeps until there is something to do.

    def _next(self, wake_up: WakeUp) -> Operation | None:
        with self._lock:
            if self._busy or not self._waiting or wake_up is not self._wake_up:
                return None
            operation = self._waiting.popleft()
            self._under_way = (operation, threading.get_ident())
            return operation
