"""What travels along the edges of the graph. One file, so that the whole protocol can be read in one sitting.

Everything here is *news*: a peer passes it on to its other neighbours only if it changed what the peer knows.
So nothing needs a sequence number, hearing a thing twice is harmless, and a message lost is made good by the
next heartbeat, which carries the newest of everything in short.
"""

from __future__ import annotations

import msgspec

from peers.core.leadership.reasons import VacancyReason
from peers.core.membership.clocks import LamportStamp, VectorStamp
from peers.core.membership.members import Edge, Member


class Message(msgspec.Struct, frozen=True, kw_only=True, tag=True, array_like=True):
    """Anything that travels on a link."""


class Heartbeat(Message, frozen=True, kw_only=True, tag=True, array_like=True):
    """I am alive; here is the newest I know, in short. The higher rank of an edge beats, the other beats back
    (`reply`). `digest` is that of the membership; where it differs for two beats, the maps are exchanged."""

    clock: LamportStamp | VectorStamp
    term: int
    trader: int | None
    incarnation: int
    digest: int
    reply: bool = False


class ClockNews(Message, frozen=True, kw_only=True, tag=True, array_like=True):
    """The newest clock known to the sender: the multicast before a request."""

    clock: LamportStamp | VectorStamp


class MemberNews(Message, frozen=True, kw_only=True, tag=True, array_like=True):
    """Members that joined, left, were lost or came back. `whole`: all the sender knows, answer with yours.

    `edges` are those of the graph that the town began with, where they may be news too: parts of a town that began
    apart from each other have different ones until they meet."""

    members: tuple[Member, ...]
    whole: bool = False
    edges: tuple[Edge, ...] = ()


class Election(Message, frozen=True, kw_only=True, tag=True, array_like=True):
    """`candidate` asks everybody of higher rank: the post after `after_term` is vacant, will you take it?

    `attempt` counts the rounds for one vacancy. Who may not take the post by what it knows can ask all the same,
    and does not stand: nobody is to wait for it.
    """

    after_term: int
    attempt: int
    candidate: int
    reason: VacancyReason
    stands: bool = True


class ElectionAnswer(Message, frozen=True, kw_only=True, tag=True, array_like=True):
    """`rank` is alive, higher, and takes over the election."""

    after_term: int
    attempt: int
    rank: int


class Coordinator(Message, frozen=True, kw_only=True, tag=True, array_like=True):
    """`trader`, in `incarnation`, holds the post of `term`: the ledger says so."""

    term: int
    trader: int
    incarnation: int


class Vacancy(Message, frozen=True, kw_only=True, tag=True, array_like=True):
    """The trader of `term` has left office; `barred` are the ranks that take no part in the next election."""

    term: int
    reason: VacancyReason
    barred: tuple[int, ...] = ()


class Tally(Message, frozen=True, kw_only=True, tag=True, array_like=True):
    """What the sender and `peers` in all sent for the election that gave `term`, as far as not said before."""

    term: int
    messages: int
    peers: int


LinkMessage = Heartbeat | ClockNews | MemberNews | Election | ElectionAnswer | Coordinator | Vacancy | Tally
