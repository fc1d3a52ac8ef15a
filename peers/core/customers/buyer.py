"""The buyer: picks an item and a quantity, stamps the request, tells the market its clock, and buys.

Sold: it thinks for a while and may go on. Unavailable: it picks another item. It has one request at a time.
"""

from __future__ import annotations

from peers.core.calls import Buy, Failure, Reply
from peers.core.context import Context
from peers.core.customers.retrying_call import RetryingCall, is_free_to_trade
from peers.core.market.records import Outcome, PurchaseRequest
from peers.core.membership.clocks import Stamp
from peers.core.membership.gossip import Gossip
from peers.core.messages import Foretelling
from peers.core.reports import Answered, Asked, PromiseBroken, Promised, Rejected, Slept
from peers.errors import BadRequest


class Buyer:
    """The buying side of a peer."""

    def __init__(self, ctx: Context, gossip: Gossip) -> None:
        self._ctx = ctx
        self._gossip = gossip
        self._call = RetryingCall(ctx, "ask")
        self._number = 0
        self._bought = 0
        # The item that was not to be had the last time; another is picked next.
        self._last_item: str | None = None
        self._resting = False
        # The ids of purchases that were known to be taken back when they were answered.
        self._in_vain: set[str] = set()
        # The id of the last request that was promised.
        self._promised = ""
        # Whether it would have bought, but could not: there was no trader, or this peer was in office.
        self._stalled = False

    def start(self) -> None:
        self._ctx.set_timer("buy", self._ctx.rng.uniform(0, 1) * self._ctx.settings.market.think_s)

    def on_buy_timer(self) -> None:
        """Time for the next purchase."""
        ctx = self._ctx
        if self._call.busy or self._resting or ctx.me.role == "seller":
            return
        if ctx.whom_to_ask() is None or not is_free_to_trade(ctx):
            self._stalled = True  # `on_new_trader` goes on from here.
            return
        stamp = ctx.tick()
        self._gossip.clocks.announce(stamp)
        request = self._pick(stamp)
        ctx.say(Asked(peer=ctx.name, request=request))
        self._call.begin(Buy(request=request))

    def _pick(self, stamp: Stamp) -> PurchaseRequest:
        market = self._ctx.settings.market
        others = [item for item in market.items if item != self._last_item]
        self._number += 1
        return PurchaseRequest(
            request_id=f"{self._ctx.id_prefix}{self._number}",
            buyer=self._ctx.name,
            item=self._ctx.rng.choice(others or market.items),
            quantity=self._ctx.rng.randint(1, market.quantity_max),
            clock=stamp,
        )

    def rest(self) -> None:
        """Buys nothing more; what was asked for is still to be answered."""
        self._resting = True

    def on_ask_timer(self) -> None:
        self._call.ask()

    def on_new_trader(self) -> None:
        """The post is filled again: ask it what is still unanswered, or go on buying."""
        if self._call.busy:
            self._call.ask()
        elif self._stalled:
            self._stalled = False
            self.start()

    def is_mine(self, ask_id: int) -> bool:
        return self._call.is_mine(ask_id)

    def on_reply(self, reply: Reply | Failure) -> None:
        ended = self._call.on_reply(reply)
        if isinstance(ended, Outcome):
            self._on_outcome(ended)
        elif isinstance(ended, BadRequest):
            self._ctx.say(Rejected(peer=self._ctx.name, why=str(ended)))
            self._ctx.set_timer("buy", self._ctx.settings.market.period_s)

    def on_foretold(self, told: Foretelling) -> None:
        """The trader says what will become of a request; the last word is the outcome."""
        call = self._call.call
        if told.foretold != "promised" or told.request_id == self._promised:
            return
        if isinstance(call, Buy) and call.request.request_id == told.request_id:
            self._promised = told.request_id
            self._ctx.count("was_promised")
            self._ctx.say(Promised(peer=self._ctx.name, request=call.request))

    def _on_outcome(self, outcome: Outcome) -> None:
        ctx, market = self._ctx, self._ctx.settings.market
        ctx.say(Answered(peer=ctx.name, outcome=outcome))
        if outcome.sale is None:
            ctx.count("unavailable")
            if outcome.request.request_id == self._promised:
                ctx.count("was_promised_in_vain")
                ctx.say(PromiseBroken(peer=ctx.name, request=outcome.request))
        if outcome.taken_back is not None:
            self._in_vain.add(outcome.request.request_id)
        if outcome.sale is None or outcome.request.request_id in self._in_vain:
            self._last_item = outcome.request.item
            ctx.set_timer("buy", market.think_s)
            return
        self._last_item = None
        self._bought += 1
        ctx.count("bought")
        if self._done():
            return
        if market.slow_after and self._bought % market.slow_after == 0:
            ctx.say(Slept(peer=ctx.name, sleep_s=market.slow_sleep_s))
            ctx.set_timer("buy", market.slow_sleep_s)
        else:
            goes_on = ctx.rng.random() < market.buy_probability
            ctx.set_timer("buy", market.think_s if goes_on else market.period_s)

    def on_got_back(self, outcome: Outcome) -> None:
        """A purchase was taken back: it counts for nothing, and something else is picked next."""
        request_id, call = outcome.request.request_id, self._call.call
        if isinstance(call, Buy) and call.request.request_id == request_id:
            self._in_vain.add(request_id)  # Its answer is still on its way.
        if request_id in self._in_vain or not request_id.startswith(self._ctx.id_prefix):
            return
        was_done = self._done()
        self._bought -= 1
        self._last_item = outcome.request.item
        if was_done and not self._done():
            self.start()

    def _done(self) -> bool:
        limit = self._ctx.settings.market.max_purchases
        return 0 < limit <= self._bought
