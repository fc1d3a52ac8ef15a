"""What an election cost: the messages that all peers sent for it, added up by the peers themselves.

The counts travel to the trader as sums. After the announcement every peer waits a little, the farther from the trader
the shorter, and then passes on in one message what it and those behind it sent. What comes in later is passed on a
little later, together, for where there are many peers much of it is late. The trader writes the record. It is
`complete` only once everybody who was up has been counted, so a term that ends sooner leaves a record that says so.
"""

from __future__ import annotations

import msgspec

from peers.core.context import Context
from peers.core.leadership.reasons import VacancyReason
from peers.core.ledger.port import RecordElection
from peers.core.market.records import ElectionRecord
from peers.core.membership.gossip import Gossip
from peers.core.membership.overlay_graph import distances
from peers.core.messages import Tally

MOST_COUNTED = 10_000_000
"""So many messages in one sum at most; more were never sent."""
TALLY_STEP_S = 0.05
"""A peer waits for so much longer than one that is a hop farther away. No setting: only a record waits for it."""
TALLY_BASE_S = 0.1
"""The farthest peer waits for so long: the last messages are still under way when it hears of the trader."""


class ElectionCost:
    """One peer's part in counting what the last election cost."""

    def __init__(self, ctx: Context, gossip: Gossip) -> None:
        self._ctx = ctx
        self._gossip = gossip
        # How many messages this peer sent for the election under way, whose term is not known yet.
        self._next = 0
        # The term whose election is being added up.
        self._term = 0
        # How many messages for that election are still to be passed on, and how many peers sent them.
        self._messages = 0
        self._peers = 0
        # Of how many peers in all there have been sums here, this one included. There cannot be more than there are
        # members, so sums that are sent in a circle, because somebody lied of who is trader, come to an end.
        self._seen = 0
        # The neighbour that told of the trader: sums go back the way that the announcement came.
        self._parent: int | None = None
        # Whether the time to pass the sum on is still to come.
        self._waits = False
        # The record that this peer keeps, None unless it is the trader whose election it was.
        self._record: ElectionRecord | None = None
        # How many peers were up when this peer won, and so have to be counted.
        self._up = 0
        # The name of who began the election under way, None where that is not known.
        self.started_by: str | None = None

    def count(self, messages: int, term: int) -> None:
        """Counts messages that this peer sent for the election that gives, or gave, `term`."""
        if term == self._term:
            self._messages += messages
        else:
            self._next += messages
        self._ctx.count("election_messages", messages)

    def on_won(self, term: int, algorithm: str, took_s: float, *, reason: VacancyReason) -> None:
        """This peer took office: it writes the record, and again once the counts have come home."""
        ctx = self._ctx
        self._record = ElectionRecord(
            area=self._ctx.area,
            term=term,
            algorithm=algorithm,
            reason=reason.value,
            started_by=self.started_by or ctx.name,
            trader=ctx.name,
            messages=self._next,
            complete=False,
            started_at_ms=ctx.now.wall_ms - round(took_s * 1000),
            took_ms=round(took_s * 1000, 3),
        )
        self._up = len(ctx.members.up())
        ctx.perform(RecordElection(record=self._record))
        farthest = max(distances(ctx.graph, ctx.me.rank).values(), default=0)
        self._begin(term, None, TALLY_BASE_S + TALLY_STEP_S * (farthest + 2))

    def on_filled(self, term: int, trader: int | None, *, parent: int | None) -> None:
        """Somebody else took office; `parent` is the neighbour that said so."""
        self._record = None
        hops = distances(self._ctx.graph, trader) if trader is not None else {}
        farthest = max(hops.values(), default=0)
        mine = hops.get(self._ctx.me.rank, farthest)
        self._begin(term, parent, TALLY_BASE_S + TALLY_STEP_S * (farthest - mine))

    def _begin(self, term: int, parent: int | None, wait_s: float) -> None:
        self._term, self._parent, self.started_by = term, parent, None
        self._messages, self._next = self._next, 0
        self._peers, self._seen = 1, 1
        self._wait(wait_s)

    def _wait(self, wait_s: float) -> None:
        self._waits = True
        self._ctx.set_timer("tally", wait_s)

    def on_tally(self, tally: Tally) -> None:
        """Takes in a sum from a neighbour; one for another election is dropped, and leaves its record incomplete."""
        is_complete = self._record is not None and self._record.complete
        if (
            tally.term == self._term
            and not is_complete
            and 0 < tally.peers <= self._ctx.members.count - self._seen
            and tally.messages <= MOST_COUNTED
        ):
            self._messages += tally.messages
            self._peers += tally.peers
            self._seen += tally.peers
            if not self._waits:
                self._wait(TALLY_STEP_S)

    def on_timer(self) -> None:
        """Time to pass the sum on, or, for the trader, to write it down."""
        self._waits = False
        self._pass_on()

    def on_term_over(self) -> None:
        """This peer left office: the record stays as it is, complete or not."""
        self._record = None

    def _pass_on(self) -> None:
        if self._record is not None:
            complete = self._peers >= self._up
            self._record = msgspec.structs.replace(self._record, messages=self._messages, complete=complete)
            self._ctx.perform(RecordElection(record=self._record))
        elif self._parent is not None:
            self._gossip.send(self._parent, Tally(term=self._term, messages=self._messages, peers=self._peers))
            self._messages, self._peers = 0, 0
