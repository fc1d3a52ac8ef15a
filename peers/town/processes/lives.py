"""The numbers of lives, which tell a peer that was started again from the one before.

They are times of day, so that those of a town that was closed are lower. But that clock may be set while a town runs,
and so it is looked at only once.
"""

from __future__ import annotations

import time

_BEGAN_MS, _BEGAN_S = time.time_ns() // 1_000_000, time.monotonic()


def life_ms() -> int:
    """Returns the number of a life that begins now, in milliseconds: the time of day at which this program began, and
    what has passed since then by the monotonic clock."""
    return _BEGAN_MS + round((time.monotonic() - _BEGAN_S) * 1000)
