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
from typing import Annotated, Any

import msgspec

Document = Mapping[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_PEER = re.compile(r"(?:buyer|seller|merchant)([0-9]{1,6})")
_RANK_OF_STRANGERS = 999_999
_FAR = 2**63
_MOST_DIGITS = 24
"""Amounts are worked out to the cent with no more digits before it than that: none of money has as many."""

MOST_US = 2**53
"""Times beyond are none: in microseconds, it is 285 years. Sums and differences of two fit into 64 bits."""

_Monotonic = Annotated[int, msgspec.Meta(ge=0, le=MOST_US)]
_OnTheWall = Annotated[int, msgspec.Meta(ge=-MOST_US, le=MOST_US)]  # Such a clock may be set to anything.

DECIDED = ("sold", "unavailable")
MAIN_POST = "main"


class ReversalRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What `taken_back` says in a document of `requests`: the sale was undone."""

    number: int | None
    amount: Decimal | None
    commission: Decimal | None
    earned: Decimal | None
    term: int | None
    trader: str | None
    taken_back_at: int | None


class RequestRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A document of `requests`; times are milliseconds since 1970, `at` is the place in the log that made it so."""

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
    at: int | None
    taken_back: ReversalRow | None = None
    area: str = ""
    foretold: str = ""

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
    at: int | None
    written_off: int | None = 0
    area: str = ""


class HolderRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Who is trader of an area, where several share the log."""

    term: int | None
    trader: str | None
    since: int | None
    uri: str | None
    written_at: int | None


class PostRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A document of `posts`: what the post was after the entry at the place `made`."""

    id: str
    term: int | None
    trader: str | None
    since: int | None
    seq: int | None
    arrival: int | None
    made: int | None
    uri: str | None = ""
    reversals: int | None = 0
    areas: Mapping[str, HolderRow] = {}

    def term_of(self, area: str) -> int | None:
        """Returns the term that the post of an area has come to."""
        holder = self.areas.get(area)
        return self.term if not area else 0 if holder is None else holder.term


class ElectionRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A document of `elections`."""

    id: str
    term: int | None
    trader: str | None
    area: str = ""


class JournalEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a peer's journal: what it asked for (`asked`) or was told (`told`, `deposited`, `earned`, and
    `got_back` or `took_back` where a sale was undone).

    `read` is what a customer saw that only looked. `mono_us` is when the line was written, in microseconds of the
    monotonic clock, which only lines of the same `boot` of a machine have in common. Lines of any other kind are
    allowed, and say nothing that the books could contradict.
    """

    kind: str
    peer: str
    at_ms: _OnTheWall = 0
    request: dict[str, Any] | None = None
    outcome: dict[str, Any] | None = None
    deposit: dict[str, Any] | None = None
    sale: dict[str, Any] | None = None
    reversal: dict[str, Any] | None = None
    offer: dict[str, Any] | None = None
    read: dict[str, Any] | None = None
    boot: str = ""
    mono_us: _Monotonic | None = None


def read_request(document: Document) -> RequestRow:
    """Never raises; what is missing or of the wrong type is None."""
    get = document.get
    return RequestRow(
        id=str(get("_id")),
        buyer=name(get("buyer")),
        item=name(get("item")),
        quantity=whole(get("quantity")),
        clock=get("clock"),
        order=text(get("order")),
        status=name(get("status")),
        arrival=whole(get("arrival")),
        queued_at=milliseconds(get("queued_at")),
        queued_term=whole(get("queued_term")),
        seq=whole(get("seq")),
        term=whole(get("term")),
        trader=name(get("trader")),
        decided_at=milliseconds(get("decided_at")),
        seller=name(get("seller")),
        deposit=text(get("deposit")),
        price=money(get("price")),
        amount=money(get("amount")),
        commission=money(get("commission")),
        earned=money(get("earned")),
        at=whole(get("at")),
        taken_back=_read_reversal(document) if "taken_back" in document else None,
        area=name(get("area")) or "",
        foretold=name(get("foretold")) or "",
    )


def _read_reversal(document: Document) -> ReversalRow:
    given = document["taken_back"]
    fields: Document = given if isinstance(given, Mapping) else {}
    get = fields.get
    return ReversalRow(
        number=whole(get("number")),
        amount=money(get("amount")),
        commission=money(get("commission")),
        earned=money(get("earned")),
        term=whole(get("term")),
        trader=name(get("trader")),
        taken_back_at=milliseconds(get("taken_back_at")),
    )


def read_deposit(document: Document) -> DepositRow:
    """Never raises; what is missing or of the wrong type is None."""
    get = document.get
    return DepositRow(
        id=str(get("_id")),
        seller=name(get("seller")),
        item=name(get("item")),
        price=money(get("price")),
        quantity=whole(get("quantity")),
        remaining=whole(get("remaining")),
        clock=get("clock"),
        order=text(get("order")),
        deposited_at=milliseconds(get("deposited_at")),
        term=whole(get("term")),
        at=whole(get("at")),
        written_off=whole(get("written_off", 0)),
        area=name(get("area")) or "",
    )


def read_post(document: Document) -> PostRow:
    get = document.get
    return PostRow(
        id=str(get("_id")),
        term=whole(get("term")),
        trader=name(get("trader")),
        since=milliseconds(get("since")),
        seq=whole(get("seq")),
        arrival=whole(get("arrival")),
        made=whole(get("made")),
        uri=text(get("uri", "")),
        reversals=whole(get("reversals", 0)),
        areas=_read_areas(get("areas")),
    )


def _read_areas(given: object) -> dict[str, HolderRow]:
    areas = given if isinstance(given, Mapping) else {}
    return {str(area): _read_holder(each if isinstance(each, Mapping) else {}) for area, each in areas.items()}


def _read_holder(document: Document) -> HolderRow:
    get = document.get
    return HolderRow(
        term=whole(get("term")),
        trader=name(get("trader")),
        since=milliseconds(get("since")),
        uri=text(get("uri")),
        written_at=milliseconds(get("written_at")),
    )


def read_election(document: Document) -> ElectionRow:
    get = document.get
    return ElectionRow(
        id=str(get("_id")), term=whole(get("term")), trader=name(get("trader")), area=name(get("area")) or ""
    )


def money(value: object) -> Decimal | None:
    """Returns an amount exactly, from a Decimal, BSON's decimal, a text or a whole number; None for all else, and for
    what is far beyond all money."""
    if value is None or isinstance(value, float | bool):
        return None
    bid = getattr(value, "bid", None)
    known = _converted.get(bid) if isinstance(bid, bytes) else None
    return known if known is not None else _convert(value, bid)


_MOST_CONVERTED = 10_000
"""The most BSON decimals remembered, which are some megabytes. No setting: it only bounds memory."""

_converted: dict[bytes, Decimal] = {}
"""The values of BSON decimals by their bytes: amounts repeat, and converting one takes long."""


def _convert(value: Any, bid: object) -> Decimal | None:
    convert = getattr(value, "to_decimal", None)
    try:
        amount = convert() if convert is not None else Decimal(value)
    except (InvalidOperation, TypeError, ValueError):
        return None
    if not isinstance(amount, Decimal) or not amount.is_finite() or amount.adjusted() >= _MOST_DIGITS:
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
    time = logical_time(clock)
    if time is None or owner is None:
        return None
    peer = _PEER.fullmatch(owner)
    rank = int(peer[1]) if peer else _RANK_OF_STRANGERS
    return f"{time:016d}.{rank:06d}.{owner}.{record_id}"


def is_peer(owner: str | None) -> bool:
    """Whether that is the name of a peer; other customers come from outside."""
    return owner is not None and _PEER.fullmatch(owner) is not None


def same_clock(one: object, other: object) -> bool:
    """Whether two clocks say the same. What a vector does not name is 0, and a stamp may carry more than its time."""
    return _bare_clock(one) == _bare_clock(other)


def _bare_clock(clock: object) -> object:
    if not isinstance(clock, Mapping):
        return clock
    vector = clock.get("vector")
    return {k: n for k, n in vector.items() if n != 0} if isinstance(vector, Mapping) else clock.get("lamport")


def logical_time(clock: object) -> int | None:
    """Lamport's number, or the sum of a vector; None if it is neither."""
    if not isinstance(clock, Mapping):
        return None
    if "lamport" in clock:
        return whole(clock["lamport"])
    vector = clock.get("vector")
    if not isinstance(vector, Mapping):
        return None
    entries = [whole(entry) for entry in vector.values()]
    return None if None in entries else sum(entry for entry in entries if entry is not None)


def whole(value: object) -> int | None:
    """Whole numbers as they are, as far as the database has them; anything else is None, `True` and 3.0 too."""
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return int(value) if -_FAR <= value < _FAR else None


def text(value: object) -> str | None:
    """Texts as they are; anything else is None."""
    return value if isinstance(value, str) else None


def name(value: object) -> str | None:
    """Returns a name or an item, None for all else. They repeat in every document, so one copy of each is kept."""
    return intern(value) if type(value) is str else None


def milliseconds(value: object) -> int | None:
    """Returns a date in milliseconds since 1970; a whole number is taken for one already."""
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return (aware - _EPOCH) // _MILLISECOND
    return whole(value)
