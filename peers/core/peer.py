"""A peer: the pure state machine behind one process. An input and the time go in, commands come out.

This module only joins the parts: it routes each input to the part that understands it (gossip, election, office,
buyer, seller), and keeps what concerns them all, the view of the post: who is trader, in which term, or that
nobody is.
"""

from __future__ import annotations

from random import Random

from peers.core.buyer import Buyer
from peers.core.calls import AskOutcome, Buy, Call, Failure, MakeDeposit, Reply, Search, Standing, Status
from peers.core.commands import Answer, Command, HoldPost, Stop
from peers.core.context import Context, PostView
from peers.core.customer import hint_of
from peers.core.elections.bully import Bully
from peers.core.gossip import Gossip
from peers.core.inputs import (
    Called,
    CallerLeft,
    Input,
    LedgerReplied,
    Now,
    PeerGone,
    Received,
    Replied,
    Start,
    TimerFired,
    TimerName,
    Told,
)
from peers.core.ledger import LedgerAway, OfficeRefused, OfficeTaken, RecordElection, Result, TakeOffice, Unknown
from peers.core.membership import Member, Membership, Snapshot
from peers.core.messages import (
    Answer as ElectionAnswer,
)
from peers.core.messages import Beat, ClockNews, Coordinator, Election, MemberNews, Tally, Vacancy
from peers.core.names import rank_of
from peers.core.office import RETRY_LEDGER_S, Ended, Office
from peers.core.polls import Polls
from peers.core.records import clock_of
from peers.core.reports import Departed, Elected, LeftOffice, Opened, Refused
from peers.core.seller import Seller
from peers.errors import NotTrader, PostClosed
from peers.settings import Settings

ORDERLY = ("resigned", "left")
"""Reasons for which a trader says goodbye: then the lowest-ranked buyer begins the election."""

RECHECK_VACANCY_S = 1.0


class Peer:
    """One peer. `trades`: it buys and sells of its own accord, by its role."""

    def __init__(self, me: Member, settings: Settings, rng: Random, *, trades: bool = True) -> None:
        self._ctx = Context(me, settings, rng)
        self._gossip = Gossip(self._ctx)
        self._polls = Polls(self._ctx, self._gossip)
        self._election = Bully(self)
        self._office: Office | None = None
        self._taking: TakeOffice | None = None
        self._held_calls: list[Called] = []  # what came while taking office
        self._buyer = Buyer(self._ctx, self._gossip) if trades and me.role != "seller" else None
        self._seller = Seller(self._ctx) if trades and me.role != "buyer" else None
        self._vacant_since_s = 0.0
        self._open = False

    # -- for the host --------------------------------------------------------------------------------------

    def handle(self, event: Input, now: Now) -> list[Command]:
        """Takes in one input at time `now` (which never goes back); returns what is to be done, in order."""
        self._ctx.now = now
        self._route(event)
        if self._office is not None and self._office.ended is not None:
            self._leave_office(self._office, self._office.ended)
        return self._ctx.take_commands()

    def status(self) -> Status:
        """What there is to know about this peer."""
        ctx = self._ctx
        neighbours = (ctx.members.get(rank) for rank in ctx.neighbours)
        trader = ctx.trader()
        return Status(
            name=ctx.name,
            rank=ctx.me.rank,
            role=ctx.me.role,
            term=ctx.view.term,
            trader=trader.name if trader else None,
            clock=clock_of(ctx.clock.stamp()),
            neighbours=tuple(m.name for m in neighbours if m is not None),
            in_office=ctx.in_office,
            up=tuple(m.name for m in ctx.members.up()),
            counters=dict(ctx.counters),
        )

    def snapshot(self) -> Snapshot:
        """What a newcomer must be given."""
        ctx, trader = self._ctx, self._ctx.trader()
        return Snapshot(
            members=ctx.members.all(),
            edges=ctx.members.edges,
            term=ctx.view.term,
            trader=trader.name if trader else None,
        )

    # -- routing -------------------------------------------------------------------------------------------

    def _route(self, event: Input) -> None:
        if isinstance(event, Received):
            self._on_received(event)
        elif isinstance(event, TimerFired):
            self._on_timer(event.timer)
        elif isinstance(event, Called):
            self._on_called(event)
        elif isinstance(event, LedgerReplied):
            self._on_ledger(event)
        elif isinstance(event, Replied):
            self._on_replied(event.ask_id, event.reply)
        elif isinstance(event, Told):
            if self._seller is not None:
                self._seller.on_told(event.sales)
        elif isinstance(event, CallerLeft):
            if self._office is not None:
                self._office.on_caller_left(event.call_id)
        elif isinstance(event, PeerGone):
            member = self._ctx.members.get(event.rank)
            if member is not None and member.incarnation == event.incarnation:
                self._lose(event.rank)
        elif isinstance(event, Start):
            self._on_start(event)
        else:
            self._on_leave()

    def _on_received(self, event: Received) -> None:
        sender, message = event.sender, event.message
        self._gossip.heard(sender)
        if not self._ctx.members.is_up(sender):
            self._gossip.greet_stranger(sender, event.incarnation)
        if isinstance(message, Beat):
            self._gossip.on_beat(sender, message)
            self._learn_from_beat(message)
        elif isinstance(message, ClockNews):
            self._gossip.on_clock(sender, message.clock)
        elif isinstance(message, MemberNews):
            self._on_members(self._gossip.on_member_news(sender, message))
        elif isinstance(message, Coordinator):
            self._on_coordinator(sender, message)
        elif isinstance(message, Vacancy):
            self._on_vacancy(sender, message)
        elif isinstance(message, Tally):
            self._polls.on_tally(message)
        else:
            self._on_election_message(sender, message)

    def _on_timer(self, timer: TimerName) -> None:
        if timer == "beat":
            for rank in self._gossip.on_beat_timer():
                self._lose(rank)
        elif timer == "clock":
            self._gossip.on_clock_timer()
        elif timer == "election":
            self._election.on_timer()
        elif timer == "vacancy":
            self._on_vacancy_timer()
        elif timer == "tally":
            self._polls.on_timer(holder=self._office is not None)
        elif timer == "ledger":
            self._on_ledger_timer()
        elif timer == "period":
            self._on_period_timer()
        elif timer == "sell":
            if self._seller is not None:
                self._seller.on_sell_timer()
        elif self._buyer is not None:
            if timer == "buy":
                self._buyer.on_buy_timer()
            else:
                self._buyer.on_ask_timer()

    # -- beginning and end ---------------------------------------------------------------------------------

    def _on_start(self, event: Start) -> None:
        ctx, snapshot = self._ctx, event.snapshot
        ctx.members = Membership(snapshot.members, snapshot.edges)
        ctx.members.merge([ctx.me])
        self._open = True
        trader = ctx.members.by_name(snapshot.trader) if snapshot.trader else None
        self._gossip.start()
        names = tuple(m.name for m in map(ctx.members.get, ctx.neighbours) if m is not None)
        ctx.say(Opened(peer=ctx.name, role=ctx.me.role, neighbours=names))
        ctx.set_timer("period", ctx.settings.market.period_s)
        if self._buyer is not None:
            self._buyer.start()
        if trader is not None:
            self._learn(self._filled(snapshot.term, trader))
            return
        ctx.view = PostView(term=snapshot.term)
        self._vacated(started=event.starts_election)

    def _on_leave(self) -> None:
        self._gossip.leaving = True
        if self._office is not None:
            self._office.leave("left")  # _leave_office goes on from here
        else:
            self._depart()

    def _depart(self) -> None:
        self._gossip.declare_gone(self._ctx.me.rank)
        self._ctx.say(Departed(peer=self._ctx.name))
        self._ctx.emit(Stop())

    def _on_period_timer(self) -> None:
        ctx, market = self._ctx, self._ctx.settings.market
        ctx.set_timer("period", market.period_s)
        if self._office is not None:
            if ctx.rng.random() < market.resign_probability:
                self._office.leave("resigned")
        elif self._seller is not None and ctx.trader() is not None:
            self._seller.on_period_timer()

    # -- who is up -----------------------------------------------------------------------------------------

    def _lose(self, rank: int) -> None:
        """This peer noticed it, so it is the one to act on it."""
        gone = self._gossip.declare_gone(rank)
        if gone is not None and rank == self._ctx.view.trader and not self._ctx.view.vacant:
            self._vacate("crashed", started=True)

    def _on_members(self, fresh: list[Member]) -> None:
        for member in fresh:
            view = self._ctx.view
            held = member.rank == view.trader and member.rank != self._ctx.me.rank and not view.vacant
            if held and (not member.up or member.incarnation > view.incarnation):
                self._vacate("crashed", started=False)
        if self._ctx.view.vacant and any(not m.up for m in fresh):
            self._mind_the_lost()

    def _mind_the_lost(self) -> None:
        """Whoever was to begin, or to win, may be among the lost: do not wait out its silence."""
        view = self._ctx.view
        if self._election.attempt() is None:
            if view.reason in ORDERLY and self._polls.starts_after_resignation():
                self._start_election()
        elif self.eligible(view.term)[-1] == self._ctx.me.rank:
            self.nominate(view.term)

    # -- the post ------------------------------------------------------------------------------------------

    def _learn(self, view: PostView) -> bool:
        """Takes in a newer view of the post; returns whether it was newer."""
        ctx = self._ctx
        if not view.is_newer_than(ctx.view):
            return False
        if self._office is not None and view.term > self._office.term:
            trader = ctx.members.get(view.trader) if view.trader is not None else None
            self._close_office(self._office, trader.name if trader else None, view.term)
        elif self._office is not None:  # voted out: finish what is under way, and let the election be held
            self._office.leave("suspected")
        ctx.view = view
        self._election.stop()
        if view.vacant:
            self._vacated(started=False)
            return True
        ctx.cancel_timer("vacancy")
        if view.trader != ctx.me.rank:
            self._drop_bid()
            self._polls.on_filled(view.term, view.trader)
            for customer in (self._buyer, self._seller):
                if customer is not None:
                    customer.on_new_trader()
        elif self._office is None:  # people say I am in office, and I am not: I was, before a crash
            self._vacate("crashed", started=True)
        return True

    def _vacate(self, reason: str, *, started: bool, barred: tuple[int, ...] = ()) -> None:
        """The present term has no trader any more."""
        ctx = self._ctx
        self._polls.bar(barred, ctx.view.term)
        ctx.view = PostView(term=ctx.view.term, trader=ctx.view.trader, vacant=True, reason=reason)
        if reason != "crashed":  # a crash spreads as news of a member
            self._gossip.flood(Vacancy(term=ctx.view.term, reason=reason, barred=barred))
        self._vacated(started=started)

    def _vacated(self, *, started: bool) -> None:
        """Starts an election if it is this peer's turn, and otherwise sees to it that somebody does."""
        ctx = self._ctx
        self._vacant_since_s = ctx.now.mono_s
        timing = ctx.settings.timing
        ctx.set_timer("vacancy", 4 * timing.election_s * ctx.rng.uniform(1.0, 1.5))
        if started or (ctx.view.reason in ORDERLY and self._polls.starts_after_resignation()):
            self._start_election()

    def _start_election(self) -> None:
        self._polls.started_by = self._ctx.name
        self._election.start(after_term=self._ctx.view.term, attempt=0, reason=self._ctx.view.reason)

    def _on_vacancy_timer(self) -> None:
        if not self._ctx.view.vacant:
            return
        if self._election.attempt() is None and self._taking is None:
            self._start_election()
        self._ctx.set_timer("vacancy", RECHECK_VACANCY_S)

    def _on_vacancy(self, sender: int, vacancy: Vacancy) -> None:
        view = PostView(term=vacancy.term, vacant=True, reason=vacancy.reason)
        newer = view.is_newer_than(self._ctx.view)
        # A beat may have brought the vacancy sooner, but not who is barred.
        if self._polls.bar(vacancy.barred, vacancy.term) or newer:
            self._gossip.flood(vacancy, but=sender)
        if newer:
            self._learn(view)

    def _on_coordinator(self, sender: int, message: Coordinator) -> None:
        view = PostView(
            term=message.term, trader=message.trader, incarnation=message.incarnation, vacant=False, reason=""
        )
        if view.is_newer_than(self._ctx.view):
            self._polls.parent = sender
            self.flood(message, but=sender)
            self._learn(view)

    def _learn_from_beat(self, beat: Beat) -> None:
        vacant = beat.trader is None
        reason = "crashed" if vacant else ""
        self._learn(
            PostView(term=beat.term, trader=beat.trader, incarnation=beat.incarnation, vacant=vacant, reason=reason)
        )

    # -- elections (the Electorate of the algorithm) -------------------------------------------------------

    @property
    def ctx(self) -> Context:
        return self._ctx

    def eligible(self, after_term: int) -> list[int]:
        return self._polls.eligible(after_term, leaving=self._gossip.leaving)

    def flood(self, message: Election | ElectionAnswer | Coordinator, *, but: int | None = None) -> None:
        self._polls.count(self._gossip.flood(message, but=but))

    def nominate(self, after_term: int) -> None:
        if self._taking is None and self._office is None and after_term == self._ctx.view.term:
            self._bid(after_term)

    def _bid(self, expected_term: int) -> None:
        self._taking = TakeOffice(trader=self._ctx.name, expected_term=expected_term, now_ms=self._ctx.now.wall_ms)
        self._ctx.perform(self._taking)

    def _drop_bid(self) -> None:
        """Somebody else holds the post: whatever the ledger still says to our bid is of no use."""
        self._taking = None
        self._refuse_held_calls()

    def _on_election_message(self, sender: int, message: Election | ElectionAnswer) -> None:
        view = self._ctx.view
        if message.after_term < view.term:
            self._correct(sender)
            return
        if isinstance(message, Election):
            self._learn(PostView(term=message.after_term, vacant=True, reason=message.reason))
            candidate = self._ctx.members.get(message.candidate)
            if self._polls.started_by is None and candidate is not None:
                self._polls.started_by = candidate.name
        self._election.on_message(sender, message)

    def _correct(self, sender: int) -> None:
        """Tells one who lives in the past what the post is."""
        view = self._ctx.view
        if not view.vacant and view.trader is not None:
            found = Coordinator(term=view.term, trader=view.trader, incarnation=view.incarnation)
            self._gossip.send(sender, found)
        else:
            self._gossip.send(sender, Vacancy(term=view.term, reason=view.reason))

    # -- office --------------------------------------------------------------------------------------------

    def _on_ledger(self, event: LedgerReplied) -> None:
        if isinstance(event.operation, TakeOffice):
            self._on_bid(event.operation, event.result)
        elif self._office is not None and not isinstance(event.operation, RecordElection):
            self._office.on_ledger(event.operation, event.result)

    def _on_bid(self, bid: TakeOffice, result: Result) -> None:
        ours = bid == self._taking
        self._taking = None if ours else self._taking
        if isinstance(result, OfficeTaken):  # even if the bid was given up meanwhile: the ledger decides
            if result.post.term > self._ctx.view.term:
                self._enter_office(result)
        elif not ours:
            return
        elif isinstance(result, OfficeRefused):
            self._on_refused(result)
        elif isinstance(result, Unknown | LedgerAway):
            self._taking = bid
            self._ctx.set_timer("ledger", RETRY_LEDGER_S)

    def _on_refused(self, refused: OfficeRefused) -> None:
        """The ledger stands at another term: its trader has won, unless it is gone, or is us without knowing it."""
        ctx, post = self._ctx, refused.post
        rival = ctx.members.get(rank_of(post.trader)) if post.trader else None
        if rival is not None and rival.up and rival.rank != ctx.me.rank and post.term > ctx.view.term:
            self._learn(self._filled(post.term, rival))
        elif ctx.view.vacant:
            if post.term > ctx.view.term:
                ctx.view = PostView(term=post.term, reason=ctx.view.reason)
                self._election.stop()
            self._bid(post.term)

    def _on_ledger_timer(self) -> None:
        if self._taking is not None:
            self._ctx.perform(self._taking)
        elif self._office is not None:
            self._office.on_ledger_timer()

    def _enter_office(self, taken: OfficeTaken) -> None:
        ctx = self._ctx
        took_s = ctx.now.mono_s - self._vacant_since_s
        self._polls.on_won(taken.post.term, self._election.name, took_s, reason=ctx.view.reason)
        self._election.stop()
        ctx.cancel_timer("vacancy")
        ctx.view = self._filled(taken.post.term, ctx.me)
        ctx.in_office = True
        self._office = Office(ctx, taken)
        ctx.emit(HoldPost(term=taken.post.term, held=True))
        self.flood(Coordinator(term=taken.post.term, trader=ctx.me.rank, incarnation=ctx.me.incarnation))
        ctx.say(
            Elected(
                peer=ctx.name,
                rank=ctx.me.rank,
                term=taken.post.term,
                pending=len(taken.queue),
                took_ms=took_s * 1000,
            )
        )
        ctx.count("terms")
        self._office.pump()
        held, self._held_calls = self._held_calls, []
        for called in held:
            self._office.on_call(called.call_id, called.call)
        if self._gossip.leaving:
            self._office.leave("left")

    def _leave_office(self, office: Office, ended: Ended) -> None:
        ctx = self._ctx
        if ended.post is not None:
            ctx.count("refused")
            ctx.say(Refused(peer=ctx.name, term=office.term, current_term=ended.post.term, by=ended.post.trader))
            winner = ctx.members.get(rank_of(ended.post.trader)) if ended.post.trader else None
            self._close_office(office, ended.post.trader, ended.post.term)
            self._learn(
                self._filled(ended.post.term, winner)
                if winner is not None
                else PostView(term=ended.post.term, reason="crashed")
            )
            return
        ctx.say(LeftOffice(peer=ctx.name, term=office.term, reason=ended.reason, sales=office.sales))
        self._close_office(office, None, office.term)
        barred = (ctx.me.rank,) if ended.reason == "resigned" and ctx.settings.market.barred_elections else ()
        self._vacate(ended.reason, started=ended.reason not in ORDERLY, barred=barred)
        if self._gossip.leaving:
            self._depart()

    @staticmethod
    def _filled(term: int, trader: Member) -> PostView:
        return PostView(term=term, trader=trader.rank, incarnation=trader.incarnation, vacant=False, reason="")

    def _close_office(self, office: Office, trader: str | None, term: int) -> None:
        ctx = self._ctx
        self._office = None
        ctx.in_office = False
        ctx.emit(HoldPost(term=office.term, held=False))
        self._gossip.rejoin_clock()
        office.close(trader=trader, term=term)

    # -- calls ---------------------------------------------------------------------------------------------

    def _on_called(self, event: Called) -> None:
        if self._office is not None:
            self._office.on_call(event.call_id, event.call)
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

    def _refuse(self, event: Called) -> None:
        trader = self._ctx.trader()
        error = NotTrader(trader=trader.name, term=self._ctx.view.term) if trader else PostClosed()
        self._ctx.emit(Answer(call_id=event.call_id, reply=error))

    def _on_replied(self, ask_id: int, reply: Reply | Failure) -> None:
        hint = hint_of(reply)
        named = self._ctx.members.get(rank_of(hint.trader)) if hint is not None else None
        if hint is not None and named is not None and named.up:
            self._learn(self._filled(hint.term, named))
        for customer in (self._buyer, self._seller):
            if customer is not None and customer.is_mine(ask_id):
                customer.on_reply(reply)
                return
