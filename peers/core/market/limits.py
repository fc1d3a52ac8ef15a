"""What an id, a name, an item, a quantity, a price and a clock may be: every limit of the market, in one place.

What callers send, what our own customers send and what the simulator plays are held to the same limits, and settings
are bounded by them. Each refusal is a BadRequest that names the field, what is allowed and what was given, shortened
and in ASCII, for it is shown to people and written into logs.
"""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from itertools import islice
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from peers.core.bounds import MAX_CLOCK_ENTRIES, MAX_TIME, Count
from peers.core.market.money import to_money
from peers.core.market.records import Offer, PurchaseRequest, clock_of
from peers.core.membership.clock_pace import MAX_AHEAD
from peers.core.membership.clocks import LamportStamp, Stamp
from peers.errors import BadRequest

MAX_QUANTITY = 1_000_000
"""The most units in one purchase, or in one deposit."""

MAX_PRICE = Decimal("1000000.00")
"""The highest price of one unit."""

MAX_ID_LENGTH = 100
MAX_NAME_LENGTH = 64
Id = Annotated[str, Meta(pattern=rf"\A[A-Za-z0-9_.:/-]{{1,{MAX_ID_LENGTH}}}\Z")]
"""The id of a request or a deposit, made by its owner. It may have `/` and `:` in it, as a path does."""

Name = Annotated[str, Meta(pattern=rf"\A[A-Za-z0-9_.:-]{{1,{MAX_NAME_LENGTH}}}\Z")]
"""The name of a customer. Unlike an id it has no `/`, for the customer's journal is a file of that name."""

Quantity = Annotated[int, Meta(ge=1, le=MAX_QUANTITY)]
PriceText = Annotated[str, Meta(pattern=r"\A(0|[1-9][0-9]{0,6})(\.[0-9]{1,2})?\Z")]
"""A price as it is sent; `read_price` checks its bounds too."""

VectorEntries = Annotated[dict[Name, Count], Meta(max_length=MAX_CLOCK_ENTRIES)]

Units = Annotated[int, Meta(ge=0, le=MAX_QUANTITY)]

MOST_UNFILLED = 100
"""The most sales in one report of a seller; the next report has the others."""

_MOST_SHOWN = 60
"""A refusal repeats at most so many characters of what was given."""


class _Limit(NamedTuple):
    kind: Any
    allowed: str


_ID = _Limit(Id, f"must be 1 to {MAX_ID_LENGTH} of A-Z a-z 0-9 _ . : / -")
_NAME = _Limit(Name, f"must be 1 to {MAX_NAME_LENGTH} of A-Z a-z 0-9 _ . : -")
_PRICE = _Limit(PriceText, f'must be a text such as "7.20", above 0, at most {MAX_PRICE}, exact to the cent')
_LIMITS = {
    "request_id": _ID,
    "deposit_id": _ID,
    "buyer": _NAME,
    "seller": _NAME,
    "quantity": _Limit(Quantity, f"must be a whole number from 1 to {MAX_QUANTITY}"),
    "after_seq": _Limit(Count, "must be a whole number from 0 to 2**53"),
    "customer": _NAME,
    "after": _Limit(Count, "must be a whole number from 0 to 2**53"),
    "handed_over": _Limit(Units, f"must be a whole number from 0 to {MAX_QUANTITY}"),
    "holds": _Limit(Units, f"must be a whole number from 0 to {MAX_QUANTITY}"),
    "unfilled": _Limit(
        Annotated[tuple[Id, ...], Meta(max_length=MOST_UNFILLED)], f"must be at most {MOST_UNFILLED} ids of requests"
    ),
}
_CLOCKS = {
    "lamport": 'must be {"lamport": number}, a whole number from 0 to 2**53',
    "vector": f'must be {{"vector": {{name: number}}}}, at most {MAX_CLOCK_ENTRIES} of them, '
    "whole numbers from 0 that sum up to 2**53 at most",
}


# -- one field -----------------------------------------------------------------------------------------------------


def checked(field: str, given: object) -> Any:
    """Returns `given` if it may stand in `field` (an id, a name, a quantity, a number); BadRequest if not."""
    kind, allowed = _LIMITS[field]
    try:
        return msgspec.convert(given, kind)
    except (msgspec.ValidationError, UnicodeEncodeError):  # The latter is raised for half a surrogate pair.
        raise _refusal(field, allowed, given) from None


def check_item(given: object, items: Collection[str]) -> None:
    """Raises BadRequest unless `given` is one of the `items` that are traded."""
    if type(given) is not str or given not in items:
        raise _refusal("item", f"must be one of {', '.join(items)}", given)


def read_price(given: object) -> Decimal:
    """Returns the price in a text such as "7.20", with two places; BadRequest if it is none, or out of bounds."""
    try:
        price = to_money(msgspec.convert(given, PriceText))
    except (msgspec.ValidationError, UnicodeEncodeError):
        raise _refusal("price", _PRICE.allowed, given) from None
    if not 0 < price <= MAX_PRICE:
        raise _refusal("price", _PRICE.allowed, given)
    return price


def check_clock(stamp: Stamp, clock: str) -> None:
    """Raises BadRequest unless `stamp` is of this kind (`lamport` or `vector`) and its numbers are in bounds."""
    try:
        if isinstance(stamp, LamportStamp):
            msgspec.convert(stamp.lamport, Count)
        else:
            msgspec.convert(stamp.vector, VectorEntries)
    except (msgspec.ValidationError, UnicodeEncodeError):
        raise refused_clock(clock_of(stamp), clock) from None
    if isinstance(stamp, LamportStamp) is not (clock == "lamport") or stamp.time > MAX_TIME:
        raise refused_clock(clock_of(stamp), clock)


def refused_clock(given: object, clock: str) -> BadRequest:
    """Returns the refusal of what is no clock of a market whose clocks are of the kind `clock`."""
    return _refusal("clock", _CLOCKS[clock], given)


def check_not_far_ahead(stamp: Stamp, market: Stamp) -> None:
    """Raises BadRequest if `stamp` is further ahead of the market's clock than an honest customer's can be."""
    if stamp.time > market.time + MAX_AHEAD:
        allowed = f"must be at most {MAX_AHEAD} ahead of the market's, which is at {market.time}"
        raise BadRequest(field="clock", why=f"{allowed}, and is {stamp.time}")


# -- a whole record ------------------------------------------------------------------------------------------------


def check_request(request: PurchaseRequest, items: Collection[str], clock: str) -> None:
    """Raises BadRequest unless everything in `request` is within the limits of a market of these items and clocks."""
    checked("request_id", request.request_id)
    checked("buyer", request.buyer)
    check_item(request.item, items)
    checked("quantity", request.quantity)
    check_clock(request.clock, clock)


def check_offer(offer: Offer, items: Collection[str], clock: str) -> None:
    """Raises BadRequest unless everything in `offer` is within the limits of a market of these items and clocks."""
    checked("deposit_id", offer.deposit_id)
    checked("seller", offer.seller)
    check_item(offer.item, items)
    checked("quantity", offer.quantity)
    read_price(format(offer.price, "f"))
    check_clock(offer.clock, clock)


# -- refusals -----------------------------------------------------------------------------------------------------


def _refusal(field: str, allowed: str, given: object) -> BadRequest:
    return BadRequest(field=field, why=f"{allowed}, not {shown(given)}")


def shown(given: object) -> str:
    """Returns what was given in few words and in ASCII, whatever it is and however large."""
    if isinstance(given, dict):
        inside = [f"{_shown_inside(key)}: {_shown_inside(value)}" for key, value in islice(given.items(), 2)]
        return _shortened(f"{{{', '.join(inside)}{', ...' if len(given) > 2 else ''}}}")
    return _shown_inside(given)


def _shown_inside(given: object) -> str:
    if given is None or isinstance(given, bool | float):
        return repr(given)
    if isinstance(given, str):
        return _shortened(ascii(given[:_MOST_SHOWN]), cut=len(given) > _MOST_SHOWN)
    if isinstance(given, int):
        return str(given) if abs(given) < 10**20 else "a number of more than 20 digits"
    return f"a {type(given).__name__}"


def _shortened(text: str, *, cut: bool = False) -> str:
    return f"{text[:_MOST_SHOWN]}..." if cut or len(text) > _MOST_SHOWN else text
