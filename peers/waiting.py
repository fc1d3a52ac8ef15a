"""Waiting for a condition with a deadline: once for threads, once for event loops.

This is for conditions that nothing announces. Where there is an event, a pipe or a socket to wait for, wait for that.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LOOK_S = 0.02
"""The time between two looks, unless given: a person does not notice it, and it does not keep a core busy."""


def wait_until(condition: Callable[[], T], timeout_s: float, *, look_s: float = LOOK_S) -> T:
    """Calls `condition`, at once and then every `look_s`, until it gives something true; returns that.

    After `timeout_s` it returns what the last look gave. What `condition` raises ends the waiting.
    """
    deadline_s = time.monotonic() + timeout_s
    while not (found := condition()) and time.monotonic() < deadline_s:
        time.sleep(look_s)
    return found


async def await_until(condition: Callable[[], T], timeout_s: float, *, look_s: float = LOOK_S) -> T:
    """As `wait_until`, in an event loop. `condition` may block, for it is called on another thread."""
    deadline_s = time.monotonic() + timeout_s
    while not (found := await asyncio.to_thread(condition)) and time.monotonic() < deadline_s:
        await asyncio.sleep(look_s)
    return found
