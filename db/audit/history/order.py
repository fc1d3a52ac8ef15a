"""Whether the places of the log may be the order in which a history happened, in time linear in its length.

To find *some* order that explains a history is hard (Gibbons and Korach, 1997). Here the order is given: each
operation has a place in the log, or a range of places that explain what it saw. What is left to ask is whether the
places contradict what came before what: an operation that began after another had ended may not lie before it. One
sweep over beginnings and ends tells, with the highest place that anybody was told so far. An operation with a range
takes the lowest place that it may, which leaves most to those after it.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

import msgspec

NOTHING = -1
"""The place before the first."""

ANYWHERE = 2**62
"""The upper end of a range without one."""


class Contradiction(msgspec.Struct, frozen=True):
    """`later` began after `earlier` had ended, and what it saw lies before it. Both are indexes of operations."""

    earlier: int
    later: int


class Ranges:
    """By index of operation, the places at which it may have happened: from `low` to `high`. One that writes
    (`alone`) shares its place with none that ended before."""

    def __init__(self, count: int) -> None:
        self.low = array("q", [NOTHING]) * count
        self.high = array("q", [ANYWHERE]) * count
        self.alone = bytearray(count)

    def put(self, index: int, low: int, high: int = ANYWHERE, *, alone: bool = False) -> None:
        """Says where an operation may have happened."""
        self.low[index], self.high[index], self.alone[index] = low, high, alone


def contradictions(
    ranges: Ranges, members: Iterable[int], begin: Sequence[int], end: Sequence[int], never: int
) -> list[Contradiction]:
    """Returns what contradicts the order of the log among `members`, in the order of time.

    `begin` and `end` are by index; what began at `never` may have begun at any time, and is only evidence."""
    events: list[int] = []
    for index in members:
        if begin[index] != never:
            events.append((2 * begin[index]) << 32 | index)
        events.append((2 * end[index] + 1) << 32 | index)  # What ends and begins in one moment overlaps.
    events.sort()
    found: list[Contradiction] = []
    highest, told_by = NOTHING, -1
    low, high, alone = ranges.low, ranges.high, ranges.alone
    for event in events:
        index = event & 0xFFFFFFFF
        if event >> 32 & 1:
            if low[index] > highest:
                highest, told_by = low[index], index
        elif highest > high[index] or (alone[index] and highest >= low[index]):
            found.append(Contradiction(told_by, index))
    return found
