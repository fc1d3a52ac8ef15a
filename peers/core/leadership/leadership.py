"""Leadership as one peer lives it: this module joins what belongs to the post, and minds what concerns several parts.

An election only nominates (`elections`); whoever is nominated bids (`candidacy`), and the log decides. What others
say of the post, `discovery` takes in; what the books say counts more (`by_books`). `state` says what this peer is,
`incumbency` keeps the bid and the term, `leaving_office` ends the term, and `peers.core.trader` does the work of a
trader in office.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from peers.core.context import Context
from peers.core.inputs import LedgerReplied
from peers.core.leadership.by_books import ByBooks
from peers.core.leadership.candidacy import Candidacy
from peers.core.leadership.discovery import Customer, Discovery
from peers.core.leadership.doubts import Doubts
from peers.core.leadership.elections.part import ElectionPart
from peers.core.leadership.incumbency import Incumbency
from peers.core.leadership.leaving_office import LeavingOffice
from peers.core.leadership.state import LeadershipState
from peers.core.ledger.port import ReadPost
from peers.core.market.records import Post
from peers.core.membership.gossip import Gossip
from peers.core.reports import EntryRefused
from peers.core.trader.taking_office import Lost, Won


class Leadership:
    """What one peer learns of the post, and what it does to fill it, hold it and give it back.

    `on_demoted` is called when this peer is out of office again."""

    def __init__(
        self,
        ctx: Context,
        gossip: Gossip,
        incumbency: Incumbency,
        customers: Sequence[Customer],
        on_demoted: Callable[[], None],
    ) -> None:
        self._ctx = ctx
        self._incumbency = incumbency
        # A part knows those that are made before it, and none that is made after it.
        self.elections = elections = ElectionPart(ctx, gossip, self._on_nominated)
        self._doubts = doubts = Doubts(ctx)
        self.leaving = LeavingOffice(ctx, incumbency, elections, on_demoted)
        self.discovery = Discovery(ctx, gossip, incumbency, elections, doubts, self.leaving, customers)
        self._candidacy = Candidacy(ctx, gossip, incumbency, elections, doubts, self.discovery)
        self._by_books = ByBooks(
            ctx, gossip, incumbency, elections, doubts, self.leaving, self.discovery, self._candidacy
        )

    def on_ledger(self, event: LedgerReplied) -> None:
        """Takes in what the ledger says: of its being there, of who holds the post, of this peer's bid or term."""
        self.elections.on_ledger(event.operation, event.result)
        if isinstance(event.operation, ReadPost):
            post = self._doubts.on_ledger(event.operation, event.result)
            if post is not None:
                self._by_books.settle(post)
            self.discovery.take_in_held()
        ended = self._incumbency.on_ledger(event)
        if isinstance(ended, Won):
            self._candidacy.on_won(ended)
        elif isinstance(ended, Lost):
            self._candidacy.on_lost(ended.post)

    def on_heartbeat_timer(self) -> None:
        """Looks whether the trader is missed; and who cannot reach the books gives way to one who can."""
        self.discovery.on_heartbeat_timer()
        self._incumbency.follow()
        if not self._incumbency.has_lost_books():
            return
        if self._ctx.in_office:
            self._incumbency.give_up()
        else:
            self._candidacy.withdraw()

    def mind_office(self) -> None:
        """Leaves office if the term is over. To be called after each input."""
        ended = self._incumbency.ended
        if ended is None:
            return
        if ended.post is not None:
            self._on_refused(ended.post)
        else:
            self.leaving.give_back(ended)

    def _on_refused(self, post: Post) -> None:
        """Another's entry stands where ours should have come."""
        ctx, term = self._ctx, self._ctx.view.term
        ctx.count("refused")
        ctx.say(EntryRefused(peer=ctx.name, term=term, current_term=post.term, by=post.trader))
        self._by_books.yield_to(post)

    def _on_nominated(self, after_term: int) -> None:
        ctx = self._ctx
        is_vacant = ctx.leadership.state is LeadershipState.ELECTING and after_term == ctx.view.term
        if is_vacant and ctx.reaches_books:
            self._candidacy.stand(after_term)
