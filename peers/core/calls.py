"""What is asked directly of a peer, not along the graph: the trade itself, and what it answers."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from peers.core.market.limits import check_item, check_offer, check_request, checked
from peers.core.market.records import Accepted, Deposit, Offer, Outcome, PurchaseRequest
from peers.core.membership.members import Membership
from peers.core.names import Role
from peers.errors import NotTrader, PostClosed, WireError


class Buy(msgspec.Struct, frozen=True, kw_only=True):
    """A purchase. Answered by its Outcome, once durable."""

    request: PurchaseRequest


class MakeDeposit(msgspec.Struct, frozen=True, kw_only=True):
    """A deposit. Answered by the Deposit as recorded, once durable."""

    offer: Offer


class AskOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a request? Answered by its Outcome, by its Accepted while it waits, or by None if unknown."""

    request_id: str


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """What is on offer (of `item`, or of all)? Answered by a tuple of Deposits, lowest sort key first."""

    item: str | None = None


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A seller asks for its sales after `after_seq` and what it still has deposited. Answered by StandingReply."""

    seller: str
    after_seq: int


class Resign(msgspec.Struct, frozen=True, kw_only=True):
    """The trader is to step down. Answered by None once its term has ended."""


Call = Buy | MakeDeposit | AskOutcome | Search | Standing | Resign


def check_call(call: Call, items: Collection[str], clock: str) -> None:
    """Raises BadRequest if something in `call` is beyond the limits of a market of these items, and of clocks of this
    kind (`lamport` or `vector`)."""
    if isinstance(call, Buy):
        check_request(call.request, items, clock)
    elif isinstance(call, MakeDeposit):
        check_offer(call.offer, items, clock)
    elif isinstance(call, AskOutcome):
        checked("request_id", call.request_id)
    elif isinstance(call, Search) and call.item is not None:
        check_item(call.item, items)
    elif isinstance(call, Standing):
        checked("seller", call.seller)
        checked("after_seq", call.after_seq)


class StandingReply(msgspec.Struct, frozen=True, kw_only=True):
    """The seller's sales, oldest first, and those of its deposits that still hold goods."""

    sales: tuple[Outcome, ...]
    deposits: tuple[Deposit, ...]


Reply = Outcome | Accepted | Deposit | tuple[Deposit, ...] | StandingReply | None
"""What a call is answered with when it succeeds."""


class Unreachable(msgspec.Struct, frozen=True, kw_only=True):
    """A call's answer was lost, or it never got there: nobody knows whether it ran."""

    why: str


Failure = WireError | Unreachable


def not_in_office(trader: str | None, term: int, members: Membership) -> NotTrader | PostClosed:
    """Returns the refusal of one not in office: ask `trader`, who is in `term`, or ask again if there is none."""
    if trader is None:
        return PostClosed()
    member = members.by_name(trader)
    return NotTrader(trader=trader, term=term, trader_uri=member.uri if member is not None else None)


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What `status()` shows of a peer."""

    name: str
    rank: int
    role: Role
    term: int
    trader: str | None
    clock: dict[str, object]
    neighbours: tuple[str, ...]
    in_office: bool
    up: tuple[str, ...]
    counters: dict[str, int]
