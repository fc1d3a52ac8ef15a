"""The seller: deposits goods with the trader, hears of each sale, and deposits something else when sold out.

What it deposited stays deposited when the trader changes. It only asks the new trader for its standing: the sales
it has not heard of (the word of a sale may be lost, the sale cannot), and what it still has on offer. Where these are
more sales than one answer holds, it goes on asking until it has heard of all.

It may hold less than it deposited (`holdings`). A sale that it cannot fill it asks the trader to take back, until it
is answered; and now and then it reports what is missing, so that nobody buys that in vain.
"""

from __future__ import annotations

import math

from peers.core.calls import Failure, MakeDeposit, Reply, ReportStock, Standing, StandingReply, StockReply
from peers.core.context import Context
from peers.core.customers.holdings import Holdings
from peers.core.customers.retrying_call import RetryingCall, is_free_to_trade
from peers.core.customers.reversal_watch import ReversalWatch
from peers.core.inputs import HandedOver
from peers.core.ledger.port import MOST_SALES
from peers.core.market.limits import MOST_UNFILLED
from peers.core.market.money import to_money
from peers.core.market.records import Deposit, Offer, Outcome
from peers.core.reports import CannotFill, Deposited, Earned, GoodsLost, Offered, Rejected
from peers.errors import BadRequest


class Seller:
    """The selling side of a peer."""

    def __init__(self, ctx: Context, watch: ReversalWatch) -> None:
        self._ctx = ctx
        self._watch = watch
        self._holdings = Holdings(lost_before=ctx.settings.market.loss_after_crash)
        # By id of deposit: the sales that cannot be filled, by id of request, until they are taken back.
        self._unfilled: dict[str, dict[str, Outcome]] = {}
        # The deposits of which something is missing that the trader does not know of yet, and those to report next.
        self._missing: dict[str, None] = {}
        self._reports_due: dict[str, None] = {}
        self._call = RetryingCall(ctx, "sell")
        self._number = 0
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
        self._ask_standing()
        if self._call.busy:
            self._call.ask()
        else:
            self._next()

    def _ask_standing(self) -> None:
        if not any(isinstance(call, Standing) for call in self._due):
            self._due.append(Standing(seller=self._ctx.name, after_seq=self._sure_seq))

    def rest(self) -> None:
        """Deposits nothing more; what was asked for is still to be answered."""
        self._resting = True
        self._due = [call for call in self._due if isinstance(call, Standing)]

    def on_sell_timer(self) -> None:
        self._call.ask()

    def remember(self, handed_over: tuple[HandedOver, ...]) -> None:
        """Takes in what earlier lives of this seller gave to buyers."""
        self._holdings.remember(handed_over)

    def on_period_timer(self) -> None:
        """By chance, deposits more; in any case makes sure that it has heard of every sale, and reports what is
        missing. By chance, goods are lost; nobody knows of that before they are wanted, or reported next time."""
        self._reports_due |= self._missing | dict.fromkeys(self._unfilled)
        self._lose_by_chance()
        if self._ctx.rng.random() < self._ctx.settings.market.restock_probability:
            self._offer_more()
        self.on_new_trader()

    # -- losses --------------------------------------------------------------------------------------------

    def _lose_by_chance(self) -> None:
        ctx, probability = self._ctx, self._ctx.settings.market.loss_probability
        held = self._holdings.held() if probability else []
        if held and ctx.rng.random() < probability:
            offer = ctx.rng.choice(held)
            self._lose(offer, ctx.rng.randint(1, self._holdings.holds(offer.deposit_id)))

    def lose_goods(self, share: float) -> None:
        """Loses that share of everything that is there, rounded up."""
        for offer in self._holdings.held():
            self._lose(offer, math.ceil(share * self._holdings.holds(offer.deposit_id)))

    def _lose(self, offer: Offer, units: int) -> None:
        self._holdings.lose(offer.deposit_id, units)
        self._missing[offer.deposit_id] = None
        holds = self._holdings.holds(offer.deposit_id)
        self._ctx.count("lost", units)
        self._ctx.say(
            GoodsLost(peer=self._ctx.name, deposit=offer.deposit_id, item=offer.item, units=units, holds=holds)
        )

    def _report(self, deposit_id: str) -> ReportStock:
        return ReportStock(
            seller=self._ctx.name,
            deposit_id=deposit_id,
            handed_over=self._holdings.handed_over(deposit_id),
            holds=self._holdings.holds(deposit_id),
            unfilled=tuple(self._unfilled.get(deposit_id, ()))[:MOST_UNFILLED],
        )

    def _on_reported(self, report: ReportStock, reply: StockReply) -> None:
        self._watch.hear(reply.reversals)
        deposit = reply.deposit
        unfilled = self._unfilled.get(report.deposit_id, {})
        for request_id in report.unfilled:
            unfilled.pop(request_id, None)
        if not unfilled:
            self._unfilled.pop(report.deposit_id, None)
        elif report.unfilled:
            self._reports_due[report.deposit_id] = None
        self._left[report.deposit_id] = deposit.remaining
        if deposit.written_off >= deposit.offer.quantity - report.handed_over - report.holds:
            self._missing.pop(report.deposit_id, None)

    # -- what to ask next ----------------------------------------------------------------------------------

    def _next(self) -> None:
        if self._call.busy or not is_free_to_trade(self._ctx):
            return
        if self._reports_due:  # These come first: buyers have paid for what they do not get.
            deposit_id = next(iter(self._reports_due))
            del self._reports_due[deposit_id]
            self._call.begin(self._report(deposit_id))
            return
        if not self._due:
            return
        call = self._due.pop(0)
        if isinstance(call, Standing):
            call = Standing(seller=call.seller, after_seq=self._sure_seq)
        else:
            self._holdings.add(call.offer)
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
            deposit_id=f"{ctx.id_prefix}d{self._number}",
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
        asked = self._call.call
        ended = self._call.on_reply(reply)
        if isinstance(ended, StockReply) and isinstance(asked, ReportStock):
            self._on_reported(asked, ended)
        elif isinstance(ended, Deposit):
            self._ctx.say(Deposited(peer=self._ctx.name, deposit=ended))
            self._left[ended.offer.deposit_id] = ended.remaining + self._left.get(ended.offer.deposit_id, 0)
        elif isinstance(ended, StandingReply):
            self._on_standing(ended)
        elif isinstance(ended, BadRequest):
            self._ctx.say(Rejected(peer=self._ctx.name, why=str(ended)))
            if isinstance(asked, MakeDeposit):
                self._holdings.drop(asked.offer.deposit_id)
                self._missing.pop(asked.offer.deposit_id, None)
            return  # The next try comes with the next period.
        self._restock()

    def _on_standing(self, standing: StandingReply) -> None:
        sure_before = self._sure_seq
        self._hear(standing.sales)
        if standing.sales:
            self._sure_seq = standing.sales[-1].seq
            self._heard = {seq: sold for seq, sold in self._heard.items() if seq > self._sure_seq}
        if len(standing.sales) >= MOST_SALES and self._sure_seq > sure_before:
            # There may be more. Some of what was heard after these may have left the deposits already, so they wait.
            self._ask_standing()
            return
        self._left = {d.offer.deposit_id: d.remaining for d in standing.deposits}
        self._holdings.forget_empty({*self._left, *self._missing, *self._unfilled, *self._reports_due})
        for deposit, quantity in self._heard.values():  # These were sold after the books were read.
            self._left[deposit] = self._left.get(deposit, 0) - quantity
        if self._ctx.settings.market.loss_after_crash:
            self._take_stock(standing.deposits)

    def _take_stock(self, deposits: tuple[Deposit, ...]) -> None:
        """What an earlier life deposited, and the trader still sells, is not there."""
        for deposit in deposits:
            deposit_id = deposit.offer.deposit_id
            if not deposit_id.startswith(self._ctx.id_prefix):
                self._missing[deposit_id] = None
                self._reports_due[deposit_id] = None

    def on_told(self, sales: tuple[Outcome, ...]) -> None:
        """The trader tells of sales."""
        self._hear(sales)
        self._restock()

    def _hear(self, sales: tuple[Outcome, ...]) -> None:
        for outcome in sales:
            sale = outcome.sale
            if sale is None or outcome.seq <= self._sure_seq or outcome.seq in self._heard:
                continue
            if outcome.taken_back is not None:  # As it was when it was heard of first: the reversal watch tells it.
                self._heard[outcome.seq] = (sale.deposit, 0)
                continue
            self._heard[outcome.seq] = (sale.deposit, outcome.request.quantity)
            left = self._left.get(sale.deposit, 0) - outcome.request.quantity
            self._left[sale.deposit] = left
            self._ctx.count("sold")
            if self._holdings.fill(outcome):
                self._ctx.say(Earned(peer=self._ctx.name, outcome=outcome, earned=sale.earned, left=max(0, left)))
            else:
                self._ctx.count("could_not_fill")
                self._ctx.say(CannotFill(peer=self._ctx.name, outcome=outcome))
                self._unfilled.setdefault(sale.deposit, {})[outcome.request.request_id] = outcome
                self._reports_due[sale.deposit] = None

    def _restock(self) -> None:
        """Offers another item once everything is sold; goes on with what is due in any case."""
        self._left = {deposit: left for deposit, left in self._left.items() if left}
        standing_due = isinstance(self._call.call, Standing) or any(isinstance(c, Standing) for c in self._due)
        sold_out = not any(left > 0 for left in self._left.values())
        if sold_out and not standing_due and is_free_to_trade(self._ctx):
            self._offer_more()
        self._next()
