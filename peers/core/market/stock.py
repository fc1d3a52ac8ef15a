"""The goods that are deposited and on offer, and what they would be after decisions not recorded yet."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from heapq import merge

import msgspec

from peers.core.market.records import Deposit


class Stock:
    """The goods deposited, by item, lowest sort key first. Holds only deposits that hold something."""

    def __init__(self, deposits: Iterable[Deposit] = ()) -> None:
        self._deposits: dict[str, Deposit] = {}
        self._left: dict[str, int] = {}
        self._by_item: dict[str, list[tuple[str, str]]] = {}
        for deposit in deposits:
            self.add(deposit)

    def get(self, deposit_id: str) -> Deposit | None:
        """Returns a deposit that holds something, `remaining` as of now."""
        deposit = self._deposits.get(deposit_id)
        return deposit and msgspec.structs.replace(deposit, remaining=self._left[deposit_id])

    def add(self, deposit: Deposit) -> None:
        """Puts a deposit on offer; one that is there already, or is empty, changes nothing."""
        offer = deposit.offer
        if offer.deposit_id in self._deposits or deposit.remaining == 0:
            return
        self._deposits[offer.deposit_id] = deposit
        self._left[offer.deposit_id] = deposit.remaining
        insort(self._by_item.setdefault(offer.item, []), (offer.sort_key, offer.deposit_id))

    def take(self, deposit: Deposit, quantity: int) -> None:
        """Takes `quantity` out of a deposit that holds as much; an emptied one is gone."""
        deposit_id = deposit.offer.deposit_id
        self._left[deposit_id] -= quantity
        if self._left[deposit_id] == 0:
            self._remove(deposit_id)

    def recount(self, deposit: Deposit) -> None:
        """Has a deposit hold what it says now, whatever it held before; an emptied one is gone."""
        if deposit.offer.deposit_id in self._deposits:
            self._remove(deposit.offer.deposit_id)
        self.add(deposit)

    def _remove(self, deposit_id: str) -> None:
        gone = self._deposits.pop(deposit_id)
        self._left.pop(deposit_id)
        self._by_item[gone.offer.item].remove((gone.offer.sort_key, deposit_id))

    def in_order(self, item: str) -> list[tuple[str, str]]:
        """Returns sort key and id of the deposits of `item`, lowest first. Not to be changed."""
        return self._by_item.get(item, [])

    def holding(self, deposit_id: str) -> tuple[Deposit, int]:
        """Returns a deposit as it was added, and what it holds now; KeyError if it holds nothing."""
        return self._deposits[deposit_id], self._left[deposit_id]

    def on_offer(self, item: str | None = None) -> tuple[Deposit, ...]:
        """Returns what is there (of `item`, or of all), lowest sort key first in an item, `remaining` as of now."""
        keys = [item] if item is not None else sorted(self._by_item)
        return tuple(
            msgspec.structs.replace(self._deposits[deposit_id], remaining=self._left[deposit_id])
            for key in keys
            for _, deposit_id in self._by_item.get(key, ())
        )


class Draft:
    """What a stock would hold after decisions that are not recorded yet. The stock itself stays as it is.

    `incoming` are deposits that it does not have yet, and `recounted` are some as they were counted anew: it may have
    these already, or have none of them left.
    """

    def __init__(self, stock: Stock, incoming: Iterable[Deposit] = (), recounted: Iterable[Deposit] = ()) -> None:
        self._stocks = stock, Stock(incoming)
        # By deposit, how much less there is of it than `_stocks` say; below 0 where there is more.
        self._taken: dict[str, int] = {}
        for deposit in recounted:
            known = stock.get(deposit.offer.deposit_id)
            if known is None:
                self._stocks[1].add(deposit)
            else:
                self._taken[deposit.offer.deposit_id] = known.remaining - deposit.remaining

    def find(self, item: str, quantity: int, excluded: tuple[str, ...]) -> Deposit | None:
        """Returns the deposit that sells: the lowest sort key that holds enough and is not of `excluded` sellers."""
        stock, incoming = self._stocks
        keys: Iterable[tuple[str, str]] = stock.in_order(item)
        if new := incoming.in_order(item):
            keys = merge(keys, new)
        for key in keys:
            deposit, left = (incoming if key in new else stock).holding(key[1])
            if left - self._taken.get(key[1], 0) >= quantity and deposit.offer.seller not in excluded:
                return deposit
        return None

    def take(self, deposit: Deposit, quantity: int) -> None:
        """Takes `quantity` out of a deposit found before."""
        deposit_id = deposit.offer.deposit_id
        self._taken[deposit_id] = self._taken.get(deposit_id, 0) + quantity
