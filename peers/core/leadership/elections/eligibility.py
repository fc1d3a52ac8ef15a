"""Who may stand in an election, and who begins it, whatever the algorithm."""

from __future__ import annotations

from peers.core.context import Context
from peers.core.market.resignation import barred_until

LENIENT_ATTEMPT = 2
"""From this attempt on, anybody who is up may take the post."""


class Eligibility:
    """Who may stand, as far as one peer knows."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        # By rank, the first term after whose end that peer may stand again.
        self._barred_until: dict[int, int] = {}

    def bar(self, ranks: tuple[int, ...], term: int, elections: int) -> bool:
        """Has `ranks`, which left office in `term`, sit out so many elections; returns whether that was news."""
        until = barred_until(term, elections)
        fresh = [rank for rank in ranks if self._barred_until.get(rank, 0) < until]
        self._barred_until.update(dict.fromkeys(fresh, until))
        return bool(fresh)

    def eligible(self, after_term: int, attempt: int) -> list[int]:
        """Ranks that may take the post left by `after_term`, lowest first; never empty.

        A peer that is barred may not, nor may the last one who buys or the last who sells: with it in office there
        would be no trade. Of those that are left, the ones far from the books may not: each entry of the log goes
        that way. Where these rules leave nobody, anybody may. Anybody may as well from LENIENT_ATTEMPT on:
        a peer that has not heard who is barred would otherwise wait for ever for one that knows itself barred.
        """
        up, may_stand = self._ctx.members.up(), self._ctx.may_stand
        if attempt >= LENIENT_ATTEMPT:
            return [m.rank for m in up if may_stand or m.rank != self._ctx.me.rank] or [self._ctx.me.rank]
        needed = self._needed()
        free = [m.rank for m in up if after_term >= self._barred_until.get(m.rank, 0)]
        if not may_stand:
            free = [rank for rank in free if rank != self._ctx.me.rank]
        free = [rank for rank in free if rank not in needed] or free or [m.rank for m in up]
        far = self._far(free)
        return [rank for rank in free if rank not in far]

    def _far(self, ranks: list[int]) -> set[int]:
        """Those of `ranks` that are farther from the books than the nearest, by more than the setting says."""
        away_s = {m.rank: m.books_s for m in map(self._ctx.members.get, ranks) if m is not None}
        limit_s = min(away_s.values(), default=0.0) + self._ctx.settings.timing.books_near_s
        return {rank for rank, books_s in away_s.items() if books_s > limit_s}

    def _needed(self) -> set[int]:
        """The last one who buys and the last one who sells: with them in office there is no trade."""
        up = self._ctx.members.up()
        buyers = [m.rank for m in up if m.role != "seller"]
        sellers = [m.rank for m in up if m.role != "buyer"]
        return {ranks[0] for ranks in (buyers, sellers) if len(ranks) == 1}

    def is_needed_in_the_market(self) -> bool:
        """Whether this peer's goods or purchases are missed while it is in office, and somebody else could serve."""
        needed = self._needed()
        return self._ctx.me.rank in needed and any(m.rank not in needed for m in self._ctx.members.up())

    def is_far_from_the_books(self) -> bool:
        """Whether this peer stands behind others that could serve, for its way to the books is longer."""
        needed = self._needed()
        return self._ctx.me.rank in self._far([m.rank for m in self._ctx.members.up() if m.rank not in needed])

    def starts_after_resignation(self) -> bool:
        """Whether this peer begins the election, being the lowest-ranked buyer (or peer, where nobody buys)."""
        up = self._ctx.members.up()
        first = next((m for m in up if m.role != "seller"), up[0])
        return first.rank == self._ctx.me.rank
