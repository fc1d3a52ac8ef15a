"""Short ways to say what a test wants from a ledger: requests, deposits, decisions, commits."""

from __future__ import annotations

from decimal import Decimal

from peers.core.clocks import LamportStamp, VectorStamp
from peers.core.ledger import Commit, Decision, Enqueue, Ledger, OfficeTaken, TakeOffice
from peers.core.money import split
from peers.core.records import Accepted, Deposit, Offer, Outcome, PurchaseRequest, Sale

T0_MS = 1_793_000_000_123
RATE = Decimal("0.20")


def entry(number: int, *, request_id: str | None = None, term: int = 1, quantity: int = 1) -> Accepted:
    """The accepted request `r<number>`, whose clock and number of acceptance are `number`."""
    request = PurchaseRequest(
        request_id=request_id or f"r{number}",
        buyer=f"buyer{number % 3}",
        item="fish",
        quantity=quantity,
        clock=LamportStamp(lamport=number) if number % 2 else VectorStamp(vector={"buyer0": number, "seller.1": 0}),
    )
    return Accepted(request=request, arrival=number, queued_at_ms=T0_MS + number, queued_term=term)


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


def sold(
    accepted: Accepted, seq: int, deposit: Deposit, *, term: int = 1, trader: str = "merchant9", queued: bool = False
) -> Decision:
    """The decision to sell what was asked for out of `deposit`."""
    amount = deposit.offer.price * accepted.request.quantity
    commission, earned = split(amount, RATE)
    sale = Sale(
        seller=deposit.offer.seller,
        deposit=deposit.offer.deposit_id,
        price=deposit.offer.price,
        amount=amount,
        commission=commission,
        earned=earned,
    )
    outcome = Outcome(
        accepted=accepted, seq=seq, term=term, trader=trader, decided_at_ms=T0_MS + 10_000 + seq, sale=sale
    )
    return Decision(outcome=outcome, was_queued=queued)


def unavailable(
    accepted: Accepted, seq: int, *, term: int = 1, trader: str = "merchant9", queued: bool = False
) -> Decision:
    """The decision that nobody has it."""
    outcome = Outcome(
        accepted=accepted,
        seq=seq,
        term=term,
        trader=trader,
        decided_at_ms=T0_MS + 10_000 + seq,
        reason="nobody holds so many" if seq % 2 else None,
    )
    return Decision(outcome=outcome, was_queued=queued)


def commit(*decisions: Decision, seq: int = 0, term: int = 1, deposits: tuple[Deposit, ...] = ()) -> Commit:
    return Commit(term=term, seq=seq, deposits=deposits, decisions=decisions)


def enqueue(*entries: Accepted, term: int = 1) -> Enqueue:
    return Enqueue(term=term, entries=entries)


def take_office(ledger: Ledger, expected_term: int = 0, trader: str = "merchant9") -> OfficeTaken:
    """Puts `trader` in office, and expects that to succeed."""
    taken = ledger.perform(TakeOffice(trader=trader, expected_term=expected_term, now_ms=T0_MS))
    assert isinstance(taken, OfficeTaken), taken
    return taken
