"""Every number and every list that one peer sends to another is bounded where it is decoded, in whatever message."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from msgspec import inspect

from peers.core.bounds import MAX_TIME, MOST_MESSAGES
from peers.core.calls import ReversalsReply, StandingReply, StockReply
from peers.core.leadership.reasons import VacancyReason
from peers.core.market.records import Outcome
from peers.core.membership.clocks import LamportStamp
from peers.core.membership.members import Member, Snapshot
from peers.core.messages import ClockNews, Coordinator, Heartbeat, LinkMessage, MemberNews, Vacancy
from peers.errors import BadRequest
from peers.rpc import wire

SENT = (wire.Parcel, Member, Snapshot, tuple[Outcome, ...], StandingReply, StockReply, ReversalsReply)
LISTS_WITHOUT_BOUND = {"sales", "deposits", "reversals", "leases"}
"""Lists of records, which only the size of a message bounds: they are read once, and nothing is kept of them."""


def unbounded(kind: Any, path: str, seen: set[Any]) -> Iterator[str]:
    """The paths to numbers without bounds, and to lists without a length, in a type."""
    if isinstance(kind, inspect.IntType):
        if kind.ge is None or (kind.le is None and kind.lt is None) or (kind.le or kind.lt or 0) > MAX_TIME:
            yield path
    elif isinstance(kind, inspect.FloatType):
        if kind.ge is None or kind.le is None:
            yield path
    elif isinstance(kind, inspect.StructType):
        if kind.cls not in seen:
            for field in kind.fields:
                yield from unbounded(field.type, f"{path}{kind.cls.__name__}.{field.name} ", {*seen, kind.cls})
    elif isinstance(kind, inspect.UnionType):
        for each in kind.types:
            yield from unbounded(each, path, seen)
    elif isinstance(kind, inspect.VarTupleType):
        if kind.max_length is None and path and path.split(".")[-1].strip() not in LISTS_WITHOUT_BOUND:
            yield f"{path}(its length)"
        yield from unbounded(kind.item_type, path, seen)
    elif isinstance(kind, inspect.TupleType):
        for each in kind.item_types:
            yield from unbounded(each, path, seen)
    elif isinstance(kind, inspect.DictType):
        if kind.max_length is None:
            yield f"{path}(its length)"
        yield from unbounded(kind.value_type, path, seen)


@pytest.mark.parametrize("sent", SENT, ids=str)
def test_no_number_is_without_bounds(sent: Any) -> None:
    assert list(unbounded(inspect.type_info(sent), "", set())) == []


def parcel(message: LinkMessage, *, sender: int = 3, incarnation: int = 7) -> bytes:
    return wire.pack(wire.Parcel(sender=sender, incarnation=incarnation, messages=(message,)))


def member(**changes: Any) -> Member:
    known = Member(rank=3, name="buyer3", role="buyer", uri="PYRO:buyer3@host:1", incarnation=7)
    return msgspec.structs.replace(known, **changes)


FORGED: tuple[LinkMessage, ...] = (
    Vacancy(term=2**64 - 1, reason=VacancyReason.CRASHED),
    Vacancy(term=1, reason=VacancyReason.CRASHED, incarnation=MAX_TIME + 1),
    Vacancy(term=1, reason=VacancyReason.CRASHED, barred=(1,), barred_for=10**6),
    Coordinator(term=-1, trader=1, incarnation=1),
    Coordinator(term=1, trader=10**9, incarnation=1),
    ClockNews(clock=LamportStamp(lamport=2**63)),
    Heartbeat(clock=LamportStamp(lamport=1), term=1, trader=1, incarnation=1, digest=2**32),
    Heartbeat(clock=LamportStamp(lamport=1), term=1, trader=1, incarnation=1, digest=1, reversals=2**60),
    MemberNews(members=(member(incarnation=2**64 - 1),)),
    MemberNews(members=(member(books_s=float("nan")),)),
    MemberNews(members=(member(books_s=-1.0),)),
    MemberNews(members=(member(name="x" * 1000),)),
    MemberNews(members=(), edges=((0, -1),)),
)


@pytest.mark.parametrize("message", FORGED, ids=str)
def test_what_is_beyond_them_is_refused(message: LinkMessage) -> None:
    with pytest.raises(BadRequest):
        wire.unpack_parcel(parcel(message))


def test_a_parcel_says_who_it_is_of_within_bounds_too() -> None:
    news = ClockNews(clock=LamportStamp(lamport=1))
    for head in ({"sender": -1}, {"sender": 10**9}, {"incarnation": 2**64 - 1}):
        with pytest.raises(BadRequest):
            wire.unpack_parcel(parcel(news, **head))
    with pytest.raises(BadRequest):
        wire.unpack_parcel(wire.pack(wire.Parcel(sender=3, incarnation=7, messages=(news,) * (MOST_MESSAGES + 1))))
