"""What is asked directly of a peer, not along the graph: the trade itself, and what it answers."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from peers.core.bounds import Count
from peers.core.ledger.log import NOWHERE
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


class AsOf(msgspec.Struct, frozen=True, kw_only=True):
    """How far an answer had read: to the entry at `place`, that of decision `seq` or after it, by a trader of `term`.

    A caller that was told less than all three leaves the rest as it is.
    """

    term: int = 0
    seq: int = 0
    place: int = NOWHERE

    def joined(self, other: AsOf, *, shared: bool = False) -> AsOf:
        """Returns what somebody knows who was told as of both: all of the later term. In a `shared` log each area has
        terms of its own, which do not compare, and no place is ever lost."""
        if self.term != other.term and not shared:
            return self if self.term > other.term else other
        term = max(self.term, other.term)
        return AsOf(term=term, seq=max(self.seq, other.seq), place=max(self.place, other.place))

    def reaches(self, since: AsOf, *, shared: bool = False) -> bool:
        """Whether who has read as far as this has read all that was told as of `since`.

        Whoever takes office reads all that was told in earlier terms, so only within a term are the others compared;
        in a `shared` log it is the others alone, and `since` may have been told by the trader of any area."""
        has_rest = self.place >= since.place and self.seq >= since.seq
        if shared:
            return has_rest
        return self.term > since.term or (self.term == since.term and has_rest)


class AskOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a request? Answered by its Outcome, by its Accepted while it waits in the log, or by None if the
    log has nothing of it: as of a moment after the call came, and no less than `since`."""

    request_id: str
    since: AsOf | None = None


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """What can be bought (of `item`, or of all)? Answered by OnOffer, which reaches `since`, and misses nothing that
    was told `max_staleness_s` before the call came."""

    item: str | None = None
    since: AsOf | None = None


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A seller asks for its sales after `after_seq` and what it still has deposited. Answered by StandingReply."""

    seller: str
    after_seq: int


class ReportStock(msgspec.Struct, frozen=True, kw_only=True):
    """A seller reports what became of one of its deposits: `handed_over` units went to buyers, `holds` are there.

    What is gone besides is written off, and the sales of the requests `unfilled`, for which there were not enough,
    are taken back. Answered by StockReply, once durable. To report the same again, or something older, is harmless.
    """

    seller: str
    deposit_id: str
    handed_over: int
    holds: int
    unfilled: tuple[str, ...] = ()


class AskReversals(msgspec.Struct, frozen=True, kw_only=True):
    """Which sales to or by `customer` were taken back, after the reversal of this number? Gives ReversalsReply."""

    customer: str
    after: int


class Resign(msgspec.Struct, frozen=True, kw_only=True):
    """The trader is to step down. Answered by None once its term has ended."""


Call = Buy | MakeDeposit | AskOutcome | Search | Standing | ReportStock | AskReversals | Resign


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
    elif isinstance(call, AskReversals):
        checked("customer", call.customer)
        checked("after", call.after)
    elif isinstance(call, ReportStock):
        _check_report(call)


def _check_report(call: ReportStock) -> None:
    checked("seller", call.seller)
    checked("deposit_id", call.deposit_id)
    checked("handed_over", call.handed_over)
    checked("holds", call.holds)
    checked("unfilled", call.unfilled)


class OnOffer(msgspec.Struct, frozen=True, kw_only=True):
    """What can be bought: deposits, lowest sort key first in an item, `remaining` being what is free of each, at the
    post of `area` where several share the log."""

    deposits: tuple[Deposit, ...]
    as_of: AsOf
    area: str = ""


class StandingReply(msgspec.Struct, frozen=True, kw_only=True):
    """The seller's sales, oldest first, MOST_SALES of them at most (`ledger.port`), and those of its deposits that
    still hold goods."""

    sales: tuple[Outcome, ...]
    deposits: tuple[Deposit, ...]


class StockReply(msgspec.Struct, frozen=True, kw_only=True):
    """The deposit after the report, and the sales of the report's `unfilled`, all of them taken back."""

    deposit: Deposit
    reversals: tuple[Outcome, ...]


class ReversalsReply(msgspec.Struct, frozen=True, kw_only=True):
    """The customer's sales that were taken back, lowest number first: all of those up to the reversal `upto`."""

    reversals: tuple[Outcome, ...]
    upto: Count


Reply = Outcome | Accepted | Deposit | OnOffer | StandingReply | StockReply | ReversalsReply | None
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
