"""What travels between peers: msgpack of the core's own structs.

Types and bounds are checked here, who may say it in `peers.rpc.speakers`, and whether it can be true by the core, and
in the end by the ledger, which trusts nobody. What callers from outside send and get is another matter
(`peers.rpc.forms.public_form`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, TypeVar, Union

import msgspec
from msgspec import Meta

from peers.core.bounds import MOST_MESSAGES, Count, Rank
from peers.core.calls import ReportStock, ReversalsReply, StandingReply, StockReply, check_call
from peers.core.leadership.elections.registry import ELECTION_MESSAGES
from peers.core.market.records import Outcome
from peers.core.membership.members import Member, Snapshot
from peers.core.messages import (
    ClockNews,
    Coordinator,
    FellowBeat,
    Foretelling,
    Heartbeat,
    LinkMessage,
    MemberNews,
    StockNews,
    TakenOver,
    Tally,
    Vacancy,
)
from peers.core.names import peer_name
from peers.errors import BadRequest

T = TypeVar("T")

if TYPE_CHECKING:
    AnyMessage = LinkMessage
else:
    # Which messages there are depends on which election algorithms are registered.
    AnyMessage = Union[
        (
            Heartbeat,
            ClockNews,
            MemberNews,
            Coordinator,
            Vacancy,
            Tally,
            FellowBeat,
            TakenOver,
            StockNews,
            Foretelling,
            *ELECTION_MESSAGES,
        )
    ]


FORM = 2
"""The form of what peers say to each other: one more with each change of it that another version would misread.

Machines of a town may be of different versions. Who is of another form is refused with that word, and not with
whatever its messages happen to look like in ours."""


class Parcel(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What one `deliver` carries, in either direction: messages of `sender`, who is in `incarnation`."""

    form: Count = FORM
    sender: Rank
    incarnation: Count
    messages: Annotated[tuple[AnyMessage, ...], Meta(max_length=MOST_MESSAGES)]


class Newcomer(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What `introduce` takes: a record of who wants to come in."""

    form: Count = FORM
    member: Member


class _Head(msgspec.Struct, frozen=True, array_like=True):
    """How both of these begin, in every form."""

    form: Count


_encoder = msgspec.msgpack.Encoder()
pack: Callable[[object], bytes] = _encoder.encode
_parcels = msgspec.msgpack.Decoder(Parcel)
_sales = msgspec.msgpack.Decoder(tuple[Outcome, ...])
_standings = msgspec.msgpack.Decoder(StandingReply)
_stock_reports = msgspec.msgpack.Decoder(ReportStock)
_stock_replies = msgspec.msgpack.Decoder(StockReply)
_reversals = msgspec.msgpack.Decoder(ReversalsReply)
_newcomers = msgspec.msgpack.Decoder(Newcomer)
_heads = msgspec.msgpack.Decoder(_Head)
_snapshots = msgspec.msgpack.Decoder(Snapshot)


def _unpack(decoder: msgspec.msgpack.Decoder[T], packed: object, field: str) -> T:
    if type(packed) is not bytes:
        raise BadRequest(field=field, why="must be bytes")
    try:
        return decoder.decode(packed)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(field=field, why=str(error)[:200]) from error


def _check_form(packed: object) -> None:
    """Raises BadRequest if `packed` is of another form than ours, whatever else is in it."""
    try:
        form = _unpack(_heads, packed, "form").form
    except BadRequest as error:
        why = f"what peers say begins with its form, which is {FORM} here; this does not: use the same version"
        raise BadRequest(field="form", why=why) from error
    if form != FORM:
        raise BadRequest(
            field="form", why=f"{form} is not understood here, only {FORM}: use the same version everywhere"
        )


def unpack_parcel(packed: object) -> Parcel:
    """Returns what `deliver` takes and gives; BadRequest if it is none, or of another form."""
    try:
        parcel = _unpack(_parcels, packed, "parcel")
    except BadRequest:
        _check_form(packed)
        raise
    if parcel.form != FORM:
        _check_form(packed)
    return parcel


def unpack_sales(packed: object) -> tuple[Outcome, ...]:
    """Returns what `told` takes; BadRequest if it is none."""
    return _unpack(_sales, packed, "sales")


def unpack_standing(packed: object) -> StandingReply:
    """Returns what `standing` gives; BadRequest if it is none."""
    return _unpack(_standings, packed, "standing")


def unpack_stock_report(packed: object) -> ReportStock:
    """Returns what `report_stock` takes; BadRequest if it is none, or beyond the limits of the market."""
    report = _unpack(_stock_reports, packed, "report")
    check_call(report, (), "lamport")  # There is no item, and no clock, in it.
    return report


def unpack_stock_reply(packed: object) -> StockReply:
    """Returns what `report_stock` gives; BadRequest if it is none."""
    return _unpack(_stock_replies, packed, "stock")


def unpack_reversals(packed: object) -> ReversalsReply:
    """Returns what `reversals` gives; BadRequest if it is none."""
    return _unpack(_reversals, packed, "reversals")


def unpack_snapshot(packed: object) -> Snapshot:
    """Returns what `introduce` gives; BadRequest if it is none."""
    return _unpack(_snapshots, packed, "snapshot")


def unpack_member(packed: object) -> Member:
    """Returns what `introduce` takes, a newcomer's record; BadRequest if it is none, or of another form.

    It is checked more closely, for all peers will call the newcomer at its address.
    """
    _check_form(packed)
    member = _unpack(_newcomers, packed, "member").member
    if not member.up or member.name != peer_name(member.role, member.rank):
        raise BadRequest(field="member", why="must be up, and its name that of its role and rank")
    if not member.uri.startswith("PYRO:"):
        raise BadRequest(field="member", why="must have an address")
    return member
