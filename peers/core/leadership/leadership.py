"""The post of trader as one peer sees it: who holds it, what to do when nobody does, and holding it oneself.

Everything that can change hands is here: the view of the post, the vacancy and the election for it, the bid to the
ledger, entering and leaving office. An election only nominates; whoever is nominated bids, and the ledger decides.
`peers.core.trader` does the work of the trader, once in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from peers.core.calls import AskOutcome, Buy, Call, MakeDeposit, Search, Standing, not_in_office
from peers.core.commands import HoldPost, Respond
from peers.core.context import Context, LeadershipView
from peers.core.inputs import LedgerReplied, RequestReceived
from peers.core.leadership.elections.base import ElectionAlgorithm, patience_s
from peers.core.leadership.elections.bully import Bully
from peers.core.leadership.eligibility import Eligibility
from peers.core.market.records import Post
from peers.core.membership.gossip import Gossip
from peers.core.membership.members import Member
from peers.core.messages import Coordinator, Election, ElectionAnswer, Heartbeat, Tally, Vacancy
from peers.core.names import rank_of
from peers.core.reports import Elected, EntryRefused, LeftOffice
from peers.core.trader.taking_office import Lost, TakingOffice, Won
from peers.core.trader.term import Ended, TraderTerm

ORDERLY = ("resigned", "left")
"""Reasons for which a trader says goodbye: then the lowest-ranked buyer begins the election."""

RECHECK_VACANCY_S = 1.0


class Customer(Protocol):
    """A buyer or a seller, as far as the post concerns it."""

    def on_new_trader(self) -> None:
        """The post is filled again."""


class Leadership:
    """One peer's view of the post, and its part in filling it. It is the Electorate of the election algorithm."""

    def __init__(self, ctx: Context, gossip: Gossip, customers: Sequence[Customer]) -> None:
        self._ctx = ctx
        self._gossip = gossip
        self._customers = customers
        self._polls = Eligibility(ctx, gossip)
        self._election: ElectionAlgorithm = Bully(self)
        self.office: TraderTerm | None = None
        self._taking: TakingOffice | None = None
        self._held_calls: list[RequestReceived] = []  # what came while taking office
        self._vacant_since_s = 0.0

    # -- who holds it --------------------------------------------------------------------------------------

    def start(self, term: int, trader: str | None, *, starts_election: bool) -> None:
        """Takes over what a newcomer is given of the post."""
        holder = self._ctx.members.by_name(trader) if trader else None
        if holder is not None:
            self._learn(_filled(term, holder))
            return
        self._ctx.view = LeadershipView(term=term)
        self._vacated(started=starts_election)

    def on_hint(self, trader: str, term: int) -> None:
        """A peer that is not in office named one that is."""
        named = self._ctx.members.get(rank_of(trader))
        if named is not None and named.up:
            self._learn(_filled(term, named))

    def on_lost(self, rank: int) -> None:
        """This peer noticed that `rank` is gone, so it is the one to act on it."""
        if rank == self._ctx.view.trader and not self._ctx.view.vacant:
            self._vacate("crashed", started=True)

    def on_members(self, fresh: list[Member]) -> None:
        """News of members: was the trader among them?"""
        for member in fresh:
            view = self._ctx.view
            held = member.rank == view.trader and member.rank != self._ctx.me.rank and not view.vacant
            if held and (not member.up or member.incarnation > view.incarnation):
                self._vacate("crashed", started=False)
            elif held:  # it was named before it was known; only now can it be asked
                self._welcome()
        if self._ctx.view.vacant and any(not m.up for m in fresh):
            self._mind_the_lost()

    def _mind_the_lost(self) -> None:
        """Whoever was to begin, or to win, may be among the lost: do not wait out its silence."""
        view = self._ctx.view
        attempt = self._election.attempt()
        if attempt is None:
            if view.reason in ORDERLY and self._polls.starts_after_resignation():
                self._start_election()
        elif self.eligible(view.term, attempt)[-1] == self._ctx.me.rank:
            self.nominate(view.term)

    def _learn(self, view: LeadershipView) -> bool:
        """Takes in a newer view of the post; returns whether it was newer."""
        ctx = self._ctx
        if not view.is_newer_than(ctx.view):
            return False
        if self._taking is not None and view.trader == ctx.me.rank and view.incarnation == ctx.me.incarnation:
            return False  # others have heard of our bid's success before us: the ledger's own answer is on its way
        if self.office is not None and view.term > self.office.term:
            trader = ctx.members.get(view.trader) if view.trader is not None else None
            self._close_office(self.office, trader.name if trader else None, view.term)
        elif self.office is not None:  # voted out: finish what is under way, and let the election be held
            self.office.leave("suspected")
        ctx.view = view
        self._election.stop()
        if view.vacant:
            self._vacated(started=False)
            return True
        ctx.cancel_timer("vacancy")
        if view.trader != ctx.me.rank:
            self._drop_bid()
            self._polls.on_filled(view.term, view.trader)
            holder = ctx.members.get(view.trader) if view.trader is not None else None
            if holder is not None and (not holder.up or holder.incarnation > view.incarnation):
                self._vacate("crashed", started=False)  # the news of its end came before that of its election
                return True
            self._welcome()
        elif self.office is None:  # people say I am in office, and I am not: I was, before a crash
            self._vacate("crashed", started=True)
        return True

    def _welcome(self) -> None:
        for customer in self._customers:
            customer.on_new_trader()

    def _vacate(self, reason: str, *, started: bool, barred: tuple[int, ...] = ()) -> None:
        """The present term has no trader any more."""
        ctx = self._ctx
        self._polls.bar(barred, ctx.view.term)
        ctx.view = LeadershipView(term=ctx.view.term, trader=ctx.view.trader, vacant=True, reason=reason)
        if reason != "crashed":  # a crash spreads as news of a member
            self._gossip.flood(Vacancy(term=ctx.view.term, reason=reason, barred=barred))
        self._vacated(started=started)

    def _vacated(self, *, started: bool) -> None:
        """Starts an election if it is this peer's turn, and otherwise sees to it that somebody does."""
        ctx = self._ctx
        self._vacant_since_s = ctx.now.mono_s
        ctx.set_timer("vacancy", 4 * patience_s(ctx, ctx.view.reason) * ctx.rng.uniform(1.0, 1.5))
        if started or (ctx.view.reason in ORDERLY and self._polls.starts_after_resignation()):
            self._start_election()

    def _start_election(self) -> None:
        self._polls.started_by = self._ctx.name
        self._election.start(after_term=self._ctx.view.term, attempt=0, reason=self._ctx.view.reason)

    def on_vacancy_timer(self) -> None:
        if not self._ctx.view.vacant:
            return
        if self._election.attempt() is None and self._taking is None:
            self._start_election()
        self._ctx.set_timer("vacancy", RECHECK_VACANCY_S)

    def on_vacancy(self, sender: int, vacancy: Vacancy) -> None:
        view = LeadershipView(term=vacancy.term, vacant=True, reason=vacancy.reason)
        newer = view.is_newer_than(self._ctx.view)
        # A beat may have brought the vacancy sooner, but not who is barred.
        if self._polls.bar(vacancy.barred, vacancy.term) or newer:
            self._gossip.flood(vacancy, but=sender)
        if newer:
            self._learn(view)

    def on_coordinator(self, sender: int, message: Coordinator) -> None:
        view = LeadershipView(
            term=message.term, trader=message.trader, incarnation=message.incarnation, vacant=False, reason=""
        )
        if view.is_newer_than(self._ctx.view):
            self._polls.parent = sender
            self.flood(message, but=sender)
            self._learn(view)

    def on_heartbeat(self, _sender: int, heartbeat: Heartbeat) -> None:
        vacant = heartbeat.trader is None
        reason = "crashed" if vacant else ""
        self._learn(
            LeadershipView(
                term=heartbeat.term,
                trader=heartbeat.trader,
                incarnation=heartbeat.incarnation,
                vacant=vacant,
                reason=reason,
            )
        )

    # -- elections -----------------------------------------------------------------------------------------

    @property
    def ctx(self) -> Context:
        return self._ctx

    def eligible(self, after_term: int, attempt: int) -> list[int]:
        return self._polls.eligible(after_term, attempt, leaving=self._gossip.leaving)

    def flood(self, message: Election | ElectionAnswer | Coordinator, *, but: int | None = None) -> None:
        self._polls.count(self._gossip.flood(message, but=but))

    def nominate(self, after_term: int) -> None:
        if self._taking is None and self.office is None and after_term == self._ctx.view.term:
            self._bid(after_term)

    def _bid(self, after_term: int) -> None:
        self._taking = TakingOffice(self._ctx, after_term, self._ctx.view.reason)

    def _drop_bid(self) -> None:
        """Somebody else holds the post: whatever the ledger still says to our bid is of no use."""
        self._taking = None
        self._refuse_held_calls()

    def on_election_message(self, sender: int, message: Election | ElectionAnswer) -> None:
        view = self._ctx.view
        if message.after_term < view.term:
            self._correct(sender)
            return
        if isinstance(message, Election):
            self._learn(LeadershipView(term=message.after_term, vacant=True, reason=message.reason))
            candidate = self._ctx.members.get(message.candidate)
            if self._polls.started_by is None and candidate is not None:
                self._polls.started_by = candidate.name
        self._election.on_message(sender, message)

    def on_election_timer(self) -> None:
        self._election.on_timer()

    def on_tally(self, _sender: int, tally: Tally) -> None:
        self._polls.on_tally(tally)

    def on_tally_timer(self) -> None:
        self._polls.on_timer(holder=self.office is not None)

    def _correct(self, sender: int) -> None:
        """Tells one who lives in the past what the post is."""
        view = self._ctx.view
        if not view.vacant and view.trader is not None:
            found = Coordinator(term=view.term, trader=view.trader, incarnation=view.incarnation)
            self._gossip.send(sender, found)
        else:
            self._gossip.send(sender, Vacancy(term=view.term, reason=view.reason))

    # -- office --------------------------------------------------------------------------------------------

    def on_ledger(self, event: LedgerReplied) -> None:
        if self.office is not None:
            self.office.on_ledger(event.operation, event.result)
        elif self._taking is not None:
            ended = self._taking.on_ledger(event.operation, event.result)
            if isinstance(ended, Won):
                self._taking = None
                if ended.state.post.term > self._ctx.view.term:  # else it was over before we heard that it began
                    self._enter_office(ended)
                else:
                    self._refuse_held_calls()
            elif isinstance(ended, Lost):
                self._on_lost_bid(ended.post)

    def _on_lost_bid(self, post: Post) -> None:
        """The log stands at another term: its trader has won, unless it is gone, or is us without knowing it."""
        self._taking = None
        ctx = self._ctx
        rival = ctx.members.get(rank_of(post.trader)) if post.trader else None
        if rival is not None and rival.up and rival.rank != ctx.me.rank and post.term > ctx.view.term:
            self._learn(_filled(post.term, rival))
        elif ctx.view.vacant:
            if post.term > ctx.view.term:
                ctx.view = LeadershipView(term=post.term, reason=ctx.view.reason)
                self._election.stop()
            self._bid(post.term)
        if self._taking is None:
            self._refuse_held_calls()

    def on_ledger_timer(self) -> None:
        if self._taking is not None:
            self._taking.on_timer()
        elif self.office is not None:
            self.office.on_ledger_timer()

    def on_period(self, office: TraderTerm) -> None:
        """A trader may resign by chance; and it makes way where there is no trade without it."""
        if self._polls.is_needed_in_the_market():
            office.leave("needed in the market")
        elif self._ctx.rng.random() < self._ctx.settings.market.resign_probability:
            office.leave("resigned")

    def on_gather_timer(self) -> None:
        if self.office is not None:
            self.office.on_gather_timer()

    def _enter_office(self, won: Won) -> None:
        ctx, term = self._ctx, won.state.post.term
        took_s = ctx.now.mono_s - self._vacant_since_s
        self._polls.on_won(term, self._election.name, took_s, reason=ctx.view.reason)
        self._election.stop()
        ctx.cancel_timer("vacancy")
        ctx.view = _filled(term, ctx.me)
        ctx.in_office = True
        self.office = TraderTerm(ctx, won.state)
        ctx.emit(HoldPost(term=term, held=True))
        self.flood(Coordinator(term=term, trader=ctx.me.rank, incarnation=ctx.me.incarnation))
        for changes in won.to_make:
            ctx.perform(changes)
        ctx.say(
            Elected(
                peer=ctx.name,
                rank=ctx.me.rank,
                term=term,
                pending=len(won.state.queue),
                took_ms=took_s * 1000,
            )
        )
        ctx.count("terms")
        self.office.pump()
        held, self._held_calls = self._held_calls, []
        for called in held:
            self.office.on_call(called.call_id, called.call)
        if self._gossip.leaving:
            self.office.leave("left")

    def mind_office(self) -> None:
        """Leaves office if it is over."""
        if self.office is not None and self.office.ended is not None:
            self._leave_office(self.office, self.office.ended)

    def _leave_office(self, office: TraderTerm, ended: Ended) -> None:
        ctx = self._ctx
        if ended.post is not None:
            ctx.count("refused")
            ctx.say(EntryRefused(peer=ctx.name, term=office.term, current_term=ended.post.term, by=ended.post.trader))
            winner = ctx.members.get(rank_of(ended.post.trader)) if ended.post.trader else None
            self._close_office(office, ended.post.trader, ended.post.term)
            self._learn(
                _filled(ended.post.term, winner)
                if winner is not None
                else LeadershipView(term=ended.post.term, reason="crashed")
            )
            return
        ctx.say(LeftOffice(peer=ctx.name, term=office.term, reason=ended.reason, sales=office.sales))
        self._close_office(office, None, office.term)
        barred = (ctx.me.rank,) if ended.reason == "resigned" and ctx.settings.market.barred_elections else ()
        self._vacate(ended.reason, started=ended.reason not in ORDERLY, barred=barred)

    def _close_office(self, office: TraderTerm, trader: str | None, term: int) -> None:
        ctx = self._ctx
        self.office = None
        ctx.in_office = False
        ctx.emit(HoldPost(term=office.term, held=False))
        self._gossip.rejoin_clock()
        office.close(trader=trader, term=term)

    # -- calls ---------------------------------------------------------------------------------------------

    def on_called(self, event: RequestReceived) -> None:
        if self.office is not None:
            self.office.on_call(event.call_id, event.call)
        elif self._taking is not None and self._is_trade(event.call):
            self._held_calls.append(event)
        else:
            self._refuse(event)

    @staticmethod
    def _is_trade(call: Call) -> bool:
        return isinstance(call, Buy | MakeDeposit | AskOutcome | Search | Standing)

    def _refuse_held_calls(self) -> None:
        held, self._held_calls = self._held_calls, []
        for called in held:
            self._refuse(called)

    def _refuse(self, event: RequestReceived) -> None:
        trader = self._ctx.trader()
        error = not_in_office(trader.name if trader else None, self._ctx.view.term, self._ctx.members)
        self._ctx.emit(Respond(call_id=event.call_id, reply=error))


def _filled(term: int, trader: Member) -> LeadershipView:
    return LeadershipView(term=term, trader=trader.rank, incarnation=trader.incarnation, vacant=False, reason="")
