"""The public form of what is read: as of what an answer is so, and what a search found.

The README beside this says what each reading promises.
"""

from __future__ import annotations

from functools import reduce
from typing import Annotated, Any

import msgspec

from peers.core.bounds import MAX_TIME, Count
from peers.core.calls import AsOf, OnOffer
from peers.core.ledger.log import NOWHERE
from peers.core.market import limits
from peers.core.market.money import money_text
from peers.errors import BadRequest

Document = dict[str, Any]

MOST_ON_OFFER = 10_000
"""The most rows in the answer to a search."""


class _Since(msgspec.Struct, forbid_unknown_fields=True):
    term: Count = 0
    seq: Count = 0
    place: Annotated[int, msgspec.Meta(ge=NOWHERE, le=MAX_TIME)] = NOWHERE


def since_of(given: object) -> AsOf | None:
    """Reads as of what a caller was told something, None if it does not say; BadRequest if that is nonsense."""
    if given is None:
        return None
    try:
        read = msgspec.convert(given, _Since)
    except (msgspec.ValidationError, UnicodeEncodeError):
        allowed = "must be a dict of whole numbers, any of term, seq and place"
        raise BadRequest(field="since", why=f"{allowed}, not {limits.shown(given)}") from None
    return AsOf(term=read.term, seq=read.seq, place=read.place)


def browse_dict(found: OnOffer, within_s: float) -> Document:
    """Returns what `browse` gives: the rows of a search, as of what they are so, and how much they may miss."""
    within_ms = round(within_s * 1000)
    return {"rows": on_offer(found), **as_of_dict(found.as_of), "area": found.area, "within_ms": within_ms}


def as_of_dict(as_of: AsOf) -> Document:
    """Returns how far was read, as `browse` gives it and `since` takes it."""
    return {"term": as_of.term, "seq": as_of.seq, "place": as_of.place}


def on_offer(found: OnOffer) -> list[Document]:
    """Returns what a search finds, one row a deposit, MOST_ON_OFFER of them at most."""
    return [
        {
            "item": d.offer.item,
            "seller": d.offer.seller,
            "price": money_text(d.offer.price),
            "remaining": d.remaining,
            "deposit_id": d.offer.deposit_id,
        }
        for d in found.deposits[:MOST_ON_OFFER]
    ]


def as_of_in(answer: Document, *, shared: bool = False) -> AsOf | None:
    """Reads as of what an answer of `browse`, `buy`, `deposit` or `outcome` is so, that a sale was taken back
    included; None if it does not say. In a log that is `shared` terms do not compare."""
    told = [answer, answer.get("taken_back")]
    read = [_as_of(each) for each in told if isinstance(each, dict) and isinstance(each.get("term"), int)]
    return reduce(lambda one, other: one.joined(other, shared=shared), read) if read else None


def _as_of(answer: Document) -> AsOf:
    given = {field: answer.get(field) for field in ("seq", "place")}
    return AsOf(term=answer["term"], **{field: each for field, each in given.items() if isinstance(each, int)})
