"""Deposits in order, in runs of some hundred, so that whoever looks for one that holds enough passes over whole runs.

Of a run is known how many units any of its deposits holds at most. Without that, a request that nothing can fill
looks at each deposit there is; and of small ones anybody may bring as many as it likes, and they stay.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence

Key = tuple[str, str]
"""The sort key and the id of a deposit."""

LONGEST = 256
"""A run that grows longer is halved. No setting: to look at one run takes as long as to pass over some hundred."""


class Run:
    """Deposits that follow each other. `most` is how many units any of them holds at most, None where that is to be
    counted."""

    __slots__ = ("keys", "most")

    def __init__(self, keys: list[Key], most: int | None = None) -> None:
        self.keys = keys
        self.most = most


class Runs:
    """The deposits of one item, lowest key first."""

    def __init__(self) -> None:
        self._runs: list[Run] = []

    def __iter__(self) -> Iterator[Key]:
        for run in self._runs:
            yield from run.keys

    @property
    def each(self) -> Sequence[Run]:
        """The runs in order. None is empty."""
        return self._runs

    def of(self, key: Key) -> Run:
        """Returns the run of a key that is there, or else the one where it belongs; there must be some."""
        return self._runs[self._place(key)]

    def _place(self, key: Key) -> int:
        return min(bisect_left(self._runs, key, key=_last), len(self._runs) - 1)

    def add(self, key: Key, units: int) -> None:
        """Adds a deposit that holds so much."""
        if not self._runs:
            self._runs.append(Run([key], units))
            return
        place = self._place(key)
        run = self._runs[place]
        insort(run.keys, key)
        if run.most is not None:
            run.most = max(run.most, units)
        if len(run.keys) > LONGEST:
            half = len(run.keys) // 2
            self._runs[place : place + 1] = Run(run.keys[:half]), Run(run.keys[half:])

    def remove(self, key: Key, units: int) -> None:
        """Removes a deposit that held so much."""
        place = self._place(key)
        run = self._runs[place]
        del run.keys[bisect_left(run.keys, key)]
        if run.most == units:
            run.most = None
        if not run.keys:
            del self._runs[place]

    def lower(self, key: Key, units: int) -> None:
        """A deposit holds less than so much from now on."""
        run = self.of(key)
        if run.most == units:
            run.most = None


def _last(run: Run) -> Key:
    return run.keys[-1]
