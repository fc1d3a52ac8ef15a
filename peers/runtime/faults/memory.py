"""A peer of a chaos town eats up what memory there is for it, once it is limited from outside, and holds that.

Without this, a limit would be felt by nobody: a process that has run for a while has more room of its own, in free
pieces of every size, than a peer ever asks for. Whatever its threads want afterwards they do not get.
"""

from __future__ import annotations

import queue
import resource
import threading
import time

from peers.runtime.spec import EatMemory

_SIZES = (1 << 20, 1 << 16, 1 << 13, 1 << 10, 480, 240, 120, 60)
"""Pieces of so many bytes: those that Python asks the kernel for, then those that it cuts up by itself."""

_SPARE = 200  # The spare memory is in pieces of so many bytes, such as Python's own objects are.
_LIMITED_WITHIN_S = 1.0
_LOOK_S = 0.005


class Hunger:
    """Eats on a thread that is there from the beginning, for when it is wanted there may be no memory for one."""

    def __init__(self) -> None:
        self._orders: queue.SimpleQueue[EatMemory] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="hunger", daemon=True).start()

    def eat(self, order: EatMemory) -> None:
        """Does as ordered, as soon as this process is limited."""
        self._orders.put(order)

    def _run(self) -> None:
        while True:
            order = self._orders.get()
            try:
                _eat(order)
            except MemoryError:
                continue  # It has had its fill, and all of it is free again.


def _eat(order: EatMemory) -> None:
    until_s = time.monotonic() + _LIMITED_WITHIN_S
    while not _is_limited():
        if time.monotonic() > until_s:
            return
        time.sleep(_LOOK_S)
    spare = [bytearray(_SPARE) for _ in range(order.spare // _SPARE)]
    # A list of pieces would have to grow, which takes memory as well: each piece holds the one before.
    eaten: tuple[object, object] | None = None
    for size in _SIZES:
        try:
            while True:
                eaten = (eaten, bytearray(size))
        except MemoryError:
            continue
    spare.clear()
    time.sleep(order.seconds)
    while eaten is not None:  # One by one: so deep a nest would be too much for the interpreter.
        eaten = eaten[0]  # type: ignore[assignment]


def _is_limited() -> bool:
    return resource.getrlimit(resource.RLIMIT_DATA)[0] != resource.RLIM_INFINITY
