"""The clock on the wall of one peer of a chaos town, which may be stepped and may go wrong.

All of a peer's code asks `time.time_ns` for it. Time that is compared is monotonic, so nothing but what is shown may
change with this one.
"""

from __future__ import annotations

import time

from peers.runtime.spec import SetClock

_true_ns = time.time_ns


class WallClock:
    """The clock of this process, right until it is set."""

    def __init__(self) -> None:
        self._order = SetClock()
        self._since_s = time.monotonic()
        time.time_ns = self._time_ns

    def set(self, order: SetClock) -> None:
        """Sets it: from now on it is off by what the order says."""
        self._order, self._since_s = order, time.monotonic()

    def _time_ns(self) -> int:
        off_s = self._order.step_s + self._order.drift * (time.monotonic() - self._since_s)
        return _true_ns() + round(off_s * 1e9)
