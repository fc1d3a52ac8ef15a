"""Draws up the next entry of a term: what is pending, decided in order on a draft of the stock.

What an entry has no room for, and has waited for `queue_after_s`, is queued in the same entry. The state stays as it
is: it changes when the entry stands.
"""

from __future__ import annotations

from peers.core.context import Context
from peers.core.ledger.log import Recount, TradeEntry
from peers.core.ledger.post_state import PostState
from peers.core.market.records import Accepted, Deposit, Outcome
from peers.core.market.resignation import sales_to_go
from peers.core.market.rules import decide
from peers.core.market.stock import Draft
from peers.core.trader.pending import PendingRequest, PendingRequests
from peers.core.trader.stock_reports import StockReports

_SOON_S = 1e-6
"""A request counts as late by so much too soon, for the rounding of a timer may bring it too early."""


class EntryDrafter:
    """Draws up the entries of one term."""

    def __init__(self, ctx: Context, state: PostState, pending: PendingRequests, reports: StockReports) -> None:
        self._ctx = ctx
        self._state = state
        self._pending = pending
        self._reports = reports
        self._term = state.post.term

    def next_entry(self, sales: int) -> TradeEntry:
        """Returns what is pending, decided as far as there is room, in a term that has made `sales` so far."""
        now_ms = self._ctx.now.wall_ms
        deposits = tuple(
            Deposit(offer=offer, remaining=offer.quantity, deposited_at_ms=now_ms, term=self._term)
            for offer in self._pending.offers()
        )
        reversals, recounts = self._reports.draw()
        waiting = self._pending.in_order()
        outcomes = self._decide_in_order(waiting, deposits, recounts, sales)
        ripe_s = self._ctx.now.mono_s - self._ctx.settings.timing.queue_after_s + _SOON_S
        late = [each for each in waiting[len(outcomes) :] if not each.queued and each.since_s <= ripe_s]
        new = [each for each in waiting[: len(outcomes)] if not each.queued] + late
        return self.entry(
            deposits=deposits,
            outcomes=tuple(outcomes),
            queued=tuple(each.accepted for each in late),
            new_requests=tuple(each.accepted.request.request_id for each in new),
            reversals=reversals,
            recounts=recounts,
        )

    def entry(
        self,
        *,
        deposits: tuple[Deposit, ...] = (),
        outcomes: tuple[Outcome, ...] = (),
        queued: tuple[Accepted, ...] = (),
        new_requests: tuple[str, ...] | None = None,
        reversals: tuple[Outcome, ...] = (),
        recounts: tuple[Recount, ...] = (),
    ) -> TradeEntry:
        """Returns an entry of this term; unless given, `new_requests` are the ids of `queued`."""
        if new_requests is None:
            new_requests = tuple(accepted.request.request_id for accepted in queued)
        return TradeEntry(
            entry_id=self._ctx.next_entry_id(),
            term=self._term,
            trader=self._ctx.name,
            written_at_ms=self._ctx.now.wall_ms,
            deposits=deposits,
            outcomes=outcomes,
            queued=queued,
            new_requests=new_requests,
            reversals=reversals,
            recounts=recounts,
        )

    def _decide_in_order(
        self,
        waiting: list[PendingRequest],
        deposits: tuple[Deposit, ...],
        recounts: tuple[Recount, ...],
        sales: int,
    ) -> list[Outcome]:
        market, timing = self._ctx.settings.market, self._ctx.settings.timing
        to_go = sales_to_go(sales, market.resign_after_sales, at_most=timing.max_batch)
        goods = Draft(self._state.stock, deposits, (recount.deposit for recount in recounts))
        outcomes: list[Outcome] = []
        for pending in waiting:
            if len(outcomes) == timing.max_batch or to_go <= 0:
                break
            outcome = decide(
                pending.accepted,
                goods,
                seq=self._state.post.seq + len(outcomes) + 1,
                term=self._term,
                trader=self._ctx.name,
                now_ms=self._ctx.now.wall_ms,
                commission_rate=market.commission_rate,
            )
            outcomes.append(outcome)
            to_go -= outcome.sale is not None
        return outcomes
