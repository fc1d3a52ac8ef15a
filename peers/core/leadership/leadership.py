"""Leadership as one peer lives it: what it learns of the post, and what that makes it do.

Everything that can change hands is here: the view of the post, the vacancy and the election for it, standing for it,
and giving it back. An election only nominates; whoever is nominated bids, and the log decides. What this peer is says
`state`, the bid and the term are in `incumbency`, and `peers.core.trader` does the work of the trader, once in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from peers.core.context import Context
from peers.core.inputs import LedgerReplied
from peers.core.leadership.election_cost import ElectionCost
from peers.core.leadership.elections.base import ElectionAlgorithm, patience_s
from peers.core.leadership.elections.bully import Bully
from peers.core.leadership.eligibility import Eligibility
from peers.core.leadership.incumbency import Incumbency
from peers.core.leadership.reasons import VacancyReason
from peers.core.leadership.state import LeadershipMachine, LeadershipState, LeadershipView
from peers.core.market.records import Post
from peers.core.membership.gossip import Gossip
from peers.core.membership.members import Member
from peers.core.messages import Coordinator, Election, ElectionAnswer, Heartbeat, Vacancy
from peers.core.names import rank_of
from peers.core.reports import EntryRefused, LeftOffice
from peers.core.trader.taking_office import Lost, Won
from peers.core.trader.term import Ended

RECHECK_VACANCY_S = 1.0
"""How often a peer looks whether the post is filled. No setting: it only mends what elections left undone."""


class Customer(Protocol):
    """A buyer or a seller, as far as the post concerns it."""

    def on_new_trader(self) -> None:
        """The post is filled again."""


class Leadership:
    """One peer's part in who is trader. It is the Electorate of the election algorithm."""

    def __init__(self, ctx: Context, gossip: Gossip, incumbency: Incumbency, customers: Sequence[Customer]) -> None:
        self._ctx = ctx
        self._machine: LeadershipMachine = ctx.leadership
        self._gossip = gossip
        self._incumbency = incumbency
        self._customers = customers
        self._eligibility = Eligibility(ctx)
        self.cost = ElectionCost(ctx, gossip)
        self._election: ElectionAlgorithm = Bully(self)
        self._vacant_since_s = 0.0

    # -- who holds it --------------------------------------------------------------------------------------

    def start(self, term: int, trader: str | None, *, starts_election: bool) -> None:
        """Takes over what a newcomer is given of the post."""
        holder = self._ctx.members.by_name(trader) if trader else None
        if holder is not None:
            self._learn(_filled(term, holder))
            return
        self._machine.find_vacant(LeadershipView(term=term))
        self._on_vacant(started=starts_election)

    def on_hint(self, trader: str, term: int) -> None:
        """A peer that is not in office named one that is."""
        named = self._ctx.members.get(rank_of(trader))
        if named is not None and named.up:
            self._learn(_filled(term, named))

    def on_lost(self, rank: int) -> None:
        """This peer noticed that `rank` is gone, so it is the one to act on it."""
        if rank == self._ctx.view.trader and not self._ctx.view.vacant:
            self._find_crashed(started=True)

    def on_members(self, fresh: list[Member]) -> None:
        """News of members: was the trader among them?"""
        for member in fresh:
            view = self._ctx.view
            held = member.rank == view.trader and member.rank != self._ctx.me.rank and not view.vacant
            if held and (not member.up or member.incarnation > view.incarnation):
                self._find_crashed(started=False)
            elif held:  # it was named before it was known; only now can it be asked
                self._welcome()
        if self._ctx.view.vacant and any(not m.up for m in fresh):
            self._mind_the_lost()

    def _mind_the_lost(self) -> None:
        """Whoever was to begin, or to win, may be among the lost: do not wait out its silence."""
        view = self._ctx.view
        attempt = self._election.attempt()
        if attempt is None:
            if self._is_mine_to_begin():
                self._start_election()
        elif self.eligible(view.term, attempt)[-1] == self._ctx.me.rank:
            self.nominate(view.term)

    def _learn(self, view: LeadershipView, *, sender: int | None = None) -> bool:
        """Takes in a newer view of the post, from `sender` if from a neighbour; returns whether it was newer."""
        ctx = self._ctx
        if not view.is_newer_than(ctx.view):
            return False
        is_candidate = self._machine.state is LeadershipState.CANDIDATE
        if is_candidate and view.trader == ctx.me.rank and view.incarnation == ctx.me.incarnation:
            return False  # others have heard of our bid's success before us: the ledger's own answer is on its way
        if ctx.in_office and view.term > ctx.view.term:
            trader = ctx.members.get(view.trader) if view.trader is not None else None
            self._be_deposed(trader.name if trader else None, view.term)
        if view.vacant:
            self._learn_vacant(view)
        else:
            self._learn_filled(view, sender)
        return True

    def _learn_vacant(self, view: LeadershipView) -> None:
        self._machine.find_vacant(view)
        if self._ctx.in_office:  # voted out: finish what is under way, and let the election be held
            self._incumbency.leave(VacancyReason.SUSPECTED)
        self._election.stop()
        self._on_vacant(started=False)

    def _learn_filled(self, view: LeadershipView, sender: int | None) -> None:
        ctx = self._ctx
        self._machine.follow(view)
        self._election.stop()
        ctx.cancel_timer("vacancy")
        if view.trader == ctx.me.rank:  # people say I am in office, and I am not: I was, before a crash
            self._find_crashed(started=True)
            return
        self._incumbency.drop_bid()
        self.cost.on_filled(view.term, view.trader, parent=sender)
        holder = ctx.members.get(view.trader) if view.trader is not None else None
        if holder is not None and (not holder.up or holder.incarnation > view.incarnation):
            self._find_crashed(started=False)  # the news of its end came before that of its election
        else:
            self._welcome()

    def _welcome(self) -> None:
        for customer in self._customers:
            customer.on_new_trader()

    def on_vacancy(self, sender: int, vacancy: Vacancy) -> None:
        view = LeadershipView(term=vacancy.term, vacant=True, reason=vacancy.reason)
        newer = view.is_newer_than(self._ctx.view)
        # A heartbeat may have brought the vacancy sooner, but not who is barred.
        if self._eligibility.bar(vacancy.barred, vacancy.term) or newer:
            self._gossip.flood(vacancy, but=sender)
        if newer:
            self._learn(view)

    def on_coordinator(self, sender: int, message: Coordinator) -> None:
        view = _view_of(message)
        if view.is_newer_than(self._ctx.view):
            self.flood(message, but=sender)
            self._learn(view, sender=sender)

    def on_heartbeat(self, sender: int, heartbeat: Heartbeat) -> None:
        self._learn(_view_of(heartbeat), sender=sender)

    # -- vacancies -----------------------------------------------------------------------------------------

    def _find_crashed(self, *, started: bool) -> None:
        """The trader of the present term is gone. That spreads as news of a member."""
        view = self._ctx.view
        self._machine.find_vacant(LeadershipView(term=view.term, trader=view.trader, reason=VacancyReason.CRASHED))
        self._on_vacant(started=started)

    def _on_vacant(self, *, started: bool) -> None:
        """Starts an election if it is this peer's turn, and otherwise sees to it that somebody does."""
        ctx = self._ctx
        self._vacant_since_s = ctx.now.mono_s
        ctx.set_timer("vacancy", 4 * patience_s(ctx, ctx.view.reason) * ctx.rng.uniform(1.0, 1.5))
        if started or self._is_mine_to_begin():
            self._start_election()

    def _is_mine_to_begin(self) -> bool:
        reason = self._ctx.view.reason
        return reason is not None and reason.is_orderly and self._eligibility.starts_after_resignation()

    def _start_election(self) -> None:
        self.cost.started_by = self._ctx.name
        self._election.start(after_term=self._ctx.view.term, attempt=0, reason=_reason_of(self._ctx.view))

    def on_vacancy_timer(self) -> None:
        if not self._ctx.view.vacant:
            return
        if self._election.attempt() is None and self._machine.state is not LeadershipState.CANDIDATE:
            self._start_election()
        self._ctx.set_timer("vacancy", RECHECK_VACANCY_S)

    # -- elections -----------------------------------------------------------------------------------------

    @property
    def ctx(self) -> Context:
        return self._ctx

    def eligible(self, after_term: int, attempt: int) -> list[int]:
        return self._eligibility.eligible(after_term, attempt)

    def flood(self, message: Election | ElectionAnswer | Coordinator, *, but: int | None = None) -> None:
        term = message.term if isinstance(message, Coordinator) else message.after_term + 1
        self.cost.count(self._gossip.flood(message, but=but), term)

    def nominate(self, after_term: int) -> None:
        if self._machine.state is LeadershipState.ELECTING and after_term == self._ctx.view.term:
            self._stand(after_term)

    def _stand(self, after_term: int) -> None:
        self._machine.stand()
        self._incumbency.bid(after_term, _reason_of(self._ctx.view))

    def on_election_message(self, sender: int, message: Election | ElectionAnswer) -> None:
        view = self._ctx.view
        if message.after_term < view.term:
            self._correct(sender)
            return
        if isinstance(message, Election):
            self._learn(LeadershipView(term=message.after_term, vacant=True, reason=message.reason))
            candidate = self._ctx.members.get(message.candidate)
            if self.cost.started_by is None and candidate is not None:
                self.cost.started_by = candidate.name
        self._election.on_message(sender, message)

    def on_election_timer(self) -> None:
        self._election.on_timer()

    def _correct(self, sender: int) -> None:
        """Tells one who lives in the past what the post is."""
        view = self._ctx.view
        if not view.vacant and view.trader is not None:
            found = Coordinator(term=view.term, trader=view.trader, incarnation=view.incarnation)
            self._gossip.send(sender, found)
        else:
            self._gossip.send(sender, Vacancy(term=view.term, reason=_reason_of(view)))

    # -- office --------------------------------------------------------------------------------------------

    def on_ledger(self, event: LedgerReplied) -> None:
        ended = self._incumbency.on_ledger(event)
        if isinstance(ended, Won):
            if ended.state.post.term > self._ctx.view.term:
                self._take_office(ended)
            else:  # it was over before we heard that it began
                self._machine.lose_bid()
                self._incumbency.refuse_held_calls()
        elif isinstance(ended, Lost):
            self._on_lost_bid(ended.post)

    def _on_lost_bid(self, post: Post) -> None:
        """The log stands at another term: its trader has won, unless it is gone, or is us without knowing it."""
        self._machine.lose_bid()
        ctx = self._ctx
        rival = ctx.members.get(rank_of(post.trader)) if post.trader else None
        if rival is not None and rival.up and rival.rank != ctx.me.rank and post.term > ctx.view.term:
            self._learn(_filled(post.term, rival))
            return
        if post.term > ctx.view.term:
            self._machine.find_vacant(LeadershipView(term=post.term, reason=ctx.view.reason))
            self._election.stop()
        self._stand(post.term)

    def _take_office(self, won: Won) -> None:
        ctx, term = self._ctx, won.state.post.term
        took_s = ctx.now.mono_s - self._vacant_since_s
        self.cost.on_won(term, self._election.name, took_s, reason=_reason_of(ctx.view))
        self._election.stop()
        ctx.cancel_timer("vacancy")
        self._machine.take_office(_filled(term, ctx.me))
        self.flood(Coordinator(term=term, trader=ctx.me.rank, incarnation=ctx.me.incarnation))
        self._incumbency.enter(won, took_s)
        if ctx.departing:
            self._incumbency.leave(VacancyReason.LEFT)

    def on_period(self) -> None:
        """A trader may resign by chance; and it makes way where there is no trade without it."""
        if self._eligibility.is_needed_in_the_market():
            self._incumbency.leave(VacancyReason.NEEDED)
        elif self._ctx.rng.random() < self._ctx.settings.market.resign_probability:
            self._incumbency.leave(VacancyReason.RESIGNED)

    def mind_office(self) -> None:
        """Leaves office if the term is over. To be called after each input."""
        ended = self._incumbency.ended
        if ended is None:
            return
        if ended.post is not None:
            self._on_refused(ended.post)
        else:
            self._give_up_office(ended)

    def _on_refused(self, post: Post) -> None:
        """Another's entry stands where ours should have come."""
        ctx, term = self._ctx, self._ctx.view.term
        ctx.count("refused")
        ctx.say(EntryRefused(peer=ctx.name, term=term, current_term=post.term, by=post.trader))
        winner = ctx.members.get(rank_of(post.trader)) if post.trader else None
        self._be_deposed(post.trader, post.term)
        self._learn(
            _filled(post.term, winner)
            if winner is not None
            else LeadershipView(term=post.term, reason=VacancyReason.CRASHED)
        )

    def _be_deposed(self, trader: str | None, term: int) -> None:
        self._machine.be_deposed()
        self.cost.on_term_over()
        self._incumbency.close(trader, term)

    def _give_up_office(self, ended: Ended) -> None:
        ctx, reason, term = self._ctx, ended.reason, self._ctx.view.term
        self._machine.end_term(reason)
        self.cost.on_term_over()
        ctx.say(LeftOffice(peer=ctx.name, term=term, reason=reason, sales=self._incumbency.sales))
        self._incumbency.close(None, term)
        is_barred = reason is VacancyReason.RESIGNED and ctx.settings.market.barred_elections
        barred = (ctx.me.rank,) if is_barred else ()
        self._eligibility.bar(barred, term)
        self._gossip.flood(Vacancy(term=term, reason=reason, barred=barred))
        self._on_vacant(started=not reason.is_orderly)


def _filled(term: int, trader: Member) -> LeadershipView:
    return LeadershipView(term=term, trader=trader.rank, incarnation=trader.incarnation, vacant=False, reason=None)


def _view_of(message: Coordinator | Heartbeat) -> LeadershipView:
    vacant = message.trader is None
    return LeadershipView(
        term=message.term,
        trader=message.trader,
        incarnation=message.incarnation,
        vacant=vacant,
        reason=VacancyReason.CRASHED if vacant else None,
    )


def _reason_of(view: LeadershipView) -> VacancyReason:
    """Why the post is vacant; a crash, as far as the view does not say."""
    return view.reason or VacancyReason.CRASHED
