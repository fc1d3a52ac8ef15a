"""Leadership as one peer lives it: what it learns of the post, and what that makes it do.

This module connects what belongs to the post: the view of it, its vacancy and the election for it, the bid for it,
and giving it back. An election only nominates; whoever is nominated bids, and the log decides. `state` says what this
peer is, `incumbency` keeps the bid and the term, and `peers.core.trader` does the work of a trader in office.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from peers.core.bounds import MAX_BARRED
from peers.core.commands import Crash
from peers.core.context import Context
from peers.core.inputs import LedgerReplied
from peers.core.leadership.by_books import ByBooks
from peers.core.leadership.doubts import Doubts
from peers.core.leadership.elections.part import ElectionPart, reason_of
from peers.core.leadership.incumbency import Incumbency
from peers.core.leadership.reasons import VacancyReason
from peers.core.leadership.state import LeadershipMachine, LeadershipState, LeadershipView
from peers.core.leadership.views import filled, view_of
from peers.core.ledger.port import ReadPost
from peers.core.market.records import Post
from peers.core.market.resignation import elections_to_sit_out
from peers.core.membership.gossip import Gossip
from peers.core.membership.members import Member
from peers.core.messages import Coordinator, ElectionMessage, Heartbeat, LinkMessage, TakenOver, Vacancy
from peers.core.names import rank_of
from peers.core.reports import Crashes, EntryRefused, LeftOffice
from peers.core.trader.taking_office import Lost, Won
from peers.core.trader.term import Ended

REFUTE_GAP_S = 0.05
"""A trader shows that it is at work at most once in so long. No setting: it bounds what a liar can cost."""


class Customer(Protocol):
    """A buyer or a seller, as far as the post concerns it."""

    def on_new_trader(self) -> None:
        """The post is filled again."""


class Leadership:
    """What one peer learns of the post, and what it does to fill it, hold it and give it back.

    `on_demoted` is called when this peer is out of office again, `on_stand_in` when one of another area stands in."""

    def __init__(
        self,
        ctx: Context,
        gossip: Gossip,
        incumbency: Incumbency,
        customers: Sequence[Customer],
        on_demoted: Callable[[], None],
        on_stand_in: Callable[[int, TakenOver], None],
    ) -> None:
        self._ctx = ctx
        self._machine: LeadershipMachine = ctx.leadership
        self._gossip = gossip
        self._incumbency = incumbency
        self._customers = customers
        self._on_demoted = on_demoted
        self._on_stand_in = on_stand_in
        self.elections = ElectionPart(ctx, gossip, self._on_nominated)
        self._doubts = Doubts(ctx)
        self._refuted_s = -REFUTE_GAP_S
        self._by_books = ByBooks(ctx, gossip, incumbency, self.elections, self._doubts, self)

    # -- who holds it --------------------------------------------------------------------------------------

    def start(self, term: int, trader: str | None, *, starts_election: bool) -> None:
        """Takes over what a newcomer is given of the post."""
        holder = self._ctx.members.by_name(trader) if trader else None
        if holder is not None:
            self._learn(filled(term, holder))
            return
        self._machine.find_vacant(LeadershipView(term=term))
        self.elections.on_vacant(started=starts_election)

    def on_hint(self, trader: str, term: int) -> None:
        """A peer that is not in office named one that is."""
        named = self._ctx.members.get(rank_of(trader))
        if named is not None and named.up and term > self._ctx.view.term:
            view = filled(term, named)
            if self._doubts.believes(view):
                self._learn(view)
            else:  # Whoever asked will ask again.
                self._doubts.ask()

    def on_lost(self, rank: int, reason: VacancyReason) -> None:
        """This peer noticed that `rank` is gone, for certain or by its silence, so it is the one to act on it."""
        if rank == self._ctx.view.trader and not self._ctx.view.vacant:
            self._find_gone(started=True, reason=reason)

    def on_members(self, fresh: list[Member], sender: int) -> None:
        """News of members, from `sender`: was the trader among them? If it says so itself, this peer is to act."""
        for member in fresh:
            view = self._ctx.view
            if member.rank == self._ctx.me.rank and self._machine.state is LeadershipState.TRADER:
                self._show_at_work()
            held = member.rank == view.trader and member.rank != self._ctx.me.rank and not view.vacant
            if held and (not member.up or member.incarnation > view.incarnation):
                self._find_gone(started=member.rank == sender and not member.up, reason=VacancyReason.SUSPECTED)
            elif held:  # The trader was named before its record came; only now can it be called.
                self.welcome()
        if self._ctx.view.vacant and fresh:
            self.elections.mind_members(lost=any(not m.up for m in fresh))

    def _learn(self, view: LeadershipView, *, sender: int | None = None) -> None:
        """Takes in a view of the post that is believed, if it is newer; from `sender` if from a neighbour."""
        ctx = self._ctx
        if not view.is_newer_than(ctx.view):
            return
        is_candidate = self._machine.state is LeadershipState.CANDIDATE
        if is_candidate and view.trader == ctx.me.rank and view.incarnation == ctx.me.incarnation:
            return  # Others know that our bid was won; the ledger's answer, on its way, tells us more.
        if ctx.in_office and view.term > ctx.view.term:
            trader = ctx.members.get(view.trader) if view.trader is not None else None
            self.be_deposed(trader.name if trader else None, view.term)
        if view.vacant:
            self._learn_vacant(view)
        elif ctx.in_office:  # Of this very term: somebody else is said to hold it, or we in another life.
            self._refute(view)
        else:
            self._learn_filled(view, sender)

    def _is_believed(self, view: LeadershipView, sender: int, message: LinkMessage) -> bool:
        """Whether to take in what a message says; if not, it is held back until the books have been asked."""
        known = self._ctx.view
        if view.term == known.term and not view.vacant and known.trader not in (None, view.trader):
            self._doubts.ask()  # A term has one trader.
        believed = not view.is_newer_than(known) or self._doubts.believes(view)
        if not believed:
            self._doubts.hold(view.term, sender, message)
        return believed

    def _learn_vacant(self, view: LeadershipView) -> None:
        if self._machine.state is LeadershipState.TRADER and self._incumbency.is_at_work:
            self._refute(view)
            return
        self._machine.find_vacant(view)
        if self._ctx.in_office:  # Voted out, it finishes what is under way, and lets the election be held.
            self._incumbency.leave(VacancyReason.SUSPECTED)
        self.elections.stop()
        self.elections.on_vacant(started=False)

    def _refute(self, view: LeadershipView) -> None:
        """Others take this trader for gone, and it is at work: it shows so with a new incarnation.

        Who says so again at once is not listened to; heartbeats will say it again if it is still believed."""
        if self._machine.state is not LeadershipState.TRADER or self._ctx.now.mono_s - self._refuted_s < REFUTE_GAP_S:
            return
        self._refuted_s = self._ctx.now.mono_s
        self._gossip.refute(view.incarnation)
        self._show_at_work()

    def _show_at_work(self) -> None:
        """Holds the post in its present incarnation too, and tells everybody."""
        ctx, term = self._ctx, self._ctx.view.term
        self._machine.refute(filled(term, ctx.me))
        self._gossip.flood(Coordinator(term=term, trader=ctx.me.rank, incarnation=ctx.me.incarnation))

    def _learn_filled(self, view: LeadershipView, sender: int | None) -> None:
        ctx = self._ctx
        self._machine.follow(view)
        self.elections.on_filled()
        self._incumbency.drop_bid()
        if view.trader == ctx.me.rank:  # This peer was in office, before a crash, and is not any more.
            self._find_gone(started=True)
            return
        self.elections.cost.on_filled(view.term, view.trader, parent=sender)
        holder = ctx.members.get(view.trader) if view.trader is not None else None
        if holder is not None and (not holder.up or holder.incarnation > view.incarnation):
            # The news of its end was faster than that of its election; or it is we who are cut off from it.
            self._find_gone(started=False, reason=VacancyReason.SUSPECTED)
        else:
            self.welcome()

    def welcome(self) -> None:
        for customer in self._customers:
            customer.on_new_trader()

    def on_vacancy(self, sender: int, vacancy: Vacancy) -> None:
        view = LeadershipView(term=vacancy.term, incarnation=vacancy.incarnation, reason=vacancy.reason)
        newer = view.is_newer_than(self._ctx.view)
        if not self._is_believed(view, sender, vacancy):
            return
        # A heartbeat may have brought the vacancy sooner, but not who is barred.
        barred = self.elections.eligibility.bar(vacancy.barred, vacancy.term, vacancy.barred_for)
        if barred or newer:
            self._gossip.flood(vacancy, but=sender)
        if newer:
            self._learn(view)
        elif barred and vacancy.reason is VacancyReason.BOOKS_AWAY and self._ctx.view.is_same_vacancy(view):
            self.elections.on_books_away()

    def on_coordinator(self, sender: int, message: Coordinator) -> None:
        view = view_of(message)
        if not self._is_believed(view, sender, message):
            return
        if view.is_newer_than(self._ctx.view):
            self.elections.flood(message, but=sender)
            self._learn(view, sender=sender)
        elif view.term < self._ctx.view.term:  # Mostly it comes late; or it is a trader whose successor is a lie.
            self._doubts.ask()

    def on_heartbeat(self, sender: int, heartbeat: Heartbeat) -> None:
        view = view_of(heartbeat)
        self._doubts.hear(sender, view.term)
        if self._is_believed(view, sender, heartbeat):
            self._learn(view, sender=sender)

    def on_taken_over(self, sender: int, told: TakenOver) -> None:
        """One of another area says that it stands in for our trader: it is believed if the books say so too."""
        if told.term <= self._ctx.view.term:
            return
        if self._doubts.confirms(told.term, told.trader.name):
            self._on_stand_in(sender, told)
        else:
            self._doubts.hold(told.term, sender, told)

    # -- vacancies -----------------------------------------------------------------------------------------

    def _find_gone(self, *, started: bool, reason: VacancyReason = VacancyReason.CRASHED) -> None:
        """The trader of the present term is gone. That spreads as news of a member."""
        view = self._ctx.view
        self._machine.find_vacant(view.vacated(reason))
        self.elections.on_vacant(started=started)

    # -- standing for it -----------------------------------------------------------------------------------

    def _on_nominated(self, after_term: int) -> None:
        is_vacant = self._machine.state is LeadershipState.ELECTING and after_term == self._ctx.view.term
        if is_vacant and self._ctx.reaches_books:
            self.stand(after_term)

    def stand(self, after_term: int) -> None:
        self._machine.stand()
        self._incumbency.bid(after_term, self.elections.reason)

    def on_election_message(self, sender: int, message: ElectionMessage) -> None:
        view = self._ctx.view
        vacancy = LeadershipView(
            term=message.after_term, incarnation=message.incarnation, vacant=True, reason=message.reason
        )
        if not self._is_believed(vacancy, sender, message):
            return
        self._learn(vacancy)
        if self._ctx.view.is_same_vacancy(vacancy):
            self.elections.on_message(sender, message)
        elif view.is_newer_than(vacancy):
            self._doubts.hear(sender, vacancy.term)
            self._correct(sender)

    def _correct(self, sender: int) -> None:
        """Tells one who lives in the past what the post is."""
        view = self._ctx.view
        if not view.vacant and view.trader is not None:
            found = Coordinator(term=view.term, trader=view.trader, incarnation=view.incarnation)
            self._gossip.send(sender, found)
        else:
            told = Vacancy(term=view.term, incarnation=view.incarnation, reason=reason_of(view))
            self._gossip.send(sender, told)

    # -- office --------------------------------------------------------------------------------------------

    def on_ledger(self, event: LedgerReplied) -> None:
        self.elections.on_ledger(event.operation, event.result)
        if isinstance(event.operation, ReadPost):
            by_books = self._doubts.on_ledger(event.operation, event.result)
            if by_books is not None:
                self._by_books.settle(by_books)
            self._take_in_held()
        ended = self._incumbency.on_ledger(event)
        if isinstance(ended, Won):
            if ended.post.term > self._ctx.view.term:
                self._take_office(ended)
            else:  # A later term is known already, so this one was over before it began here.
                self._machine.lose_bid()
                self._incumbency.refuse_held_calls()
                self._doubts.ask(at_once=True)  # Unless that one is a lie.
        elif isinstance(ended, Lost):
            self._on_lost_bid(ended.post)

    def _on_lost_bid(self, post: Post) -> None:
        """The log stands at another term: its trader has won, unless it is gone, or is us without knowing it."""
        self._machine.lose_bid()
        ctx = self._ctx
        if post.term < ctx.view.term:  # What was read may be stale; so it takes a second look to correct our view.
            self._by_books.unknown = ctx.view.term
            self._doubts.ask(at_once=True)
            return
        rival = ctx.members.get(rank_of(post.trader)) if post.trader else None
        if rival is None:
            self._gossip.introduce(post)
        if rival is not None and rival.up and rival.rank != ctx.me.rank and post.term > ctx.view.term:
            self._learn(filled(post.term, rival))
            return
        if post.term > ctx.view.term:
            # A rival that counts as gone has just written to the log, so it may well be at work.
            is_gone = rival is not None and rival.rank != ctx.me.rank
            reason = VacancyReason.SUSPECTED if is_gone else ctx.view.reason
            self._machine.find_vacant(LeadershipView(term=post.term, reason=reason))
            self.elections.stop()
        self.stand(post.term)

    def _take_office(self, won: Won) -> None:
        ctx, term = self._ctx, won.post.term
        took_s = self.elections.on_won(term)
        self._machine.take_office(filled(term, ctx.me))
        self.elections.flood(Coordinator(term=term, trader=ctx.me.rank, incarnation=ctx.me.incarnation))
        self._incumbency.enter(won, took_s)
        if ctx.departing:
            self._incumbency.leave(VacancyReason.LEFT)

    def on_heartbeat_timer(self) -> None:
        """Who cannot reach the books gives way to one who can, and a trader nobody here has heard of is no trader."""
        self._doubts.on_heartbeat_timer()
        if self._doubts.misses_trader():
            self._find_gone(started=True, reason=VacancyReason.SUSPECTED)
        self._incumbency.follow()
        if not self._incumbency.has_lost_books():
            return
        if self._ctx.in_office:
            self._incumbency.give_up()
        else:
            self._withdraw()

    def _withdraw(self) -> None:
        self._machine.withdraw_bid()
        self._incumbency.drop_bid()
        self._sit_out(VacancyReason.BOOKS_AWAY, self._ctx.settings.market.barred_elections)
        self.elections.on_books_away()

    def _sit_out(self, reason: VacancyReason, elections: int) -> None:
        """Tells everybody that the post is vacant, and that this peer takes no part in so many elections for it."""
        view, barred = self._ctx.view, (self._ctx.me.rank,) if elections else ()
        self.elections.eligibility.bar(barred, view.term, elections)
        self._gossip.flood(
            Vacancy(term=view.term, incarnation=view.incarnation, reason=reason, barred=barred, barred_for=elections)
        )

    def on_period(self) -> None:
        """A trader may resign by chance; and it makes way where there is no trade without it, or less than there
        would be with one that is nearer to the books."""
        if self.elections.eligibility.is_needed_in_the_market():
            self._incumbency.leave(VacancyReason.NEEDED)
        elif self.elections.eligibility.is_far_from_the_books():
            self._incumbency.leave(VacancyReason.FAR)
        elif self._ctx.rng.random() < self._ctx.settings.market.resign_probability:
            self._incumbency.leave(VacancyReason.RESIGNED)
        elif 0 < self._ctx.settings.market.crash_probability > self._ctx.rng.random():
            self._ctx.say(Crashes(peer=self._ctx.name, term=self._ctx.view.term))
            self._ctx.emit(Crash())

    def mind_office(self) -> None:
        """Leaves office if the term is over. To be called after each input."""
        ended = self._incumbency.ended
        if ended is None:
            return
        if ended.post is not None:
            self._on_refused(ended.post)
        else:
            self._give_up_office(ended)

    def _take_in_held(self) -> None:
        """The books have answered, or cannot be reached: what was held back is taken in, or dropped."""
        handlers: dict[type, Callable[[int, Any], None]] = {
            Coordinator: self.on_coordinator,
            Vacancy: self.on_vacancy,
            Heartbeat: self.on_heartbeat,
            TakenOver: self.on_taken_over,
        }
        for sender, message in self._doubts.take_held():
            handlers.get(type(message), self.on_election_message)(sender, message)
        self._doubts.end()

    def _on_refused(self, post: Post) -> None:
        """Another's entry stands where ours should have come."""
        ctx, term = self._ctx, self._ctx.view.term
        ctx.count("refused")
        ctx.say(EntryRefused(peer=ctx.name, term=term, current_term=post.term, by=post.trader))
        self.yield_to(post)

    def yield_to(self, post: Post) -> None:
        """A later term than ours stands in the log."""
        ctx = self._ctx
        winner = ctx.members.get(rank_of(post.trader)) if post.trader else None
        if winner is None:
            self._gossip.introduce(post)
        self.be_deposed(post.trader, post.term)
        self._learn(
            filled(post.term, winner)
            if winner is not None
            else LeadershipView(term=post.term, reason=VacancyReason.SUSPECTED)  # It has just written to the log.
        )

    def be_deposed(self, trader: str | None, term: int) -> None:
        self._machine.be_deposed()
        self.elections.cost.on_term_over()
        self._incumbency.close(trader, term)
        self._on_demoted()

    def _give_up_office(self, ended: Ended) -> None:
        ctx, reason, term = self._ctx, ended.reason, self._ctx.view.term
        self._machine.end_term(reason)
        self.elections.cost.on_term_over()
        ctx.say(LeftOffice(peer=ctx.name, term=term, reason=reason, sales=self._incumbency.sales))
        self._incumbency.close(None, term)
        self._sit_out(reason, self._elections_to_sit_out(reason))
        self._on_demoted()
        self.elections.on_vacant(started=not reason.is_orderly)

    def _elections_to_sit_out(self, reason: VacancyReason) -> int:
        market = self._ctx.settings.market
        if reason is VacancyReason.RESIGNED:
            return elections_to_sit_out(
                self._ctx.rng, market.barred_elections, market.return_probability, at_most=MAX_BARRED
            )
        return market.barred_elections if reason is VacancyReason.BOOKS_AWAY else 0
