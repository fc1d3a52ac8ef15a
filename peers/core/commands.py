"""What a peer wants done. The Pyro host does it for real, the simulator in virtual time; both in the order given.

What must be stored before a message may leave needs no field of its own here: a handler issues the Perform first,
and what depends on it (a Respond, a Coordinator message) only when the LedgerReplied comes back.
"""

from __future__ import annotations

import msgspec

from peers.core.calls import Call, Failure, Reply
from peers.core.inputs import TimerName
from peers.core.ledger.port import Operation
from peers.core.market.records import Outcome
from peers.core.membership.members import Member
from peers.core.messages import LinkMessage
from peers.core.reports import Report


class Send(msgspec.Struct, frozen=True, kw_only=True):
    """Send `message` to `to` over the link. May be lost."""

    to: Member
    message: LinkMessage


class SetLinks(msgspec.Struct, frozen=True, kw_only=True):
    """These are the neighbours now; let go of links to others."""

    neighbours: tuple[Member, ...]


class SetTimer(msgspec.Struct, frozen=True, kw_only=True):
    """Let `timer` fire once, `after_s` seconds from now; an earlier setting of the same timer is void."""

    timer: TimerName
    after_s: float


class CancelTimer(msgspec.Struct, frozen=True, kw_only=True):
    """Let `timer` not fire."""

    timer: TimerName


class Perform(msgspec.Struct, frozen=True, kw_only=True):
    """Have the ledger carry out `operation`; its result comes back as LedgerReplied, except that of MakeBooks."""

    operation: Operation


class Respond(msgspec.Struct, frozen=True, kw_only=True):
    """Answer the call `call_id`."""

    call_id: int
    reply: Reply | Failure


class CallTrader(msgspec.Struct, frozen=True, kw_only=True):
    """Ask `call` of `trader` directly; the answer comes back as CallCompleted with the same `ask_id`.

    `area` is the one whose trader is meant, which that peer may only be standing in for."""

    ask_id: int
    trader: Member
    call: Call
    area: str = ""


class NotifySales(msgspec.Struct, frozen=True, kw_only=True):
    """Tell the peer `customer` of sales of its goods, and of purchases that were taken back. May be lost: each seller
    asks for its standing now and then, and everybody for reversals once it hears that there are more."""

    customer: Member
    sales: tuple[Outcome, ...]


class HoldPost(msgspec.Struct, frozen=True, kw_only=True):
    """Have the name server list this peer as the trader of `term` (`held`), or no longer.

    With `area` it stands in for the trader of another area than its own."""

    term: int
    held: bool
    area: str = ""


class Publish(msgspec.Struct, frozen=True, kw_only=True):
    """Tell people what happened: console, log and journal."""

    report: Report


class Crash(msgspec.Struct, frozen=True, kw_only=True):
    """The process is to kill itself, at once and without a word: a fault that was asked for."""


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """The peer has left; the host may end the process."""


Command = (
    Send
    | SetLinks
    | SetTimer
    | CancelTimer
    | Perform
    | Respond
    | CallTrader
    | NotifySales
    | HoldPost
    | Publish
    | Crash
    | Stop
)
