"""Waiting for a condition, with a deadline, instead of sleeping and hoping. All tests wait by this."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

DEADLINE_S = 60.0
"""Generous for a busy machine: only a test that fails waits so long."""


def wait_until(condition: Callable[[], T | None], what: str = "it came", *, deadline_s: float = DEADLINE_S) -> T:
    """Returns the first true value of `condition`; fails, saying `what` did not come about, after the deadline."""
    end_s = time.monotonic() + deadline_s
    while not (value := condition()):
        assert time.monotonic() < end_s, f"not within {deadline_s:g} s: {what}"
        time.sleep(0.005)  # This lies between two looks, and never takes the place of one.
    return value
