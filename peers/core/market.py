"""The market's one rule: who gets what, from whom, at what price. Pure decisions over goods at hand.

Requests are decided lowest order first; of the sellers that hold enough of the item, the one with the lowest
order sells. Nobody buys from itself, and the trader in office neither buys nor sells.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from decimal import Decimal

import msgspec

from peers.core.money import split
from peers.core.records import Accepted, Deposit, Outcome, Sale

NOT_ON_OFFER = "nobody has enough of it"
BUYER_IN_OFFICE = "the trader in office buys nothing"


class Stock:
    """The goods deposited, by item, lowest order first. Holds only deposits that hold something."""

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
        insort(self._by_item.setdefault(offer.item, []), (offer.order, offer.deposit_id))

    def remove(self, deposit_id: str) -> None:
        """Takes a deposit off the market."""
        deposit = self._deposits.pop(deposit_id)
        self._left.pop(deposit_id)
        self._by_item[deposit.offer.item].remove((deposit.offer.order, deposit_id))

    def find(self, item: str, quantity: int, excluded: frozenset[str]) -> Deposit | None:
        """Returns the deposit that sells: the lowest in order that holds enough and is not of `excluded` sellers."""
        for _, deposit_id in self._by_item.get(item, ()):
            deposit = self._deposits[deposit_id]
            if self._left[deposit_id] >= quantity and deposit.offer.seller not in excluded:
                return deposit
        return None

    def take(self, deposit: Deposit, quantity: int) -> None:
        """Takes `quantity` out of a deposit found before; an emptied one is gone."""
        deposit_id = deposit.offer.deposit_id
        self._left[deposit_id] -= quantity
        if self._left[deposit_id] == 0:
            self.remove(deposit_id)

    def give_back(self, deposit: Deposit, quantity: int) -> None:
        """Undoes a `take`."""
        deposit_id = deposit.offer.deposit_id
        if deposit_id in self._left:
            self._left[deposit_id] += quantity
        else:
            self.add(msgspec.structs.replace(deposit, remaining=quantity))

    def on_offer(self, item: str | None = None) -> tuple[Deposit, ...]:
        """Returns what is there (of `item`, or of all), lowest order first within an item, `remaining` as of now."""
        keys = [item] if item is not None else sorted(self._by_item)
        return tuple(
            msgspec.structs.replace(self._deposits[deposit_id], remaining=self._left[deposit_id])
            for key in keys
            for _, deposit_id in self._by_item.get(key, ())
        )


class Ruling(msgspec.Struct, frozen=True, kw_only=True):
    """A decision, and the deposit it draws on (None when unavailable)."""

    outcome: Outcome
    source: Deposit | None


def decide(
    accepted: Accepted, stock: Stock, *, seq: int, term: int, trader: str, now_ms: int, commission_rate: Decimal
) -> Ruling:
    """Decides one request, taking the goods out of `stock`. The caller brings requests lowest order first."""
    request = accepted.request
    in_office = request.buyer == trader
    source = None if in_office else stock.find(request.item, request.quantity, frozenset((request.buyer, trader)))
    sale = None
    if source is not None:
        stock.take(source, request.quantity)
        amount = source.offer.price * request.quantity
        commission, earned = split(amount, commission_rate)
        sale = Sale(
            seller=source.offer.seller,
            deposit=source.offer.deposit_id,
            price=source.offer.price,
            amount=amount,
            commission=commission,
            earned=earned,
        )
    outcome = Outcome(
        accepted=accepted,
        seq=seq,
        term=term,
        trader=trader,
        decided_at_ms=now_ms,
        sale=sale,
        reason=None if sale else BUYER_IN_OFFICE if in_office else NOT_ON_OFFER,
    )
    return Ruling(outcome=outcome, source=source)
