"""The public form of requests, offers, outcomes and deposits: what callers send and what they get.

This is the one place that turns what callers send into the core's records, and the core's records into what callers
get. It is a document of its own, described in the README of `peers.rpc`, and does not follow from what the database
keeps. Its values are plain (str, int, bool, None, lists and dicts of these; money as an exact decimal text, times of
day as ISO 8601 in UTC), so that they are the same by every serializer.

Callers are strangers: whatever they send is either exactly right or a `BadRequest` that names the field and says what
is allowed (`peers.core.market.limits`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, NoReturn, TypeVar, cast

import msgspec

from peers.core.bounds import Count
from peers.core.calls import AskOutcome, AskReversals, AsOf, Buy, MakeDeposit, Search, Standing, Status
from peers.core.market import limits
from peers.core.market.money import money_text
from peers.core.market.records import Accepted, Deposit, Offer, Outcome, PurchaseRequest, Reversal, Sale, clock_of
from peers.core.membership.clocks import LamportStamp, Stamp, VectorStamp
from peers.core.settings import Settings
from peers.errors import BadRequest
from peers.rpc.forms.read_form import since_of

Document = dict[str, Any]
T = TypeVar("T")

_GIVEN_BACK = ("amount", "commission", "earned")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


# -- what callers send ---------------------------------------------------------------------------------------------


class _Lamport(msgspec.Struct, forbid_unknown_fields=True):
    lamport: Count


class _Vector(msgspec.Struct, forbid_unknown_fields=True):
    vector: limits.VectorEntries


class _Request(msgspec.Struct, forbid_unknown_fields=True):
    request_id: limits.Id
    buyer: limits.Name
    item: str
    quantity: limits.Quantity


class _LamportRequest(_Request, forbid_unknown_fields=True):
    clock: _Lamport


class _VectorRequest(_Request, forbid_unknown_fields=True):
    clock: _Vector


class _Offer(msgspec.Struct, forbid_unknown_fields=True):
    deposit_id: limits.Id
    seller: limits.Name
    item: str
    quantity: limits.Quantity
    price: limits.PriceText


class _LamportOffer(_Offer, forbid_unknown_fields=True):
    clock: _Lamport


class _VectorOffer(_Offer, forbid_unknown_fields=True):
    clock: _Vector


class Reader:
    """Reads what callers send, by the settings of one town. Each method raises BadRequest for what is not allowed."""

    def __init__(self, settings: Settings) -> None:
        self.max_staleness_s = settings.ledger.max_staleness_s
        self._items = settings.market.items
        self._clock = settings.clock
        vector = self._clock == "vector"
        self._clock_form: type[_Lamport | _Vector] = _Vector if vector else _Lamport
        self._request: type[_Request] = _VectorRequest if vector else _LamportRequest
        self._offer: type[_Offer] = _VectorOffer if vector else _LamportOffer

    def request(self, given: object) -> Buy:
        """Reads a purchase request."""
        read = cast("_LamportRequest | _VectorRequest", self._convert(given, self._request, "request"))
        limits.check_item(read.item, self._items)
        request = PurchaseRequest(
            request_id=read.request_id,
            buyer=read.buyer,
            item=read.item,
            quantity=read.quantity,
            clock=self._stamp(read.clock),
        )
        return Buy(request=request)

    def offer(self, given: object) -> MakeDeposit:
        """Reads an offer of goods to be deposited."""
        read = cast("_LamportOffer | _VectorOffer", self._convert(given, self._offer, "offer"))
        limits.check_item(read.item, self._items)
        offer = Offer(
            deposit_id=read.deposit_id,
            seller=read.seller,
            item=read.item,
            quantity=read.quantity,
            price=limits.read_price(read.price),
            clock=self._stamp(read.clock),
        )
        return MakeDeposit(offer=offer)

    def request_id(self, given: object, since: object = None) -> AskOutcome:
        """Reads the id of a request, and how far its outcome must have been read, None for anything."""
        return AskOutcome(request_id=limits.checked("request_id", given), since=since_of(since))

    def item(self, given: object, since: object = None) -> Search:
        """Reads what to search for, None for everything, and how far it must have been read, None for anything."""
        if given is not None:
            limits.check_item(given, self._items)
        return Search(item=cast("str | None", given), since=since_of(since))

    def standing(self, seller: object, after_seq: object) -> Standing:
        """Reads whose standing is asked for, and from which sale on."""
        return Standing(seller=limits.checked("seller", seller), after_seq=limits.checked("after_seq", after_seq))

    def reversals(self, customer: object, after: object) -> AskReversals:
        """Reads whose reversals are asked for, and after which number."""
        return AskReversals(customer=limits.checked("customer", customer), after=limits.checked("after", after))

    def _stamp(self, read: _Lamport | _Vector) -> LamportStamp | VectorStamp:
        if isinstance(read, _Lamport):
            return LamportStamp(lamport=read.lamport)
        stamp = VectorStamp(vector=read.vector)
        limits.check_clock(stamp, self._clock)  # Each of its numbers is in bounds, but their sum may not be.
        return stamp

    def _convert(self, given: object, kind: type[T], whole: str) -> T:
        if type(given) is not dict:
            raise BadRequest(field=whole, why=f"must be one dict with {_fields(kind)}, not {limits.shown(given)}")
        try:
            return msgspec.convert(given, kind)
        except (msgspec.ValidationError, UnicodeEncodeError):  # The latter is raised for half a surrogate pair.
            self._blame(given, kind, whole)

    def _blame(self, given: Document, kind: type, whole: str) -> NoReturn:
        """Finds the field to blame for a dict that is no `kind`."""
        for field in msgspec.structs.fields(kind):
            if field.name not in given:
                raise BadRequest(field=field.name, why=f"is missing; there must be {_fields(kind)}")
            self._check(field.name, given[field.name])
        raise BadRequest(field=whole, why=f"must have these fields and no other: {_fields(kind)}")

    def _check(self, field: str, value: object) -> None:
        if field == "item":
            limits.check_item(value, self._items)
        elif field == "price":
            limits.read_price(value)
        elif field == "clock":
            try:
                self._stamp(msgspec.convert(value, self._clock_form))
            except (msgspec.ValidationError, UnicodeEncodeError):
                raise limits.refused_clock(value, self._clock) from None
        else:
            limits.checked(field, value)


def _fields(kind: type) -> str:
    return ", ".join(field.name for field in msgspec.structs.fields(kind))


def request_dict(request: PurchaseRequest) -> Document:
    """Returns a request as `buy` takes it."""
    return {
        "request_id": request.request_id,
        "buyer": request.buyer,
        "item": request.item,
        "quantity": request.quantity,
        "clock": clock_of(request.clock),
    }


def offer_dict(offer: Offer) -> Document:
    """Returns an offer as `deposit` takes it."""
    return {
        "deposit_id": offer.deposit_id,
        "seller": offer.seller,
        "item": offer.item,
        "quantity": offer.quantity,
        "price": money_text(offer.price),
        "clock": clock_of(offer.clock),
    }


# -- what callers get ----------------------------------------------------------------------------------------------


def outcome_dict(outcome: Outcome) -> Document:
    """Returns an outcome as `buy` and `outcome` give it."""
    accepted, request, sale = outcome.accepted, outcome.request, outcome.sale
    document = {
        # Older callers know the id of an outcome by this name; it says the same as `request_id`.
        "_id": request.request_id,
        "request_id": request.request_id,
        "buyer": request.buyer,
        "item": request.item,
        "quantity": request.quantity,
        "clock": clock_of(request.clock),
        "order": request.sort_key,
        "status": outcome.status,
        "queued_at": _time_of_day(accepted.queued_at_ms),
        "queued_term": accepted.queued_term,
        "arrival": accepted.arrival,
        "seq": outcome.seq,
        "term": outcome.term,
        "trader": outcome.trader,
        "decided_at": _time_of_day(outcome.decided_at_ms),
    }
    if sale is not None:
        document["seller"] = sale.seller
        document["deposit"] = sale.deposit
        document["price"] = money_text(sale.price)
        document["amount"] = money_text(sale.amount)
        document["commission"] = money_text(sale.commission)
        document["earned"] = money_text(sale.earned)
    elif outcome.reason is not None:
        document["reason"] = outcome.reason
    if outcome.concurrent is not None:
        document["concurrent"] = outcome.concurrent
    if outcome.taken_back is not None:
        document["taken_back"] = _reversal_dict(outcome.taken_back)
    return document


def _reversal_dict(reversal: Reversal) -> Document:
    plain = {field: getattr(reversal, field) for field in ("number", "term", "place", "trader", "reason")}
    money = {field: money_text(getattr(reversal, field)) for field in _GIVEN_BACK}
    return {**plain, **money, "taken_back_at": _time_of_day(reversal.taken_back_at_ms)}


def deposit_dict(deposit: Deposit, as_of: AsOf | None = None) -> Document:
    """Returns a deposit as `deposit` gives it; `as_of` says how far the trader had read when it told that."""
    offer = deposit.offer
    return {
        **({} if as_of is None else {"place": as_of.place}),
        # As in `outcome_dict`, this says the same as `deposit_id`.
        "_id": offer.deposit_id,
        "deposit_id": offer.deposit_id,
        "seller": offer.seller,
        "item": offer.item,
        "price": money_text(offer.price),
        "quantity": offer.quantity,
        "remaining": deposit.remaining,
        "clock": clock_of(offer.clock),
        "order": offer.sort_key,
        "deposited_at": _time_of_day(deposit.deposited_at_ms),
        "term": deposit.term,
    }


def status_dict(status: Status) -> Document:
    """Returns what `status` gives."""
    return cast("Document", msgspec.to_builtins(status))


def heartbeat_dict(status: Status) -> Document:
    """Returns what `heartbeat` gives."""
    return {"peer": status.name, "term": status.term, "trader": status.trader}


@lru_cache(maxsize=1024)
def _time_of_day(ms: int) -> str:
    return (_EPOCH + ms * _MILLISECOND).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# -- what callers get, read again by our customers -----------------------------------------------------------------


def outcome_of(document: object) -> Outcome:
    """Reads what `buy` answered; ValueError if it is no outcome."""
    return _read(_outcome, document)


def deposit_of(document: object) -> Deposit:
    """Reads what `deposit` answered; ValueError if it is no deposit."""
    return _read(_deposit, document)


def stamp_of(given: object) -> Stamp | None:
    """Reads a clock as it travels; None if it is none."""
    if isinstance(given, dict):
        if isinstance(given.get("lamport"), int):
            return LamportStamp(lamport=given["lamport"])
        if isinstance(given.get("vector"), dict):
            return VectorStamp(vector=given["vector"])
    return None


def _read(read: Callable[[Document], T], document: object) -> T:
    if not isinstance(document, dict):
        raise ValueError("not a document")
    try:
        return read(document)
    except (KeyError, TypeError, AttributeError, ArithmeticError) as error:
        raise ValueError(f"not a document of ours: {error!r}") from error


def _outcome(document: Document) -> Outcome:
    sale = None
    if document["status"] == "sold":
        sale = Sale(
            seller=document["seller"],
            deposit=document["deposit"],
            price=Decimal(document["price"]),
            amount=Decimal(document["amount"]),
            commission=Decimal(document["commission"]),
            earned=Decimal(document["earned"]),
        )
    request = PurchaseRequest(
        request_id=document["request_id"],
        buyer=document["buyer"],
        item=document["item"],
        quantity=document["quantity"],
        clock=_clock(document["clock"]),
    )
    return Outcome(
        accepted=Accepted(
            request=request,
            arrival=document["arrival"],
            queued_at_ms=_ms(document["queued_at"]),
            queued_term=document["queued_term"],
        ),
        seq=document["seq"],
        term=document["term"],
        trader=document["trader"],
        decided_at_ms=_ms(document["decided_at"]),
        sale=sale,
        reason=document.get("reason"),
        concurrent=document.get("concurrent"),
        taken_back=_reversal(document["taken_back"]) if "taken_back" in document else None,
    )


def _reversal(document: Document) -> Reversal:
    fields: Document = {field: document[field] for field in ("number", "term", "trader", "reason")}
    fields |= {field: Decimal(document[field]) for field in _GIVEN_BACK}
    return Reversal(**fields, taken_back_at_ms=_ms(document["taken_back_at"]), place=document.get("place", -1))


def _deposit(document: Document) -> Deposit:
    offer = Offer(
        deposit_id=document["deposit_id"],
        seller=document["seller"],
        item=document["item"],
        quantity=document["quantity"],
        price=Decimal(document["price"]),
        clock=_clock(document["clock"]),
    )
    return Deposit(
        offer=offer,
        remaining=document["remaining"],
        deposited_at_ms=_ms(document["deposited_at"]),
        term=document["term"],
    )


def _clock(given: object) -> Stamp:
    stamp = stamp_of(given)
    if stamp is None:
        raise TypeError("a clock that is none")
    return stamp


def _ms(text: str) -> int:
    return (datetime.fromisoformat(text) - _EPOCH) // _MILLISECOND
