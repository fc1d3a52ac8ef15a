"""Lets a reading through once it is certain that this trader had read the whole log at a moment recent enough.

A trader that was frozen, or cut off, may be deposed without knowing it, and what it remembers is old. What shows that
it is not: an entry of its own that stands, for at no moment since that entry was first sent had anybody written
another before it; or the end of the log as the ledger gives it, once the trader has read that far. Either counts from
when it *began*, by this peer's own monotonic clock, so no clocks are compared (as for the leases of Gray and
Cheriton, 1989, and the read index of Raft, Ongaro and Ousterhout, 2014).

Under trade there is always such an entry, and nothing is asked of the ledger. In a quiet market one look serves all
who wait for it.
"""

from __future__ import annotations

from collections.abc import Callable

from peers.core.context import Context
from peers.core.ledger.port import FindEnd, Found, Operation, Result
from peers.core.ledger.post_state import PostState
from peers.errors import PostClosed, WireError

Go = Callable[[WireError | None], None]
"""Answers a reading: from the state as it is, or with the refusal where there is one."""


class ReadGate:
    """The readings that wait in one term. `state` is that of the term; it is certain to have been all there was at
    `certain_s`."""

    def __init__(self, ctx: Context, state: PostState, certain_s: float) -> None:
        self._ctx = ctx
        self._state = state
        self._certain_s = certain_s
        # The readings that wait, each with the moment since which its answer may miss something.
        self._waiting: list[tuple[float, Go]] = []
        # When the look at the log's end that is under way began.
        self._look_began_s: float | None = None
        # When a look began that found the end at a place that the state has not got to, and that place.
        self._ahead: tuple[float, int] | None = None

    @property
    def needs_reading(self) -> bool:
        """Whether the log goes further than the state, as far as is known, and somebody waits for it."""
        return self._ahead is not None

    def let_through(self, since_s: float, go: Go) -> None:
        """Calls `go` as soon as the state misses nothing that is older than `since_s`, or nobody can say so."""
        if self._certain_s >= since_s:
            go(None)
            return
        self._waiting.append((since_s, go))
        self._look()

    def on_own(self, began_s: float) -> None:
        """The state has an entry of this trader that stands, and was first sent at `began_s`."""
        self._prove(began_s)
        self.on_read()

    def on_read(self) -> None:
        """The state has come further."""
        if self._ahead is not None and self._state.place >= self._ahead[1]:
            (began_s, _), self._ahead = self._ahead, None
            self._prove(began_s)
            self._look()

    def on_read_to_end(self) -> None:
        """The log was read on to its end, or could not be, after `on_read`. Whoever waits still is turned away: an
        end that is read to and lies before one that was seen is that of a member which is behind."""
        if self._ahead is not None:
            self._ahead = None
            self._turn_away()

    def on_ledger(self, operation: Operation, result: Result) -> None:
        """Takes in what the ledger says of the log's end."""
        if not isinstance(operation, FindEnd) or self._look_began_s is None:
            return
        began_s, self._look_began_s = self._look_began_s, None
        if not isinstance(result, Found):
            self._turn_away()
        elif result.place > self._state.place:
            self._ahead = (began_s, result.place)
        else:
            self._prove(began_s)
            self._look()

    def refuse(self, refusal: WireError) -> None:
        """Answers everybody who waits with `refusal`."""
        waiting, self._waiting = self._waiting, []
        for _, go in waiting:
            go(refusal)

    def _turn_away(self) -> None:
        self.refuse(PostClosed(why="the books cannot be reached"))

    def _prove(self, certain_s: float) -> None:
        """The state misses nothing that is older than `certain_s`."""
        if certain_s <= self._certain_s:
            return
        self._certain_s = certain_s
        if self._waiting:
            ready = [go for since_s, go in self._waiting if since_s <= certain_s]
            self._waiting = [each for each in self._waiting if each[0] > certain_s]
            for go in ready:
                go(None)

    def _look(self) -> None:
        if self._waiting and self._look_began_s is None and self._ahead is None:
            self._look_began_s = self._ctx.now.mono_s
            self._ctx.perform(FindEnd())
