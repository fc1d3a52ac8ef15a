"""One thread sleeps until another wakes it up, as by a bell. A lock is the lightest means that Python has for it.

A ring is remembered until it is heard, and two rings before that are one. So no work is missed if one side puts it in
place before it rings, and the other looks for it after it has heard.
"""

from __future__ import annotations

import contextlib
import threading


class WakeUp:
    """Any thread rings; one thread waits."""

    def __init__(self) -> None:
        # The lock is held while there is nothing to hear; a ring releases it.
        self._silence = threading.Lock()
        self._silence.acquire()

    def ring(self) -> None:
        with contextlib.suppress(RuntimeError):  # It was rung before, and has not been heard yet.
            self._silence.release()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Returns whether it was rung, before or while waiting."""
        return self._silence.acquire(timeout=-1 if timeout_s is None else max(0.0, timeout_s))
