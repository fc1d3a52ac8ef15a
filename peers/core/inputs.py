"""What can happen to a peer. An input and the time go in; commands come out (see `commands`)."""

from __future__ import annotations

from typing import Literal

import msgspec

from peers.core.calls import Call, Failure, Reply
from peers.core.ledger.port import Operation, Result
from peers.core.market.records import Outcome
from peers.core.membership.members import Snapshot
from peers.core.messages import LinkMessage


class Now(msgspec.Struct, frozen=True, kw_only=True):
    """The time. `mono_s` is monotonic, in seconds, and decides what is due.

    `wall_ms` is the time of day in milliseconds since 1970; it is written down, as
    `TimesOfDay` has it, and never compared.
    """

    mono_s: float
    wall_ms: int


TimerName = Literal[
    "heartbeat",
    "clock",
    "election",
    "vacancy",
    "tally",
    "buy",
    "ask",
    "sell",
    "reversals",
    "period",
    "ledger",
    "gather",
    "stand_in_ledger",
    "stand_in_gather",
]


class HandedOver(msgspec.Struct, frozen=True, kw_only=True):
    """A seller gave `quantity` units of `deposit` to the buyer of the sale `seq`, for good."""

    seq: int
    deposit: str
    quantity: int


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """The peer may begin. With `starts_election` it is the one peer that starts the first election.

    `handed_over` is what its earlier lives gave to buyers, as far as that is on record.
    """

    snapshot: Snapshot
    starts_election: bool = False
    handed_over: tuple[HandedOver, ...] = ()


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """A message came along the link from `sender` (a rank), which was then in `incarnation`."""

    sender: int
    incarnation: int
    message: LinkMessage


class PeerGone(msgspec.Struct, frozen=True, kw_only=True):
    """It is certain that nobody answers for `rank` in `incarnation` any more (connection refused)."""

    rank: int
    incarnation: int


class TimerFired(msgspec.Struct, frozen=True, kw_only=True):
    """A timer set by SetTimer came due."""

    timer: TimerName


class RequestReceived(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody asks something directly; a Respond command with the same `call_id` is to answer it.

    `area` is the one whose trader is meant, "" for that of the peer's own."""

    call_id: int
    call: Call
    area: str = ""


class CallerLeft(msgspec.Struct, frozen=True, kw_only=True):
    """Nobody waits for the answer to `call_id` any more."""

    call_id: int


class LedgerReplied(msgspec.Struct, frozen=True, kw_only=True):
    """An operation handed over by Perform has a result."""

    operation: Operation
    result: Result


class CallCompleted(msgspec.Struct, frozen=True, kw_only=True):
    """What this peer asked by CallTrader was answered, or failed."""

    ask_id: int
    reply: Reply | Failure


class SalesNotified(msgspec.Struct, frozen=True, kw_only=True):
    """The trader tells this peer of sales of its goods, oldest first, and of purchases that were taken back."""

    sales: tuple[Outcome, ...]


class LoseGoods(msgspec.Struct, frozen=True, kw_only=True):
    """By fire or theft, this share of each deposit that this seller still holds is lost (above 0, at most 1)."""

    share: float


class Quiesce(msgspec.Struct, frozen=True, kw_only=True):
    """The market is about to close: buy and sell nothing more. What is under way is seen to its end."""


class Leave(msgspec.Struct, frozen=True, kw_only=True):
    """The peer is asked to leave the market for good (resigning first, if in office)."""


Input = (
    Start
    | Received
    | PeerGone
    | TimerFired
    | RequestReceived
    | CallerLeft
    | LedgerReplied
    | CallCompleted
    | SalesNotified
    | LoseGoods
    | Quiesce
    | Leave
)
