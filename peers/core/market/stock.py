"""The goods that are deposited and on offer, and what they would be after decisions not recorded yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from peers.core.market.records import Deposit, Lease
from peers.core.market.runs import Key, Run, Runs


class Stock:
    """The goods deposited, by item, lowest sort key first. Holds only deposits that hold something."""

    def __init__(self, deposits: Iterable[Deposit] = ()) -> None:
        self._deposits: dict[str, Deposit] = {}
        self._left: dict[str, int] = {}
        self._by_item: dict[str, Runs] = {}
        # By deposit and area, how many units are set aside.
        self._leases: dict[str, dict[str, int]] = {}
        for deposit in deposits:
            self.add(deposit)

    def get(self, deposit_id: str) -> Deposit | None:
        """Returns a deposit that holds something, `remaining` as of now."""
        return self._as_it_is(deposit_id) if deposit_id in self._deposits else None

    def _as_it_is(self, deposit_id: str) -> Deposit:
        deposit, left = self._deposits[deposit_id], self._left[deposit_id]
        leases = self._leases.get(deposit_id)
        if not leases and not deposit.leases:
            return msgspec.structs.replace(deposit, remaining=left)
        listed = tuple(Lease(area=area, units=units) for area, units in sorted((leases or {}).items()))
        return msgspec.structs.replace(deposit, remaining=left, leases=listed)

    def add(self, deposit: Deposit) -> None:
        """Puts a deposit on offer; one that is there already, or is empty, changes nothing."""
        offer = deposit.offer
        if offer.deposit_id in self._deposits or deposit.remaining == 0:
            return
        self._deposits[offer.deposit_id] = deposit
        self._left[offer.deposit_id] = deposit.remaining
        if deposit.leases:
            self._leases[offer.deposit_id] = {lease.area: lease.units for lease in deposit.leases}
        self._by_item.setdefault(offer.item, Runs()).add(key_of(deposit), deposit.remaining)

    def take(self, deposit: Deposit, quantity: int, leased_to: str | None = None) -> None:
        """Takes `quantity` out of a deposit that holds as much, or out of what of it is leased to an area.

        An emptied deposit is gone."""
        deposit_id = deposit.offer.deposit_id
        if leased_to is not None:
            self.lease(deposit_id, leased_to, self.leased(deposit_id, leased_to) - quantity)
        left = self._left[deposit_id]
        if left == quantity:
            self._remove(deposit_id)
        else:
            self._left[deposit_id] = left - quantity
            self._by_item[deposit.offer.item].lower(key_of(deposit), left)

    def leased(self, deposit_id: str, area: str | None = None) -> int:
        """Returns how many units of a deposit are leased, to one area or to all."""
        leases = self._leases.get(deposit_id)
        if not leases:
            return 0
        return sum(leases.values()) if area is None else leases.get(area, 0)

    def lease(self, deposit_id: str, area: str, units: int) -> None:
        """Sets so many units of a deposit aside for an area, instead of what it had."""
        leases = self._leases.setdefault(deposit_id, {})
        leases.pop(area, None)
        if units:
            leases[area] = units
        elif not leases:
            del self._leases[deposit_id]

    def leased_to(self, area: str) -> list[str]:
        """Returns the ids of the deposits of which something is leased to an area."""
        return [deposit_id for deposit_id, leases in self._leases.items() if area in leases]

    def items(self) -> list[str]:
        """Returns what there is, by name."""
        return sorted(item for item, runs in self._by_item.items() if runs.each)

    def recount(self, deposit: Deposit) -> None:
        """Has a deposit hold what it says now, whatever it held before; an emptied one is gone."""
        if deposit.offer.deposit_id in self._deposits:
            self._remove(deposit.offer.deposit_id)
        self.add(deposit)

    def _remove(self, deposit_id: str) -> None:
        gone = self._deposits.pop(deposit_id)
        left = self._left.pop(deposit_id)
        self._leases.pop(deposit_id, None)
        self._by_item[gone.offer.item].remove(key_of(gone), left)

    def runs(self, item: str) -> Sequence[Run]:
        """Returns the deposits of `item`, lowest first, in runs. Not to be changed."""
        runs = self._by_item.get(item)
        return () if runs is None else runs.each

    def run_of(self, deposit: Deposit) -> Run:
        """Returns the run that a deposit, which holds something, is in."""
        return self._by_item[deposit.offer.item].of(key_of(deposit))

    def most_in(self, run: Run) -> int:
        """Returns how many units the deposits of a run hold at most, each of them."""
        if run.most is None:
            run.most = max(self._left[deposit_id] for _, deposit_id in run.keys)
        return run.most

    def that_may_hold(self, item: str, quantity: int) -> Iterator[str]:
        """Gives the deposits of `item`, lowest sort key first, but for runs of which none holds so much."""
        for run in self.runs(item):
            if self.most_in(run) >= quantity:
                yield from (deposit_id for _, deposit_id in run.keys)

    def holding(self, deposit_id: str) -> tuple[Deposit, int]:
        """Returns a deposit as it was added, and what it holds now; KeyError if it holds nothing."""
        return self._deposits[deposit_id], self._left[deposit_id]

    def on_offer(self, item: str | None = None) -> tuple[Deposit, ...]:
        """Returns what is there (of `item`, or of all), lowest sort key first in an item, `remaining` as of now."""
        keys = [item] if item is not None else sorted(self._by_item)
        return tuple(self._as_it_is(deposit_id) for key in keys for _, deposit_id in self._by_item.get(key, ()))


def key_of(deposit: Deposit) -> Key:
    """Returns the key by which deposits are in order, lowest first."""
    return deposit.offer.sort_key, deposit.offer.deposit_id


class Draft:
    """What a stock would hold after decisions that are not recorded yet. The stock itself stays as it is.

    `incoming` are deposits that it does not have yet, and `recounted` are some as they were counted anew: it may have
    these already, or have none of them left.
    """

    def __init__(self, stock: Stock, incoming: Iterable[Deposit] = (), recounted: Iterable[Deposit] = ()) -> None:
        self._stocks = stock, Stock(incoming)
        # By deposit, how much less there is of it than `_stocks` say; below 0 where there is more.
        self._taken: dict[str, int] = {}
        # By deposit, how much of what is leased to the trader at work was sold; and those leased to nobody any more.
        self._used: dict[str, int] = {}
        self._freed: set[str] = set()
        # How much is free at most of any deposit in a run, and of any that is not of these sellers, where it was
        # counted here. It stays so, for a draft only gets emptier.
        self._most: dict[Run, int] = {}
        self._most_but_of: dict[tuple[Run, tuple[str, ...]], int] = {}
        for deposit in recounted:
            self._freed.add(deposit.offer.deposit_id)
            known = stock.get(deposit.offer.deposit_id)
            if known is None:
                self._stocks[1].add(deposit)
            else:
                self._taken[deposit.offer.deposit_id] = known.remaining - deposit.remaining
                run = stock.run_of(known)
                self._most[run] = max(self._most_in(stock, run), deposit.remaining)

    def find(
        self, item: str, quantity: int, excluded: tuple[str, ...], pinned: str | None = None, area: str = ""
    ) -> Deposit | None:
        """Returns the deposit that sells: the lowest sort key that holds enough and is not of `excluded` sellers.

        What is leased does not count; but where no other holds enough, `pinned` sells what is leased to `area`."""
        found = [self._lowest(stock, item, quantity, excluded) for stock in self._stocks]
        lowest = min((each for each in found if each is not None), key=key_of, default=None)
        if lowest is not None:
            return lowest
        if pinned is not None and self.leased(pinned, area) >= quantity:
            deposit, _ = self._stocks[0].holding(pinned)
            return deposit if deposit.offer.seller not in excluded else None
        return None

    def _lowest(self, stock: Stock, item: str, quantity: int, excluded: tuple[str, ...]) -> Deposit | None:
        """Returns the lowest that suits. What is found out of a run that has none is kept for the next request."""
        for run in stock.runs(item):
            if self._most_in(stock, run) < quantity or self._most_but_of.get((run, excluded), quantity) < quantity:
                continue
            most = most_but_of = 0
            for _, deposit_id in run.keys:
                deposit, left = stock.holding(deposit_id)
                free = left - self._taken.get(deposit_id, 0) - self._reserved(deposit_id)
                most = max(most, free)
                if deposit.offer.seller not in excluded:
                    if free >= quantity:
                        return deposit
                    most_but_of = max(most_but_of, free)
            self._most[run] = most
            self._most_but_of[run, excluded] = most_but_of
        return None

    def _most_in(self, stock: Stock, run: Run) -> int:
        most = self._most.get(run)
        return stock.most_in(run) if most is None else most

    def that_may_have_free(self, item: str, quantity: int) -> Iterator[str]:
        """Gives the deposits of the stock, lowest sort key first, but for runs of which none has so much free."""
        for run in self._stocks[0].runs(item):
            if self._most_in(self._stocks[0], run) >= quantity:
                yield from (deposit_id for _, deposit_id in run.keys)

    def free(self, deposit_id: str) -> int:
        """Returns how much of a deposit of the stock is there for everybody; 0 where there is none."""
        deposit = self._stocks[0].get(deposit_id)
        left = 0 if deposit is None else deposit.remaining - self._taken.get(deposit_id, 0)
        return left - self._reserved(deposit_id)

    def leased(self, deposit_id: str, area: str) -> int:
        """Returns how much of a deposit is still leased to the area of the trader at work."""
        if deposit_id in self._freed:
            return 0
        return self._stocks[0].leased(deposit_id, area) - self._used.get(deposit_id, 0)

    def _reserved(self, deposit_id: str) -> int:
        if deposit_id in self._freed:
            return 0
        return self._stocks[0].leased(deposit_id) - self._used.get(deposit_id, 0)

    def take(self, deposit: Deposit, quantity: int) -> None:
        """Takes `quantity` out of a deposit found before: of what is leased, if there is not enough besides."""
        deposit_id = deposit.offer.deposit_id
        if self._stocks[0].leased(deposit_id) and self.free(deposit_id) < quantity:
            self._used[deposit_id] = self._used.get(deposit_id, 0) + quantity
        self._taken[deposit_id] = self._taken.get(deposit_id, 0) + quantity
