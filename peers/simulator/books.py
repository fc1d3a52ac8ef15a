"""The road to the ledger: lanes, and what can go wrong between a trader and the books.

It keeps the promises of the ledger's interface, and no more. An operation answered with LedgerAway did not happen.
One answered with Unknown happened, or did not, or is left open in the server and happens later; but nothing that a
ledger object left open happens after that object has looked up, and nothing a predecessor left open after a successor
took office.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from db.memory import MemoryLedger
from peers.core.commands import Perform
from peers.core.inputs import LedgerReplied
from peers.core.ledger import (
    Commit,
    Deposed,
    Done,
    Enqueue,
    Found,
    LedgerAway,
    LookUp,
    OfficeTaken,
    Operation,
    Result,
    TakeOffice,
    Unknown,
)
from peers.core.records import Post
from peers.simulator.process import Process

if TYPE_CHECKING:
    from peers.simulator.world import World

_WAY_S = 0.0006
_COMMIT_S = 0.0015
_MAIN_LANE, _QUEUE_LANE = 0, 1

_AWAY = LedgerAway(why="cannot be reached")
_REFUSES = LedgerAway(why="is busy")
_UNKNOWN = Unknown(why="the answer was lost")

_GLANCE = LookUp()

_Lane = tuple[str, int]


class Books:
    """Carries out Perform, in the order of each lane."""

    def __init__(self, world: World, rng: Random) -> None:
        self.ledger = MemoryLedger()
        self.slow_s = 0.0
        self.away_for: dict[int, int] = {}  # rank -> number of faults because of which it does not reach it
        self.refuses = 0.0  # share of operations that fail for certain
        self.unknown = 0.0  # share of writes whose answer is lost
        self._world = world
        self._rng = rng
        self._open: dict[_Lane, int] = {}  # left open in the server: number of the event that would commit it
        self._traders: dict[int, str] = {}

    def post(self) -> Post:
        """The post as the ledger has it."""
        found = self.ledger.perform(_GLANCE)
        assert isinstance(found, Found)
        return found.post

    def perform(self, process: Process, command: Perform) -> None:
        lane = _lane_of(command.operation)
        waiting = process.lanes[lane]
        waiting.append(command.operation)
        if len(waiting) == 1:
            self._schedule(process, lane)

    def _schedule(self, process: Process, lane: int) -> None:
        """The lane's thread sends its next operation off."""
        after_s = _WAY_S + self.slow_s * self._rng.random()
        if isinstance(process.lanes[lane][0], Commit | Enqueue):
            after_s += _COMMIT_S * (0.5 + self._rng.random())
        self._world.push(self._world.now_s + after_s, self._run, process, lane)

    def _run(self, process: Process, lane: int) -> None:
        world, operation = self._world, process.lanes[lane][0]
        if not process.up:
            self._run_for_the_dead(process, operation)
            return
        if process.hung and self._rng.random() < 0.5:  # it stopped before it had sent the last word
            process.held_lanes.append(lane)
            return
        result = self._try(process, operation)
        if world.history is not None:
            world.history.on_ledger(process, operation, result, world.event)
        world.push(
            world.now_s + _WAY_S, self._reply, process, (lane, LedgerReplied(operation=operation, result=result))
        )

    def _reply(self, process: Process, answered: tuple[int, LedgerReplied]) -> None:
        lane, replied = answered
        self._world.arrive(process, replied)
        waiting = process.lanes[lane]
        waiting.popleft()
        if waiting and process.up:
            if process.hung:
                process.held_lanes.append(lane)
            else:
                self._schedule(process, lane)

    def resume(self, process: Process) -> None:
        """The lanes of a process that stopped go on."""
        held, process.held_lanes = process.held_lanes, []
        for lane in held:
            self._schedule(process, lane)

    def _run_for_the_dead(self, process: Process, operation: Operation) -> None:
        """A killed trader's last words may have reached the server, or be left open there."""
        draw = self._rng.random()
        if isinstance(operation, Commit | Enqueue | TakeOffice):
            if draw < 0.4:
                self._apply(process, operation)
            elif draw < 0.6:
                self._leave_open(process, operation)

    def _try(self, process: Process, operation: Operation) -> Result:
        if self.away_for.get(process.rank):
            return _AWAY
        random = self._rng.random
        if self.refuses and random() < self.refuses:
            return _REFUSES
        if self.unknown and random() < self.unknown and isinstance(operation, Commit | Enqueue | TakeOffice):
            return self._lose_answer(process, operation)
        return self._apply(process, operation)

    def _lose_answer(self, process: Process, operation: Operation) -> Result:
        draw, saw = self._rng.random(), self._world.saw
        commit = isinstance(operation, Commit)
        if draw < 0.4:
            done = isinstance(self._apply(process, operation), Done | OfficeTaken)
            if commit and done:
                saw("an unknown commit had happened")
        elif draw < 0.7:
            if commit:
                saw("an unknown commit had not happened")
        else:
            self._leave_open(process, operation)
        return _UNKNOWN

    def _leave_open(self, process: Process, operation: Operation) -> None:
        self._end_open(process, _lane_of(operation))
        at_s = self._world.now_s + 0.5 * self._rng.random()
        number = self._world.push(at_s, self._late, process, operation)
        self._open[process.uri, _lane_of(operation)] = number

    def _late(self, process: Process, operation: Operation) -> None:
        lane = (process.uri, _lane_of(operation))
        if self._open.get(lane) == self._world.event:
            del self._open[lane]
            if isinstance(self._ledger_apply(process, operation), Done | OfficeTaken):
                self._world.saw("a write left open happened later")

    def _apply(self, process: Process, operation: Operation) -> Result:
        """Reaches the ledger; a session's next operation ends what it left open before."""
        if isinstance(operation, TakeOffice):
            if operation.expected_term == self.post().term:
                if self._open:
                    self._world.saw("a successor ended what was left open")
                self._open.clear()
        elif isinstance(operation, LookUp):
            self._end_open(process, _MAIN_LANE)
            self._end_open(process, _QUEUE_LANE)
        else:
            self._end_open(process, _lane_of(operation))
        return self._ledger_apply(process, operation)

    def _ledger_apply(self, process: Process, operation: Operation) -> Result:
        result = self.ledger.perform(operation)
        world = self._world
        if isinstance(operation, Commit):
            if isinstance(result, Done):
                self._note_commit(operation)
            elif isinstance(result, Deposed):
                world.saw("a deposed trader's commit was refused")
        elif isinstance(operation, Enqueue) and isinstance(result, Deposed):
            world.saw("a deposed trader's queueing was refused")
        elif isinstance(result, OfficeTaken):
            if result.queue:
                world.saw("a successor found a queue")
            winner = self._traders.setdefault(result.post.term, process.name)
            if winner != process.name:
                world.judge.violate("one_trader_a_term", f"{winner} and {process.name} won term {result.post.term}")
        return result

    def _end_open(self, process: Process, lane: int) -> None:
        if self._open.pop((process.uri, lane), None) is not None:
            self._world.saw("a look-up ended what was left open")

    def _note_commit(self, commit: Commit) -> None:
        saw = self._world.saw
        if len(commit.decisions) > 1:
            saw("requests shared a commit")
        for decision in commit.decisions:
            if decision.was_queued and decision.outcome.accepted.queued_term != commit.term:
                saw("a request queued under one trader was decided under another")
            if decision.outcome.sale is None:
                saw("a request found nothing to be had")


def _lane_of(operation: Operation) -> int:
    return _QUEUE_LANE if isinstance(operation, Enqueue) else _MAIN_LANE
