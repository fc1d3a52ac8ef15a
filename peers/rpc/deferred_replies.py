"""Hands the core's replies to callers, whether or not a thread waits for them.

A thread that sleeps until its caller's purchase is recorded has to be woken for it, and that is much of what a
purchase costs when many buy at once. So whoever buys is only noted down here, and the thread that has the reply
sends it, at a moment of its choice. Only what it cannot send itself is left to a thread of this module's own.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from peers.core.calls import Failure, Reply
from peers.rpc.wake_up import WakeUp

OnReply = Callable[[Reply | Failure], None]

_LOOK_S = 0.25
"""The time between two looks for calls that have waited for too long."""


class _Deferred:
    """A caller to be answered: how, and the monotonic time after which it has waited for too long."""

    __slots__ = ("due_s", "on_reply")

    def __init__(self, on_reply: OnReply, due_s: float) -> None:
        self.on_reply = on_reply
        self.due_s = due_s


class AwaitedReply:
    """A reply that a thread waits for; it is put there by another."""

    __slots__ = ("_put", "_reply")

    def __init__(self) -> None:
        self._put = WakeUp()
        self._reply: Reply | Failure = None

    def put(self, reply: Reply | Failure) -> None:
        """Gives the reply to the thread that waits."""
        self._reply = reply
        self._put.ring()

    def wait(self) -> Reply | Failure:
        """Returns the reply once it is there, as it must be in the end: what is deferred expires."""
        self._put.wait()
        return self._reply


class DeferredReplies:
    """The calls that the core is still to reply to, by number, and who is to be given each reply.

    `expire` is called now and then, without locks, while there are such calls; it returns whether there are more.
    """

    def __init__(self, patience_s: float, expire: Callable[[], bool]) -> None:
        self._patience_s = patience_s
        self._expire = expire
        self._deferred: dict[int, _Deferred] = {}
        self._last_call = 0
        # The replies that are there, each with what takes it; they are sent without the lock.
        self._ready: deque[tuple[OnReply, Reply | Failure]] = deque()
        self._wake_up = WakeUp()
        # Whether the thread sleeps until it is rung for; otherwise it looks every _LOOK_S anyway.
        self._sleeps = True
        # Whether a caller has come since the thread looked last.
        self._came = False
        self._closed = False
        self._thread: threading.Thread | None = None

    # The following are called under the core's lock.

    def defer(self, on_reply: OnReply) -> int:
        """Notes a caller down; returns the number of its call."""
        if self._thread is None and not self._closed:
            thread = threading.Thread(target=self._run, name="deferred-replies", daemon=True)
            thread.start()  # Where the machine has no more threads, the next caller tries again.
            self._thread = thread
        self._came = True
        if self._sleeps:
            self._wake_up.ring()
        self._last_call = call_id = self._last_call + 1
        self._deferred[call_id] = _Deferred(on_reply, time.monotonic() + self._patience_s)
        return call_id

    def put(self, call_id: int, reply: Reply | Failure) -> None:
        """Makes a reply ready, to be sent by the next `hand_out`; a second one for the same call is dropped."""
        deferred = self._deferred.pop(call_id, None)
        if deferred is not None:
            self._ready.append((deferred.on_reply, reply))

    def put_all(self, reply: Reply | Failure) -> None:
        """Has everybody answered who still waits."""
        for call_id in list(self._deferred):
            self.put(call_id, reply)

    def late(self) -> list[int]:
        """Returns the calls that have waited for too long."""
        now_s = time.monotonic()
        return [call_id for call_id, deferred in self._deferred.items() if deferred.due_s <= now_s]

    @property
    def any_wait(self) -> bool:
        """Whether there is a call that is still to be replied to."""
        return bool(self._deferred)

    # The following are called without it.

    def hand_out(self) -> None:
        """Sends what is ready, on this thread."""
        while self._ready:
            try:
                on_reply, reply = self._ready.popleft()
            except IndexError:  # Another thread has taken the last one.
                return
            on_reply(reply)

    def ring(self) -> None:
        """Sees to it that what is ready is sent; from any thread, the lock held or not."""
        if self._ready:
            self._wake_up.ring()

    def close(self) -> None:
        """Sends what is ready, and ends."""
        self._closed = True
        self._wake_up.ring()
        self.hand_out()

    def join(self, timeout_s: float) -> None:
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        """Looks now and then, and sleeps once nobody has come between two looks: to wake it costs a caller time."""
        more = True
        while not self._closed:
            self._sleeps = not more
            if not more:
                more = self._expire()  # A caller may have come just before it could see that it must ring.
            self._wake_up.wait(_LOOK_S if more else None)
            self.hand_out()
            came, self._came = self._came, False
            more = self._expire() or came
