"""One entry under way at a time: written, and written again at the same place until its fate is known.

Writing the same entry at the same place again is safe. Either it is there already, and is done; or another's is
there, and this trader is deposed; or it gets there now, and a first attempt that lands late finds its place taken.
Nothing else may be written before that is known, or it could stand in front of the entry in doubt.

Where several areas share the log, what stands at the place may be another area's. Then nothing is lost but the place:
the entry is to be drawn up anew, on what that one left, and is written at the next. Who finds so twice in a row may
be far behind, and reads to the end first.

An entry may also be unanswered for long because the thread that writes it is held. Then it is given to another, at
the same place, which is safe for the same reason (a hedged request: Dean and Barroso, 2013); and the first, once it
wakes, finds its own entry there, and tells nobody anything.
"""

from __future__ import annotations

from enum import Enum

import msgspec

from peers.core.context import Context
from peers.core.ledger.log import Entry
from peers.core.ledger.port import (
    AlreadyRecorded,
    Append,
    Appended,
    EndLost,
    LedgerAway,
    Operation,
    ReadEntries,
    ReadOn,
    Result,
    Taken,
    TooLarge,
    Unknown,
)
from peers.core.reports import LedgerBack, LedgerTrouble
from peers.core.state_machine import StateMachine, Table, make_table
from peers.core.trader.seat import THE_ONLY, Seat

RETRY_LEDGER_S = 0.1
"""How long the `ledger` timer runs before the same entry is written again, in seconds."""

MOST_REPEATS = 10
"""An entry that has no answer, not even that nothing is known of it, is given to another thread so many times. No
setting: each costs a thread, and after two or three it is not the thread that is held."""


class CommitState(Enum):
    """What a committer is doing."""

    IDLE = "idle"
    APPENDING = "appending"
    IN_DOUBT = "in doubt"
    AWAY = "books away"
    READING = "reading on"
    DEPOSED = "deposed"


class CommitEvent(Enum):
    """What makes a committer do something else. The value labels the arrow in the diagram."""

    APPENDED = "an entry is drawn up"
    SETTLED = "it stands, or never can"
    UNANSWERED = "no answer"
    UNREACHED = "not reached"
    TRIED_AGAIN = "tried again"
    OVERTAKEN = "another's entry stands there, or the end before it is lost"
    BEHIND = "another area's entry stands there"
    READS_ON = "reads what others wrote"
    READ = "it has read to the end"


_S, _E = CommitState, CommitEvent

COMMIT_TRANSITIONS: Table[CommitState, CommitEvent] = make_table(
    {
        _S.IDLE: {_E.APPENDED: _S.APPENDING, _E.READS_ON: _S.READING},
        _S.APPENDING: {
            _E.SETTLED: _S.IDLE,
            _E.UNANSWERED: _S.IN_DOUBT,
            _E.UNREACHED: _S.AWAY,
            _E.OVERTAKEN: _S.DEPOSED,
            _E.BEHIND: _S.IDLE,
        },
        _S.READING: {_E.READ: _S.IDLE, _E.OVERTAKEN: _S.DEPOSED},
        _S.IN_DOUBT: {_E.TRIED_AGAIN: _S.APPENDING},
        _S.AWAY: {_E.TRIED_AGAIN: _S.APPENDING},
    }
)
"""All that may happen. A deposed trader writes nothing more."""


class Behind(msgspec.Struct, frozen=True):
    """Other areas have written `entries`, which are to be taken in before anything is appended. There may be none.

    `is_end`: there were no more when they were read; None where there may be, False where the log cannot be read."""

    entries: tuple[Entry, ...]
    is_end: bool | None = None


Settled = Appended | AlreadyRecorded | TooLarge | Taken | EndLost | Behind
"""How the entry under way ended, or what was read instead."""


class Committer:
    """Writes entries to the log, each at the place after the last."""

    def __init__(self, ctx: Context, place: int, seat: Seat = THE_ONLY) -> None:
        self._ctx = ctx
        self._seat = seat
        # The last place whose entry was written here, or was read.
        self._place = place
        # The last append there was; it is under way unless the state is IDLE or DEPOSED.
        self._under_way: Append | None = None
        # When it was first sent, in seconds of the monotonic clock; what it shows, it shows from then on.
        self._begun_s = ctx.now.mono_s
        # When it was last given to a thread, and how many times it was without any answer.
        self._given_s = ctx.now.mono_s
        self._repeats = 0
        # Whether people were told last that the books cannot be reached.
        self._trouble = False
        # How often in a row another area's entry was found in the place of ours.
        self._beaten = 0
        self._machine = StateMachine(COMMIT_TRANSITIONS, CommitState.IDLE)

    @property
    def state(self) -> CommitState:
        return self._machine.state

    @property
    def is_idle(self) -> bool:
        return self.state is CommitState.IDLE

    @property
    def entry(self) -> Entry:
        """The entry under way; to be asked for only while there is one."""
        assert self._under_way is not None
        return self._under_way.entry

    @property
    def begun_s(self) -> float:
        """When the last entry was first sent, in seconds of the monotonic clock."""
        return self._begun_s

    def append(self, entry: Entry) -> None:
        """Has `entry` written at the next place. Raises IllegalTransition unless idle."""
        self._machine.fire(CommitEvent.APPENDED)  # This raises while an entry is in doubt, so none can overtake it.
        self._begun_s = self._ctx.now.mono_s
        self._under_way = Append(place=self._place + 1, entry=entry)
        self._give(self._under_way)

    def _give(self, append: Append, repeats: int = 0) -> None:
        self._given_s, self._repeats = self._ctx.now.mono_s, repeats
        self._ctx.perform(append)

    def repeat(self, after_s: float) -> None:
        """Gives the entry to another thread if it has had no answer for `after_s`, though the ledger does answer."""
        if self.state is CommitState.APPENDING and self._ctx.now.mono_s - self._given_s > after_s:
            assert self._under_way is not None
            self._give(self._under_way, self._repeats + 1)
            self._ctx.count("entries_repeated")

    @property
    def is_held(self) -> bool:
        """Whether no thread has brought an answer, however many were given the entry."""
        return self.state is CommitState.APPENDING and self._repeats >= MOST_REPEATS

    def read_on(self) -> None:
        """Reads what other areas have written since. Raises IllegalTransition unless idle."""
        self._machine.fire(CommitEvent.READS_ON)
        self._ctx.perform(ReadOn(place=self._place))

    @property
    def is_beaten(self) -> bool:
        """Whether it is better to read on before the next entry: others have been faster twice."""
        return self._beaten > 1

    def on_ledger(self, operation: Operation, result: Result) -> Settled | None:
        """Takes in an answer; returns how the entry under way ended, None if it has not or was not meant."""
        if isinstance(operation, ReadOn):
            return self._on_read(operation, result)
        mine = self._under_way
        if mine is None or self.state is not CommitState.APPENDING or not isinstance(operation, Append):
            return None
        if (operation.place, operation.entry.entry_id) != (mine.place, mine.entry.entry_id):
            return None
        self._report(result)
        if isinstance(result, Unknown | LedgerAway):
            self._machine.fire(CommitEvent.UNREACHED if isinstance(result, LedgerAway) else CommitEvent.UNANSWERED)
            self._ctx.set_timer(self._seat.ledger_timer, RETRY_LEDGER_S)
            return None
        assert isinstance(result, Appended | AlreadyRecorded | TooLarge | Taken | EndLost)
        if isinstance(result, Taken) and result.entry is not None and result.entry.area != self._seat.area:
            self._machine.fire(CommitEvent.BEHIND)
            self._beaten += 1
            self._place += 1
            return Behind((result.entry,))
        if isinstance(result, Taken | EndLost):
            self._machine.fire(CommitEvent.OVERTAKEN)
            return result
        self._machine.fire(CommitEvent.SETTLED)
        self._beaten = 0
        self._place += isinstance(result, Appended)
        return result

    def _on_read(self, operation: ReadOn, result: Result) -> Settled | None:
        if self.state is not CommitState.READING or operation.place != self._place:
            return None
        entries = result.entries if isinstance(result, ReadEntries) else ()
        ours = next((at for at, entry in enumerate(entries) if entry.area == self._seat.area), None)
        is_cut = isinstance(result, ReadEntries) and result.cut
        if ours is not None or is_cut:
            self._machine.fire(CommitEvent.OVERTAKEN)
            return Taken(entry=None if ours is None else entries[ours])
        self._machine.fire(CommitEvent.READ)
        self._beaten = 0
        self._place += len(entries)
        if not isinstance(result, ReadEntries):
            return Behind((), is_end=False)
        return Behind(entries, is_end=True if len(entries) < operation.limit else None)

    def on_timer(self) -> None:
        """Time to write the entry under way again."""
        if self.state in (CommitState.IN_DOUBT, CommitState.AWAY):
            assert self._under_way is not None
            self._machine.fire(CommitEvent.TRIED_AGAIN)
            self._give(self._under_way)

    def _report(self, result: Result) -> None:
        away = isinstance(result, LedgerAway)
        if away and not self._trouble:
            self._ctx.say(LedgerTrouble(peer=self._ctx.name, why="no answer"))
        elif self._trouble and not isinstance(result, LedgerAway | Unknown):  # A lost answer tells nothing.
            self._ctx.say(LedgerBack(peer=self._ctx.name))
        else:
            return
        self._trouble = away
