"""Short ways to say what a test wants of a ledger: requests, deposits, outcomes, entries, elections."""

from __future__ import annotations

from decimal import Decimal
from itertools import count

import msgspec

from peers.core.ledger.log import NOWHERE, Entry, OfficeEntry, Recount, TradeEntry
from peers.core.ledger.port import Append
from peers.core.market.money import split
from peers.core.market.records import (
    Accepted,
    Deposit,
    ElectionRecord,
    Offer,
    Outcome,
    PurchaseRequest,
    Reversal,
    Sale,
)
from peers.core.membership.clocks import LamportStamp, VectorStamp

T0_MS = 1_793_000_000_123
RATE = Decimal("0.20")
TRADER = "merchant9"

_entry_ids = count()


def accepted(
    number: int, *, request_id: str | None = None, term: int = 1, quantity: int = 1, arrival: int | None = None
) -> Accepted:
    """The accepted request `r<number>`, whose clock and number of acceptance are `number`."""
    request = PurchaseRequest(
        request_id=request_id or f"r{number}",
        buyer=f"buyer{number % 3}",
        item="fish",
        quantity=quantity,
        clock=LamportStamp(lamport=number) if number % 2 else VectorStamp(vector={"buyer0": number, "seller.1": 0}),
    )
    arrived = number if arrival is None else arrival
    return Accepted(request=request, arrival=arrived, queued_at_ms=T0_MS + number, queued_term=term)


def stock(deposit_id: str, quantity: int, *, price: str = "7.20", seller: str = "seller1", term: int = 1) -> Deposit:
    """A new deposit of fish."""
    offer = Offer(
        deposit_id=deposit_id,
        seller=seller,
        item="fish",
        quantity=quantity,
        price=Decimal(price),
        clock=LamportStamp(lamport=len(deposit_id)),
    )
    return Deposit(offer=offer, remaining=quantity, deposited_at_ms=T0_MS, term=term)


def sold(request: Accepted, seq: int, deposit: Deposit, *, term: int = 1, trader: str = TRADER) -> Outcome:
    """The decision to sell what was asked for out of `deposit`."""
    amount = deposit.offer.price * request.request.quantity
    commission, earned = split(amount, RATE)
    sale = Sale(
        seller=deposit.offer.seller,
        deposit=deposit.offer.deposit_id,
        price=deposit.offer.price,
        amount=amount,
        commission=commission,
        earned=earned,
    )
    return Outcome(accepted=request, seq=seq, term=term, trader=trader, decided_at_ms=T0_MS + 10_000 + seq, sale=sale)


def unavailable(request: Accepted, seq: int, *, term: int = 1, trader: str = TRADER) -> Outcome:
    """The decision that nobody has it."""
    return Outcome(
        accepted=request,
        seq=seq,
        term=term,
        trader=trader,
        decided_at_ms=T0_MS + 10_000 + seq,
        reason="nobody holds so many" if seq % 2 else None,
    )


def taken_back(
    outcome: Outcome, number: int, *, term: int = 1, trader: str = TRADER, place: int = NOWHERE
) -> Outcome:
    """A sale after it was undone, as reversal `number`, by the entry at `place`."""
    assert outcome.sale is not None
    reversal = Reversal(
        number=number,
        amount=outcome.sale.amount,
        commission=outcome.sale.commission,
        earned=outcome.sale.earned,
        term=term,
        trader=trader,
        taken_back_at_ms=T0_MS + 20_000 + number,
        reason="the seller does not have the goods",
        place=place,
    )
    return msgspec.structs.replace(outcome, taken_back=reversal)


def recount(deposit: Deposit, *, left: int, returned: int, written_off: int) -> Recount:
    """`deposit` counted anew, when `left` units were there besides those that come back."""
    after = msgspec.structs.replace(
        deposit, remaining=left + returned - written_off, written_off=deposit.written_off + written_off
    )
    return Recount(deposit=after, returned=returned, written_off=written_off)


def office(term: int = 1, trader: str = TRADER, *, reason: str = "start") -> OfficeEntry:
    """An entry with which `trader` takes office."""
    return OfficeEntry(
        entry_id=f"e{next(_entry_ids)}", term=term, trader=trader, written_at_ms=T0_MS + term, reason=reason
    )


def trade(
    *outcomes: Outcome,
    deposits: tuple[Deposit, ...] = (),
    queued: tuple[Accepted, ...] = (),
    known: tuple[str, ...] = (),
    reversals: tuple[Outcome, ...] = (),
    recounts: tuple[Recount, ...] = (),
    term: int = 1,
    trader: str = TRADER,
) -> TradeEntry:
    """An entry of a trader in office; `known` are the ids among its requests that were queued before."""
    taken_in = [*(outcome.accepted for outcome in outcomes), *queued]
    return TradeEntry(
        entry_id=f"e{next(_entry_ids)}",
        term=term,
        trader=trader,
        written_at_ms=T0_MS + term,
        deposits=deposits,
        outcomes=outcomes,
        queued=queued,
        new_requests=tuple(each.request.request_id for each in taken_in if each.request.request_id not in known),
        reversals=reversals,
        recounts=recounts,
    )


def at(place: int, entry: Entry) -> Append:
    """The operation that writes `entry` at `place`."""
    return Append(place=place, entry=entry)


def election(term: int, **changes: object) -> ElectionRecord:
    """A finished election."""
    fields: dict[str, object] = {
        "term": term,
        "algorithm": "bully",
        "reason": "start",
        "started_by": "buyer0",
        "trader": TRADER,
        "messages": 12,
        "complete": True,
        "started_at_ms": T0_MS,
        "took_ms": 12.5 + term,
    }
    return ElectionRecord(**{**fields, **changes})  # type: ignore[arg-type]
