"""Mistakes in undoing sales that a seller cannot honour."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import msgspec

from db.ledger.memory import MemoryLedger
from peers.core.calls import ReportStock
from peers.core.customers.retrying_call import RetryingCall
from peers.core.customers.reversal_watch import ReversalWatch
from peers.core.customers.seller import Seller
from peers.core.ledger.log import TradeEntry
from peers.core.ledger.port import Append
from peers.core.ledger.post_state import PostState
from peers.core.market.records import Outcome
from peers.core.reports import GotBack
from peers.core.trader.stock_reports import StockReports
from tests.simulation.planted.mistake import mistake


@mistake(3, 4)
def money_not_given_back() -> Iterator[None]:
    """The trader keeps its commission of a sale that is undone."""
    take_back = StockReports._take_back

    def keeping(self: StockReports, outcome: Outcome, number: int) -> Outcome:
        undone = take_back(self, outcome, number)
        assert undone.taken_back is not None
        kept = msgspec.structs.replace(undone.taken_back, commission=Decimal("0.00"))
        return msgspec.structs.replace(undone, taken_back=kept)

    with patch.object(StockReports, "_take_back", keeping):
        yield


@mistake(3, 4)
def goods_given_back_twice() -> Iterator[None]:
    """What comes back to a deposit is counted twice."""
    draw_one = StockReports._draw_one

    def generous(self: StockReports, report: Any, before: int) -> Any:
        drawn = draw_one(self, report, before)
        if drawn is None or not drawn[1].returned:
            return drawn
        reversals, recount = drawn
        more = msgspec.structs.replace(recount.deposit, remaining=recount.deposit.remaining + recount.returned)
        return reversals, msgspec.structs.replace(recount, deposit=more, returned=2 * recount.returned)

    with patch.object(StockReports, "_draw_one", generous):
        yield


@mistake(217)
def taken_back_once_more_for_each_asking() -> Iterator[None]:
    """Neither the trader nor the log looks whether a sale was taken back before."""
    draw_one, append = StockReports._draw_one, MemoryLedger._append

    def forgetful(self: StockReports, report: Any, before: int) -> Any:
        outcomes = tuple(msgspec.structs.replace(each, taken_back=None) for each in report.found.outcomes)
        known, report.found = report.found, msgspec.structs.replace(report.found, outcomes=outcomes)
        try:
            return draw_one(self, report, before)
        finally:
            report.found = known

    def unchecked(self: MemoryLedger, operation: Append) -> Any:
        known, self.index.reversals = self.index.reversals, []
        try:
            return append(self, operation)
        finally:
            self.index.reversals = known + self.index.reversals

    def unquestioned(*_: Any) -> None:
        pass

    with (
        patch.object(StockReports, "_draw_one", forgetful),
        patch.object(MemoryLedger, "_append", unchecked),
        patch("peers.core.trader.stock_reports._check", unquestioned),
    ):
        yield


@mistake(3, 4)
def buyer_never_told() -> Iterator[None]:
    """A buyer takes no notice of what was taken back."""
    hear = ReversalWatch.hear

    def deaf(self: ReversalWatch, outcomes: Any) -> None:
        hear(self, [each for each in outcomes if each.request.buyer != self._ctx.name])

    with patch.object(ReversalWatch, "hear", deaf):
        yield


@mistake(26, 39)
def nobody_asks_what_was_taken_back() -> Iterator[None]:
    """Whoever misses the trader's word of a reversal never learns of it."""

    def idle(_: ReversalWatch) -> None:
        pass

    with patch.object(ReversalWatch, "look", idle):
        yield


@mistake(3, 4)
def told_of_a_reversal_before_it_stands() -> Iterator[None]:
    """The buyer is told as soon as the entry is drawn up."""
    draw = StockReports.draw

    def hasty(self: StockReports, room: Any) -> Any:
        drawn = draw(self, room)
        for outcome in drawn[0]:
            self._ctx.say(GotBack(peer=outcome.request.buyer, outcome=outcome))
        return drawn

    with patch.object(StockReports, "draw", hasty):
        yield


@mistake(61)
def seller_asks_once() -> Iterator[None]:
    """A seller that gets no answer does not ask again for a sale to be taken back."""
    on_reply, report = RetryingCall.on_reply, Seller.on_period_timer

    def impatient(self: RetryingCall, reply: Any) -> Any:
        asked = self.call
        ended = on_reply(self, reply)
        if ended is None and isinstance(asked, ReportStock):
            self.call = None
            self._ctx.cancel_timer(self._timer)
        return ended

    def forgetful(self: Seller) -> None:
        self._unfilled.clear()
        report(self)

    with patch.object(RetryingCall, "on_reply", impatient), patch.object(Seller, "on_period_timer", forgetful):
        yield


@mistake(2, 3)
def nothing_is_written_off() -> Iterator[None]:
    """The fold keeps on offer what a seller has lost."""
    recount = PostState._recount

    def blind(self: PostState, entry: TradeEntry, torn: bool, touched: dict[str, None]) -> Any:
        whole = [
            msgspec.structs.replace(
                each,
                deposit=msgspec.structs.replace(each.deposit, remaining=each.deposit.remaining + each.written_off),
                written_off=0,
            )
            for each in entry.recounts
        ]
        return recount(self, msgspec.structs.replace(entry, recounts=tuple(whole)), torn, touched)

    with patch.object(PostState, "_recount", blind):
        yield
