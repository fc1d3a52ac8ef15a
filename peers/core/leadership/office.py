"""What one peer has to do with one post: a bid for it in the log, then a term in it, or neither.

The post may be that of its own area (`incumbency`), or of another whose trader is gone (`fellows`).
"""

from __future__ import annotations

from peers.core.calls import AsOf
from peers.core.inputs import CallerLeft, LedgerReplied
from peers.core.messages import StockNews
from peers.core.trader.taking_office import Lost, TakingOffice, Won
from peers.core.trader.term import TraderTerm


class Office:
    """One post. There is a bid or a term, never both; what comes in goes to the one there is."""

    def __init__(self) -> None:
        self._bid: TakingOffice | None = None
        self._term: TraderTerm | None = None

    def on_ledger(self, event: LedgerReplied) -> Won | Lost | None:
        """Takes in what the ledger says; returns how the bid ended, if it did now."""
        if self._term is not None:
            self._term.on_ledger(event.operation, event.result)
        elif self._bid is not None:
            ended = self._bid.on_ledger(event.operation, event.result)
            if ended is not None:
                self._bid = None
            return ended
        return None

    def as_of(self, area: str) -> AsOf | None:
        """How far the trader of `area` ("": whichever this is) has read, None while there is no term of that."""
        term = self._term
        return term.as_of if term is not None and area in ("", term.area) else None

    def on_caller_left(self, event: CallerLeft) -> None:
        if self._term is not None:
            self._term.on_caller_left(event.call_id)

    def on_stock_news(self, news: StockNews) -> None:
        """A trader of another area tells what an entry of its own left of the stock."""
        if self._term is not None:
            self._term.on_stock_news(news)

    def follow(self) -> None:
        """Reads what traders of other areas have written. To be called with each heartbeat."""
        if self._term is not None:
            self._term.follow()

    def repeat(self, after_s: float) -> None:
        """Has another thread write what is under way, if it has had no answer for `after_s`."""
        office = self._term if self._term is not None else self._bid
        if office is not None:
            office.repeat(after_s)

    @property
    def is_held(self) -> bool:
        """Whether what is under way gets no answer, whichever thread writes it."""
        office = self._term if self._term is not None else self._bid
        return office is not None and office.is_held

    def on_ledger_timer(self) -> None:
        if self._bid is not None:
            self._bid.on_timer()
        elif self._term is not None:
            self._term.on_ledger_timer()

    def on_gather_timer(self) -> None:
        if self._term is not None:
            self._term.on_gather_timer()
