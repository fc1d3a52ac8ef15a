"""What callers send, checked and turned into calls; what the core answers, turned into what callers get; and back.

Callers are strangers: whatever they send is either exactly right or a `BadRequest` that names the field and says
why, in a few words and never in theirs. Between peers, messages travel as msgpack of the core's own structs, which
are checked for their types and need no more: peers trust each other's word, and the ledger nobody's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, NoReturn, TypeVar, cast

import msgspec
from msgspec import Meta

from db.schema.documents import WIRE, deposit_document, deposit_from, outcome_document, outcome_from
from peers.core.calls import AskOutcome, Buy, MakeDeposit, Search, Standing, StandingReply, Status
from peers.core.market.money import MAX_PRICE, to_money
from peers.core.market.records import Deposit, Offer, Outcome, PurchaseRequest, clock_of
from peers.core.membership.clocks import MAX_TIME, LamportStamp, Stamp, VectorStamp
from peers.core.membership.members import Member, Snapshot
from peers.core.messages import LinkMessage
from peers.core.names import peer_name
from peers.core.settings import Settings
from peers.errors import BadRequest

MAX_QUANTITY = 1_000_000
MOST_CLOCK_ENTRIES = 1000
MOST_ON_OFFER = 10_000
"""Rows in the answer to a search."""

Document = dict[str, Any]
T = TypeVar("T")

_Id = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_.:-]{1,100}\Z")]
_Name = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_.:-]{1,64}\Z")]
_Quantity = Annotated[int, Meta(ge=1, le=MAX_QUANTITY)]
_Price = Annotated[str, Meta(pattern=r"\A(0|[1-9][0-9]{0,6})(\.[0-9]{1,2})?\Z")]
_Time = Annotated[int, Meta(ge=0, le=MAX_TIME)]


class _Lamport(msgspec.Struct, forbid_unknown_fields=True):
    lamport: _Time


class _Vector(msgspec.Struct, forbid_unknown_fields=True):
    vector: Annotated[dict[_Name, _Time], Meta(max_length=MOST_CLOCK_ENTRIES)]


class _Request(msgspec.Struct, forbid_unknown_fields=True):
    request_id: _Id
    buyer: _Name
    item: str
    quantity: _Quantity


class _LamportRequest(_Request, forbid_unknown_fields=True):
    clock: _Lamport


class _VectorRequest(_Request, forbid_unknown_fields=True):
    clock: _Vector


class _Offer(msgspec.Struct, forbid_unknown_fields=True):
    deposit_id: _Id
    seller: _Name
    item: str
    quantity: _Quantity
    price: _Price


class _LamportOffer(_Offer, forbid_unknown_fields=True):
    clock: _Lamport


class _VectorOffer(_Offer, forbid_unknown_fields=True):
    clock: _Vector


_WHY = {
    "request_id": "must be 1 to 100 of A-Z a-z 0-9 _ . : -",
    "deposit_id": "must be 1 to 100 of A-Z a-z 0-9 _ . : -",
    "buyer": "must be 1 to 64 of A-Z a-z 0-9 _ . : -",
    "seller": "must be 1 to 64 of A-Z a-z 0-9 _ . : -",
    "quantity": f"must be a whole number from 1 to {MAX_QUANTITY}",
    "price": f'must be a text such as "7.20", above 0, at most {MAX_PRICE}, exact to the cent',
    "after_seq": "must be a whole number from 0",
}
_MISSING = re.compile(r"Object missing required field `(\w+)`\Z")
_AT = re.compile(r" - at (?:`key` in )?`\$\.(\w+)[^ ]*\Z")


class Reader:
    """Reads what callers send, by the settings of one town."""

    def __init__(self, settings: Settings) -> None:
        self._items = settings.market.items
        vector = settings.clock == "vector"
        self._request: type[_Request] = _VectorRequest if vector else _LamportRequest
        self._offer: type[_Offer] = _VectorOffer if vector else _LamportOffer
        entries = "{name: number}, at most 1000 of them" if vector else "number"
        self._clock_why = f'must be {{"{settings.clock}": {entries}}}, numbers from 0 to 2**53'

    def request(self, given: object) -> Buy:
        """A purchase request; see the contract."""
        read = cast("_LamportRequest | _VectorRequest", self._convert(given, self._request, "request"))
        self._check_item(read.item)
        request = PurchaseRequest(
            request_id=read.request_id,
            buyer=read.buyer,
            item=read.item,
            quantity=read.quantity,
            clock=self._stamp(read.clock),
        )
        return Buy(request=request)

    def offer(self, given: object) -> MakeDeposit:
        """An offer; see the contract."""
        read = cast("_LamportOffer | _VectorOffer", self._convert(given, self._offer, "offer"))
        self._check_item(read.item)
        price = to_money(read.price)
        if not 0 < price <= MAX_PRICE:
            raise BadRequest(field="price", why=_WHY["price"])
        offer = Offer(
            deposit_id=read.deposit_id,
            seller=read.seller,
            item=read.item,
            quantity=read.quantity,
            price=price,
            clock=self._stamp(read.clock),
        )
        return MakeDeposit(offer=offer)

    def request_id(self, given: object) -> AskOutcome:
        """The id of a request."""
        return AskOutcome(request_id=_checked(given, _Id, "request_id"))

    def item(self, given: object) -> Search:
        """What to search for, None for everything."""
        if given is not None:
            self._check_item(given)
        return Search(item=cast("str | None", given))

    def standing(self, seller: object, after_seq: object) -> Standing:
        """Whose standing, and from which sale on."""
        return Standing(
            seller=_checked(seller, _Name, "seller"), after_seq=cast("int", _checked(after_seq, _Time, "after_seq"))
        )

    def _check_item(self, item: object) -> None:
        if type(item) is not str or item not in self._items:
            raise BadRequest(field="item", why=f"must be one of {', '.join(self._items)}")

    def _stamp(self, read: _Lamport | _Vector) -> LamportStamp | VectorStamp:
        if isinstance(read, _Lamport):
            return LamportStamp(lamport=read.lamport)
        if sum(read.vector.values()) > MAX_TIME:
            raise BadRequest(field="clock", why="must not sum up to more than 2**53")
        return VectorStamp(vector=read.vector)

    def _convert(self, given: object, kind: type[T], whole: str) -> T:
        if type(given) is not dict:
            raise BadRequest(field=whole, why=f"must be one dict with {', '.join(_fields(kind))}")
        try:
            return msgspec.convert(given, kind)
        except msgspec.ValidationError as error:
            self._blame(str(error), kind, whole)
        except UnicodeEncodeError:  # half a character, where msgspec says no more than that
            rotten = _rotten(given, kind)
            self._blame("" if rotten is None else f" - at `$.{rotten}`", kind, whole)

    def _blame(self, said: str, kind: type, whole: str) -> NoReturn:
        missing = _MISSING.match(said)
        if missing:
            raise BadRequest(field=missing[1], why="is missing")
        at = _AT.search(said[-200:])
        if at is None:
            raise BadRequest(field=whole, why=f"must have these fields and no other: {', '.join(_fields(kind))}")
        field = at[1]
        raise BadRequest(field=field, why=self._clock_why if field == "clock" else _WHY.get(field, "must be a text"))


def _fields(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in msgspec.structs.fields(kind))


def _rotten(given: Document, kind: type) -> str | None:
    """The first field that is not what it must be."""
    for field in msgspec.structs.fields(kind):
        try:
            msgspec.convert(given.get(field.name), field.type)
        except (msgspec.ValidationError, UnicodeEncodeError):
            return field.name
    return None


def _checked(given: object, kind: Any, field: str) -> Any:
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        raise BadRequest(field=field, why=_WHY[field]) from error


# -- what callers get, and how our own customers read it ---------------------------------------------------------


def request_dict(request: PurchaseRequest) -> Document:
    """A request as `buy` takes it."""
    return {
        "request_id": request.request_id,
        "buyer": request.buyer,
        "item": request.item,
        "quantity": request.quantity,
        "clock": clock_of(request.clock),
    }


def offer_dict(offer: Offer) -> Document:
    """An offer as `deposit` takes it."""
    return {
        "deposit_id": offer.deposit_id,
        "seller": offer.seller,
        "item": offer.item,
        "quantity": offer.quantity,
        "price": format(offer.price, ".2f"),
        "clock": clock_of(offer.clock),
    }


def outcome_dict(outcome: Outcome) -> Document:
    """An outcome as recorded."""
    return outcome_document(outcome, WIRE)


def deposit_dict(deposit: Deposit) -> Document:
    """A deposit as recorded."""
    return deposit_document(deposit, WIRE)


def on_offer(deposits: tuple[Deposit, ...]) -> list[Document]:
    """What a search finds, one row a deposit."""
    return [
        {
            "item": d.offer.item,
            "seller": d.offer.seller,
            "price": format(d.offer.price, ".2f"),
            "remaining": d.remaining,
            "deposit_id": d.offer.deposit_id,
        }
        for d in deposits[:MOST_ON_OFFER]
    ]


def status_dict(status: Status) -> Document:
    """What `status` gives, in types that every serializer knows."""
    return cast("Document", msgspec.to_builtins(status))


def outcome_of(document: object) -> Outcome:
    """Reads what `buy` answered; ValueError if it is no outcome."""
    return _read(outcome_from, document)


def deposit_of(document: object) -> Deposit:
    """Reads what `deposit` answered; ValueError if it is no deposit."""
    return _read(deposit_from, document)


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


# -- between peers -----------------------------------------------------------------------------------------------


class Parcel(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What one `deliver` carries, in either direction: messages of `sender`, who is in `incarnation`."""

    sender: int
    incarnation: int
    messages: tuple[LinkMessage, ...]


_encoder = msgspec.msgpack.Encoder()
pack: Callable[[object], bytes] = _encoder.encode
_parcels = msgspec.msgpack.Decoder(Parcel)
_sales = msgspec.msgpack.Decoder(tuple[Outcome, ...])
_standings = msgspec.msgpack.Decoder(StandingReply)
_members = msgspec.msgpack.Decoder(Member)
_snapshots = msgspec.msgpack.Decoder(Snapshot)


def _unpack(decoder: msgspec.msgpack.Decoder[T], packed: object, field: str) -> T:
    if type(packed) is not bytes:
        raise BadRequest(field=field, why="must be bytes")
    try:
        return decoder.decode(packed)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(field=field, why=str(error)[:200]) from error


def unpack_parcel(packed: object) -> Parcel:
    return _unpack(_parcels, packed, "parcel")


def unpack_sales(packed: object) -> tuple[Outcome, ...]:
    return _unpack(_sales, packed, "sales")


def unpack_standing(packed: object) -> StandingReply:
    return _unpack(_standings, packed, "standing")


def unpack_snapshot(packed: object) -> Snapshot:
    return _unpack(_snapshots, packed, "snapshot")


def unpack_member(packed: object) -> Member:
    """A newcomer's record, checked more closely: everybody will call it at its address."""
    member = _unpack(_members, packed, "member")
    sane = 0 <= member.rank < 999_999 and 0 <= member.incarnation <= MAX_TIME
    if not sane or not member.up or member.name != peer_name(member.role, member.rank):
        raise BadRequest(field="member", why="must be up, and its name that of its role and rank")
    if not member.uri.startswith("PYRO:") or len(member.uri) > 300:
        raise BadRequest(field="member", why="must have an address")
    return member


def earned_dict(outcome: Outcome, earned: Decimal) -> Document:
    """A sale as its seller's journal keeps it."""
    request, sale = outcome.request, outcome.sale
    return {
        "request_id": request.request_id,
        "seq": outcome.seq,
        "item": request.item,
        "quantity": request.quantity,
        "buyer": request.buyer,
        "price": format(sale.price, ".2f") if sale else None,
        "earned": format(earned, ".2f"),
    }
