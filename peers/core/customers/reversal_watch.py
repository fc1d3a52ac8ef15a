"""How a customer learns that a sale it took part in was taken back, whichever side it was on: for certain, and once.

The trader tells the buyer, and answers the seller; either may be lost. But reversals are numbered without gaps, and
heartbeats carry the last number. Who has not heard of so many asks whoever is trader for those of its own, so nothing
is asked while nothing is taken back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from peers.core.calls import AskReversals, Failure, Reply, ReversalsReply
from peers.core.context import Context
from peers.core.customers.retrying_call import RetryingCall
from peers.core.market.records import Outcome
from peers.core.reports import GotBack, TookBack

DOUBT_S = 5.0
"""Where the trader knows of fewer than were heard of, it is asked again after so long. No setting: it bounds what a
false number costs."""


class ReversalWatch:
    """The eyes of one customer. `on_got_back` is told of each purchase of its own that was taken back, once."""

    def __init__(self, ctx: Context, on_got_back: Callable[[Outcome], None] | None) -> None:
        self._ctx = ctx
        self._on_got_back = on_got_back
        self._call = RetryingCall(ctx, "reversals")
        # Every reversal up to this number has been heard of.
        self._sure = 0
        # The numbers after `_sure` that have been heard of.
        self._heard: set[int] = set()
        # When to ask next, at the earliest.
        self._not_before_s = 0.0

    def look(self) -> None:
        """Asks, if there are reversals that this peer does not know to be none of its own."""
        is_due = self._ctx.now.mono_s >= self._not_before_s
        if self._ctx.reversals > self._sure and is_due and not self._call.busy:
            self._call.begin(AskReversals(customer=self._ctx.name, after=self._sure))

    def on_new_trader(self) -> None:
        """The post is filled again: ask it what is still unanswered."""
        if self._call.busy:
            self._call.ask()
        else:
            self._not_before_s = 0.0
            self.look()

    def on_timer(self) -> None:
        self._call.ask()

    def is_mine(self, ask_id: int) -> bool:
        return self._call.is_mine(ask_id)

    def on_reply(self, reply: Reply | Failure) -> None:
        ended = self._call.on_reply(reply)
        if isinstance(ended, ReversalsReply):
            self.hear(ended.reversals)
            if ended.upto < self._ctx.reversals:  # Somebody has said more than there are, and may say so for long.
                self._not_before_s = self._ctx.now.mono_s + DOUBT_S
            if ended.upto > self._sure:  # Otherwise the trader knows less than others do, and is none any more.
                self._sure = ended.upto
                self._heard = {number for number in self._heard if number > self._sure}
                self.look()

    def hear(self, outcomes: Iterable[Outcome]) -> None:
        """Takes in sales that were taken back, from wherever they come."""
        for outcome in outcomes:
            reversal = outcome.taken_back
            if reversal is None or reversal.number <= self._sure or reversal.number in self._heard:
                continue
            self._heard.add(reversal.number)
            self._ctx.hear_of_reversals(reversal.number)
            if outcome.request.buyer == self._ctx.name:
                self._ctx.count("got_back")
                self._ctx.say(GotBack(peer=self._ctx.name, outcome=outcome))
                if self._on_got_back is not None:
                    self._on_got_back(outcome)
            else:
                self._ctx.count("took_back")
                self._ctx.say(TookBack(peer=self._ctx.name, outcome=outcome))
