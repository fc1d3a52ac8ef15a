"""What travels along the edges of the graph, but for what an election algorithm says: its messages are in its module.

Everything here is *news*: a peer passes it on to its other neighbours only if it changed what the peer knows.
So nothing needs a sequence number, hearing a thing twice is harmless, and a message lost is made good by the
next heartbeat, which carries the newest of everything in short.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from peers.core.bounds import MOST_CONTACTS, Checksum, Count, Elections, Rank, Ranks, Word
from peers.core.leadership.reasons import VacancyReason
from peers.core.market.records import Deposit, Foretold
from peers.core.membership.clocks import LamportStamp, VectorStamp
from peers.core.membership.members import Edges, Member, Members


class LinkMessage(msgspec.Struct, frozen=True, kw_only=True, tag=True, array_like=True):
    """Anything that travels on a link."""


class Heartbeat(LinkMessage, frozen=True, kw_only=True, tag=True, array_like=True):
    """The sender is alive; this is the newest it knows, in short.

    Of the two peers on an edge the one of higher rank sends it, and the other answers with one of its own (`reply`).
    `digest` is the checksum of the map of members; where it differs twice in a row, the two exchange their maps.
    `reversals` is the number of the last sale that was taken back; who has not heard of so many asks the trader.
    """

    clock: LamportStamp | VectorStamp
    term: Count
    trader: Rank | None
    incarnation: Count
    digest: Checksum
    reply: bool = False
    reversals: Count = 0


class ClockNews(LinkMessage, frozen=True, kw_only=True, tag=True, array_like=True):
    """The newest clock known to the sender. A buyer multicasts its clock in this way before each request."""

    clock: LamportStamp | VectorStamp


class MemberNews(LinkMessage, frozen=True, kw_only=True, tag=True, array_like=True):
    """Members that joined, left, were lost or came back.

    With `whole`, these are all that the sender knows, and the receiver answers with what it knows better. `edges` are
    those of the graph that the town began with, where they may be news too: parts of a town that began apart have
    different ones until they meet.
    """

    members: Members
    whole: bool = False
    edges: Edges = ()


class ElectionMessage(LinkMessage, frozen=True, kw_only=True, tag=True, array_like=True):
    """The head of what any election algorithm says: the post after `after_term` is vacant, and why.

    `attempt` counts the rounds for one vacancy. `incarnation` is the one of the trader that is gone, as far as the
    sender knows it.
    """

    after_term: Count
    attempt: Count
    reason: VacancyReason
    incarnation: Count = 0

    def begun_by(self) -> int | None:
        """Returns the rank of who began the election, None where the message does not say."""
        return None

    def gist(self) -> str:
        """Returns what the message says beyond its head, in a few words."""
        return ""


class Coordinator(LinkMessage, frozen=True, kw_only=True, tag=True, array_like=True):
    """The peer of rank `trader`, in `incarnation`, holds the post for `term`, for the log has its office entry."""

    term: Count
    trader: Rank
    incarnation: Count


class Vacancy(LinkMessage, frozen=True, kw_only=True, tag=True, array_like=True):
    """The trader of `term`, in `incarnation`, has left office. `barred` are the ranks that take no part in the next
    `barred_for` elections."""

    term: Count
    reason: VacancyReason
    incarnation: Count = 0
    barred: Ranks = ()
    barred_for: Elections = 0


class FellowBeat(LinkMessage, frozen=True, kw_only=True, tag=True, array_like=True):
    """The trader of `area`, in `term`, is there: a heartbeat between the traders of areas that share one log.

    `contacts` are some peers of that area. It travels directly, for there are no edges between areas."""

    area: Word
    term: Count
    contacts: Annotated[tuple[Member, ...], Meta(max_length=MOST_CONTACTS)]


class TakenOver(LinkMessage, frozen=True, kw_only=True, tag=True, array_like=True):
    """`trader`, who is of another area, stands in for the trader of `area`, and holds its post for `term`."""

    area: Word
    term: Count
    trader: Member


class StockNews(LinkMessage, frozen=True, kw_only=True, tag=True, array_like=True):
    """An entry of the sender's, at `place` of the log that traders share, left these deposits so."""

    place: Count
    deposits: tuple[Deposit, ...]


class Foretelling(LinkMessage, frozen=True, kw_only=True, tag=True, array_like=True):
    """The trader tells a buyer what will become of its request, out of its cache. The answer to the call is final."""

    request_id: Word
    foretold: Foretold


class Tally(LinkMessage, frozen=True, kw_only=True, tag=True, array_like=True):
    """How many messages the sender and those behind it, `peers` in all, sent for the election that gave `term`.

    What an earlier Tally of the same sender said is not in it.
    """

    term: Count
    messages: Count
    peers: Count
