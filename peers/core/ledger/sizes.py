"""How large an entry of the log may become: no database takes a document of any size, so whoever draws one up counts.

Counted is what a record takes at most, whatever its names and numbers are, and not what it takes: how it is written
is the database's affair, and most of a large entry are vector clocks, whose names are counted one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from peers.core.market.limits import MAX_NAME_LENGTH
from peers.core.membership.clocks import Stamp, VectorStamp

T = TypeVar("T")

MOST_BYTES = 4 * 2**20
"""One entry has so many bytes at most, unless its first record is larger, which a seller's report may be (twice as
large at most). No setting: it is a quarter of what MongoDB takes."""

RECORD_BYTES = 2048
"""A record takes so many bytes at most besides its vector clock: with the longest names and ids, as a sale that was
taken back, and with its id in the list of those that come in."""

_CLOCK_ENTRY_BYTES = MAX_NAME_LENGTH + 10
"""A name with its end, its number, and what kind of value that is."""


def size_of(clock: Stamp) -> int:
    """Returns how many bytes a record with this clock takes at most."""
    return RECORD_BYTES + (_CLOCK_ENTRY_BYTES * len(clock.vector) if isinstance(clock, VectorStamp) else 0)


class Room:
    """The room that an entry still has. What goes in first always fits: else it would never be written."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._left = most
        self._is_empty = True

    def takes(self, size: int) -> bool:
        """Takes in a record of so many bytes if there is room for it; returns whether there was."""
        if size > self._left and not self._is_empty:
            return False
        self._left -= size
        self._is_empty = False
        return True

    def first_of(self, records: Iterable[T], size: Callable[[T], int], *, spare: int = 0) -> list[T]:
        """Takes in the first of `records`, as many as there is room for, if so many bytes are to be left over."""
        self._left -= spare
        taken: list[T] = []
        for record in records:
            if not self.takes(size(record)):
                break
            taken.append(record)
        self._left += spare
        return taken

    @property
    def half(self) -> int:
        """Half of what is left."""
        return max(0, self._left // 2)
