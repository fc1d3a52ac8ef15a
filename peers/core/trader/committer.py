"""One entry under way at a time: written, and written again at the same place until its fate is known.

    idle ── append ──> appending ── appended, or refused for good ──> idle
                       appending ── no answer ──> in doubt ── time ──> appending
                       appending ── not reached ──> away ── time ──> appending
                       appending ── another's entry stands there ──> deposed, for good

The same entry at the same place: it is there already (ours: done), another's is (deposed), or it gets there now. A
first attempt that lands late finds its place taken. Nothing else may be tried before that, for it would overtake.
"""

from __future__ import annotations

from enum import Enum

from peers.core.context import Context
from peers.core.ledger.log import Entry
from peers.core.ledger.port import AlreadyRecorded, Append, Appended, LedgerAway, Operation, Result, Taken, Unknown
from peers.core.reports import LedgerBack, LedgerTrouble

RETRY_LEDGER_S = 0.1
"""How long to wait before the same entry is written again. (The `ledger` timer.)"""


class Committing(Enum):
    """What a committer is doing."""

    IDLE = "idle"
    APPENDING = "appending"
    IN_DOUBT = "in doubt"
    AWAY = "books away"
    DEPOSED = "deposed"


Settled = Appended | AlreadyRecorded | Taken
"""How the entry under way ended."""

_NEXT: dict[Committing, frozenset[Committing]] = {
    Committing.IDLE: frozenset((Committing.APPENDING,)),
    Committing.APPENDING: frozenset(
        (Committing.IDLE, Committing.IN_DOUBT, Committing.AWAY, Committing.DEPOSED),
    ),
    Committing.IN_DOUBT: frozenset((Committing.APPENDING,)),
    Committing.AWAY: frozenset((Committing.APPENDING,)),
    Committing.DEPOSED: frozenset(),
}


class Committer:
    """Writes entries to the log, each at the place after the last."""

    def __init__(self, ctx: Context, place: int) -> None:
        self._ctx = ctx
        self._place = place  # the last one that is known to be ours, or read
        self._under_way: Append | None = None
        self._trouble = False  # as people have been told
        self.state = Committing.IDLE

    @property
    def is_idle(self) -> bool:
        return self.state is Committing.IDLE

    @property
    def entry(self) -> Entry:
        """The entry under way; to be asked for only while there is one."""
        assert self._under_way is not None
        return self._under_way.entry

    def append(self, entry: Entry) -> None:
        """Has `entry` written at the next place. Raises RuntimeError unless idle."""
        if not self.is_idle:  # one in doubt may be written again, but not another in its place
            raise RuntimeError(f"a committer that is {self.state.value} cannot write another entry")
        self._become(Committing.APPENDING)
        self._under_way = Append(place=self._place + 1, entry=entry)
        self._ctx.perform(self._under_way)

    def on_ledger(self, operation: Operation, result: Result) -> Settled | None:
        """Takes in an answer; returns how the entry under way ended, None if it has not or was not meant."""
        mine = self._under_way
        if mine is None or self.state is not Committing.APPENDING or not isinstance(operation, Append):
            return None
        if (operation.place, operation.entry.entry_id) != (mine.place, mine.entry.entry_id):
            return None
        self._report(result)
        if isinstance(result, Unknown | LedgerAway):
            self._become(Committing.AWAY if isinstance(result, LedgerAway) else Committing.IN_DOUBT)
            self._ctx.set_timer("ledger", RETRY_LEDGER_S)
            return None
        assert isinstance(result, Appended | AlreadyRecorded | Taken)
        if isinstance(result, Taken):
            self._become(Committing.DEPOSED)
            return result
        self._become(Committing.IDLE)
        self._place += isinstance(result, Appended)
        return result

    def on_timer(self) -> None:
        """Time to write the entry under way again."""
        if self.state in (Committing.IN_DOUBT, Committing.AWAY):
            assert self._under_way is not None
            self._become(Committing.APPENDING)
            self._ctx.perform(self._under_way)

    def _become(self, state: Committing) -> None:
        if state not in _NEXT[self.state]:
            raise RuntimeError(f"a committer that is {self.state.value} cannot become {state.value}")
        self.state = state

    def _report(self, result: Result) -> None:
        away = isinstance(result, LedgerAway)
        if away and not self._trouble:
            self._ctx.say(LedgerTrouble(peer=self._ctx.name, why="no answer"))
        elif self._trouble and not isinstance(result, LedgerAway | Unknown):  # a lost answer says neither
            self._ctx.say(LedgerBack(peer=self._ctx.name))
        else:
            return
        self._trouble = away
