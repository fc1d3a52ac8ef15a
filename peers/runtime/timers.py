"""All timers of a peer, on one thread.

The core's lock guards the deadlines, so that a timer that is cancelled or set anew under it does not fire any more,
however late its thread comes to it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from peers.core.inputs import TimerName
from peers.rpc.wake_up import WakeUp

_NEVER = float("inf")


class Timers:
    """`fire` is called under `lock` when a timer is due."""

    def __init__(self, lock: threading.Lock, fire: Callable[[TimerName], object]) -> None:
        self._lock = lock
        self._fire = fire
        self._deadlines: dict[TimerName, float] = {}
        # When the thread wakes up by itself; only a timer that is due before that has to wake it.
        self._wakes_s = _NEVER
        self._wake_up = WakeUp()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="timers", daemon=True)

    def start(self) -> None:
        self._thread.start()

    # The following are called under the lock.

    def set(self, timer: TimerName, after_s: float) -> None:
        """Lets `timer` fire once, `after_s` from now, and not as set before."""
        due_s = self._deadlines[timer] = time.monotonic() + after_s
        if due_s < self._wakes_s:
            self._wake_up.ring()

    def cancel(self, timer: TimerName) -> None:
        """Lets `timer` not fire."""
        self._deadlines.pop(timer, None)

    def stop(self) -> None:
        """Lets none fire any more."""
        self._closed = True
        self._deadlines.clear()
        self._wake_up.ring()

    def join(self) -> None:
        """Waits for the thread to end; without the lock."""
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._lock:
                if self._closed:
                    return
                self._wakes_s = -_NEVER  # It is awake, and looks at all deadlines before it sleeps.
                now_s = time.monotonic()
                for timer in sorted(self._deadlines, key=self._deadlines.__getitem__):
                    if self._deadlines.get(timer, _NEVER) <= now_s:
                        del self._deadlines[timer]
                        self._fire(timer)
                self._wakes_s = min(self._deadlines.values(), default=_NEVER)
                wait_s = self._wakes_s - time.monotonic()
            self._wake_up.wait(None if wait_s == _NEVER else wait_s)
