"""The road to the ledger, and what can go wrong between a trader and the log, and behind it.

It keeps the promises of the ledger's port, and no more. An entry answered with LedgerAway was not written by that
attempt. One answered with Unknown was written, or was not, or arrives later, perhaps twice; or only the primary has
it, which others run into, and which is lost with the primary or reaches a majority in the end. The end of the log may
be read stale. The books are made behind the log, now and then late, in part, twice, or by one who was deposed long
before; a trader that dies leaves them as they are.
"""

from __future__ import annotations

from collections import Counter
from random import Random

import msgspec

from db.ledger.memory import MemoryLedger
from peers.core.commands import Perform
from peers.core.inputs import LedgerReplied
from peers.core.ledger.log import OfficeEntry
from peers.core.ledger.port import (
    Append,
    Appended,
    FindEnd,
    LedgerAway,
    Load,
    Loaded,
    MakeBooks,
    Operation,
    Reach,
    Result,
    Taken,
    Unknown,
)
from peers.core.market.records import Post
from peers.simulator.environment.ledger_sightings import LedgerSightings
from peers.simulator.environment.lives import Lives
from peers.simulator.environment.process import Process
from peers.simulator.environment.record import Record
from peers.simulator.environment.schedule import Schedule

# The times are as measured on one machine. No options: a seed is to give the same schedule everywhere.
_WAY_S = 0.0005
_APPEND_S = 0.001
_MAKE_S = 0.015
_SILENCE_S = 2.0  # What an operation waits for an answer.
_APPENDS, _READS, _SIGNS, _LOOKS = 0, 1, 2, 3

_LANES: dict[type[Operation], int] = {Append: _APPENDS, Reach: _SIGNS, FindEnd: _LOOKS}

_AWAY = LedgerAway(why="cannot be reached")
_REFUSES = LedgerAway(why="is busy")
_UNKNOWN = Unknown(why="the answer was lost")


class LedgerRoad:
    """Carries out Perform, in the order of each lane."""

    def __init__(self, schedule: Schedule, record: Record, lives: Lives, rng: Random, look_rng: Random) -> None:
        self.ledger = MemoryLedger()
        self.slow_s = 0.0
        # How far the books stay behind the log, in seconds at the most.
        self.behind_s = 0.0
        # By rank, the number of faults because of which that peer does not reach the ledger.
        self.away_for: Counter[int] = Counter()
        # By rank, the number of faults because of which that peer hears nothing of the ledger.
        self.silent_for: Counter[int] = Counter()
        self.refuses = 0.0  # The share of operations that certainly fail.
        self.unknown = 0.0  # The share of writes whose answer is lost.
        self._schedule = schedule
        self._record = record
        self._trace = record.trace
        self._lives = lives
        self._rng = rng
        # Looks at the log's end draw from a stream of their own, so that who only reads changes little else.
        self._look_rng = look_rng
        # The one entry that the primary has and a majority does not. While there is one, no append is certain.
        self._on_primary: Append | None = None
        self._sightings = LedgerSightings(record)

    def post(self) -> Post:
        """The post as the log has it."""
        return self.ledger.post

    def perform(self, process: Process, command: Perform) -> None:
        operation = command.operation
        if isinstance(operation, MakeBooks):
            process.backlog.append(operation)
            if len(process.backlog) == 1:
                self._plan_making(process)
            return
        lane = _LANES.get(type(operation), _READS)
        waiting = process.lanes[lane]
        waiting.append(operation)
        if len(waiting) == 1:
            self._send_off(process, lane)

    # -- lanes ---------------------------------------------------------------------------------------------

    def _send_off(self, process: Process, lane: int) -> None:
        """The lane's thread sends its next operation off."""
        after_s = _WAY_S + self.slow_s * self._rng_of(lane).random()
        if lane == _APPENDS:
            after_s += _APPEND_S * (0.5 + self._rng.random())
        self._schedule.push(self._schedule.now_s + after_s, self._run, process, lane)

    def _rng_of(self, lane: int) -> Random:
        return self._look_rng if lane == _LOOKS else self._rng

    def _run(self, process: Process, lane: int) -> None:
        schedule, operation = self._schedule, process.lanes[lane][0]
        if not process.up:
            if lane != _LOOKS:
                self._run_for_the_dead(operation)
            return
        # The process may have stopped before it had sent the last word of the operation.
        if process.hung and self._rng_of(lane).random() < 0.5:
            process.held_lanes.append(lane)
            return
        after_s = _WAY_S
        if self.silent_for[process.rank]:
            after_s, result = _SILENCE_S, self._swallow(operation)
        else:
            result = self._try(process, operation)
        if self._record.history is not None:
            self._record.history.on_ledger(process, operation, result, schedule.event)
        if self._trace is not None and isinstance(result, Loaded):
            self._trace.on_loaded(result)
        schedule.push(
            schedule.now_s + after_s, self._reply, process, (lane, LedgerReplied(operation=operation, result=result))
        )

    def _reply(self, process: Process, answered: tuple[int, LedgerReplied]) -> None:
        lane, replied = answered
        self._lives.arrive(process, replied)
        waiting = process.lanes[lane]
        waiting.popleft()
        if waiting and process.up:
            if process.hung:
                process.held_lanes.append(lane)
            else:
                self._send_off(process, lane)

    def resume(self, process: Process) -> None:
        """The lanes of a process that stopped go on."""
        held, process.held_lanes = process.held_lanes, []
        for lane in held:
            self._send_off(process, lane)
        if process.backlog:
            self._plan_making(process)

    def _run_for_the_dead(self, operation: Operation) -> None:
        """A killed trader's last words may have reached the server, or be on their way there."""
        draw = self._rng.random()
        if isinstance(operation, Append):
            if draw < 0.4:
                self._apply(operation)
            elif draw < 0.6:
                self._land_later(operation)

    def _try(self, process: Process, operation: Operation) -> Result:
        if self.away_for[process.rank]:
            return _AWAY
        random = self._rng_of(_LANES.get(type(operation), _READS)).random
        if self.refuses and random() < self.refuses:
            return _REFUSES
        if self.unknown and random() < self.unknown:
            if isinstance(operation, Append):
                return self._lose_answer(operation)
            if isinstance(operation, Load):
                return self._read_stale(operation)
        return self._apply(operation)

    def _swallow(self, operation: Operation) -> Result:
        """The cut swallows the question, or, now and then, the answer to it."""
        if isinstance(operation, Append):
            if self._rng.random() < 0.3:
                self._apply(operation)
            return _UNKNOWN
        return _AWAY

    # -- the log -------------------------------------------------------------------------------------------

    def _lose_answer(self, operation: Append) -> Result:
        draw, saw = self._rng.random(), self._record.saw
        if draw < 0.35:
            if isinstance(self._apply(operation), Appended):
                saw("an entry whose answer was lost stood")
        elif draw < 0.6:
            saw("an entry whose answer was lost did not stand")
        elif draw < 0.8:
            self._land_later(operation)
        else:
            self._land_on_primary(operation)
        return _UNKNOWN

    def _land_later(self, operation: Append) -> None:
        for _ in range(self._rng.choice((1, 1, 2))):
            self._schedule.push(self._schedule.now_s + 0.5 * self._rng.random(), self._late, None, operation)

    def _late(self, _: Process | None, operation: Append) -> None:
        """A first attempt arrives, when its writer may have tried again, or be no trader any more."""
        result = self._apply(operation)
        if isinstance(result, Taken):
            self._record.saw("a late entry found its place taken")
        elif isinstance(result, Appended):
            standing = self.ledger.entry_at(operation.place)
            if standing is operation.entry and operation.place == self.ledger.end:
                self._record.saw("an entry landed late")

    def _land_on_primary(self, operation: Append) -> None:
        if self._on_primary is not None or operation.place != self.ledger.end + 1:
            return
        # Ids that the log has are refused by the primary as well.
        if isinstance(operation.entry, OfficeEntry) or self.ledger.index.recorded_of(operation.entry) is None:
            self._on_primary = operation
            if self._trace is not None:
                self._trace.on_primary(operation)
            self._schedule.push(self._schedule.now_s + self._rng.random(), self._settle_primary, None, operation)

    def _settle_primary(self, _: Process | None, operation: Append) -> None:
        """A majority gets what only the primary had, or the primary falls with it."""
        self._on_primary = None
        if self._rng.random() < 0.5:
            self._record.saw("an entry was lost with its primary")
            if self._trace is not None:
                self._trace.on_primary_lost()
        else:
            self._apply(operation)

    def _apply(self, operation: Operation) -> Result:
        """Performs the operation on the ledger; an append is Unknown while another entry waits for its majority."""
        if isinstance(operation, Append) and self._on_primary is not None:
            if operation.entry.entry_id != self._on_primary.entry.entry_id:
                self._record.saw("a place was taken before a majority had it")
            return _UNKNOWN
        if isinstance(operation, FindEnd) and self._on_primary is not None:
            return _AWAY  # The write behind it waits for a majority as well.
        end = self.ledger.end
        result = self.ledger.perform(operation)
        if isinstance(operation, Append):
            self._sightings.on_append(operation, result, self.ledger.end)
            if self._trace is not None:
                self._trace.on_log(self.ledger, end)
        elif isinstance(result, Loaded):
            self._sightings.on_loaded(result)
        return result

    def _read_stale(self, operation: Load) -> Result:
        """A primary that is none any more may not know the last entries."""
        result = self._apply(operation)
        if not isinstance(result, Loaded) or not result.entries:
            return result
        self._record.saw("a candidate read a stale end")
        return msgspec.structs.replace(result, entries=result.entries[:-1])

    # -- the books -----------------------------------------------------------------------------------------

    def _plan_making(self, process: Process) -> None:
        after_s = _MAKE_S * self._rng.random() + (self.slow_s + self.behind_s) * self._rng.random()
        self._schedule.push(self._schedule.now_s + after_s, self._make, process, None)

    def _make(self, process: Process, _: None) -> None:
        """A round of making the books."""
        backlog, random = process.backlog, self._rng.random
        if not backlog:
            return
        # What the process had sent before it died may still arrive, in part.
        if not process.up:
            if random() < 0.3:
                self._make_in_part(backlog[0])
            backlog.clear()
            return
        if process.hung:
            # A process that hangs makes nothing; once awake, it makes what others may have made long since.
            return
        if not self.away_for[process.rank] and not self.silent_for[process.rank]:
            if self.unknown and random() < self.unknown:
                self._make_in_part(backlog[0])
                self._record.saw("books were torn")
            else:
                self._make_whole(process)
        if backlog:
            self._plan_making(process)

    def _make_whole(self, process: Process) -> None:
        for _ in range(self._rng.randint(1, len(process.backlog))):
            changes = process.backlog.popleft()
            if changes.place <= self.ledger.made:
                self._record.saw("books were made again that were made already")
            self._make_books(changes)
            if self.unknown and self._rng.random() < self.unknown:
                self._schedule.push(self._schedule.now_s + self._rng.random(), self._make_late, None, changes)

    def _make_late(self, _: Process | None, changes: MakeBooks) -> None:
        """The same writes once more, long after."""
        if any(deposit_at > changes.place for deposit_at in map(self.ledger.made_at, _ids(changes))):
            self._record.saw("books were made late, and newer ones stayed")
        self._make_books(changes)

    def _make_in_part(self, changes: MakeBooks) -> None:
        some = [each for each in changes.requests if self._rng.random() < 0.5]
        others = [each for each in changes.deposits if self._rng.random() < 0.5]
        part = msgspec.structs.replace(changes, requests=tuple(some), deposits=tuple(others))
        self._make_books(part, post=False)

    def _make_books(self, changes: MakeBooks, *, post: bool = True) -> None:
        before, made = self.ledger.places_in_books(changes) if self._trace is not None else {}, self.ledger.made
        self.ledger.make(changes, post=post)
        if self._trace is not None:
            self._trace.on_books(self.ledger, changes, before, made)


def _ids(changes: MakeBooks) -> list[str]:
    return [deposit.offer.deposit_id for deposit in changes.deposits]
