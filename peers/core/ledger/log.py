"""The log of a post: what was decided, in which order, by whom. The ledger is this log and nothing else.

Places are numbered 0, 1, 2, …, and each is taken once. Whoever writes an entry has read, or written, all before it;
so of two who try one place one succeeds, and the other is told and reads what stands there. That is fence, order
and commit in one: a shared log as in Corfu (Balakrishnan et al., 2012), Tango (2013) and Delos (2020).

Several traders may write to one log, each for an area of its own: then each has a term and a queue of its own, and
they have one stock. An entry belongs to the area of its writer (`area`, "" where there is only one). To find a place
taken by an entry of one's own area is to be deposed; by one of another, to be behind, and no more (optimistic
concurrency control, Kung and Robinson, 1981).

An entry carries an id of its writer's making. An answer that was lost is asked for again by writing the same entry
at the same place, and the id says whether what stands there is one's own.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from peers.core.market.records import Accepted, Deposit, Outcome
from peers.core.names import WriteLevel

EntryKind = Literal["office", "queue", "decide"]

NOWHERE = -1
"""The place before the first: a log without entries ends there."""


class OfficeEntry(msgspec.Struct, frozen=True, kw_only=True, tag="office"):
    """`trader` takes office for `term`, which is one more than the last; `reason` is why the post was vacant.

    `write_level` is how many members have an entry of this term before anybody is told of it. The office entry itself
    is always a majority's. `uri` is where those call it who know it from here only; entries of earlier versions have
    none."""

    entry_id: str
    term: int
    trader: str
    written_at_ms: int
    reason: str
    area: str = ""
    uri: str = ""
    write_level: WriteLevel = "majority"

    @property
    def kind(self) -> EntryKind:
        return "office"


class Recount(msgspec.Struct, frozen=True, kw_only=True):
    """A deposit after what its seller reported: `returned` units came back to it from sales that were taken back, and
    `written_off` were found not to be there. `deposit` is what that left of it."""

    deposit: Deposit
    returned: int
    written_off: int


class Leasing(msgspec.Struct, frozen=True, kw_only=True):
    """From now on so many units of a deposit are set aside for the area of the entry's writer; 0 gives them back."""

    deposit: str
    units: int


class TradeEntry(msgspec.Struct, frozen=True, kw_only=True, tag="trade"):
    """What a trader in office takes in and decides, in one piece.

    `deposits` come in first, with all their goods; then sales of earlier entries are taken back (`reversals`, each
    its outcome with `taken_back`), and deposits are counted anew (`recounts`, each deposit once); then `outcomes` are
    decided in order, and may draw on all of these; `queued` are requests that are accepted and have to wait.
    `new_requests` are the ids of those among outcomes and queued that the log has not seen before: of these ids, of
    those of deposits, and of those of sales that are taken back, each comes in once.

    `leases` come last. What is leased is sold by its area's trader only, and only to whom that has promised it (the
    escrow method, O'Neil, 1986). It is free again once the area has another trader, or a deposit is counted anew.
    """

    entry_id: str
    term: int
    trader: str
    written_at_ms: int
    deposits: tuple[Deposit, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    queued: tuple[Accepted, ...] = ()
    new_requests: tuple[str, ...] = ()
    reversals: tuple[Outcome, ...] = ()
    recounts: tuple[Recount, ...] = ()
    area: str = ""
    leases: tuple[Leasing, ...] = ()

    @property
    def kind(self) -> EntryKind:
        decides = self.outcomes or self.deposits or self.reversals or self.recounts or self.leases
        return "decide" if decides else "queue"

    @property
    def new_deposits(self) -> tuple[str, ...]:
        """The ids of the deposits that come in."""
        return tuple(deposit.offer.deposit_id for deposit in self.deposits)

    @property
    def new_reversals(self) -> tuple[str, ...]:
        """The ids of the requests whose sales are taken back."""
        return tuple(outcome.request.request_id for outcome in self.reversals)


Entry = OfficeEntry | TradeEntry
