"""The goods that were certainly on the shelf at each sale, played again: part of `lowest_clock_first`."""

from __future__ import annotations

from bisect import bisect_left, insort
from heapq import heappop, heappush
from itertools import count

from db.audit.checkers.log_checks import Terms, pass_over
from db.audit.leases import LeaseBook
from db.audit.log_rows import EntryRow
from db.audit.rows import DepositRow, RequestRow, derived_order

_LONGEST_LOOK = 256
"""The most deposits looked at for one sale: many that hold too little must not make an audit quadratic."""


class _Shelved:
    """A deposit during the replay: what it held as the sales went by."""

    __slots__ = (
        "area", "deposited_at", "held", "id", "item", "on_shelf", "order", "quantity", "remaining", "seller", "term",
    )  # fmt: skip

    def __init__(self, row: DepositRow, order: str, quantity: int) -> None:
        self.id, self.order, self.item, self.seller = row.id, order, row.item, row.seller
        self.term, self.deposited_at, self.area = row.term, row.deposited_at, row.area
        self.quantity = self.held = quantity
        self.remaining = row.remaining
        self.on_shelf = False


class ShelfReplay:
    """The goods, played again: of each item the deposits that were certainly there, lowest order first."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.folded = False
        """Whether a log says what was left, so that every account adds up."""
        self._deposits: dict[str, _Shelved] = {}
        self._items: dict[str | None, list[tuple[str, str]]] = {}
        # By area.
        self._to_come: dict[str, list[tuple[int, int, _Shelved]]] = {}
        self._terms = Terms(pass_over)
        self._leases = LeaseBook()
        # Whether entries were cut, so that nobody knows what was leased.
        self._is_cut = False
        self._count = count()
        self._suspects: list[tuple[str, _Shelved, str]] = []
        self._cut_short = 0

    def entry(self, row: EntryRow) -> None:
        """Takes in an entry of the log, before what it decides."""
        self.folded = True
        self._terms.entry(row)
        self._leases.begin(row)
        self._is_cut |= row.cut

    def deposit(self, row: DepositRow) -> None:
        """Takes in a deposit. When one was counted anew that the books alone tell of, nobody can say."""
        order = derived_order(row.clock, row.seller, row.id) or row.order
        if order is not None and row.quantity is not None and not row.written_off:
            shelved = self._deposits[row.id] = _Shelved(row, order, row.quantity)
            if row.term is not None:
                heappush(self._to_come.setdefault(row.area, []), (row.term, next(self._count), shelved))

    def recount(self, row: DepositRow) -> None:
        """A deposit was counted anew, before anything is sold out of it: it holds what the log says."""
        shelved = self._deposits.get(row.id)
        self._leases.drop(row.id)
        if shelved is not None and row.remaining is not None:
            shelved.held = row.remaining
            if shelved.held > 0:
                self._put_on_shelf(shelved)
            else:
                self._take_off(shelved)

    def sale(self, row: RequestRow) -> None:
        chosen = self._deposits.get(row.deposit or "")
        if chosen is None or row.quantity is None or row.term is None:
            return  # `no_oversell` and `decided_once` report it.
        self._stock_up(row.area, row.term)
        self._look_below(row, row.quantity, chosen)
        self._put_on_shelf(chosen)
        self._leases.draw(row, chosen.held)
        chosen.held -= row.quantity
        if chosen.held <= 0:
            self._take_off(chosen)

    def refusal(self, row: RequestRow) -> None:
        """A request found nothing. So nothing that was certainly there was enough, unless a cache had refused it."""
        if not self.folded or row.foretold == "refused" or row.quantity is None or row.term is None:
            return
        self._stock_up(row.area, row.term)
        neutral = self._neutral(row)
        if row.buyer == row.trader or row.buyer in self._terms.in_office():
            return
        for _, deposit_id in self._items.get(row.item, [])[:_LONGEST_LOOK]:
            there = self._deposits[deposit_id]
            if self._free(there, row) >= row.quantity and there.seller not in neutral and _before(there, row):
                what = f"seq {row.seq} found nothing, although {there.id} of {there.seller} held {there.held}"
                self._suspects.append((row.id, there, what))
                return

    def _free(self, deposit: _Shelved, row: RequestRow) -> int:
        """How much of a deposit was there for everybody; nothing where nobody knows."""
        return 0 if self._is_cut and row.area else deposit.held - self._leases.reserved(deposit.id)

    def _neutral(self, row: RequestRow) -> set[str | None]:
        """Those who sell nothing to the buyer: itself, and who is in office."""
        return {row.buyer, row.trader, *(self._terms.in_office() if row.area else ())}

    def judge(self) -> list[tuple[tuple[str, ...], str]]:
        """Returns the documents and words of each violation that is certain."""
        if self._cut_short:
            self.notes.append(f"for {self._cut_short} sales not every lower deposit was looked at")
        return [
            ((request, lower.id), what)
            for request, lower, what in self._suspects
            if self.folded or (lower.remaining is not None and lower.held == lower.remaining)
        ]

    def _look_below(self, row: RequestRow, quantity: int, chosen: _Shelved) -> None:
        shelf = self._items.get(chosen.item, [])
        neutral = self._neutral(row)
        for looked_at, (order, deposit_id) in enumerate(shelf):
            if order >= chosen.order:
                return
            if looked_at == _LONGEST_LOOK:
                self._cut_short += 1
                return
            lower = self._deposits[deposit_id]
            if self._free(lower, row) < quantity or lower.seller in neutral or not _before(lower, row):
                continue
            what = (
                f"seq {row.seq} was sold out of {chosen.id} (order {chosen.order}) although {lower.id} of "
                f"{lower.seller}, with a lower order ({lower.order}), held {lower.held} of the {quantity} wanted"
            )
            self._suspects.append((row.id, lower, what))
            return

    def _stock_up(self, area: str, term: int) -> None:
        """Puts on the shelf what was deposited under earlier terms: it was there when the trader of `term` began."""
        to_come = self._to_come.get(area)
        while to_come and to_come[0][0] < term:
            self._put_on_shelf(heappop(to_come)[2])

    def _put_on_shelf(self, deposit: _Shelved) -> None:
        if not deposit.on_shelf and deposit.held > 0:
            deposit.on_shelf = True
            insort(self._items.setdefault(deposit.item, []), (deposit.order, deposit.id))

    def _take_off(self, deposit: _Shelved) -> None:
        if deposit.on_shelf:
            deposit.on_shelf = False
            shelf = self._items[deposit.item]
            del shelf[bisect_left(shelf, (deposit.order, deposit.id))]


def _before(deposit: _Shelved, sale: RequestRow) -> bool:
    """Whether a deposit was there at a sale by its times too, so that a wrong term in the sale does not accuse."""
    if (deposit.area, deposit.term) == (sale.area, sale.term):
        return True
    times = (deposit.deposited_at, sale.decided_at)
    return None not in times and (deposit.deposited_at or 0) <= (sale.decided_at or 0)
