"""What a seller really holds, which may be less than it deposited: goods get lost, and a crash may take them all.

A sale is filled the moment its seller hears of it: the goods are handed over then, for good. So what a seller has of
a deposit is what it deposited, less what it handed over, less what was lost. Of what its earlier lives deposited it
either holds all that the trader believes, or nothing, by a setting (`loss_after_crash`).

A deposit of which nothing is left, and nothing is to be reported, is forgotten: a seller makes ever more of them.
"""

from __future__ import annotations

from collections.abc import Container, Iterable

from peers.core.inputs import HandedOver
from peers.core.market.records import Offer, Outcome


class Holdings:
    """The goods of one seller. `lost_before`: of what earlier lives deposited and did not hand over, all is lost."""

    def __init__(self, *, lost_before: bool) -> None:
        self._lost_before = lost_before
        self._offers: dict[str, Offer] = {}
        # By id of deposit: what is there, and what went to buyers.
        self._holds: dict[str, int] = {}
        self._handed_over: dict[str, int] = {}
        # The numbers of the sales that earlier lives filled.
        self._filled_before: set[int] = set()

    def remember(self, handed_over: Iterable[HandedOver]) -> None:
        """Takes in what earlier lives handed over."""
        for each in handed_over:
            if each.seq not in self._filled_before:
                self._filled_before.add(each.seq)
                self._handed_over[each.deposit] = self._handed_over.get(each.deposit, 0) + each.quantity

    def add(self, offer: Offer) -> None:
        """Lays ready what is about to be deposited."""
        self._offers[offer.deposit_id] = offer
        self._holds[offer.deposit_id] = offer.quantity

    def drop(self, deposit_id: str) -> None:
        """Puts away what could not be deposited."""
        self._offers.pop(deposit_id, None)
        self._holds.pop(deposit_id, None)

    def forget_empty(self, wanted: Container[str]) -> None:
        """Forgets the deposits of which nothing is there; not those that are still `wanted`."""
        for deposit_id in [each for each, holds in self._holds.items() if not holds and each not in wanted]:
            del self._offers[deposit_id], self._holds[deposit_id]
            self._handed_over.pop(deposit_id, None)

    def knows(self, deposit_id: str) -> bool:
        """Whether it can be said what is there of a deposit."""
        return deposit_id in self._offers or self._lost_before

    def fill(self, outcome: Outcome) -> bool:
        """Hands over what was sold, if there is enough; returns whether there is, or an earlier life has done it."""
        sale, quantity = outcome.sale, outcome.request.quantity
        if sale is None or outcome.seq in self._filled_before or not self.knows(sale.deposit):
            return True
        if self.holds(sale.deposit) < quantity:
            return False
        self._holds[sale.deposit] -= quantity
        self._handed_over[sale.deposit] = self.handed_over(sale.deposit) + quantity
        return True

    def holds(self, deposit_id: str) -> int:
        """How much is there of a deposit."""
        return self._holds.get(deposit_id, 0)

    def handed_over(self, deposit_id: str) -> int:
        """How much of a deposit went to buyers."""
        return self._handed_over.get(deposit_id, 0)

    def held(self) -> list[Offer]:
        """The deposits of which there is something, oldest first."""
        return [offer for deposit_id, offer in self._offers.items() if self._holds[deposit_id]]

    def lose(self, deposit_id: str, units: int) -> None:
        """So many units of a deposit are gone; it holds as many."""
        self._holds[deposit_id] -= units
