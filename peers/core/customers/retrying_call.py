"""What buyer and seller have in common: they ask the trader one thing at a time, again until it is answered.

What is asked has an id that the customer made (a request id, a deposit id), and keeps it however often, and of
whomever, it is asked. So to ask again never asks for something new.
"""

from __future__ import annotations

from peers.core.calls import Call, Failure, Reply, Unreachable
from peers.core.context import Context
from peers.core.inputs import TimerName
from peers.core.market.rules import may_trade
from peers.errors import BadRequest, PostClosed, WireError


def is_free_to_trade(ctx: Context) -> bool:
    """Whether this peer may buy and sell for itself now: not while it is in office."""
    return may_trade(ctx.name, ctx.name if ctx.in_office else None)


class RetryingCall:
    """One call to be answered by whoever is trader. Tries again after a while that doubles, or with a new trader."""

    def __init__(self, ctx: Context, timer: TimerName) -> None:
        self._ctx = ctx
        self._timer: TimerName = timer
        # The number of the call under way, None while none is.
        self._ask_id: int | None = None
        self._wait_s = 0.0
        # What is to be answered, None once it has been.
        self.call: Call | None = None
        self.tries = 0

    @property
    def busy(self) -> bool:
        return self.call is not None

    def begin(self, call: Call) -> None:
        """Starts on a new call; the one before must have ended."""
        self.call = call
        self.tries = 0
        self._wait_s = self._ctx.settings.timing.retry_s
        self.ask()

    def ask(self) -> None:
        """Asks the trader in office, if there is one; a peer in office itself waits until it is out again."""
        trader = self._ctx.whom_to_ask()
        if self.call is None or trader is None or not is_free_to_trade(self._ctx):
            return
        # The others may take this peer for the trader before it knows so itself; it does not call itself then.
        if not may_trade(self._ctx.name, trader.name):
            return
        self.tries += 1
        if self.tries > 1:
            self._ctx.count("asked_again")
        self._ask_id = self._ctx.ask(trader, self.call)
        self._ctx.cancel_timer(self._timer)

    def is_mine(self, ask_id: int) -> bool:
        return ask_id == self._ask_id

    def on_reply(self, reply: Reply | Failure) -> Reply | BadRequest | None:
        """Takes in what came back for `is_mine`. Returns the answer that ends the call, None where it goes on."""
        self._ask_id = None
        if isinstance(reply, Unreachable) or (isinstance(reply, WireError) and not isinstance(reply, BadRequest)):
            wait_s = self._wait_s * self._ctx.rng.uniform(0.5, 1.0)
            if isinstance(reply, PostClosed):
                wait_s = max(wait_s, reply.retry_after_ms / 1000)
            self._wait_s = min(2 * self._wait_s, self._ctx.settings.timing.retry_max_s)
            self._ctx.set_timer(self._timer, wait_s)
            return None
        self.call = None
        return reply
