"""Logical clocks: Lamport (1978) and vector (Fidge 1988, Mattern 1989), and the one total order of stamps.

A stamp is what travels; a clock is what a peer keeps. A multicast is *merged*, not counted: merging takes the
newest value and ticks nothing, so it does no harm to hear the same news twice, late, or by two ways. Only an
event of one's own (a request, a deposit, accepting one) ticks.

The total order. Equal or concurrent stamps are broken by rank. For vectors the sum of the entries serves as
the time: if one vector happened before another, each of its entries is at most the other's and one is smaller,
so its sum is smaller; the order by sum therefore never contradicts happens-before.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Protocol

import msgspec
from msgspec import Meta

from peers.core.bounds import MAX_CLOCK_ENTRIES, Count, Word

OTHERS = "others"
"""Whose entry in a vector stands for all customers that are no peers."""


class LamportStamp(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True):
    """The Lamport time of an event, 0 … MAX_TIME."""

    lamport: Count

    @property
    def time(self) -> int:
        """What the total order compares first."""
        return self.lamport

    def happens_before(self, other: LamportStamp) -> bool:
        """True unless it is certain that this did *not* happen before `other` (Lamport knows no more)."""
        return self.lamport < other.lamport


class VectorStamp(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True):
    """The vector time of an event: events seen of each peer, by name; what is missing is 0."""

    vector: Annotated[dict[Word, Count], Meta(max_length=MAX_CLOCK_ENTRIES)]

    @property
    def time(self) -> int:
        """What the total order compares first: a linear extension of happens-before."""
        return sum(self.vector.values())

    def happens_before(self, other: VectorStamp) -> bool:
        """True exactly when the event stamped so happened before the one stamped `other`."""
        return self.vector != other.vector and all(n <= other.vector.get(k, 0) for k, n in self.vector.items())

    def folded(self, known: Collection[str]) -> VectorStamp:
        """Returns the same with the entries of all who are not `known` summed up in one.

        The sum of all entries stays, so the total order does too. A market that takes in clocks folded has no more
        entries than it has peers, however many customers there are.
        """
        others = sum(n for name, n in self.vector.items() if name not in known)
        ours = {name: n for name, n in self.vector.items() if name in known}
        return VectorStamp(vector={**ours, OTHERS: others} if others else ours)

    def concurrent(self, other: VectorStamp) -> bool:
        """True when neither happened before the other and they differ."""
        return not (self.happens_before(other) or other.happens_before(self) or self.vector == other.vector)


Stamp = LamportStamp | VectorStamp


def are_concurrent(one: Stamp, other: Stamp) -> bool | None:
    """Whether neither of two events happened before the other; None where their stamps cannot tell."""
    if isinstance(one, VectorStamp) and isinstance(other, VectorStamp):
        return one.concurrent(other)
    return None


class Clock(Protocol):
    """What a peer keeps. `owner` is the name whose events tick it."""

    def tick(self) -> Stamp:
        """Counts one event of the owner; returns its stamp."""

    def merge(self, stamp: Stamp) -> bool:
        """Takes in what another knows, without counting; returns whether that was news."""

    def stamp(self) -> Stamp:
        """The newest stamp known."""


class LamportClock:
    """A Lamport clock that starts at `time`."""

    def __init__(self, time: int = 0) -> None:
        self._stamp = LamportStamp(lamport=time)

    def tick(self) -> LamportStamp:
        self._stamp = LamportStamp(lamport=self._stamp.lamport + 1)
        return self._stamp

    def merge(self, stamp: Stamp) -> bool:
        if not isinstance(stamp, LamportStamp) or stamp.lamport <= self._stamp.lamport:
            return False
        self._stamp = stamp
        return True

    def stamp(self) -> LamportStamp:
        return self._stamp


class VectorClock:
    """A vector clock of `owner`, starting from the entries of `known`."""

    def __init__(self, owner: str, known: Mapping[str, int] | None = None) -> None:
        self._owner = owner
        self._stamp = VectorStamp(vector=dict(known or {}))

    def tick(self) -> VectorStamp:
        self._stamp = self._moved_on({self._owner: self._stamp.vector.get(self._owner, 0) + 1})
        return self._stamp

    def merge(self, stamp: Stamp) -> bool:
        if not isinstance(stamp, VectorStamp):
            return False
        entries = self._stamp.vector
        newer = {k: n for k, n in stamp.vector.items() if n > entries.get(k, 0)}
        if newer:
            self._stamp = self._moved_on(newer)
        return bool(newer)

    def stamp(self) -> VectorStamp:
        return self._stamp

    def _moved_on(self, newer: Mapping[str, int]) -> VectorStamp:
        # Stamps travel, so that one that was given out stays as it is.
        return VectorStamp(vector={**self._stamp.vector, **newer})


CLOCKS = ("lamport", "vector")


def make_clock(kind: str, owner: str) -> Clock:
    """Returns a new clock; `kind` is one of CLOCKS."""
    return VectorClock(owner) if kind == "vector" else LamportClock()


def zero_stamp(kind: str) -> Stamp:
    """The stamp before all events."""
    return VectorStamp(vector={}) if kind == "vector" else LamportStamp(lamport=0)
