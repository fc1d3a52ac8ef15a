"""Mistakes of traders and customers: asking again, answering, taking over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import msgspec

from peers.core.calls import Buy
from peers.core.commands import NotifySales, Respond
from peers.core.customers.retrying_call import RetryingCall
from peers.core.ledger.log import TradeEntry
from peers.core.ledger.port import AlreadyRecorded, Appended, LedgerAway, Unknown
from peers.core.ledger.post_state import PostState
from peers.core.membership.clocks import LamportClock, VectorClock
from peers.core.names import rank_of
from peers.core.trader.committer import Committer
from peers.core.trader.drafting import EntryDrafter
from peers.core.trader.intake import Intake
from peers.core.trader.pending import PendingRequests
from peers.core.trader.term import TraderTerm
from tests.simulation.planted.mistake import mistake


@mistake(1, 2)
def new_id_at_each_retry() -> Iterator[None]:
    ask = RetryingCall.ask

    def renamed(self: RetryingCall) -> None:
        if isinstance(self.call, Buy) and self.tries:
            request = self.call.request
            again = msgspec.structs.replace(request, request_id=f"{request.request_id}.{self.tries}")
            self.call = Buy(request=again)
        ask(self)

    with patch.object(RetryingCall, "ask", renamed):
        yield


@mistake(1, 2)
def deposit_not_idempotent() -> Iterator[None]:
    """The trader numbers the deposits itself, so asking again deposits again."""
    deposit = Intake.deposit

    def renamed(self: Intake, call_id: int, offer: Any) -> bool:
        return deposit(self, call_id, msgspec.structs.replace(offer, deposit_id=f"{offer.deposit_id}.{call_id}"))

    with patch.object(Intake, "deposit", renamed):
        yield


@mistake(1, 7)
def unknown_taken_as_done() -> Iterator[None]:
    on_ledger = Committer.on_ledger

    def hasty(self: Committer, operation: Any, result: Any) -> Any:
        return on_ledger(self, operation, Appended() if isinstance(result, Unknown) else result)

    with patch.object(Committer, "on_ledger", hasty):
        yield


@mistake(1, 4)
def refusal_taken_as_failed() -> Iterator[None]:
    """What is recorded already is tried again for ever, instead of answered."""
    on_ledger = Committer.on_ledger

    def hasty(self: Committer, operation: Any, result: Any) -> Any:
        return on_ledger(self, operation, LedgerAway(why="again") if isinstance(result, AlreadyRecorded) else result)

    with patch.object(Committer, "on_ledger", hasty):
        yield


@mistake(1, 2)
def answer_before_append() -> Iterator[None]:
    next_entry = EntryDrafter.next_entry

    def hasty(self: EntryDrafter, sales: int) -> TradeEntry:
        entry = next_entry(self, sales)
        for outcome in entry.outcomes:
            pending = self._pending._requests[outcome.request.request_id]
            for call_id in pending.callers:
                self._ctx.emit(Respond(call_id=call_id, reply=outcome))
            pending.callers = []
        return entry

    with patch.object(EntryDrafter, "next_entry", hasty):
        yield


@mistake(1, 2)
def seller_told_before_append() -> Iterator[None]:
    next_entry = EntryDrafter.next_entry

    def hasty(self: EntryDrafter, sales: int) -> TradeEntry:
        entry = next_entry(self, sales)
        for outcome in entry.outcomes:
            sale = outcome.sale
            seller = self._ctx.members.get(rank_of(sale.seller)) if sale is not None else None
            if seller is not None:
                self._ctx.emit(NotifySales(customer=seller, sales=(outcome,)))
        return entry

    with patch.object(EntryDrafter, "next_entry", hasty):
        yield


@mistake(1, 6)
def tie_broken_by_arrival() -> Iterator[None]:
    """First come, first served, whatever the clocks say."""

    def in_order(self: PendingRequests) -> Any:
        return sorted(self._requests.values(), key=lambda pending: pending.accepted.arrival)

    with patch.object(PendingRequests, "in_order", in_order):
        yield


@mistake(3, 6)
def successor_forgets_the_queue() -> Iterator[None]:
    begin = TraderTerm.__init__

    def forgetful(self: TraderTerm, ctx: Any, state: PostState, *seat: Any, **certain: Any) -> None:
        state.queue.clear()
        begin(self, ctx, state, *seat, **certain)

    with patch.object(TraderTerm, "__init__", forgetful):
        yield


@mistake(1, 2)
def successor_counts_from_one() -> Iterator[None]:
    begin = TraderTerm.__init__

    def forgetful(self: TraderTerm, ctx: Any, state: PostState, *seat: Any, **certain: Any) -> None:
        state.post = msgspec.structs.replace(state.post, seq=0)
        begin(self, ctx, state, *seat, **certain)

    with patch.object(TraderTerm, "__init__", forgetful):
        yield


@mistake(1, 3)
def clock_not_merged() -> Iterator[None]:
    def deaf(*_: Any) -> bool:
        return False

    with patch.object(LamportClock, "merge", deaf), patch.object(VectorClock, "merge", deaf):
        yield
