"""One thread sleeps until another wakes it up, as by a bell. The lightest thing of its kind that Python has.

A ring is remembered until it is heard, and two rings before that are one. So whoever puts work somewhere and rings
then, and whoever hears and looks then for work, never miss each other.
"""

from __future__ import annotations

import contextlib
import threading


class WakeUp:
    """Any thread rings; one thread waits."""

    def __init__(self) -> None:
        self._silence = threading.Lock()
        self._silence.acquire()

    def ring(self) -> None:
        with contextlib.suppress(RuntimeError):  # has been rung, and not been heard yet
            self._silence.release()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Returns whether it was rung, before or while waiting."""
        return self._silence.acquire(timeout=-1 if timeout_s is None else max(0.0, timeout_s))
