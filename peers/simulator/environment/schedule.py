"""Virtual time: the events that are still to come, and the one at hand.

One loop over a heap. Events of the same time happen in the order in which they were put there, and nothing asks the
machine for the time, an address or a hash; so the same events come in the same order on any machine.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

from peers.simulator.environment.process import Process

EPOCH_MS = 1_790_000_000_000
"""The time of day at which every schedule begins."""

MOST_WAITING = 500_000
"""So many events wait at a time at most; a schedule in which there are more would never end. It takes a storm, in
which each message makes more than one other."""

Handler = Callable[[Any, Any], None]


class Schedule:
    """`event` is the number of the event at hand, `now_s` its time, in seconds after the beginning.

    `on_push` hears the number of every event that is put into the schedule.
    """

    def __init__(self, on_push: Callable[[int], None] | None = None) -> None:
        self.now_s = 0.0
        self.event = 0
        self._on_push = on_push
        self._heap: list[tuple[float, int, Handler, Any, Any]] = []
        self._last_event = 0

    def push(self, at_s: float, handler: Handler, process: Process | None, payload: Any) -> int:
        """Has `handler(process, payload)` called at `at_s`; returns its number. RuntimeError in a storm."""
        self._last_event = number = self._last_event + 1
        if len(self._heap) > MOST_WAITING:
            raise RuntimeError(f"{MOST_WAITING} events wait: messages are made faster than they are taken in")
        heapq.heappush(self._heap, (at_s, number, handler, process, payload))
        if self._on_push is not None:
            self._on_push(number)
        return number

    def run_until(self, until_s: float) -> None:
        """Lets everything happen that is due by then."""
        heap, pop = self._heap, heapq.heappop
        while heap and heap[0][0] <= until_s:
            self.now_s, self.event, handler, process, payload = pop(heap)
            handler(process, payload)
        self.now_s = until_s

    def wall_ms(self, process: Process) -> int:
        """The time of day, as that process has it."""
        return EPOCH_MS + int(self.now_s * 1000) + process.jump_ms
