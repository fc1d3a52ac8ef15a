"""Links that behave as if their wires were cut: a debugging aid, for chaos runs and tests.

Only the town can ask for it, over the private channel it has to each of its peers; nothing of it is exposed. What
the other end sees is what a cut wire looks like: a connection that stays open, and a call that is never answered. The
trade, which goes straight to the trader, is not touched.
"""

from __future__ import annotations

import time

from peers.runtime.spec import CutLinks

_FOR_EVER = float("inf")


class Cuts:
    """Which links are cut just now, and which way. From any thread: a cut is replaced whole, never changed."""

    def __init__(self) -> None:
        self._cut: CutLinks | None = None
        self._until_s = -_FOR_EVER

    def apply(self, cut: CutLinks) -> None:
        """Cuts these links from now on, instead of those cut before."""
        self._cut = cut
        self._until_s = time.monotonic() + cut.seconds

    def mutes(self, rank: int) -> bool:
        """Whether nothing of ours gets through to that peer."""
        return self._is_cut(rank, "out")

    def deafens(self, rank: int) -> bool:
        """Whether nothing of that peer's gets through to us."""
        return self._is_cut(rank, "in")

    def _is_cut(self, rank: int, way: str) -> bool:
        cut = self._cut
        if cut is None or time.monotonic() >= self._until_s:
            return False
        return cut.way in (way, "both") and (not cut.neighbours or rank in cut.neighbours)
