"""What the traders of other areas write to the log that is shared with them: taken in, so that ours follows on it.

Their entries change the stock that all sell from, and use up running numbers. They also settle, now and then, what
waits here: a customer who hears nothing may ask the trader of another area with the same id, and each id comes into
the log once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from peers.core.commands import NotifySales
from peers.core.context import Context
from peers.core.ledger.log import Entry, TradeEntry
from peers.core.ledger.post_state import PostState
from peers.core.market.records import Outcome, PurchaseRequest
from peers.core.names import rank_of
from peers.core.trader.pending import PendingRequests
from peers.core.trader.stock_at_hand import StockAtHand
from peers.core.trader.stock_reports import StockReports
from peers.errors import PostClosed


class OthersEntries:
    """Takes the entries of others into the state of one term, and into what is pending in it."""

    def __init__(
        self,
        ctx: Context,
        state: PostState,
        pending: PendingRequests,
        reports: StockReports,
        at_hand: StockAtHand,
    ) -> None:
        self._ctx = ctx
        self._state = state
        self._pending = pending
        self._reports = reports
        self._at_hand = at_hand

    def take_in(self, entries: Iterable[Entry]) -> int:
        """Takes in entries in the order of the log.

        Returns the last running number of acceptance: what only this trader knows of is numbered on behind theirs."""
        for entry in entries:
            changes = self._state.take_in(entry)
            self._ctx.perform(changes)
            self._at_hand.on_read(changes)
            self._ctx.count("others_entries")
            if isinstance(entry, TradeEntry):
                self._settle(entry)
        return self._pending.renumber(self._state.post.arrival)

    def require_not_waiting(self, request: PurchaseRequest) -> None:
        """Raises PostClosed if the request waits at the post of another area already: it is decided there."""
        waiting = self._state.queue.get(request.request_id)
        if waiting is not None:
            raise _waits_elsewhere(waiting.area)

    def _settle(self, entry: TradeEntry) -> None:
        told: dict[str, list[Outcome]] = {}
        for deposit in entry.deposits:
            self._pending.settle_deposit(deposit)
        for outcome in entry.outcomes:
            self._pending.settle(outcome)
            if outcome.sale is not None:
                told.setdefault(outcome.sale.seller, []).append(outcome)
        for accepted in entry.queued:
            self._pending.refuse_one(accepted.request.request_id, _waits_elsewhere(entry.area))
        for outcome in entry.reversals:
            self._pending.take_back(outcome)
            told.setdefault(outcome.request.buyer, []).append(outcome)
        if entry.recounts:
            self._reports.hear_of(entry)
            self._reports.look_again()
        notify(self._ctx, told)


def notify(ctx: Context, told: Mapping[str, list[Outcome]]) -> None:
    """Tells peers of this area, by name, of sales of their goods, or of purchases that were taken back."""
    for name, sales in told.items():
        customer = ctx.members.get(rank_of(name))
        if customer is not None and customer.up:
            ctx.emit(NotifySales(customer=customer, sales=tuple(sales)))


def _waits_elsewhere(area: str) -> PostClosed:
    return PostClosed(why=f"it waits at the post of {area} already, and is decided there")
