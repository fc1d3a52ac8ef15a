"""The way into office and the office itself: the bid in the log, then the term, and what callers ask meanwhile.

`LeadershipMachine` says what this peer is to the post; here is what it does. The bid exists while it is a candidate,
the term while it is in office.
"""

from __future__ import annotations

import math

from peers.core.calls import (
    AskOutcome,
    AskReversals,
    Buy,
    Call,
    MakeDeposit,
    ReportStock,
    Search,
    Standing,
    not_in_office,
)
from peers.core.commands import HoldPost, Respond
from peers.core.context import Context
from peers.core.inputs import LedgerReplied, RequestReceived
from peers.core.leadership.office import Office
from peers.core.leadership.reasons import VacancyReason
from peers.core.ledger.port import Done, LedgerAway, Reach, Unknown
from peers.core.market.records import Post
from peers.core.membership.gossip import Gossip
from peers.core.reports import Elected
from peers.core.trader.books_watch import BooksWatch
from peers.core.trader.seat import Seat
from peers.core.trader.taking_office import GLANCE, Lost, TakingOffice, Won
from peers.core.trader.term import Ended, TraderTerm

_MOST_GLANCES = 16
"""A peer counts its bids no further: long before, it looks for as long as it ever does."""

FORGOTTEN_AFTER = 5
"""A bid that was made for silence is forgotten after so many times `suspect_s`. No setting: longer than it takes from
one such bid to the next, where two parts of a town depose each other's traders."""


class Incumbency(Office):
    """One peer's bid for the post, and its term."""

    def __init__(self, ctx: Context, gossip: Gossip) -> None:
        super().__init__()
        self._ctx = ctx
        self._gossip = gossip
        self._watch = BooksWatch(ctx)
        # When this peer last bid for the post of a trader that was only silent, and how often in a row.
        self._silence_s = ctx.now.mono_s
        self._glances = 0
        # When the ledger was last found away, or lost an answer.
        self._unreached_s = -math.inf
        # What callers asked while this peer was a candidate; it is answered once the bid has ended.
        self._held_calls: list[RequestReceived] = []

    @property
    def ended(self) -> Ended | None:
        """How the term ended, None while there is none or it goes on."""
        return self._term.ended if self._term is not None else None

    @property
    def post(self) -> Post | None:
        """The post as the trader in office has read it last, of all areas; None while there is no term."""
        return self._term.post if self._term is not None else None

    @property
    def sales(self) -> int:
        """How much was sold in this term."""
        return self._term.sales if self._term is not None else 0

    @property
    def is_at_work(self) -> bool:
        """Whether there is a term that goes on, and the ledger answers."""
        return self._term is not None and self._term.ended is None and not self._watch.is_in_doubt

    @property
    def may_win(self) -> bool:
        """Whether the log may have this peer's office entry at any moment."""
        return self._bid is not None and self._bid.is_writing

    # -- the bid -------------------------------------------------------------------------------------------

    def bid(self, after_term: int, reason: VacancyReason) -> None:
        """Tries to get the post that `after_term` left vacant."""
        self._watch = BooksWatch(self._ctx)
        ctx, away_s = self._ctx, self._ctx.now.mono_s - self._unreached_s
        was_away = away_s < ctx.settings.timing.suspect_s
        glance_s = self._glance_s(reason)
        self._bid = TakingOffice(ctx, after_term, reason, Seat(ctx.area), glance_s=glance_s, was_away=was_away)

    def _glance_s(self, reason: VacancyReason) -> float:
        """For how long to look whether a silent trader writes: each time twice as long, if it comes to that again and
        again. For then the town may be in two parts, and each would depose the other's trader for ever."""
        now_s, suspect_s = self._ctx.now.mono_s, self._ctx.settings.timing.suspect_s
        if now_s - self._silence_s > FORGOTTEN_AFTER * suspect_s:
            self._glances = 0
        if reason is VacancyReason.SUSPECTED:
            self._silence_s = now_s
            self._glances = min(self._glances + 1, _MOST_GLANCES)
        return min(suspect_s * GLANCE * 2.0 ** max(self._glances - 1, 0), suspect_s)

    def drop_bid(self) -> None:
        """Somebody else holds the post: whatever the log still says to our bid is of no use."""
        self._bid = None
        self.refuse_held_calls()

    def refuse_held_calls(self) -> None:
        """Whoever asked a candidate is told whom to ask instead."""
        held, self._held_calls = self._held_calls, []
        for called in held:
            self._refuse(called)

    # -- the office ----------------------------------------------------------------------------------------

    def enter(self, won: Won, took_s: float) -> None:
        """Takes up trade, first with what the predecessor left queued; the post was vacant for `took_s` seconds."""
        ctx, term = self._ctx, won.post.term
        self._watch = BooksWatch(ctx)
        self._term = TraderTerm(ctx, won.state, Seat(ctx.area), certain_s=won.begun_s)
        ctx.emit(HoldPost(term=term, held=True))
        for changes in won.to_make:
            ctx.perform(changes)
        pending = len(won.state.queue_of(ctx.area))
        ctx.say(
            Elected(
                peer=ctx.name,
                rank=ctx.me.rank,
                term=term,
                pending=pending,
                took_ms=took_s * 1000,
                area=ctx.area,
            )
        )
        ctx.count("terms")
        self._term.pump()
        held, self._held_calls = self._held_calls, []
        for called in held:
            self._term.on_call(called.call_id, called.call)

    def leave(self, reason: VacancyReason) -> None:
        """Takes in nothing more; the term ends once nothing is under way."""
        if self._term is not None:
            self._term.leave(reason)

    def has_lost_books(self) -> bool:
        """Whether there is a bid or a term, and the ledger is away, or no thread of ours brings its answers. To be
        asked with each heartbeat."""
        if self._bid is None and self._term is None:
            return False
        is_away = self._watch.is_away()
        if not self._watch.is_in_doubt:  # It answers, so an entry that has no answer may be in a thread that is held.
            self.repeat(self._patience_s)
        return is_away or self.is_held

    @property
    def _patience_s(self) -> float:
        """For how long an entry may be without an answer before another thread is given it."""
        return self._ctx.settings.timing.ledger_patience_s / 2

    def give_up(self) -> None:
        """Ends the term though something may be under way: what becomes of it, the next trader finds in the log."""
        if self._term is not None:
            self._term.give_up()

    def close(self, trader: str | None, term: int) -> None:
        """Ends the term at once. Whoever waits is sent to `trader`, who holds `term`."""
        closed, self._term = self._term, None
        assert closed is not None
        self._ctx.emit(HoldPost(term=closed.term, held=False))
        self._gossip.clocks.rejoin()
        closed.close(trader=trader, term=term)

    # -- what comes in -------------------------------------------------------------------------------------

    def on_called(self, event: RequestReceived) -> None:
        if self._term is not None:
            self._term.on_call(event.call_id, event.call)
        elif self._bid is not None and _is_trade(event.call):
            self._held_calls.append(event)
        else:
            self._refuse(event)

    def on_ledger(self, event: LedgerReplied) -> Won | Lost | None:
        self._watch.on_ledger(event.operation, event.result)
        if isinstance(event.result, LedgerAway | Unknown):
            self._unreached_s = self._ctx.now.mono_s
        if isinstance(event.operation, Reach) and isinstance(event.result, Done):
            self.repeat(self._patience_s)
        return super().on_ledger(event)

    def _refuse(self, event: RequestReceived) -> None:
        trader = self._ctx.trader()
        error = not_in_office(trader.name if trader else None, self._ctx.view.term, self._ctx.members)
        self._ctx.emit(Respond(call_id=event.call_id, reply=error))


def _is_trade(call: Call) -> bool:
    return isinstance(call, Buy | MakeDeposit | AskOutcome | Search | Standing | ReportStock | AskReversals)
