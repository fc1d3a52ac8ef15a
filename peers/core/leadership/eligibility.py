"""What surrounds an election whatever its algorithm: who may stand, who begins, and what it cost.

The count of messages travels home as a sum: after the announcement every peer waits a little, the farther from the
trader the shorter, and passes on what it and those behind it sent, one message each. The trader writes the record.
"""

from __future__ import annotations

import msgspec

from peers.core.context import Context
from peers.core.ledger.port import RecordElection
from peers.core.market.records import ElectionRecord
from peers.core.market.resignation import barred_until
from peers.core.membership.gossip import Gossip
from peers.core.membership.overlay_graph import distances
from peers.core.messages import Tally

TALLY_STEP_S = 0.05
TALLY_BASE_S = 0.1

LENIENT_ATTEMPT = 2
"""From this attempt on, anybody who is up may take the post."""


class Eligibility:
    """One peer's election office."""

    def __init__(self, ctx: Context, gossip: Gossip) -> None:
        self._ctx = ctx
        self._gossip = gossip
        self._barred_until: dict[int, int] = {}  # rank -> first term after whose end it may stand again
        self._sent = 0
        self._tally_term = 0
        self._record: ElectionRecord | None = None
        self.parent: int | None = None  # who told us of the trader: the way the count goes home
        self.started_by: str | None = None  # who began the election under way

    # -- who may stand, who begins -------------------------------------------------------------------------

    def bar(self, ranks: tuple[int, ...], term: int) -> bool:
        """`ranks` resigned in `term`: they sit out so many elections. Returns whether that was news."""
        until = barred_until(term, self._ctx.settings.market.barred_elections)
        fresh = [rank for rank in ranks if self._barred_until.get(rank, 0) < until]
        self._barred_until.update(dict.fromkeys(fresh, until))
        return bool(fresh)

    def eligible(self, after_term: int, attempt: int, *, leaving: bool) -> list[int]:
        """Ranks that may take the post left by `after_term`, lowest first; never empty.

        Not one who is barred, nor the last one who buys or the last who sells while somebody else can serve: with
        that one in office there would be no trade. If nobody is left by these rules, anybody may; and after some
        rounds without a winner too, for who has not heard who is barred may wait for one who knows itself barred.
        """
        up = self._ctx.members.up()
        if attempt >= LENIENT_ATTEMPT:
            return [m.rank for m in up if not leaving or m.rank != self._ctx.me.rank] or [self._ctx.me.rank]
        needed = self._needed()
        free = [m.rank for m in up if after_term >= self._barred_until.get(m.rank, 0)]
        if leaving:
            free = [rank for rank in free if rank != self._ctx.me.rank]
        return [rank for rank in free if rank not in needed] or free or [m.rank for m in up]

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

    def starts_after_resignation(self) -> bool:
        """The lowest-ranked buyer begins the election (the lowest-ranked peer where nobody buys)."""
        up = self._ctx.members.up()
        first = next((m for m in up if m.role != "seller"), up[0])
        return first.rank == self._ctx.me.rank

    # -- what it cost --------------------------------------------------------------------------------------

    def count(self, messages: int) -> None:
        self._sent += messages
        self._ctx.count("election_messages", messages)

    def on_won(self, term: int, algorithm: str, took_s: float, *, reason: str) -> None:
        """This peer took office: it writes the record, and again once the counts have come home."""
        ctx = self._ctx
        self._record = ElectionRecord(
            term=term,
            algorithm=algorithm,
            reason=reason,
            started_by=self.started_by or ctx.name,
            trader=ctx.name,
            messages=self._sent,
            started_at_ms=ctx.now.wall_ms - round(took_s * 1000),
            took_ms=round(took_s * 1000, 3),
        )
        ctx.perform(RecordElection(record=self._record))
        self.started_by = None
        self._tally_term = term
        farthest = max(distances(ctx.graph, ctx.me.rank).values(), default=0)
        ctx.set_timer("tally", TALLY_BASE_S + TALLY_STEP_S * (farthest + 2))

    def on_filled(self, term: int, trader: int | None) -> None:
        """Somebody else took office."""
        ctx = self._ctx
        self._record, self._tally_term, self.started_by = None, term, None
        hops = distances(ctx.graph, trader) if trader is not None else {}
        farthest = max(hops.values(), default=0)
        mine = hops.get(ctx.me.rank, farthest)
        ctx.set_timer("tally", TALLY_BASE_S + TALLY_STEP_S * (farthest - mine))

    def on_tally(self, tally: Tally) -> None:
        if tally.term == self._tally_term:
            self._sent += tally.messages

    def on_timer(self, *, holder: bool) -> None:
        """Time to pass the sum on, or, for the trader, to write it down."""
        messages, self._sent = self._sent, 0
        if holder and self._record is not None:
            record = self._record
            self._record = msgspec.structs.replace(record, messages=messages)
            self._ctx.perform(RecordElection(record=self._record))
        elif self.parent is not None and messages:
            self._gossip.send(self.parent, Tally(term=self._tally_term, messages=messages))
