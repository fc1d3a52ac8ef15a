"""The seller: deposits goods with the trader, hears of each sale, and deposits something else when sold out.

What it deposited stays deposited when the trader changes. It only asks the new trader for its standing: the sales
it has not heard of (the word of a sale may be lost, the sale cannot), and what it still has on offer.
"""

from __future__ import annotations

from peers.core.calls import Failure, MakeDeposit, Reply, Standing, StandingReply
from peers.core.context import Context
from peers.core.customers.retrying_call import RetryingCall, is_free_to_trade
from peers.core.market.money import to_money
from peers.core.market.records import Deposit, Offer, Outcome
from peers.core.reports import Deposited, Earned, Offered, Rejected
from peers.errors import BadRequest


class Seller:
    """The selling side of a peer."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._call = RetryingCall(ctx, "sell")
        self._number = 0
        # A part of each id, so that ids stay unique when the same peer is started again.
        self._session = ctx.me.incarnation
        # How many units each deposit holds, as far as is known. Below 0, its sales were heard of before itself.
        self._left: dict[str, int] = {}
        # Every sale up to this number has been heard of.
        self._sure_seq = 0
        # The deposit and the quantity of each sale after `_sure_seq` that has been heard of, by number.
        self._heard: dict[int, tuple[str, int]] = {}
        self._resting = False
        # What to ask next, one after the other: at most one Standing and one MakeDeposit.
        self._due: list[Standing | MakeDeposit] = []
        # What it offered last; something else comes next.
        self._last_offered: str | None = None

    def on_new_trader(self) -> None:
        """Asks for its standing; what was being asked before is asked again first."""
        if not any(isinstance(call, Standing) for call in self._due):
            self._due.append(Standing(seller=self._ctx.name, after_seq=self._sure_seq))
        if self._call.busy:
            self._call.ask()
        else:
            self._next()

    def rest(self) -> None:
        """Deposits nothing more; what was asked for is still to be answered."""
        self._resting = True
        self._due = [call for call in self._due if isinstance(call, Standing)]

    def on_sell_timer(self) -> None:
        self._call.ask()

    def on_period_timer(self) -> None:
        """By chance, deposits more; in any case makes sure that it has heard of every sale."""
        if self._ctx.rng.random() < self._ctx.settings.market.restock_probability:
            self._offer_more()
        self.on_new_trader()

    def _next(self) -> None:
        if self._call.busy or not self._due or not is_free_to_trade(self._ctx):
            return
        call = self._due.pop(0)
        if isinstance(call, Standing):
            call = Standing(seller=call.seller, after_seq=self._sure_seq)
        else:
            self._ctx.say(Offered(peer=self._ctx.name, offer=call.offer))
        self._call.begin(call)

    def _offer_more(self) -> None:
        ctx, market = self._ctx, self._ctx.settings.market
        if self._resting or ctx.me.role == "buyer":
            return
        if any(isinstance(call, MakeDeposit) for call in (*self._due, self._call.call)):
            return
        others = [item for item in market.items if item != self._last_offered]
        self._number += 1
        self._last_offered = ctx.rng.choice(others or market.items)
        offer = Offer(
            deposit_id=f"{ctx.name}-{self._session:x}-d{self._number}",
            seller=ctx.name,
            item=self._last_offered,
            quantity=ctx.rng.randint(market.stock_min, market.stock) if market.stock_min else market.stock,
            price=to_money(ctx.rng.randint(market.price_min, market.price_max)),
            clock=ctx.tick(),
        )
        self._due.append(MakeDeposit(offer=offer))

    def is_mine(self, ask_id: int) -> bool:
        return self._call.is_mine(ask_id)

    def on_reply(self, reply: Reply | Failure) -> None:
        ended = self._call.on_reply(reply)
        if isinstance(ended, Deposit):
            self._ctx.say(Deposited(peer=self._ctx.name, deposit=ended))
            self._left[ended.offer.deposit_id] = ended.remaining + self._left.get(ended.offer.deposit_id, 0)
        elif isinstance(ended, StandingReply):
            self._on_standing(ended)
        elif isinstance(ended, BadRequest):
            self._ctx.say(Rejected(peer=self._ctx.name, why=str(ended)))
            return  # The next try comes with the next period.
        self._restock()

    def _on_standing(self, standing: StandingReply) -> None:
        self._hear(standing.sales)
        if standing.sales:
            self._sure_seq = standing.sales[-1].seq
            self._heard = {seq: sold for seq, sold in self._heard.items() if seq > self._sure_seq}
        self._left = {d.offer.deposit_id: d.remaining for d in standing.deposits}
        for deposit, quantity in self._heard.values():  # These were sold after the books were read.
            self._left[deposit] = self._left.get(deposit, 0) - quantity

    def on_told(self, sales: tuple[Outcome, ...]) -> None:
        """The trader tells of sales."""
        self._hear(sales)
        self._restock()

    def _hear(self, sales: tuple[Outcome, ...]) -> None:
        for outcome in sales:
            sale = outcome.sale
            if sale is None or outcome.seq <= self._sure_seq or outcome.seq in self._heard:
                continue
            self._heard[outcome.seq] = (sale.deposit, outcome.request.quantity)
            left = self._left.get(sale.deposit, 0) - outcome.request.quantity
            self._left[sale.deposit] = left
            self._ctx.count("sold")
            self._ctx.say(Earned(peer=self._ctx.name, outcome=outcome, earned=sale.earned, left=max(0, left)))

    def _restock(self) -> None:
        """Offers another item once everything is sold; goes on with what is due in any case."""
        self._left = {deposit: left for deposit, left in self._left.items() if left}
        standing_due = isinstance(self._call.call, Standing) or any(isinstance(c, Standing) for c in self._due)
        sold_out = not any(left > 0 for left in self._left.values())
        if sold_out and not standing_due and is_free_to_trade(self._ctx):
            self._offer_more()
        self._next()
