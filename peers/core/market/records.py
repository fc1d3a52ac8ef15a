"""What the books hold: requests, deposits, outcomes, the post, elections.

Frozen values, the same for the trader, the ledgers and the wire. They are trees without cycles and there are many of
them, so the garbage collector need not look at them (`gc=False`). Times of day are milliseconds since 1970 (`…_ms`)
and come from outside; they are written down for people, and nothing is decided by them.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from peers.core.bounds import Count, Place
from peers.core.market.sort_key import sort_key
from peers.core.membership.clocks import LamportStamp, Stamp, VectorStamp

Status = Literal["queued", "sold", "unavailable"]
Foretold = Literal["promised", "refused"]
"""What a trader says of a request, out of its cache, before it is decided."""


class PurchaseRequest(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a buyer wants: `quantity` (1 or more) of `item`, stamped with its clock, under an id of its own."""

    request_id: str
    buyer: str
    item: str
    quantity: Count
    clock: LamportStamp | VectorStamp

    @property
    def sort_key(self) -> str:
        """The sort key: lowest is decided first."""
        return sort_key(self.clock, self.buyer, self.request_id)


class Offer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a seller deposits: `quantity` (1 or more) of `item` at `price` each, under an id of its own."""

    deposit_id: str
    seller: str
    item: str
    quantity: Count
    price: Decimal
    clock: LamportStamp | VectorStamp

    @property
    def sort_key(self) -> str:
        """The sort key: among those that hold enough, the lowest sells."""
        return sort_key(self.clock, self.seller, self.deposit_id)


class Lease(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """So many units of a deposit are set aside for the trader of `area`."""

    area: str
    units: Count


class Deposit(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An offer as the ledger holds it; `0 <= remaining <= offer.quantity`; `term` is that of its acceptance.

    `written_off` units turned out not to be there. What is gone besides was sold, and was not taken back. `area` is
    the one whose trader took it in, and counted that term. `leases` are set aside for traders, by area.
    """

    offer: Offer
    remaining: Count
    deposited_at_ms: Count
    term: Count
    written_off: Count = 0
    area: str = ""
    leases: tuple[Lease, ...] = ()


class Accepted(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A request a trader took in: `arrival` is the running number of acceptance, `queued_term` the trader's term.

    It waits at the post of `area`, and whoever is trader there decides it."""

    request: PurchaseRequest
    arrival: Count
    queued_at_ms: Count
    queued_term: Count
    area: str = ""


class Sale(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Who sold what was asked for, out of which deposit, and how the amount is split (all to the cent)."""

    seller: str
    deposit: str
    price: Decimal
    amount: Decimal
    commission: Decimal
    earned: Decimal


class Reversal(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The undoing of a sale that its seller could not honour: what went back, and who saw to that when.

    The buyer got `amount` back, of it `commission` from the trader who had sold and `earned` from the seller; its
    goods went back to the deposit. `number` is the running number of reversals, without gaps, from 1; `place` is that
    of the entry that took it back, as of which it is so (-1 where whoever told of it does not say).
    """

    number: Count
    amount: Decimal
    commission: Decimal
    earned: Decimal
    term: Count
    trader: str
    taken_back_at_ms: Count
    reason: str
    place: Place = -1


class Outcome(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The one decision on a request: sold (`sale` is there) or unavailable (`reason` says why).

    `seq` is the running number of decision, without gaps; `term` and `trader` say who decided. `concurrent`: neither
    its clock nor that of another that waited beside it in the order came first, so that the fixed order decided. None
    where clocks cannot tell. The decision stands for ever; a sale that was undone afterwards says so in `taken_back`.
    `foretold` is what the buyer was told before by a trader that keeps a cache of the stock: a promise is kept by a
    sale, and what was refused so is unavailable, whatever there was in truth.
    """

    accepted: Accepted
    seq: Count
    term: Count
    trader: str
    decided_at_ms: Count
    sale: Sale | None = None
    reason: str | None = None
    concurrent: bool | None = None
    taken_back: Reversal | None = None
    foretold: Foretold | None = None

    @property
    def request(self) -> PurchaseRequest:
        return self.accepted.request

    @property
    def status(self) -> Status:
        return "sold" if self.sale else "unavailable"


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds the post of an area, since when, where it is called, and when it wrote to the log last."""

    area: str
    term: Count
    trader: str
    since_ms: Count
    uri: str
    written_at_ms: Count


class Post(msgspec.Struct, frozen=True, kw_only=True):
    """The post of trader: who holds it, since when, where it is called, and the last running numbers given out.

    `seq` counts decisions, `arrival` requests accepted, `reversals` sales taken back. `term` 0 and no trader before
    the first election. Where several areas share the log, `areas` say who is trader of each, by name of the area, and
    nobody is of all of them.
    """

    term: Count = 0
    trader: str | None = None
    since_ms: Count | None = None
    uri: str = ""
    seq: Count = 0
    arrival: Count = 0
    reversals: Count = 0
    areas: tuple[Holder, ...] = ()

    def of(self, area: str) -> Post:
        """Returns the post as one area has it; "" is the area of a log that is not shared."""
        if not area:
            return self
        holder = self.holder(area)
        if holder is None:
            return msgspec.structs.replace(self, term=0, trader=None, since_ms=None, uri="")
        return msgspec.structs.replace(
            self, term=holder.term, trader=holder.trader, since_ms=holder.since_ms, uri=holder.uri
        )

    def holder(self, area: str) -> Holder | None:
        """Returns who holds the post of a named area, None before its first election."""
        return next((holder for holder in self.areas if holder.area == area), None)

    def held(self, holder: Holder) -> Post:
        """Returns what follows when `holder` has the post of its area."""
        others = [each for each in self.areas if each.area != holder.area]
        return msgspec.structs.replace(self, areas=tuple(sorted([*others, holder], key=lambda each: each.area)))

    def in_office(self) -> tuple[str, ...]:
        """Returns the names of all who are traders, of whichever area."""
        traders = tuple(holder.trader for holder in self.areas)
        return traders if self.trader is None else (self.trader, *traders)


class ElectionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One finished election: `took_ms` from vacancy to office, `messages` that peers sent for it.

    `complete`: everybody who was up when it ended has been counted. Until then `messages` is less than it cost, and
    no figure may use it.
    """

    term: Count
    algorithm: str
    reason: str
    started_by: str
    trader: str
    messages: Count
    complete: bool
    started_at_ms: Count
    took_ms: float
    area: str = ""


def clock_of(stamp: Stamp) -> dict[str, object]:
    """A stamp as it is written down and sent: {"lamport": 17} or {"vector": {…}}."""
    return msgspec.structs.asdict(stamp)
