"""What a cache of the stock is, whatever its policy.

Several traders sell out of one warehouse. Only the log says what is sold; but to ask it takes a round trip, so a
trader may keep at hand what it last knew of the stock. Out of that it answers searches, promises a buyer at once what
it asks for, or refuses it at once. Either may turn out wrong, for another trader may have sold the goods, or taken
some in. A promise is no sale: what was promised and is not recorded as sold is told to the buyer, and counted.

A policy says when what is at hand is brought up to date.
"""

from __future__ import annotations

from typing import ClassVar, Protocol

from peers.core.ledger.log import Leasing
from peers.core.market.records import Deposit, Foretold, PurchaseRequest
from peers.core.market.stock import Draft


class StockCache(Protocol):
    """One trader's cache, for one term. `sentence` says of a policy, in plain words, when it learns of changes."""

    name: ClassVar[str]
    sentence: ClassVar[str]

    def offers(self, item: str | None) -> tuple[Deposit, ...] | None:
        """What is at hand for a search; None where the log has to be read first. A search is answered with what the
        log adds up to, as far as it was read."""

    def foretell(self, request: PurchaseRequest, excluded: tuple[str, ...]) -> Foretold | None:
        """Promises, or refuses, what is asked for: as far as is known, and not out of deposits of `excluded`.

        None where this cache does not say. What is promised is promised to nobody else until `settle`."""

    def pinned(self, request_id: str) -> str | None:
        """Returns the deposit of which so much is leased for a promise; None where promises are only believed."""

    @property
    def has_idle_leases(self) -> bool:
        """Whether something is leased that nobody has asked for here for a while."""

    def leases(self, goods: Draft) -> tuple[Leasing, ...]:
        """Returns what the next entry is to set aside, or give back, after what it sells out of `goods`."""

    def settle(self, request_id: str) -> None:
        """A request that was foretold something has an outcome by now, or is not this trader's any more."""

    def on_own(self, deposits: tuple[Deposit, ...], place: int) -> None:
        """An entry of this trader stands at `place`, and left these deposits as they are here. It has read all before
        it."""

    def on_read(self, deposits: tuple[Deposit, ...], place: int) -> None:
        """This trader has read another's entry at `place`, which left these deposits so."""

    def on_end(self) -> None:
        """This trader has read the log to its end, so all that the state has is new."""

    def on_pushed(self, deposits: tuple[Deposit, ...], place: int) -> None:
        """Another trader tells of its entry at `place`, which left these deposits so; it may come late, or never."""
