"""When to begin a commit: at once, or when those who are likely to come are there (group commit, Gawlick and Kinkade,
1985; the wait is what PostgreSQL calls `commit_delay`).

Customers who buy one thing after another come back soon after they were answered. A commit begun with the first of
them leaves the others waiting for the next, and so they split into two halves that forever wait for each other's
commit. So a commit waits for as many as were there last time, but never longer than `group_commit_delay_s`, and not
at all where there was only one: a lone customer is served at once. (Measured in turns, with and without: 2 and 4
customers buy 1.8 times as much, 8 buy 1.3 times, 16 and 48 some 1.1 and 1.2 times.)

Where there are very many, two halves are just right: while one is recorded, the other is answered and comes back, and
so database and trader work at the same time. So a commit waits for half of them only. (64 customers buy 1.1 times as
much; of 32 and fewer the halves are too small, and cost more than is gained.)

Where requests come as they please, hardly anybody comes back, and waiting is in vain. So each wait in vain doubles
the number of commits that begin at once until the next try (exponential backoff, Metcalfe and Boggs, 1976).
"""

from __future__ import annotations

from peers.core.context import Context
from peers.core.trader.seat import THE_ONLY, Seat

CROWD = 2
"""A commit waits only if so many requests, or more, are likely to share it."""

HALVED = 48
"""From so many requests on, a commit waits for half of them only."""

IN_VAIN = 0.25
"""A wait was in vain if less than this part of the missing requests came."""

MOST_SKIPPED = 4
"""At most so many commits begin at once after waits in vain: on a busy machine requests may be late now and then."""


class GroupCommit:
    """The wait before one term's entries."""

    def __init__(self, ctx: Context, seat: Seat = THE_ONLY) -> None:
        self._ctx = ctx
        self._seat = seat
        # A commit waits until so many requests and deposits are there.
        self._crowd = 0
        # When the present wait ends at the latest, None while no commit waits.
        self._until_s: float | None = None
        # How many were there when the present wait began.
        self._first = 0
        # When the last commit began.
        self._begun_s = 0.0
        # How long one decision took of late, in seconds: a moving average, each one's share in waiting included.
        self._s_each = 0.001
        # How many commits are still to begin at once before the next tries to wait.
        self._skip = 0
        # What `_skip` was set to after the last wait, 0 if that was not in vain.
        self._skipped = 0

    def is_worth_waiting(self, present: int) -> bool:
        """Whether a commit of `present` requests and deposits should begin later; the `gather` timer is set then."""
        group_commit_delay_s, now_s = self._ctx.settings.timing.group_commit_delay_s, self._ctx.now.mono_s
        if self._until_s is None:
            if group_commit_delay_s == 0 or self._skip or self._crowd < CROWD or present >= self._crowd:
                return False
            self._until_s, self._first = now_s + group_commit_delay_s, present
            self._ctx.set_timer(self._seat.gather_timer, group_commit_delay_s)
        return present < self._crowd and now_s < self._until_s

    def begins(self, present: int) -> None:
        """A commit begins with `present` requests and deposits."""
        if self._until_s is None:
            self._skip = max(0, self._skip - 1)
        elif present - self._first >= IN_VAIN * (self._crowd - self._first):
            self._skipped = 0
        else:
            self._skip = self._skipped = min(2 * self._skipped + 1, MOST_SKIPPED)
        self._until_s = None
        self._begun_s = self._ctx.now.mono_s

    def ms_for(self, waiting: int) -> int:
        """Returns an estimate of the time until `waiting` requests are decided, in milliseconds; 100 at the most."""
        return min(100, 1 + int(1000 * waiting * self._s_each))

    def ended(self, decided: int, waiting: int) -> None:
        """A commit of `decided` requests and deposits ended; `waiting` others came while it was under way."""
        if decided:
            took_s = self._ctx.now.mono_s - self._begun_s
            self._s_each += (took_s / decided - self._s_each) / 8
        everybody = decided + waiting
        self._crowd = everybody if everybody < HALVED else (everybody + 1) // 2
