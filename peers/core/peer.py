"""A peer: the pure state machine behind one process. An input and the time go in, commands come out.

This module only joins the parts: it routes each input to the part that understands it (gossip, leadership,
incumbency, buyer, seller), and minds the beginning and the end.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import msgspec

from peers.core.bounds import MAX_TIME
from peers.core.calls import AsOf, Status
from peers.core.commands import Command, Stop
from peers.core.context import Context
from peers.core.customers.buyer import Buyer
from peers.core.customers.reversal_watch import ReversalWatch
from peers.core.customers.seller import Seller
from peers.core.inputs import (
    CallCompleted,
    CallerLeft,
    Input,
    Leave,
    LedgerReplied,
    LoseGoods,
    Now,
    PeerGone,
    Quiesce,
    Received,
    RequestReceived,
    SalesNotified,
    Start,
    TimerFired,
    TimerName,
)
from peers.core.leadership.elections.registry import ELECTION_MESSAGES
from peers.core.leadership.fellows import Fellows
from peers.core.leadership.incumbency import Incumbency
from peers.core.leadership.leadership import Leadership
from peers.core.leadership.reasons import VacancyReason
from peers.core.leadership.state import LeadershipState
from peers.core.market.records import clock_of
from peers.core.membership.gossip import Gossip
from peers.core.membership.members import Member, Membership, Snapshot
from peers.core.membership.plausible import plausible
from peers.core.messages import (
    ClockNews,
    Coordinator,
    FellowBeat,
    Foretelling,
    Heartbeat,
    MemberNews,
    StockNews,
    TakenOver,
    Tally,
    Vacancy,
)
from peers.core.names import Role
from peers.core.peer_view import PeerView
from peers.core.reports import Demoted, Departed, LeadershipChanged, Opened
from peers.core.settings import Settings
from peers.errors import NotTrader


class Peer:
    """One peer. `trades`: it buys and sells of its own accord, by its role. `area` is the one it belongs to, where
    several share one log."""

    def __init__(self, me: Member, settings: Settings, rng: Random, *, trades: bool = True, area: str = "") -> None:
        self._ctx = Context(me, settings, rng, area)
        self._gossip = Gossip(self._ctx)
        # One who may find itself in another role has both sides, and uses that of the role it has.
        both = settings.market.demotion == "drawn"
        self._buyer = Buyer(self._ctx, self._gossip) if trades and (both or me.role != "seller") else None
        self._watch = ReversalWatch(self._ctx, self._buyer.on_got_back if self._buyer is not None else None)
        self._seller = Seller(self._ctx, self._watch) if trades and (both or me.role != "buyer") else None
        customers = (self._buyer, self._seller, self._watch if trades else None)
        self._customers = [c for c in customers if c is not None]
        self._incumbency = Incumbency(self._ctx, self._gossip)
        self._fellows = Fellows(self._ctx, self._incumbency)
        self._leadership = Leadership(self._ctx, self._gossip, self._incumbency, self._customers, self._on_demoted)
        # Inputs are looked up by their exact type, so that a common one finds its way as fast as a rare one.
        self._routes: dict[type, Callable[[Any], None]] = {
            Received: self._on_received,
            TimerFired: self._on_timer,
            RequestReceived: self._on_called,
            CallerLeft: self._on_caller_left,
            LedgerReplied: self._on_ledger,
            CallCompleted: self._on_replied,
            SalesNotified: self._on_told,
            LoseGoods: self._on_lose_goods,
            PeerGone: self._on_peer_gone,
            Start: self._on_start,
            Quiesce: self._on_rest,
            Leave: self._on_leave,
        }
        self._messages: dict[type, Callable[[int, Any], None]] = {
            Heartbeat: self._on_heartbeat,
            ClockNews: self._on_clock_news,
            MemberNews: self._on_member_news,
            Coordinator: self._leadership.discovery.on_coordinator,
            Vacancy: self._leadership.discovery.on_vacancy,
            Tally: self._on_tally,
            FellowBeat: self._on_fellow_beat,
            TakenOver: self._leadership.discovery.on_taken_over,
            StockNews: self._on_stock_news,
            Foretelling: self._on_foretold,
            **dict.fromkeys(ELECTION_MESSAGES, self._leadership.discovery.on_election_message),
        }
        self._timers: dict[TimerName, Callable[[], None]] = {
            "heartbeat": self._on_heartbeat_timer,
            "clock": self._gossip.clocks.on_timer,
            "election": self._leadership.elections.on_election_timer,
            "vacancy": self._leadership.elections.on_vacancy_timer,
            "tally": self._leadership.elections.cost.on_timer,
            "ledger": self._incumbency.on_ledger_timer,
            "gather": self._incumbency.on_gather_timer,
            "stand_in_ledger": self._fellows.on_ledger_timer,
            "stand_in_gather": self._fellows.on_gather_timer,
            "period": self._on_period_timer,
            "reversals": self._watch.on_timer,
        }
        if self._seller is not None:
            self._timers["sell"] = self._seller.on_sell_timer
        if self._buyer is not None:
            self._timers["buy"] = self._buyer.on_buy_timer
            self._timers["ask"] = self._buyer.on_ask_timer

    @property
    def view(self) -> PeerView:
        """What may be seen of this peer from outside."""
        return PeerView(self._ctx)

    # -- for the host --------------------------------------------------------------------------------------

    def handle(self, event: Input, now: Now) -> list[Command]:
        """Takes in one input at time `now` (which never goes back); returns what is to be done, in order."""
        ctx = self._ctx
        ctx.now = now
        if ctx.leadership.state is not LeadershipState.GONE or type(event) is RequestReceived:
            self._routes[type(event)](event)
            self._leadership.mind_office()
            self._fellows.mind()
            if ctx.departing and ctx.leadership.may_depart and not self._incumbency.may_win:
                self._depart()
            for before, by, after in ctx.leadership.take_transitions():
                ctx.say(LeadershipChanged(peer=ctx.name, before=before, by=by, after=after))
        return ctx.take_commands()

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

    def as_of(self, area: str = "") -> AsOf | None:
        """How far this peer has read as the trader of `area` ("": its own); None if it is not in office there."""
        return (self._incumbency if area in ("", self._ctx.area) else self._fellows).as_of(area)

    def snapshot(self) -> Snapshot:
        """What a newcomer must be given."""
        ctx, trader = self._ctx, self._ctx.trader()
        return Snapshot(
            members=ctx.members.all(),
            edges=ctx.members.edges,
            term=ctx.view.term,
            trader=trader.name if trader else None,
            clock=ctx.news.stamp(),
        )

    # -- links ---------------------------------------------------------------------------------------------

    def _on_received(self, received: Received) -> None:
        event = plausible(received, self._ctx.highest_incarnation)
        if event is not received:
            self._ctx.count("implausible")
        if event is None:
            return
        sender, message = event.sender, event.message
        self._gossip.heard(sender)
        if not self._ctx.members.is_up(sender):
            self._gossip.greet_stranger(sender, event.incarnation)
        self._messages[type(message)](sender, message)

    def _on_heartbeat(self, sender: int, heartbeat: Heartbeat) -> None:
        self._gossip.on_heartbeat(sender, heartbeat)
        self._leadership.discovery.on_heartbeat(sender, heartbeat)
        if self._customers:
            self._watch.look()

    def _on_tally(self, _sender: int, tally: Tally) -> None:
        self._leadership.elections.cost.on_tally(tally)

    def _on_fellow_beat(self, sender: int, beat: FellowBeat) -> None:
        self._fellows.on_beat(sender, beat)

    def _on_stock_news(self, sender: int, news: StockNews) -> None:
        if self._fellows.is_fellow(sender):
            self._incumbency.on_stock_news(news)
            self._fellows.on_stock_news(news)

    def _on_foretold(self, sender: int, told: Foretelling) -> None:
        trader = self._ctx.whom_to_ask()
        if self._buyer is not None and trader is not None and trader.rank == sender:
            self._buyer.on_foretold(told)

    def _on_clock_news(self, sender: int, news: ClockNews) -> None:
        self._gossip.clocks.hear(sender, news.clock)

    def _on_member_news(self, sender: int, news: MemberNews) -> None:
        self._leadership.discovery.on_members(self._gossip.on_member_news(sender, news), sender)

    def _on_heartbeat_timer(self) -> None:
        for rank in self._gossip.on_beat_timer():
            self._lose(rank, VacancyReason.SUSPECTED)
        self._leadership.on_heartbeat_timer()
        self._fellows.on_heartbeat_timer()

    def _on_peer_gone(self, event: PeerGone) -> None:
        member = self._ctx.members.get(event.rank)
        if member is None:
            self._fellows.on_gone(event.rank)
        elif member.incarnation == event.incarnation:
            self._lose(event.rank, VacancyReason.CRASHED)

    def _lose(self, rank: int, reason: VacancyReason) -> None:
        if self._gossip.declare_gone(rank) is not None:
            self._leadership.discovery.on_lost(rank, reason)

    # -- the post ------------------------------------------------------------------------------------------

    def _on_called(self, event: RequestReceived) -> None:
        if event.area in ("", self._ctx.area):
            self._incumbency.on_called(event)
        else:
            self._fellows.on_called(event)

    def _on_caller_left(self, event: CallerLeft) -> None:
        self._incumbency.on_caller_left(event)
        self._fellows.on_caller_left(event)

    def _on_ledger(self, event: LedgerReplied) -> None:
        self._leadership.on_ledger(event)
        self._fellows.on_ledger(event)

    # -- the trade -----------------------------------------------------------------------------------------

    def _on_replied(self, event: CallCompleted) -> None:
        if isinstance(event.reply, NotTrader) and event.reply.trader is not None:
            self._leadership.discovery.on_hint(event.reply.trader, event.reply.term)
        for customer in self._customers:
            if customer.is_mine(event.ask_id):
                customer.on_reply(event.reply)
                return

    def _on_told(self, event: SalesNotified) -> None:
        """What is told of others' goods or purchases was meant for somebody else, whose address was false."""
        sold = tuple(each for each in event.sales if each.sale is not None and each.sale.seller == self._ctx.name)
        bought = tuple(each for each in event.sales if each.request.buyer == self._ctx.name)
        if self._customers:
            self._watch.hear((*sold, *bought))
        if self._seller is not None:
            self._seller.on_told(tuple(each for each in sold if each.taken_back is None))

    def _on_lose_goods(self, event: LoseGoods) -> None:
        if self._seller is not None:
            self._seller.lose_goods(event.share)

    # -- beginning, end and what is done by the clock ------------------------------------------------------

    def _on_timer(self, event: TimerFired) -> None:
        on_timer = self._timers.get(event.timer)
        if on_timer is not None:
            on_timer()

    def _on_start(self, event: Start) -> None:
        ctx, snapshot = self._ctx, event.snapshot
        ctx.members = Membership(snapshot.members, snapshot.edges)
        ctx.began_s = ctx.now.mono_s
        ctx.first_incarnations = max(m.incarnation for m in (ctx.me, *snapshot.members))
        if snapshot.clock is not None and snapshot.clock.time <= MAX_TIME // 2:
            ctx.clock.adopt(snapshot.clock)
            ctx.news.adopt(snapshot.clock)
        known = ctx.members.get(ctx.me.rank)
        if known is not None and known != ctx.me and not ctx.me.is_newer_than(known):
            self._gossip.begin_after(known)  # Somebody knows this rank by a later life than there has been.
        newcomer = bool(ctx.members.merge([ctx.me])) or known != ctx.members.get(ctx.me.rank)
        self._gossip.start(newcomer=newcomer)
        names = tuple(m.name for m in map(ctx.members.get, ctx.neighbours) if m is not None)
        ctx.say(Opened(peer=ctx.name, role=ctx.me.role, neighbours=names))
        ctx.set_timer("period", ctx.settings.market.period_s)
        if self._seller is not None:
            self._seller.remember(event.handed_over)
        if self._buyer is not None:
            self._buyer.start()
        self._leadership.discovery.start(snapshot.term, snapshot.trader, starts_election=event.starts_election)

    def _on_period_timer(self) -> None:
        ctx, market = self._ctx, self._ctx.settings.market
        ctx.set_timer("period", market.period_s)
        if ctx.in_office:
            self._leadership.leaving.on_period()
        elif self._seller is not None and ctx.whom_to_ask() is not None:
            self._seller.on_period_timer()

    def _on_demoted(self) -> None:
        """Out of office again: where the lot decides, draws the role to go on in."""
        ctx = self._ctx
        if ctx.settings.market.demotion == "own":
            return
        role: Role = ctx.rng.choice(("buyer", "seller"))
        if role == ctx.me.role:
            return
        self._gossip.renew(msgspec.structs.replace(ctx.me, role=role, incarnation=ctx.me.incarnation + 1))
        ctx.say(Demoted(peer=ctx.name, role=role, incarnation=ctx.me.incarnation))
        if role == "buyer" and self._buyer is not None:
            self._buyer.start()

    def _on_rest(self, _event: Quiesce) -> None:
        for customer in (self._buyer, self._seller):
            if customer is not None:
                customer.rest()

    def _on_leave(self, _event: Leave) -> None:
        self._ctx.departing = True
        # `handle` goes on with the departure once the term is over, however it ends.
        self._incumbency.leave(VacancyReason.LEFT)

    def _depart(self) -> None:
        self._incumbency.drop_bid()
        self._ctx.leadership.depart()
        self._gossip.declare_gone(self._ctx.me.rank)
        self._ctx.say(Departed(peer=self._ctx.name))
        self._ctx.emit(Stop())
