"""The way into office: a peer stands for the post, and the log decides whether it takes office."""

from __future__ import annotations

from peers.core.context import Context
from peers.core.leadership.discovery import Discovery
from peers.core.leadership.doubts import Doubts
from peers.core.leadership.elections.part import ElectionPart
from peers.core.leadership.incumbency import Incumbency
from peers.core.leadership.reasons import VacancyReason
from peers.core.leadership.state import LeadershipMachine, LeadershipView
from peers.core.leadership.views import filled
from peers.core.market.records import Post
from peers.core.membership.gossip import Gossip
from peers.core.messages import Coordinator
from peers.core.names import rank_of
from peers.core.trader.taking_office import Won


class Candidacy:
    """One peer as a candidate. `unknown` is the vacancy that it has bid for, and whose term the books did not know;
    None where they did."""

    def __init__(
        self,
        ctx: Context,
        gossip: Gossip,
        incumbency: Incumbency,
        elections: ElectionPart,
        doubts: Doubts,
        discovery: Discovery,
    ) -> None:
        self.unknown: int | None = None
        self._ctx = ctx
        self._machine: LeadershipMachine = ctx.leadership
        self._gossip = gossip
        self._incumbency = incumbency
        self._elections = elections
        self._doubts = doubts
        self._discovery = discovery

    def stand(self, after_term: int) -> None:
        """Bids for the post that this term left vacant."""
        self._machine.stand()
        self._incumbency.bid(after_term, self._elections.reason)

    def on_won(self, won: Won) -> None:
        """The log has this peer's office entry."""
        if won.post.term > self._ctx.view.term:
            self._take_office(won)
        else:  # A later term is known already, so this one was over before it began here.
            self._machine.lose_bid()
            self._incumbency.refuse_held_calls()
            self._doubts.ask(at_once=True)  # Unless that one is a lie.

    def _take_office(self, won: Won) -> None:
        ctx, term = self._ctx, won.post.term
        took_s = self._elections.on_won(term)
        self._machine.take_office(filled(term, ctx.me))
        self._elections.flood(Coordinator(term=term, trader=ctx.me.rank, incarnation=ctx.me.incarnation))
        self._incumbency.enter(won, took_s)
        if ctx.departing:
            self._incumbency.leave(VacancyReason.LEFT)

    def on_lost(self, post: Post) -> None:
        """The log stands at another term: its trader has won, unless it is gone, or is us without knowing it."""
        self._machine.lose_bid()
        ctx = self._ctx
        if post.term < ctx.view.term:  # What was read may be stale; so it takes a second look to correct our view.
            self.unknown = ctx.view.term
            self._doubts.ask(at_once=True)
            return
        self._gossip.introduce(post)
        rival = ctx.members.get(rank_of(post.trader)) if post.trader else None
        if rival is not None and rival.up and rival.rank != ctx.me.rank and post.term > ctx.view.term:
            self._discovery.learn(filled(post.term, rival))
            return
        if post.term > ctx.view.term:
            # A rival that counts as gone has just written to the log, so it may well be at work.
            is_gone = rival is not None and rival.rank != ctx.me.rank
            reason = VacancyReason.SUSPECTED if is_gone else ctx.view.reason
            self._machine.find_vacant(LeadershipView(term=post.term, reason=reason))
            self._elections.stop()
        self.stand(post.term)

    def withdraw(self) -> None:
        """The books cannot be reached: gives way to one who can reach them."""
        self._machine.withdraw_bid()
        self._incumbency.drop_bid()
        self._elections.sit_out(VacancyReason.BOOKS_AWAY, self._ctx.settings.market.barred_elections)
        self._elections.on_books_away()
