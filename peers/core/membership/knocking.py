"""When to ask those that count as gone whether they are there after all, and whom.

Between halves of a split graph that can reach each other again there is no edge by which they would find out. So the
lowest peer of each part asks some of them now and then, in turns.
"""

from __future__ import annotations

from bisect import bisect_right

from peers.core.context import Context

KNOCK_ROUNDS = 4
"""How many times `suspect_s` it takes to ask all that count as gone, where they are few. No setting: it follows from
that one."""
MOST_AT_ONCE = 8
"""Where they are many, so many are asked at a time: each costs a connection that mostly nobody takes, of which a peer
makes a few at once only. All have their turn, and of a part of the market that is there, any one will do."""


class Knocking:
    """One peer's part in it."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._last_s = 0.0
        # The rank that was asked last; the one after it is next in turn.
        self._last_rank = -1

    def start(self) -> None:
        """Nobody is to be asked for a while."""
        self._last_s = self._ctx.now.mono_s

    def due(self) -> list[int]:
        """Returns the ranks to be asked now; mostly none."""
        ctx = self._ctx
        if ctx.now.mono_s - self._last_s <= ctx.settings.timing.suspect_s:
            return []
        self._last_s = ctx.now.mono_s
        gone = [m.rank for m in ctx.members.all() if not m.up]
        if not gone or ctx.members.up()[0].rank != ctx.me.rank:
            return []
        first = bisect_right(gone, self._last_rank)
        asked = (gone[first:] + gone[:first])[: min(-(-len(gone) // KNOCK_ROUNDS), MOST_AT_ONCE)]
        self._last_rank = asked[-1]
        return asked
