"""When to begin a commit: at once, or when those who are likely to come are there (group commit, Gawlick and Kinkade,
1985; the wait is what PostgreSQL calls `commit_delay`).

Customers who buy one thing after another come back soon after they were answered. A commit begun with the first of
them leaves the others waiting for the next, and so they split into two halves that forever wait for each other's
commit. So a commit waits for as many as were there last time, but never longer than `gather_s`, and not at all where
there was only one: a lone customer is served at once. (Measured in turns, with and without: 2 and 4 customers buy 1.8
times as much, 8 buy 1.3 times, 16 and 48 some 1.1 and 1.2 times.)
"""

from __future__ import annotations

from peers.core.context import Context

CROWD = 2
"""So many make it worth waiting for the others."""


class Gathering:
    """The wait before one office's commits."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._crowd = 0  # how many were decided last time, or waited meanwhile
        self._until_s: float | None = None  # while gathering

    def is_worth_waiting(self, present: int) -> bool:
        """Whether the commit should begin later; if so, a `gather` timer has been set."""
        gather_s, now_s = self._ctx.settings.timing.gather_s, self._ctx.now.mono_s
        if gather_s == 0 or self._crowd < CROWD or present >= self._crowd:
            return False
        if self._until_s is None:
            self._until_s = now_s + gather_s
            self._ctx.set_timer("gather", gather_s)
        return now_s < self._until_s

    def begins(self) -> None:
        """A commit begins."""
        self._until_s = None

    def ended(self, decided: int, waiting: int) -> None:
        """A commit ended; `waiting` came while it was under way."""
        self._crowd = decided + waiting
