"""What a peer writes into its journal: of which reports, and in which words.

The journal is the witness that an audit holds the books against. So this is the one place that says what a line is,
for real peers and for simulated ones, and it shares nothing with the documents of the books.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec

from peers.core.inputs import HandedOver
from peers.core.market.money import money_text
from peers.core.market.records import Deposit, Offer, Outcome, PurchaseRequest, clock_of
from peers.core.reports import (
    Answered,
    Asked,
    CannotFill,
    Deposited,
    Earned,
    GotBack,
    Offered,
    Promised,
    Report,
    TookBack,
)

JOURNALED = (Asked, Answered, Promised, Deposited, Offered, Earned, CannotFill, TookBack, GotBack)
"""The reports that are written down."""

Words = dict[str, Any]


def journal_line(report: Report) -> Words | None:
    """Returns what the journal says of a report: its `kind`, and a record in plain values (money as text).

    None for a report that is not `JOURNALED`. Whoever writes the line adds the peer's name and the time of day.
    """
    if isinstance(report, Asked):
        return {"kind": "asked", "request": _request(report.request)}
    if isinstance(report, Promised):
        return {"kind": "promised", "request": _request(report.request)}
    if isinstance(report, Answered):
        return {"kind": "told", "outcome": _outcome(report.outcome)}
    if isinstance(report, Earned):
        return {"kind": "earned", "sale": _sale(report.outcome, report.earned)}
    if isinstance(report, CannotFill):
        sale = report.outcome.sale
        return {"kind": "unfilled", "sale": _sale(report.outcome, sale.earned if sale else Decimal(0))}
    if isinstance(report, TookBack):
        return {"kind": "took_back", "reversal": _reversal(report.outcome)}
    if isinstance(report, GotBack):
        return {"kind": "got_back", "reversal": _reversal(report.outcome)}
    if isinstance(report, Deposited):
        return {"kind": "deposited", "deposit": _deposit(report.deposit)}
    if isinstance(report, Offered):
        return {"kind": "offered", "offer": _offer(report.offer)}
    return None


def handed_over_in(lines: Iterable[Words]) -> tuple[HandedOver, ...]:
    """Returns what a seller gave to its buyers, by the lines of its journal (`kind`, `sale`) from all of its lives.

    Lines of other kinds, and those that do not say, are passed over.
    """
    sales = (line.get("sale") for line in lines if line.get("kind") == "earned")
    return tuple(found for found in map(_handed_over, sales) if found is not None)


def _handed_over(sale: object) -> HandedOver | None:
    try:
        return msgspec.convert(sale, HandedOver)
    except msgspec.ValidationError:
        return None


def _request(request: PurchaseRequest) -> Words:
    return {
        "request_id": request.request_id,
        "buyer": request.buyer,
        "item": request.item,
        "quantity": request.quantity,
        "clock": clock_of(request.clock),
    }


def _outcome(outcome: Outcome) -> Words:
    words = {
        **_request(outcome.request),
        "status": outcome.status,
        "seq": outcome.seq,
        "term": outcome.term,
        "trader": outcome.trader,
        "decided_at_ms": outcome.decided_at_ms,
    }
    sale = outcome.sale
    if sale is None:
        return {**words, "reason": outcome.reason}
    return {
        **words,
        "seller": sale.seller,
        "deposit": sale.deposit,
        "price": money_text(sale.price),
        "amount": money_text(sale.amount),
        "commission": money_text(sale.commission),
        "earned": money_text(sale.earned),
    }


def _sale(outcome: Outcome, earned: Decimal) -> Words:
    request, sale = outcome.request, outcome.sale
    return {
        "request_id": request.request_id,
        "seq": outcome.seq,
        "term": outcome.term,
        "item": request.item,
        "quantity": request.quantity,
        "buyer": request.buyer,
        "price": money_text(sale.price) if sale is not None else None,
        "earned": money_text(earned),
        "deposit": sale.deposit if sale is not None else None,
    }


def _reversal(outcome: Outcome) -> Words:
    request, sale, reversal = outcome.request, outcome.sale, outcome.taken_back
    assert sale is not None, "only what was sold is taken back"
    assert reversal is not None, "only a reversal is journaled as one"
    return {
        "request_id": request.request_id,
        "seq": outcome.seq,
        "number": reversal.number,
        "term": reversal.term,
        "place": reversal.place,
        "buyer": request.buyer,
        "seller": sale.seller,
        "item": request.item,
        "quantity": request.quantity,
        "amount": money_text(reversal.amount),
        "commission": money_text(reversal.commission),
        "earned": money_text(reversal.earned),
    }


def _offer(offer: Offer) -> Words:
    return {
        "deposit_id": offer.deposit_id,
        "seller": offer.seller,
        "item": offer.item,
        "quantity": offer.quantity,
        "price": money_text(offer.price),
        "clock": clock_of(offer.clock),
    }


def _deposit(deposit: Deposit) -> Words:
    return {
        **_offer(deposit.offer),
        "remaining": deposit.remaining,
        "deposited_at_ms": deposit.deposited_at_ms,
        "term": deposit.term,
    }
