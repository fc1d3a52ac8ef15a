"""How a peer finds out who is trader, or that there is none: by what others say, and by what it notices itself.

What is said is taken in if it is newer than what is known, and believed; `doubts` says what is, and what has to wait
until the books were asked. `state` says what the peer becomes by it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from peers.core.context import Context
from peers.core.leadership.doubts import Doubts
from peers.core.leadership.elections.part import ElectionPart, reason_of
from peers.core.leadership.incumbency import Incumbency
from peers.core.leadership.leaving_office import LeavingOffice
from peers.core.leadership.reasons import VacancyReason
from peers.core.leadership.state import LeadershipMachine, LeadershipState, LeadershipView
from peers.core.leadership.views import filled, view_of
from peers.core.membership.gossip import Gossip
from peers.core.membership.members import Member
from peers.core.messages import Coordinator, ElectionMessage, Heartbeat, LinkMessage, TakenOver, Vacancy
from peers.core.names import rank_of

REFUTE_GAP_S = 0.05
"""A trader shows that it is at work at most once in so long. No setting: it bounds what a liar can cost."""


class Customer(Protocol):
    """A buyer or a seller, as far as the post concerns it."""

    def on_new_trader(self) -> None:
        """The post is filled again."""


class Discovery:
    """What one peer learns of the post. A trader that is said to be gone, and is not, says so."""

    def __init__(
        self,
        ctx: Context,
        gossip: Gossip,
        incumbency: Incumbency,
        elections: ElectionPart,
        doubts: Doubts,
        leaving: LeavingOffice,
        customers: Sequence[Customer],
    ) -> None:
        self._ctx = ctx
        self._machine: LeadershipMachine = ctx.leadership
        self._gossip = gossip
        self._incumbency = incumbency
        self._elections = elections
        self._doubts = doubts
        self._leaving = leaving
        self._customers = customers
        self._refuted_s = -REFUTE_GAP_S

    # -- what it is told at the start, or notices ----------------------------------------------------------

    def start(self, term: int, trader: str | None, *, starts_election: bool) -> None:
        """Takes over what a newcomer is given of the post."""
        holder = self._ctx.members.by_name(trader) if trader else None
        if holder is not None:
            self.learn(filled(term, holder))
            return
        self._machine.find_vacant(LeadershipView(term=term))
        self._elections.on_vacant(started=starts_election)

    def on_hint(self, trader: str, term: int) -> None:
        """A peer that is not in office named one that is."""
        named = self._ctx.members.get(rank_of(trader))
        if named is not None and named.up and term > self._ctx.view.term:
            view = filled(term, named)
            if self._doubts.believes(view):
                self.learn(view)
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
            self._elections.mind_members(lost=any(not m.up for m in fresh))

    def on_heartbeat_timer(self) -> None:
        """Asks the books what it could not ask them yet. A trader nobody here has heard of is no trader."""
        self._doubts.on_heartbeat_timer()
        if self._doubts.misses_trader():
            self._find_gone(started=True, reason=VacancyReason.SUSPECTED)

    def _find_gone(self, *, started: bool, reason: VacancyReason = VacancyReason.CRASHED) -> None:
        """The trader of the present term is gone. That spreads as news of a member."""
        view = self._ctx.view
        self._machine.find_vacant(view.vacated(reason))
        self._elections.on_vacant(started=started)

    # -- what others say -----------------------------------------------------------------------------------

    def on_vacancy(self, sender: int, vacancy: Vacancy) -> None:
        view = LeadershipView(term=vacancy.term, incarnation=vacancy.incarnation, reason=vacancy.reason)
        newer = view.is_newer_than(self._ctx.view)
        if not self._is_believed(view, sender, vacancy):
            return
        # A heartbeat may have brought the vacancy sooner, but not who is barred.
        barred = self._elections.eligibility.bar(vacancy.barred, vacancy.term, vacancy.barred_for)
        if barred or newer:
            self._gossip.flood(vacancy, but=sender)
        if newer:
            self.learn(view)
        elif barred and vacancy.reason is VacancyReason.BOOKS_AWAY and self._ctx.view.is_same_vacancy(view):
            self._elections.on_books_away()

    def on_coordinator(self, sender: int, message: Coordinator) -> None:
        view = view_of(message)
        if not self._is_believed(view, sender, message):
            return
        if view.is_newer_than(self._ctx.view):
            self._elections.flood(message, but=sender)
            self.learn(view, sender=sender)
        elif view.term < self._ctx.view.term:  # Mostly it comes late; or it is a trader whose successor is a lie.
            self._doubts.ask()

    def on_heartbeat(self, sender: int, heartbeat: Heartbeat) -> None:
        view = view_of(heartbeat)
        self._doubts.hear(sender, view.term)
        if self._is_believed(view, sender, heartbeat):
            self.learn(view, sender=sender)

    def on_election_message(self, sender: int, message: ElectionMessage) -> None:
        view = self._ctx.view
        vacancy = LeadershipView(
            term=message.after_term, incarnation=message.incarnation, vacant=True, reason=message.reason
        )
        if not self._is_believed(vacancy, sender, message):
            return
        self.learn(vacancy)
        if self._ctx.view.is_same_vacancy(vacancy):
            self._elections.on_message(sender, message)
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

    def on_taken_over(self, sender: int, told: TakenOver) -> None:
        """One of another area says that it stands in for our trader: it is believed if the books say so too. Then
        this peer asks it, until there is a trader of its own again."""
        ctx, known = self._ctx, self._ctx.stand_in
        if told.area != ctx.area or told.term <= ctx.view.term:
            return
        if not self._doubts.confirms(told.term, told.trader.name):
            self._doubts.hold(told.term, sender, told)
        elif known is None or told.term > known.term:
            ctx.stand_in = told
            self._gossip.flood(told, but=sender)
            self.welcome()

    def _is_believed(self, view: LeadershipView, sender: int, message: LinkMessage) -> bool:
        """Whether to take in what a message says; if not, it is held back until the books have been asked."""
        known = self._ctx.view
        if view.term == known.term and not view.vacant and known.trader not in (None, view.trader):
            self._doubts.ask()  # A term has one trader.
        believed = not view.is_newer_than(known) or self._doubts.believes(view)
        if not believed:
            self._doubts.hold(view.term, sender, message)
        return believed

    def take_in_held(self) -> None:
        """The books have answered, or cannot be reached: what was held back is taken in, or dropped."""
        handlers: dict[type, Callable[[int, Any], None]] = {
            Coordinator: self.on_coordinator,
            Vacancy: self.on_vacancy,
            Heartbeat: self.on_heartbeat,
            TakenOver: self.on_taken_over,
        }
        if self._doubts.is_asked:  # They are asked again: what is held back waits for that answer.
            return
        for sender, message in self._doubts.take_held():
            handlers.get(type(message), self.on_election_message)(sender, message)
        self._doubts.end()

    # -- what is believed ----------------------------------------------------------------------------------

    def learn(self, view: LeadershipView, *, sender: int | None = None) -> None:
        """Takes in a view of the post that is believed, if it is newer; from `sender` if from a neighbour."""
        ctx = self._ctx
        if not view.is_newer_than(ctx.view):
            return
        is_candidate = self._machine.state is LeadershipState.CANDIDATE
        if is_candidate and view.trader == ctx.me.rank and view.incarnation == ctx.me.incarnation:
            return  # Others know that our bid was won; the ledger's answer, on its way, tells us more.
        if ctx.in_office and view.term > ctx.view.term:
            trader = ctx.members.get(view.trader) if view.trader is not None else None
            self._leaving.be_deposed(trader.name if trader else None, view.term)
        if view.vacant:
            self._learn_vacant(view)
        elif ctx.in_office:  # Of this very term: somebody else is said to hold it, or we in another life.
            self._refute(view)
        else:
            self._learn_filled(view, sender)

    def _learn_vacant(self, view: LeadershipView) -> None:
        if self._machine.state is LeadershipState.TRADER and self._incumbency.is_at_work:
            self._refute(view)
            return
        self._machine.find_vacant(view)
        if self._ctx.in_office:  # Voted out, it finishes what is under way, and lets the election be held.
            self._incumbency.leave(VacancyReason.SUSPECTED)
        self._elections.stop()
        self._elections.on_vacant(started=False)

    def _learn_filled(self, view: LeadershipView, sender: int | None) -> None:
        ctx = self._ctx
        self._machine.follow(view)
        self._elections.on_filled()
        self._incumbency.drop_bid()
        if view.trader == ctx.me.rank:  # This peer was in office, before a crash, and is not any more.
            self._find_gone(started=True)
            return
        self._elections.cost.on_filled(view.term, view.trader, parent=sender)
        holder = ctx.members.get(view.trader) if view.trader is not None else None
        if holder is not None and (not holder.up or holder.incarnation > view.incarnation):
            # The news of its end was faster than that of its election; or it is we who are cut off from it.
            self._find_gone(started=False, reason=VacancyReason.SUSPECTED)
        else:
            self.welcome()

    def welcome(self) -> None:
        """There is a trader to ask."""
        for customer in self._customers:
            customer.on_new_trader()

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
