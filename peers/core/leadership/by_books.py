"""What a peer does once the books have said who holds the post: that counts, whatever was said or believed."""

from __future__ import annotations

from peers.core.context import Context
from peers.core.leadership.candidacy import Candidacy
from peers.core.leadership.discovery import Discovery
from peers.core.leadership.doubts import Doubts
from peers.core.leadership.elections.part import ElectionPart
from peers.core.leadership.incumbency import Incumbency
from peers.core.leadership.leaving_office import LeavingOffice
from peers.core.leadership.reasons import VacancyReason
from peers.core.leadership.state import LeadershipMachine, LeadershipState, LeadershipView
from peers.core.leadership.views import filled
from peers.core.market.records import Post
from peers.core.membership.gossip import Gossip
from peers.core.messages import Coordinator
from peers.core.names import rank_of
from peers.core.reports import LeftOffice


class ByBooks:
    """Corrects what one peer believes, and what it does."""

    def __init__(
        self,
        ctx: Context,
        gossip: Gossip,
        incumbency: Incumbency,
        elections: ElectionPart,
        doubts: Doubts,
        leaving: LeavingOffice,
        discovery: Discovery,
        candidacy: Candidacy,
    ) -> None:
        self._ctx = ctx
        self._machine: LeadershipMachine = ctx.leadership
        self._gossip = gossip
        self._incumbency = incumbency
        self._elections = elections
        self._doubts = doubts
        self._leaving = leaving
        self._discovery = discovery
        self._candidacy = candidacy

    def settle(self, post: Post) -> None:
        """The books were asked who holds the post: what they say counts, whatever was said or believed."""
        ctx, view = self._ctx, self._ctx.view
        unknown, self._candidacy.unknown = self._candidacy.unknown, None
        if self._machine.state is LeadershipState.GONE:
            return
        if self._machine.state is LeadershipState.CANDIDATE:
            if post.term >= view.term or self._incumbency.may_win:
                return  # A candidate reads the books itself, and in full.
            # But its bid is for another term than it was told of since, which the books do not have. It may wait
            # for ever for a trader that is at work, and not believe that one either.
            self._incumbency.drop_bid()
            self._machine.lose_bid()
        if ctx.area and post.term > view.term and post.trader and not ctx.is_ours(post.trader):
            # One of another area stands in for ours; our own election will end that, if it is not under way already.
            # Or it is one of ours that we never heard of.
            self._gossip.introduce(post)
            if not view.vacant and not ctx.in_office:
                self._machine.find_vacant(view.vacated(VacancyReason.SUSPECTED))
                self._elections.on_vacant(started=True)
            return
        if ctx.in_office:
            self._in_office(post)
        elif post.term != view.term or self._names_another(post):
            self._follow_books(post)
        elif view.vacant and unknown == view.term:
            self._candidacy.stand(post.term)

    def _names_another(self, post: Post) -> bool:
        """Whether the books name another trader of our view's term than we do."""
        named = self._ctx.view.trader
        return named is not None and post.trader is not None and named != rank_of(post.trader)

    def _in_office(self, post: Post) -> None:
        ctx, view = self._ctx, self._ctx.view
        if post.term > view.term:
            self.yield_to(post)
        elif post.term == view.term and post.trader == ctx.name:
            if self._doubts.was_lied_to:  # Who hears this, and believes in a later term, asks the books as well.
                self._gossip.flood(Coordinator(term=view.term, trader=ctx.me.rank, incarnation=view.incarnation))
        else:  # Our office entry stands no more: the books were restored to an older state.
            sales, reason = self._incumbency.sales, VacancyReason.END_LOST
            ctx.say(LeftOffice(peer=ctx.name, term=view.term, reason=reason, sales=sales))
            self._leaving.be_deposed(None, post.term)
            self._follow_books(post)

    def yield_to(self, post: Post) -> None:
        """Leaves office to whoever has written a later term than ours."""
        ctx = self._ctx
        winner = ctx.members.get(rank_of(post.trader)) if post.trader else None
        self._gossip.introduce(post)
        self._leaving.be_deposed(post.trader, post.term)
        self._discovery.learn(
            filled(post.term, winner)
            if winner is not None
            else LeadershipView(term=post.term, reason=VacancyReason.SUSPECTED)  # It has just written to the log.
        )

    def _follow_books(self, post: Post) -> None:
        """Believes what the books say, be it an earlier term than we believed in."""
        ctx = self._ctx
        is_earlier = post.term < ctx.view.term
        holder = ctx.members.get(rank_of(post.trader)) if post.trader else None
        is_other = holder is not None and holder.rank != ctx.me.rank
        self._gossip.introduce(post)
        if holder is not None and is_other and holder.up:
            self._machine.correct(filled(post.term, holder))
            self._elections.on_filled()
            self._elections.cost.on_filled(post.term, holder.rank, parent=None)
            self._discovery.welcome()
        else:
            # One that counts as gone has written to the log, so it may well be at work.
            reason = VacancyReason.SUSPECTED if is_other else VacancyReason.CRASHED
            rank, incarnation = (holder.rank, holder.incarnation) if holder is not None else (None, 0)
            self._machine.correct(
                LeadershipView(term=post.term, trader=rank, incarnation=incarnation, vacant=True, reason=reason)
            )
            self._elections.stop()
            self._elections.on_vacant(started=not is_other)
        if is_earlier and holder is not None and not ctx.view.vacant:
            told = Coordinator(term=post.term, trader=holder.rank, incarnation=ctx.view.incarnation)
            self._gossip.flood(told)
