"""The ledger's port: what a trader may ask of the log and of the books made from it, and what it may hear back.

The election nominates, the ledger decides. It is a log of numbered places, each of which is taken once (see `log`).
To take office is to write an entry of the next term at the end of the log. A deposed trader's next entry finds its
place taken, so nothing that it decides can still come into the log.

The books (`requests`, `deposits`, `posts`) are made from the log, behind it, by whoever is in office. Making is
idempotent and guarded by the place of the entry in each document, so a deposed trader that is late at it changes
nothing. A new trader loads them as far as they are made, and the rest from the log.

An operation is a value; `Ledger.perform` carries it out and returns a value. Its type says what is known: *definite*
results say what happened, `Unknown` says that it may or may not have happened, or may yet (the answer was lost), and
`LedgerAway` that this attempt certainly did not. Foreign exceptions never pass this port.

Two implementations, in memory (`db.ledger.memory`) and in MongoDB (`db.ledger.mongo`), pass the same contract tests.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from peers.core.ledger.log import NOWHERE, Entry
from peers.core.market.records import Accepted, Deposit, ElectionRecord, Outcome, Post

MOST_SALES = 1000
"""How many sales of a seller are read at a time; where there are more, it asks again from the last one on."""


class Append(msgspec.Struct, frozen=True, kw_only=True):
    """Write `entry` at `place`. The caller has read, or written, all places before it.

    Gives Appended, Taken, EndLost, AlreadyRecorded, TooLarge, Unknown or LedgerAway. After Unknown or LedgerAway the
    same entry is to be appended at the same place again, before anything else.
    """

    place: int
    entry: Entry


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """Read all that a new trader needs: the books as far as they are made, and the log from there. Gives Loaded."""


class ReadPost(msgspec.Struct, frozen=True, kw_only=True):
    """Read who holds the post by the log's last office entry, of all areas. Gives PostRead.

    For whoever hears of a term that it has reason to doubt: what does not stand in the log is no term."""


class ReadOn(msgspec.Struct, frozen=True, kw_only=True):
    """Read what stands in the log after the entry at `place`, `limit` entries at most. Gives ReadEntries.

    For a trader that shares the log with others."""

    place: int
    limit: int = 500


class FindEnd(msgspec.Struct, frozen=True, kw_only=True):
    """Read how far the log goes. Gives Found with its last `place` and nothing else: all that anybody was told before
    this was asked, at a majority, stands there or before. It costs a write, as only that shows who is primary."""


class LookUp(msgspec.Struct, frozen=True, kw_only=True):
    """Read what is recorded under these ids of requests, and of deposits, whatever these still hold. Gives Found."""

    request_ids: tuple[str, ...]
    deposit_ids: tuple[str, ...] = ()


class FindSales(msgspec.Struct, frozen=True, kw_only=True):
    """Read a seller's sales with `seq > after_seq`, oldest first, at most `limit`, and its deposits that hold
    something, both as of one moment. Gives Found."""

    seller: str
    after_seq: int
    limit: int = MOST_SALES


class FindReversals(msgspec.Struct, frozen=True, kw_only=True):
    """Read which sales to or by `customer` were taken back with a number > `after`, lowest number first, at most
    `limit`. Gives Found."""

    customer: str
    after: int
    limit: int = 1000


class MakeBooks(msgspec.Struct, frozen=True, kw_only=True):
    """Bring the books from entry `place` - 1 to entry `place`, that of `entry_id`; a majority has it, or will have it
    if it stands.

    `requests` and `deposits` are what the entry changed, as it left them (`new_requests` are the ids of those that
    are in no entry before); `post` is the state after it. Nothing is answered: the ledger does it behind the log, as
    soon as it can, in order, and tries again until it is done.
    """

    place: int
    entry_id: str = ""
    requests: tuple[Accepted | Outcome, ...]
    new_requests: tuple[str, ...]
    deposits: tuple[Deposit, ...]
    post: Post


class RecordElection(msgspec.Struct, frozen=True, kw_only=True):
    """Write down a finished election; a second time under the same term replaces it. Gives Done."""

    record: ElectionRecord


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """Find out whether the ledger can be reached; nothing is read or written. Gives Done or LedgerAway, soon."""


Operation = (
    Append
    | Load
    | ReadPost
    | ReadOn
    | FindEnd
    | LookUp
    | FindSales
    | FindReversals
    | MakeBooks
    | RecordElection
    | Reach
)


class Appended(msgspec.Struct, frozen=True, kw_only=True):
    """The entry stands at its place, and a majority has it (journaled), or what the write level says."""


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """Another entry stands at that place, and a majority has it. `entry` is None where its body was cut away."""

    entry: Entry | None


class EndLost(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing was written: the place before does not hold an entry of this term (any more).

    Only where a write level lets entries be told before a majority has them: the end of the log was lost with a
    primary, and whoever wrote it knows more than stands. It has to read again."""


class AlreadyRecorded(msgspec.Struct, frozen=True, kw_only=True):
    """Refused for good: ids that the entry takes for new are in the log. Nothing was changed.

    This is what is recorded under them: outcomes of requests, deposits, whatever they still hold, and sales that
    were taken back.
    """

    outcomes: tuple[Outcome, ...] = ()
    deposits: tuple[Deposit, ...] = ()
    reversals: tuple[Outcome, ...] = ()


class TooLarge(msgspec.Struct, frozen=True, kw_only=True):
    """Refused for good: the ledger takes no entry of this size. Nothing was changed, and the place is free."""

    why: str


class Unknown(msgspec.Struct, frozen=True, kw_only=True):
    """It may or may not have happened, or may happen yet: the answer was lost."""

    why: str


class LedgerAway(msgspec.Struct, frozen=True, kw_only=True):
    """This attempt did not happen: the ledger cannot be reached. Try again."""

    why: str


class StockedDeposit(msgspec.Struct, frozen=True, kw_only=True):
    """A deposit that holds something, and the place of the entry that last changed it."""

    deposit: Deposit
    at: int


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """The books are made up to entry `made`, and `post` is the state after it; `entries` are those after it.

    `queue` and `stock` are no older than `made`; they may be newer, or newer in part.
    """

    made: int
    post: Post
    queue: tuple[Accepted, ...]
    stock: tuple[StockedDeposit, ...]
    entries: tuple[Entry, ...]


class PostRead(msgspec.Struct, frozen=True, kw_only=True):
    """The post as the last office entries left it; its running numbers may be older."""

    post: Post


class ReadEntries(msgspec.Struct, frozen=True, kw_only=True):
    """The entries after the place that was named, in order; `cut`: the next one was cut away, so none can be read."""

    entries: tuple[Entry, ...]
    cut: bool = False


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What is recorded, up to the entry at `place`: outcomes of decided requests, undecided requests, deposits."""

    outcomes: tuple[Outcome, ...] = ()
    queued: tuple[Accepted, ...] = ()
    deposits: tuple[Deposit, ...] = ()
    place: int = NOWHERE


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """It happened."""


Result = (
    Appended
    | Taken
    | EndLost
    | AlreadyRecorded
    | TooLarge
    | Unknown
    | LedgerAway
    | Loaded
    | PostRead
    | ReadEntries
    | Found
    | Done
)


class Ledger(Protocol):
    """A post's log and books. `perform` never raises for what may happen to a healthy program (see Result)."""

    def perform(self, operation: Operation) -> Result:
        """Carries out one operation; may block. Appends come one at a time; reads may run beside them."""

    def close(self) -> None:
        """Finishes the books, within bounds, and lets go of connections. Nothing is performed afterwards."""
