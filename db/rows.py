"""The books as the proof side reads them: plain rows, made from documents without trusting them.

The invariants judge books that may be wrong in any way, a missing field and a text for a number included. So a row
holds, for every field, either a value of the right type or None, and reading a document never raises. Nothing
here is shared with the trader or the ledgers: what they write is read a second time, by other code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from sys import intern
from typing import Any

import msgspec

Document = Mapping[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_PEER = re.compile(r"(?:buyer|seller|merchant)([0-9]{1,6})")
_RANK_OF_STRANGERS = 999_999

DECIDED = ("sold", "unavailable")


class RequestRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A document of `requests`; times are milliseconds since 1970."""

    id: str
    buyer: str | None
    item: str | None
    quantity: int | None
    clock: object
    order: str | None
    status: str | None
    arrival: int | None
    queued_at: int | None
    queued_term: int | None
    seq: int | None
    term: int | None
    trader: str | None
    decided_at: int | None
    seller: str | None
    deposit: str | None
    price: Decimal | None
    amount: Decimal | None
    commission: Decimal | None
    earned: Decimal | None

    @property
    def sold(self) -> bool:
        return self.status == "sold"


class DepositRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A document of `deposits`."""

    id: str
    seller: str | None
    item: str | None
    price: Decimal | None
    quantity: int | None
    remaining: int | None
    clock: object
    order: str | None
    deposited_at: int | None
    term: int | None


class PostRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A document of `posts`."""

    id: str
    term: int | None
    trader: str | None
    seq: int | None


class ElectionRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A document of `elections`."""

    id: str
    term: int | None
    trader: str | None


class JournalEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a peer's journal: what it asked for (`asked`) or was told (`told`, `deposited`, `earned`).

    Lines of any other kind are allowed, and say nothing that the books could contradict.
    """

    kind: str
    peer: str
    at_ms: int = 0
    request: dict[str, Any] | None = None
    outcome: dict[str, Any] | None = None
    deposit: dict[str, Any] | None = None
    sale: dict[str, Any] | None = None


def read_request(document: Document) -> RequestRow:
    """Never raises; what is missing or of the wrong type is None."""
    get = document.get
    return RequestRow(
        id=str(get("_id")),
        buyer=_name(get("buyer")),
        item=_name(get("item")),
        quantity=_whole(get("quantity")),
        clock=get("clock"),
        order=_text(get("order")),
        status=_name(get("status")),
        arrival=_whole(get("arrival")),
        queued_at=_milliseconds(get("queued_at")),
        queued_term=_whole(get("queued_term")),
        seq=_whole(get("seq")),
        term=_whole(get("term")),
        trader=_name(get("trader")),
        decided_at=_milliseconds(get("decided_at")),
        seller=_name(get("seller")),
        deposit=_text(get("deposit")),
        price=money(get("price")),
        amount=money(get("amount")),
        commission=money(get("commission")),
        earned=money(get("earned")),
    )


def read_deposit(document: Document) -> DepositRow:
    """Never raises; what is missing or of the wrong type is None."""
    get = document.get
    return DepositRow(
        id=str(get("_id")),
        seller=_name(get("seller")),
        item=_name(get("item")),
        price=money(get("price")),
        quantity=_whole(get("quantity")),
        remaining=_whole(get("remaining")),
        clock=get("clock"),
        order=_text(get("order")),
        deposited_at=_milliseconds(get("deposited_at")),
        term=_whole(get("term")),
    )


def read_post(document: Document) -> PostRow:
    get = document.get
    return PostRow(id=str(get("_id")), term=_whole(get("term")), trader=_name(get("trader")), seq=_whole(get("seq")))


def read_election(document: Document) -> ElectionRow:
    get = document.get
    return ElectionRow(id=str(get("_id")), term=_whole(get("term")), trader=_name(get("trader")))


def money(value: object) -> Decimal | None:
    """Decimals as they are, BSON's by their own conversion, texts and whole numbers exactly; floats never."""
    if value is None or isinstance(value, float | bool):
        return None
    bid = getattr(value, "bid", None)
    known = _converted.get(bid) if isinstance(bid, bytes) else None
    return known if known is not None else _convert(value, bid)


_MOST_CONVERTED = 10_000
_converted: dict[bytes, Decimal] = {}
"""BSON decimals by their bytes: few amounts are unlike all others, and converting one is dear."""


def _convert(value: Any, bid: object) -> Decimal | None:
    convert = getattr(value, "to_decimal", None)
    try:
        amount = convert() if convert is not None else Decimal(value)
    except (InvalidOperation, TypeError, ValueError):
        return None
    if not isinstance(amount, Decimal) or not amount.is_finite():
        return None
    if isinstance(bid, bytes):
        if len(_converted) >= _MOST_CONVERTED:
            _converted.clear()
        _converted[bid] = amount
    return amount


def derived_order(clock: object, owner: str | None, record_id: str) -> str | None:
    """The sort key a record must carry, worked out a second time from its clock, owner and id; None if it cannot be.

    By logical time (Lamport's number, or the sum of a vector), then rank, then name and id.
    """
    time = _logical_time(clock)
    if time is None or owner is None:
        return None
    peer = _PEER.fullmatch(owner)
    rank = int(peer[1]) if peer else _RANK_OF_STRANGERS
    return f"{time:016d}.{rank:06d}.{owner}.{record_id}"


def same_clock(one: object, other: object) -> bool:
    """Whether two clocks say the same. What a vector does not name is 0, and a stamp may carry more than its time."""
    return _bare_clock(one) == _bare_clock(other)


def _bare_clock(clock: object) -> object:
    if not isinstance(clock, Mapping):
        return clock
    vector = clock.get("vector")
    return {k: n for k, n in vector.items() if n != 0} if isinstance(vector, Mapping) else clock.get("lamport")


def _logical_time(clock: object) -> int | None:
    if not isinstance(clock, Mapping):
        return None
    if "lamport" in clock:
        return _whole(clock["lamport"])
    vector = clock.get("vector")
    if not isinstance(vector, Mapping):
        return None
    entries = [_whole(entry) for entry in vector.values()]
    return None if None in entries else sum(entry for entry in entries if entry is not None)


def _whole(value: object) -> int | None:
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _name(value: object) -> str | None:
    """Names and items repeat in every document; one copy of each keeps a long audit small."""
    return intern(value) if type(value) is str else None


def _milliseconds(value: object) -> int | None:
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return (aware - _EPOCH) // _MILLISECOND
    return _whole(value)
