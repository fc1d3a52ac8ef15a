"""The traders of the other areas that share the log: they watch each other, and one takes over for one that is gone.

Each trader knows from the log who is trader of every area, and where that one is called. It sends each of them a
heartbeat of its own; who is silent for too long, or is not there any more, is found missing. Then its fellow bids for
the next term of that area, as any candidate does, and the log decides. The people of that area are told, and ask the
fellow, while they elect a trader of their own; the winner takes the term after that, and so ends it. That may be very
soon, and is right: the fellow only stands in.

One peer stands in for one area at a time.
"""

from __future__ import annotations

from peers.core.bounds import MOST_CONTACTS
from peers.core.commands import HoldPost, Respond, Send
from peers.core.context import Context
from peers.core.inputs import LedgerReplied, RequestReceived
from peers.core.leadership.incumbency import Incumbency
from peers.core.leadership.office import Office
from peers.core.leadership.reasons import VacancyReason
from peers.core.market.records import Holder, Post
from peers.core.membership.gossip import LATE_FOR
from peers.core.membership.members import Member, trader_at
from peers.core.messages import FellowBeat, TakenOver
from peers.core.names import rank_of
from peers.core.reports import GaveBack, TookOver
from peers.core.trader.seat import Seat
from peers.core.trader.taking_office import Lost, TakingOffice, Won
from peers.core.trader.term import TraderTerm
from peers.errors import PostClosed


class _Fellow:
    """The trader of another area: since when it is silent, in which term it is, and some people of its area."""

    __slots__ = ("contacts", "heard_s", "term")

    def __init__(self, now_s: float) -> None:
        self.heard_s = now_s
        self.term = 0
        self.contacts: tuple[Member, ...] = ()


class Fellows(Office):
    """One trader's eyes on its fellows, and what it does for an area whose trader is gone."""

    def __init__(self, ctx: Context, incumbency: Incumbency) -> None:
        super().__init__()
        self._ctx = ctx
        self._incumbency = incumbency
        # By area.
        self._known: dict[str, _Fellow] = {}
        self._looked_s = 0.0
        self._seat = Seat()

    @property
    def stands_in_for(self) -> str:
        """The area that this peer stands in for, "" if for none."""
        return self._seat.area if self._term is not None else ""

    # -- watching ------------------------------------------------------------------------------------------

    def on_heartbeat_timer(self) -> None:
        """Time to show the fellows that this trader is there, and to see whether they are."""
        ctx = self._ctx
        fellows = self._fellows()
        now_s, timing = ctx.now.mono_s, ctx.settings.timing
        if not fellows or now_s - self._looked_s > timing.heartbeat_interval_s + timing.suspect_s / 2:
            for fellow in self._known.values():
                fellow.heard_s = now_s  # It was us who did not listen; out of office nobody does.
        self._looked_s = now_s
        for holder in fellows:
            fellow = self._known_as(holder)
            self._beat(holder)
            if now_s - fellow.heard_s > timing.suspect_s + LATE_FOR * ctx.late_s:
                self._take_over(holder, VacancyReason.SUSPECTED)
        self.follow()
        self.repeat(timing.ledger_patience_s)  # Our own entries find out sooner; these are only stood in for.

    def on_beat(self, sender: int, beat: FellowBeat) -> None:
        """A fellow is there, if it is the one of the log; a later term than that one's is read there first."""
        holder = next((each for each in self._fellows() if each.area == beat.area), None)
        if holder is None or rank_of(holder.trader) != sender:
            return
        fellow = self._known_as(holder)
        if fellow.term <= beat.term <= holder.term:
            fellow.heard_s, fellow.term, fellow.contacts = self._ctx.now.mono_s, beat.term, beat.contacts
            if self._bid is not None and self._bid.is_for_silence and self._seat.area == beat.area:
                self._bid = None  # It was begun because nothing was heard, and something is.

    def is_fellow(self, rank: int) -> bool:
        """Whether the log has that peer as the trader of another area."""
        return any(rank_of(holder.trader) == rank for holder in self._fellows())

    def on_gone(self, rank: int) -> None:
        """It is certain that nobody answers for that rank any more."""
        for holder in self._fellows():
            if rank_of(holder.trader) == rank:
                self._take_over(holder, VacancyReason.CRASHED)

    def _fellows(self) -> list[Holder]:
        """The traders of other areas, as this trader has read them in the log; none unless it is in office."""
        post = self._incumbency.post
        if post is None:
            return []
        return [each for each in post.areas if each.area != self._ctx.area and each.trader != self._ctx.name]

    def _known_as(self, holder: Holder) -> _Fellow:
        fellow = self._known.setdefault(holder.area, _Fellow(self._ctx.now.mono_s))
        if fellow.term < holder.term:  # It took office just now, and may not have read of us yet.
            fellow.heard_s, fellow.term = self._ctx.now.mono_s, holder.term
        return fellow

    def _beat(self, holder: Holder) -> None:
        ctx = self._ctx
        near = (ctx.members.get(rank) for rank in ctx.neighbours[:MOST_CONTACTS])
        contacts = tuple(member for member in near if member is not None)
        beat = FellowBeat(area=ctx.area, term=ctx.view.term, contacts=contacts)
        ctx.emit(Send(to=trader_at(holder.trader, holder.uri), message=beat))

    # -- standing in ---------------------------------------------------------------------------------------

    def _take_over(self, holder: Holder, reason: VacancyReason) -> None:
        if self._bid is None and self._term is None and self._known_as(holder).contacts:
            self._seat = Seat(holder.area, stands_in=True)
            self._bid = TakingOffice(self._ctx, holder.term, reason, self._seat)

    def on_ledger(self, event: LedgerReplied) -> Won | Lost | None:
        ended = super().on_ledger(event)
        if isinstance(ended, Won):
            self._begin(ended)
        return ended

    def _begin(self, won: Won) -> None:
        ctx, area, term = self._ctx, self._seat.area, won.post.term
        self._term = TraderTerm(ctx, won.state, self._seat, certain_s=won.begun_s)
        ctx.emit(HoldPost(term=term, held=True, area=area))
        for changes in won.to_make:
            ctx.perform(changes)
        ctx.say(TookOver(peer=ctx.name, area=area, term=term, pending=len(won.state.queue_of(area))))
        ctx.count("took_over")
        told = TakenOver(area=area, term=term, trader=ctx.me)
        for member in self._known[area].contacts:
            ctx.emit(Send(to=member, message=told))
        self._term.pump()

    def on_called(self, event: RequestReceived) -> None:
        """Somebody of another area calls."""
        if self._term is not None and event.area == self._seat.area:
            self._term.on_call(event.call_id, event.call)
            return
        refusal = PostClosed(why=f"{self._ctx.name} is not the trader of {event.area}")
        self._ctx.emit(Respond(call_id=event.call_id, reply=refusal))

    def mind(self) -> None:
        """Gives back what it stood in for, once that is over. To be called after each input."""
        if self._term is None and self._bid is None:
            return
        ended = self._term.ended if self._term is not None else None
        if ended is not None:
            self._close(ended.post)
        elif not self._ctx.in_office:
            self._close(None)

    def _close(self, post: Post | None) -> None:
        """The area has a trader of its own, that of `post`; or this peer is out of office itself (None)."""
        ctx, term = self._ctx, self._term
        self._bid = self._term = None
        if term is None:
            return
        trader = post.trader if post is not None else None
        ctx.emit(HoldPost(term=term.term, held=False, area=self._seat.area))
        ctx.say(GaveBack(peer=ctx.name, area=self._seat.area, term=term.term, to=trader, sales=term.sales))
        term.close(trader=trader, term=post.term if post is not None else term.term)
