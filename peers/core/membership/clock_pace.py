"""A clock that others cannot run away with: what they say moves it on at no more than a certain pace.

A logical clock takes over the highest time it hears of. So a single forged one would use up all numbers there are,
and the clock could never tick again. No market counts a million events in a second; what is further ahead is
taken in as far as the pace allows, and the rest when it is heard again.
"""

from __future__ import annotations

from collections.abc import Collection

from peers.core.bounds import MAX_CLOCK_ENTRIES
from peers.core.membership.clocks import OTHERS, Clock, LamportStamp, Stamp, VectorStamp

MAX_AHEAD = 1_000_000
"""Another's clock may be so far ahead, no more: a forged one must not use up all numbers."""

PACE_PER_S = 1_000_000
"""So much what others say may move a clock on in each second, and MAX_AHEAD at once. The numbers last 285 years."""


class PacedClock:
    """`clock`, with the pace at which others may move it on. Times are in seconds of the monotonic clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._allowance = float(MAX_AHEAD)
        self._since_s = 0.0

    def tick(self) -> Stamp:
        """Counts one event of the owner; returns its stamp."""
        return self._clock.tick()

    def stamp(self) -> Stamp:
        """The newest stamp known."""
        return self._clock.stamp()

    def adopt(self, stamp: Stamp) -> None:
        """Takes in what is certain, at whatever pace: another clock of this very peer."""
        self._clock.merge(stamp)

    def merge(self, stamp: Stamp, now_s: float, known: Collection[str]) -> bool:
        """Takes in what another says, as far as the pace allows, without counting; returns whether that was news.

        `known` are the names of the members: nobody else has an entry of its own in a vector."""
        before = self._clock.stamp()
        # Mostly a heartbeat says what is known, so that is found out first.
        if stamp is before:
            return False
        if isinstance(stamp, LamportStamp):
            if stamp.lamport <= before.time:
                return False
            stamp = LamportStamp(lamport=min(stamp.lamport, before.time + self._room(now_s)))
        elif isinstance(before, VectorStamp):
            if stamp.vector == before.vector:
                return False
            stamp = _within(stamp, before, self._room(now_s), known)
        if not self._clock.merge(stamp):
            return False
        self._allowance -= self._clock.stamp().time - before.time
        return True

    def _room(self, now_s: float) -> int:
        """By how much the clock may be moved on now."""
        grown = self._allowance + (now_s - self._since_s) * PACE_PER_S
        self._allowance, self._since_s = min(grown, float(MAX_AHEAD)), now_s
        return max(int(self._allowance), 0)


def _within(stamp: VectorStamp, before: VectorStamp, room: int, known: Collection[str]) -> VectorStamp:
    """Returns what of `stamp` moves the vector `before` on by `room` in all, at most."""
    taken: dict[str, int] = {}
    entries = len(before.vector)
    for name, time in stamp.vector.items():
        had = before.vector.get(name)
        more = min(time - (had or 0), room)
        may_enter = entries < MAX_CLOCK_ENTRIES - 1 and (name in known or name == OTHERS)
        if more <= 0 or not (had is not None or may_enter):
            continue
        entries += had is None
        room -= more
        taken[name] = (had or 0) + more
    return VectorStamp(vector=taken)
