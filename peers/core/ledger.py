"""The ledger's interface: what a trader may ask of the books, and what it may hear back.

The election nominates, the ledger decides. Authority is the term in the post's document. Taking office raises it
by compare-and-set; every later write of a trader names its term and touches a document that a successor's raise
touches too, in the same transaction, so that a deposed trader's write fails as a whole. Two documents serve as
fences, one for commits and one for the queue, so that a trader's own queueing does not collide with its own commit.

An operation is a value; `Ledger.perform` carries it out and returns a value. Its type says what is known:
*definite* results say what happened, `Unknown` says that it may or may not have happened (the answer was lost),
and `LedgerAway` that it certainly did not. Foreign exceptions never pass this interface.

Two implementations, in memory (`db.memory`) and in MongoDB (`db.mongo`), pass the same contract tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from peers.core.records import Accepted, Deposit, ElectionRecord, Outcome, Post


class TakeOffice(msgspec.Struct, frozen=True, kw_only=True):
    """Raise the term from `expected_term` to the next and read all a trader needs. A predecessor's open
    transaction is ended first. Gives OfficeTaken or OfficeRefused."""

    trader: str
    expected_term: int
    now_ms: int


class Enqueue(msgspec.Struct, frozen=True, kw_only=True):
    """Write `entries` to the queue, all or none, fenced by `term`. Gives Done, Deposed, AlreadyRecorded."""

    term: int
    entries: tuple[Accepted, ...]


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """An outcome to record; `was_queued` says whether its request already stands in the queue."""

    outcome: Outcome
    was_queued: bool


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """Record deposits and decisions in one fenced transaction and move the post from `seq` onwards.

    `seq` is the post's number before; the decisions carry `seq + 1 …` in order. A sale may draw on a deposit of
    the same commit (`deposits` come with their full `remaining`). Fails as a whole unless the post still stands at
    (`term`, `seq`), and unless every deposit drawn on holds enough. Gives Done, Deposed, AlreadyRecorded.
    """

    term: int
    seq: int
    deposits: tuple[Deposit, ...]
    decisions: tuple[Decision, ...]


class LookUp(msgspec.Struct, frozen=True, kw_only=True):
    """Read the post and what is recorded under these ids. Gives Found. Nothing of the same ledger object that was
    left open before can still commit afterwards."""

    request_ids: tuple[str, ...] = ()
    deposit_ids: tuple[str, ...] = ()


class FindSales(msgspec.Struct, frozen=True, kw_only=True):
    """Read a seller's sales with `seq > after_seq`, oldest first, at most `limit`, and its deposits that still
    hold something. Gives Found."""

    seller: str
    after_seq: int
    limit: int = 1000


class RecordElection(msgspec.Struct, frozen=True, kw_only=True):
    """Write down a finished election; a second time under the same term replaces it. Gives Done."""

    record: ElectionRecord


Operation = TakeOffice | Enqueue | Commit | LookUp | FindSales | RecordElection


class OfficeTaken(msgspec.Struct, frozen=True, kw_only=True):
    """In office. `queue` is what is pending, lowest order first; `stock` the deposits that hold something, lowest
    order first; `arrival` the highest number of acceptance ever recorded."""

    post: Post
    arrival: int
    queue: tuple[Accepted, ...]
    stock: tuple[Deposit, ...]


class OfficeRefused(msgspec.Struct, frozen=True, kw_only=True):
    """The term was not the expected one; `post` is what stands there. Nothing was changed."""

    post: Post


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """It happened, durably (majority, journaled)."""


class Deposed(msgspec.Struct, frozen=True, kw_only=True):
    """Refused: the post stands at another term. Nothing was changed."""

    post: Post


class AlreadyRecorded(msgspec.Struct, frozen=True, kw_only=True):
    """Refused: some id of the operation is recorded already, or the post's seq or a deposit is not what the trader
    took it for. Nothing was changed; look the ids up."""


class Unknown(msgspec.Struct, frozen=True, kw_only=True):
    """It may or may not have happened: the answer was lost. Look the ids up before anything else."""

    why: str


class LedgerAway(msgspec.Struct, frozen=True, kw_only=True):
    """It did not happen: the ledger cannot be reached. Try again."""

    why: str


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What is recorded: the post, outcomes of decided requests, queue entries of undecided ones, deposits."""

    post: Post
    outcomes: tuple[Outcome, ...] = ()
    queued: tuple[Accepted, ...] = ()
    deposits: tuple[Deposit, ...] = ()


Result = OfficeTaken | OfficeRefused | Done | Deposed | AlreadyRecorded | Unknown | LedgerAway | Found


Meanwhile = Callable[[], bool]
"""Does one small thing if there is one, without blocking; returns whether there is more to do."""


def work_off(meanwhile: Meanwhile | None) -> None:
    """Does all that there is to do."""
    while meanwhile is not None and meanwhile():
        pass


class Ledger(Protocol):
    """The books. `perform` never raises for what may happen to a healthy program (see Result)."""

    def perform(self, operation: Operation, meanwhile: Meanwhile | None = None) -> Result:
        """Carries out one operation; may block. Enqueue and Commit may run at the same time as each other.

        Whoever would wait for the books of a Commit does what there is to do `meanwhile`, and nobody waits for that
        any longer than for the books. What is left of it when they answer is left to the caller.
        """

    def close(self) -> None:
        """Lets go of connections. Nothing is performed afterwards."""
