"""Records as the documents that the database keeps, and back.

The two forms differ only in how money and times of day are written. `BSON` is what MongoDB keeps (Decimal128, Date),
`PLAIN` the same in Python's own types (Decimal, datetime). Reading back takes both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from db.schema.collections import POST
from db.schema.forms import BSON, Document, Form, money_from, ms_from
from peers.core.ledger.log import Entry, Leasing, OfficeEntry, Recount, TradeEntry
from peers.core.market.records import (
    Accepted,
    Deposit,
    ElectionRecord,
    Holder,
    Lease,
    Offer,
    Outcome,
    Post,
    PurchaseRequest,
    Reversal,
    Sale,
    clock_of,
)
from peers.core.membership.clocks import LamportStamp, VectorStamp


def request_document(record: Accepted | Outcome, at: int, form: Form = BSON) -> Document:
    """A request, decided or not, as it stands in `requests`; `at` is the place of the entry that put it there."""
    document = outcome_document(record, form) if isinstance(record, Outcome) else _request(record, "queued", form)
    document["at"] = at
    return document


def outcome_document(outcome: Outcome, form: Form = BSON) -> Document:
    """A decided request, as it is told."""
    document = _request(outcome.accepted, outcome.status, form)
    document["seq"] = outcome.seq
    document["term"] = outcome.term
    document["trader"] = outcome.trader
    document["decided_at"] = form.date(outcome.decided_at_ms)
    sale = outcome.sale
    if sale is not None:
        money = form.money
        document["seller"] = sale.seller
        document["deposit"] = sale.deposit
        document["price"] = money(sale.price)
        document["amount"] = money(sale.amount)
        document["commission"] = money(sale.commission)
        document["earned"] = money(sale.earned)
    elif outcome.reason is not None:
        document["reason"] = outcome.reason
    if outcome.concurrent is not None:
        document["concurrent"] = outcome.concurrent
    if outcome.foretold is not None:
        document["foretold"] = outcome.foretold
    if outcome.taken_back is not None:
        document["taken_back"] = _reversal(outcome.taken_back, form)
    return document


def _reversal(reversal: Reversal, form: Form) -> Document:
    return {
        "number": reversal.number,
        "amount": form.money(reversal.amount),
        "commission": form.money(reversal.commission),
        "earned": form.money(reversal.earned),
        "term": reversal.term,
        "trader": reversal.trader,
        "taken_back_at": form.date(reversal.taken_back_at_ms),
        "reason": reversal.reason,
    }


def _request(accepted: Accepted, status: str, form: Form) -> Document:
    request = accepted.request
    document: Document = {
        "_id": request.request_id,
        "buyer": request.buyer,
        "item": request.item,
        "quantity": request.quantity,
        "clock": clock_of(request.clock),
        "order": request.sort_key,
        "status": status,
        "queued_at": form.date(accepted.queued_at_ms),
        "queued_term": accepted.queued_term,
        "arrival": accepted.arrival,
    }
    if accepted.area:
        document["area"] = accepted.area
    return document


def deposit_document(deposit: Deposit, form: Form = BSON, *, at: int | None = None) -> Document:
    """A deposit, as it is told; as it stands in `deposits` with `at`, the place of the entry that last changed it."""
    offer = deposit.offer
    document: Document = {
        "_id": offer.deposit_id,
        "seller": offer.seller,
        "item": offer.item,
        "price": form.money(offer.price),
        "quantity": offer.quantity,
        "remaining": deposit.remaining,
        "clock": clock_of(offer.clock),
        "order": offer.sort_key,
        "deposited_at": form.date(deposit.deposited_at_ms),
        "term": deposit.term,
    }
    if deposit.written_off:
        document["written_off"] = deposit.written_off
    if deposit.area:
        document["area"] = deposit.area
    if deposit.leases:
        document["leases"] = {lease.area: lease.units for lease in deposit.leases}
    if at is not None:
        document["at"] = at
    return document


def post_document(post: Post, made: int, form: Form = BSON) -> Document:
    """The post after entry `made`, as it stands in `posts`."""
    document: Document = {
        "_id": POST,
        "term": post.term,
        "trader": post.trader,
        "since": None if post.since_ms is None else form.date(post.since_ms),
        "seq": post.seq,
        "arrival": post.arrival,
        "made": made,
    }
    if post.uri:
        document["uri"] = post.uri
    if post.reversals:
        document["reversals"] = post.reversals
    if post.areas:
        document["areas"] = {holder.area: _holder(holder, form) for holder in post.areas}
    return document


def _holder(holder: Holder, form: Form) -> Document:
    return {
        "term": holder.term,
        "trader": holder.trader,
        "since": form.date(holder.since_ms),
        "uri": holder.uri,
        "written_at": form.date(holder.written_at_ms),
    }


def entry_document(place: int, entry: Entry, form: Form = BSON, *, with_requests: bool = True) -> Document:
    """An entry, as it stands in `log`. Requests and deposits look as they do in the books.

    Without `with_requests` the arrays of requests are left out, for a caller that has them already.
    """
    document: Document = {
        "_id": place,
        "entry": entry.entry_id,
        "kind": entry.kind,
        "term": entry.term,
        "trader": entry.trader,
        "written_at": form.date(entry.written_at_ms),
    }
    if entry.area:
        document["area"] = entry.area
    if isinstance(entry, OfficeEntry):
        document["reason"] = entry.reason
        if entry.uri:
            document["uri"] = entry.uri
        if entry.write_level != "majority":
            document["write_level"] = entry.write_level
        return document
    parts: dict[str, list[Any]] = {
        "new_requests": list(entry.new_requests),
        "new_deposits": list(entry.new_deposits),
        "deposits": [deposit_document(deposit, form, at=place) for deposit in entry.deposits],
    }
    if entry.leases:
        parts["leases"] = [{"deposit": each.deposit, "units": each.units} for each in entry.leases]
    if entry.recounts or entry.reversals:
        parts["new_reversals"] = list(entry.new_reversals)
        parts["recounts"] = [_recount(recount, form, place) for recount in entry.recounts]
    if with_requests:
        parts["decided"] = [request_document(outcome, place, form) for outcome in entry.outcomes]
        parts["queued"] = [request_document(accepted, place, form) for accepted in entry.queued]
        parts["reversals"] = [request_document(outcome, place, form) for outcome in entry.reversals]
    # An empty array is left out, for a sparse index would still hold an entry for it.
    document.update((name, part) for name, part in parts.items() if part)
    return document


def _recount(recount: Recount, form: Form, place: int) -> Document:
    return {
        "deposit": deposit_document(recount.deposit, form, at=place),
        "returned": recount.returned,
        "written_off": recount.written_off,
    }


def election_document(record: ElectionRecord, form: Form = BSON) -> Document:
    """A finished election, as it stands in `elections`."""
    document: Document = {
        "_id": f"{record.area} {record.term}" if record.area else record.term,
        "term": record.term,
        "algorithm": record.algorithm,
        "reason": record.reason,
        "started_by": record.started_by,
        "trader": record.trader,
        "messages": record.messages,
        "complete": record.complete,
        "started_at": form.date(record.started_at_ms),
        "took_ms": float(record.took_ms),
    }
    if record.area:
        document["area"] = record.area
    return document


def accepted_from(document: Mapping[str, Any]) -> Accepted:
    """The accepted request in a document of `requests`, decided or not."""
    return Accepted(
        request=PurchaseRequest(
            request_id=document["_id"],
            buyer=document["buyer"],
            item=document["item"],
            quantity=document["quantity"],
            clock=_clock_from(document["clock"]),
        ),
        arrival=document["arrival"],
        queued_at_ms=ms_from(document["queued_at"]),
        queued_term=document["queued_term"],
        area=document.get("area", ""),
    )


def outcome_from(document: Mapping[str, Any]) -> Outcome:
    """The outcome in a document of `requests` that is decided."""
    sale = None
    if document["status"] == "sold":
        sale = Sale(
            seller=document["seller"],
            deposit=document["deposit"],
            price=money_from(document["price"]),
            amount=money_from(document["amount"]),
            commission=money_from(document["commission"]),
            earned=money_from(document["earned"]),
        )
    return Outcome(
        accepted=accepted_from(document),
        seq=document["seq"],
        term=document["term"],
        trader=document["trader"],
        decided_at_ms=ms_from(document["decided_at"]),
        sale=sale,
        reason=document.get("reason"),
        concurrent=document.get("concurrent"),
        foretold=document.get("foretold"),
        taken_back=_reversal_from(document) if "taken_back" in document else None,
    )


def _reversal_from(request: Mapping[str, Any]) -> Reversal:
    document = request["taken_back"]
    return Reversal(
        number=document["number"],
        amount=money_from(document["amount"]),
        commission=money_from(document["commission"]),
        earned=money_from(document["earned"]),
        term=document["term"],
        trader=document["trader"],
        taken_back_at_ms=ms_from(document["taken_back_at"]),
        reason=document["reason"],
        # Nothing happens to a request after that, so the entry that touched it last is the one that took it back.
        place=request.get("at", -1),
    )


def deposit_from(document: Mapping[str, Any]) -> Deposit:
    """The deposit in a document of `deposits`."""
    return Deposit(
        offer=Offer(
            deposit_id=document["_id"],
            seller=document["seller"],
            item=document["item"],
            quantity=document["quantity"],
            price=money_from(document["price"]),
            clock=_clock_from(document["clock"]),
        ),
        remaining=document["remaining"],
        deposited_at_ms=ms_from(document["deposited_at"]),
        term=document["term"],
        written_off=document.get("written_off", 0),
        area=document.get("area", ""),
        leases=tuple(Lease(area=area, units=units) for area, units in sorted(document.get("leases", {}).items())),
    )


def _recount_from(document: Mapping[str, Any]) -> Recount:
    return Recount(
        deposit=deposit_from(document["deposit"]),
        returned=document["returned"],
        written_off=document["written_off"],
    )


def post_from(document: Mapping[str, Any]) -> Post:
    """The post in a document of `posts`."""
    since = document["since"]
    return Post(
        term=document["term"],
        trader=document["trader"],
        since_ms=None if since is None else ms_from(since),
        uri=document.get("uri", ""),
        seq=document["seq"],
        arrival=document["arrival"],
        reversals=document.get("reversals", 0),
        areas=tuple(_holder_from(area, each) for area, each in sorted(document.get("areas", {}).items())),
    )


def _holder_from(area: str, document: Mapping[str, Any]) -> Holder:
    return Holder(
        area=area,
        term=document["term"],
        trader=document["trader"],
        since_ms=ms_from(document["since"]),
        uri=document["uri"],
        written_at_ms=ms_from(document["written_at"]),
    )


def request_from(document: Mapping[str, Any]) -> Accepted | Outcome:
    """The request in a document of `requests`, decided or not."""
    return accepted_from(document) if document["status"] == "queued" else outcome_from(document)


def entry_from(document: Mapping[str, Any]) -> Entry | None:
    """The entry in a document of `log`; None where its body was cut away."""
    if document.get("cut"):
        return None
    entry_id, term, trader = document["entry"], document["term"], document["trader"]
    written_at_ms = ms_from(document["written_at"])
    if document["kind"] == "office":
        return OfficeEntry(
            entry_id=entry_id,
            term=term,
            trader=trader,
            written_at_ms=written_at_ms,
            reason=document["reason"],
            area=document.get("area", ""),
            uri=document.get("uri", ""),
            write_level=document.get("write_level", "majority"),
        )
    return TradeEntry(
        entry_id=entry_id,
        term=term,
        trader=trader,
        written_at_ms=written_at_ms,
        deposits=tuple(map(deposit_from, document.get("deposits", ()))),
        outcomes=tuple(map(outcome_from, document.get("decided", ()))),
        queued=tuple(map(accepted_from, document.get("queued", ()))),
        new_requests=tuple(document.get("new_requests", ())),
        reversals=tuple(map(outcome_from, document.get("reversals", ()))),
        recounts=tuple(map(_recount_from, document.get("recounts", ()))),
        area=document.get("area", ""),
        leases=tuple(Leasing(deposit=each["deposit"], units=each["units"]) for each in document.get("leases", ())),
    )


def election_from(document: Mapping[str, Any]) -> ElectionRecord:
    """The election in a document of `elections`."""
    return ElectionRecord(
        term=document["term"],
        algorithm=document["algorithm"],
        reason=document["reason"],
        started_by=document["started_by"],
        trader=document["trader"],
        messages=document["messages"],
        complete=document["complete"],
        started_at_ms=ms_from(document["started_at"]),
        took_ms=document["took_ms"],
        area=document.get("area", ""),
    )


def _clock_from(clock: Mapping[str, Any]) -> LamportStamp | VectorStamp:
    if "vector" in clock:
        return VectorStamp(vector=dict(clock["vector"]))
    return LamportStamp(lamport=clock["lamport"])
