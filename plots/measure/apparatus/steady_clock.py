"""What is measured between two processes by times in the books holds only while nobody sets the clock on the wall.

What one process measures goes by its monotonic clock. Where it starts here and ends with what another one wrote, both
read the wall's, which may be set at any moment; then the figure is nonsense, and nobody would notice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from peers.errors import TownError

_TOLERANCE_S = 0.02
_TOLERANCE_PART = 0.001
"""A clock that is being kept right by a time service drifts by up to half of this part, which hurts no figure."""


@contextmanager
def steady_clock(wall: Callable[[], float] = time.time) -> Iterator[None]:
    """Times of the wall's clock may be compared within. TownError at the end if it was set meanwhile."""
    began_s = time.monotonic()
    before_s = _ahead_s(wall)
    yield
    moved_s = _ahead_s(wall) - before_s
    if abs(moved_s) > _TOLERANCE_S + _TOLERANCE_PART * (time.monotonic() - began_s):
        raise TownError(
            f"this machine's clock was set by {moved_s:+.2f} s, or the machine slept, while times were measured "
            "by it: measure again"
        )


def _ahead_s(wall: Callable[[], float]) -> float:
    """By how much the wall's clock is ahead of the monotonic one; of some readings the one that took least."""
    readings = []
    for _ in range(5):
        before_s = time.monotonic()
        wall_s = wall()
        took_s = time.monotonic() - before_s
        readings.append((took_s, wall_s - before_s - took_s / 2))
    return min(readings)[1]
