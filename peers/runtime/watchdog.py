"""Notices that the core of a trader in office is held: by a thread that has its lock and does not come to an end.

Nothing can be done about that from within: no timer fires, and no caller is answered. The neighbours would find out
by the silence. But other threads of this process run, and one of them sees it sooner, and tells.

What counts is only the time in which the watch itself ran: a process that was stopped, or a machine that had no time
for it, wakes up with everything late, and nothing held.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from peers.rpc.wake_up import WakeUp

_LOOKS = 5
"""So many looks in a row find the core held before anybody is told."""


class Watchdog:
    """Watches while told to. `is_busy` says whether the core is at work on something, `handled` how many inputs it
    has handled; `on_held` is called, once, when it has been at the same one for `bound_s`, which is in seconds."""

    def __init__(
        self, bound_s: float, is_busy: Callable[[], bool], handled: Callable[[], int], on_held: Callable[[], None]
    ) -> None:
        self._look_s = bound_s / _LOOKS
        self._is_busy = is_busy
        self._handled = handled
        self._on_held = on_held
        self._watches = False
        self._closed = False
        self._wake_up = WakeUp()
        self._thread: threading.Thread | None = None

    # These two are called under the core's lock.

    def watch(self, *, on: bool) -> None:
        """Begins to watch, or ends it."""
        self._watches = on
        if on and self._thread is None and not self._closed:
            self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
            self._thread.start()
        self._wake_up.ring()

    def stop(self) -> None:
        """Ends the watch for good."""
        self._closed, self._watches = True, False
        self._wake_up.ring()

    def _run(self) -> None:
        while not self._closed:
            self._wake_up.wait()
            self._look()

    def _look(self) -> None:
        """Looks again and again, for as long as there is something to watch."""
        seen, held_s, looked_s = -1, 0.0, time.monotonic()
        has_told = False
        while self._watches:
            self._wake_up.wait(self._look_s)
            now_s = time.monotonic()
            handled = self._handled()
            if handled == seen and self._is_busy():
                held_s += min(now_s - looked_s, self._look_s)
            else:
                seen, held_s, has_told = handled, 0.0, False
            looked_s = now_s
            if held_s >= self._look_s * (_LOOKS - 1) and not has_told:
                has_told = True
                self._on_held()
