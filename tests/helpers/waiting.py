"""Waiting for a condition, with a deadline, instead of sleeping and hoping. All tests wait by this."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

DEADLINE_S = 60.0
"""Generous for a busy machine: only a test that fails waits so long."""

_SHORTEST_S, _LONGEST_S, _PAUSE_S = 0.005, 0.05, 0.3


def wait_until(condition: Callable[[], T | None], what: str = "it came", *, deadline_s: float = DEADLINE_S) -> T:
    """Returns the first true value of `condition`; fails, saying `what` did not come about, after the deadline.

    Looks often at first, then less so, and leaves most of the processor to those that it waits for."""
    began_s = looked_s = time.monotonic()
    while not (value := condition()):
        now_s = time.monotonic()
        assert now_s < began_s + deadline_s, f"not within {deadline_s:g} s: {what}"
        # This lies between two looks, and never takes the place of one.
        time.sleep(max(_SHORTEST_S, min((now_s - began_s) / 20, _LONGEST_S), min(3 * (now_s - looked_s), _PAUSE_S)))
        looked_s = time.monotonic()
    return value
