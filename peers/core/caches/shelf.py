"""The goods as a cache has them: what it was told last of each deposit, less what was promised out of it.

News of a deposit say what is left of it after an entry, so the news of the latest entry count, in whatever order they
come. That somebody was promised something takes it off the shelf here and nowhere else.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from peers.core.ledger.log import NOWHERE
from peers.core.market.records import Deposit, PurchaseRequest
from peers.core.market.stock import Stock

_REMEMBERED = 4096
"""So many of the last deposits that were emptied are remembered, so that late news does not bring them back."""


class Shelf:
    """The goods after the entry at `place`, as far as is known."""

    def __init__(self, goods: Iterable[Deposit] = (), place: int = NOWHERE) -> None:
        self._stock = Stock(goods)
        self._place = place
        # By deposit, the entry of which its news is, where that is later than `_place`.
        self._at: OrderedDict[str, int] = OrderedDict()
        # By request, the deposit that something was promised out of, and how many units.
        self._promised: dict[str, tuple[str, int]] = {}
        # By deposit, how many units are promised.
        self._held: dict[str, int] = {}

    def reset(self, goods: Iterable[Deposit], place: int) -> None:
        """Has the goods as they are after the entry at `place`. What was promised stays promised."""
        self._stock, self._place = Stock(goods), place
        self._at.clear()

    def update(self, deposits: Iterable[Deposit], place: int) -> None:
        """Takes in what the entry at `place` left of these deposits."""
        for deposit in deposits:
            deposit_id = deposit.offer.deposit_id
            if self._at.get(deposit_id, self._place) < place:
                self._stock.recount(deposit)
                self._at[deposit_id] = place
                self._at.move_to_end(deposit_id)
        while len(self._at) > _REMEMBERED:
            self._at.popitem(last=False)

    def on_offer(self, item: str | None) -> tuple[Deposit, ...]:
        """Returns what is there (of `item`, or of all), lowest sort key first in an item."""
        return self._stock.on_offer(item)

    def promise(self, request: PurchaseRequest, excluded: tuple[str, ...]) -> bool:
        """Promises what is asked for out of the first deposit that has enough and is not of `excluded` sellers.

        Returns whether there was one."""
        for deposit_id in self._stock.that_may_hold(request.item, request.quantity):
            deposit, left = self._stock.holding(deposit_id)
            if left - self._held.get(deposit_id, 0) >= request.quantity and deposit.offer.seller not in excluded:
                self._promised[request.request_id] = deposit_id, request.quantity
                self._held[deposit_id] = self._held.get(deposit_id, 0) + request.quantity
                return True
        return False

    def release(self, request_id: str) -> None:
        """What was promised for a request is promised no more: it has an outcome, or waits elsewhere."""
        deposit_id, quantity = self._promised.pop(request_id, ("", 0))
        if quantity:
            self._held[deposit_id] -= quantity
            if not self._held[deposit_id]:
                del self._held[deposit_id]
