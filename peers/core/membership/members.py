"""Who is in the market: a map from rank to the newest record of it, merged the same everywhere.

After SWIM (Das, Gupta and Motivala, 2002): a record carries an incarnation number that only its owner raises.
Of two records the one with the higher incarnation is newer; within one incarnation *gone* beats *up*. Merging is
therefore idempotent and commutative, so peers that heard the same news in any order hold the same map. A peer
that finds itself reported gone refutes it by coming back with the next incarnation.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable
from typing import Annotated

import msgspec
from msgspec import Meta

from peers.core.bounds import MOST_EDGES, MOST_MEMBERS, Address, Away, Count, Rank, Word
from peers.core.membership.clocks import LamportStamp, VectorStamp
from peers.core.names import Role, rank_of, role_in

Edge = tuple[Rank, Rank]
Edges = Annotated[tuple[Edge, ...], Meta(max_length=MOST_EDGES)]


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One peer as it is known. `uri` is the address to call it at, `nameserver` where the name server of its machine
    is; the core reads neither, beyond whether two peers have the same. `books_s` is how long a question to the books
    and its answer are on their way from there, in seconds, as its terminal measured it. `area` is the market that it
    belongs to, in a town that has several posts; members know only members of their own.

    `incarnation` grows with each start of the same peer, and with each report of its end that it refutes.
    """

    rank: Rank
    name: Word
    role: Role
    uri: Address
    incarnation: Count
    up: bool = True
    nameserver: Address = ""
    books_s: Away = 0.0
    area: Word = ""

    def is_beside(self, other: Member) -> bool:
        """Whether both are peers of one machine, or of one terminal."""
        return self.nameserver == other.nameserver

    def is_newer_than(self, other: Member) -> bool:
        """Whether everybody is to believe this record of the same peer rather than `other`.

        Two that differ in what they say and not in their time are one peer's own and a liar's. Everybody takes the
        same of them, so that it reaches the peer itself, which answers a false one with the next incarnation.
        """
        if self.incarnation != other.incarnation:
            return self.incarnation > other.incarnation
        if self.up != other.up:
            return not self.up
        return self is not other and self.what_it_says() > other.what_it_says()

    def what_it_says(self) -> tuple[str | float, ...]:
        """All of this record but whose it is, and of when."""
        return (self.uri, self.nameserver, self.name, self.role, self.area, self.books_s)


def trader_at(name: str, uri: str) -> Member:
    """Returns a trader that only the log tells of, as far as it tells who that is: enough to send it something."""
    return Member(rank=rank_of(name), name=name, role=role_in(name), uri=uri, incarnation=0)


Members = Annotated[tuple[Member, ...], Meta(max_length=MOST_MEMBERS)]


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What a peer is given when it starts: members, the graph it all began with, the post as known, and the time."""

    members: Members
    edges: Edges
    term: Count = 0
    trader: Word | None = None
    clock: LamportStamp | VectorStamp | None = None


class Membership:
    """The map. `edges` is the graph the town began with. It grows only where the town has begun more than once,
    in parts that could not reach each other, and these meet: then it is that of all beginnings."""

    def __init__(self, members: Iterable[Member], edges: Iterable[Edge]) -> None:
        self._members = {m.rank: m for m in members}
        self.edges = tuple(edges)
        # These four are computed when asked for, and hold until a record comes that is news.
        self._all: tuple[Member, ...] | None = None
        self._up: tuple[Member, ...] | None = None
        self._digest: int | None = None
        self._names: frozenset[str] | None = None

    def merge(self, news: Iterable[Member]) -> list[Member]:
        """Takes in records; returns those that were news, in the order given."""
        fresh = []
        for member in news:
            known = self._members.get(member.rank)
            if known is None and len(self._members) >= MOST_MEMBERS:
                continue
            if known is None or member.is_newer_than(known):
                self._members[member.rank] = member
                self._all = self._up = self._digest = self._names = None
                fresh.append(member)
        return fresh

    def merge_edges(self, edges: Iterable[Edge]) -> bool:
        """Takes in edges of a beginning; returns whether there was news among them."""
        both = {*self.edges, *edges}
        if len(both) == len(self.edges) or len(both) > MOST_EDGES:
            return False
        self.edges = tuple(sorted(both))
        self._digest = None
        return True

    def get(self, rank: int) -> Member | None:
        return self._members.get(rank)

    def by_name(self, name: str) -> Member | None:
        return next((m for m in self._members.values() if m.name == name), None)

    @property
    def count(self) -> int:
        """How many there ever were."""
        return len(self._members)

    def names(self) -> Collection[str]:
        """The names of everybody there ever was."""
        if self._names is None:
            self._names = frozenset(m.name for m in self._members.values())
        return self._names

    def all(self) -> tuple[Member, ...]:
        """Every record, by rank."""
        if self._all is None:
            self._all = tuple(self._members[r] for r in sorted(self._members))
        return self._all

    def up(self) -> tuple[Member, ...]:
        """Those that are up, by rank."""
        if self._up is None:
            self._up = tuple(m for m in self.all() if m.up)
        return self._up

    def is_up(self, rank: int) -> bool:
        member = self._members.get(rank)
        return member is not None and member.up

    def digest(self) -> int:
        """A 32-bit checksum: equal maps have equal digests, and unequal ones different ones, as good as always."""
        if self._digest is None:
            text = ";".join(f"{m.rank},{m.incarnation},{m.up:d},{m.what_it_says()}" for m in self.all())
            text += "".join(f";{low}-{high}" for low, high in sorted(self.edges))
            self._digest = zlib.crc32(text.encode())
        return self._digest
