"""One entry under way: written at its place until its fate is known, and nothing else before that."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.ledger.memory import MemoryLedger
from peers.core.commands import Command, Perform, Publish, SetTimer
from peers.core.context import Context
from peers.core.ledger.log import NOWHERE, Entry, TradeEntry
from peers.core.ledger.port import (
    AlreadyRecorded,
    Append,
    Appended,
    Done,
    Found,
    LedgerAway,
    LookUp,
    Operation,
    ReadEntries,
    ReadOn,
    RecordElection,
    Result,
    Taken,
    Unknown,
)
from peers.core.reports import LedgerBack, LedgerTrouble
from peers.core.state_machine import IllegalTransition
from peers.core.trader.committer import (
    COMMIT_TRANSITIONS,
    RETRY_LEDGER_S,
    Behind,
    CommitEvent,
    CommitState,
    Committer,
)
from peers.core.trader.seat import Seat
from tests.helpers.deals import accepted, at, election, office, stock, trade, unavailable
from tests.unit.core.words import peer, rules

AWAY = LedgerAway(why="refused")
LOST = Unknown(why="timeout")
TAKEN = Taken(entry=office(2, "merchant8"))
KNOWN = AlreadyRecorded(outcomes=(unavailable(accepted(1), 1),))
LAST = 4  # The log was read up to this place.


class Desk:
    """A committer, and what it wants done."""

    def __init__(self, place: int = LAST) -> None:
        self.ctx = Context(peer(9, "merchant"), rules(), Random(1))
        self.committer = Committer(self.ctx, place)
        self.reports: list[str] = []

    @property
    def state(self) -> CommitState:
        return self.committer.state

    def commands(self) -> list[Command]:
        """What it wants done since the last time; what it says is kept."""
        commands = self.ctx.take_commands()
        self.reports += [type(each.report).__name__ for each in commands if isinstance(each, Publish)]
        return [each for each in commands if not isinstance(each, Publish)]

    def performed(self) -> Operation:
        """The one operation it wants performed."""
        (command,) = self.commands()
        assert isinstance(command, Perform)
        return command.operation

    def begin(self, entry: Entry | None = None) -> Operation:
        self.committer.append(entry or trade())
        return self.performed()

    def retry(self) -> Operation:
        self.committer.on_timer()
        return self.performed()


def in_state(state: CommitState) -> Desk:
    """A committer that has come to be in `state`, by what may happen to one."""
    desk = Desk()
    results: dict[CommitState, Result | None] = {
        CommitState.APPENDING: None,
        CommitState.IN_DOUBT: LOST,
        CommitState.AWAY: AWAY,
        CommitState.DEPOSED: TAKEN,
    }
    if state is CommitState.READING:
        desk.committer.on_ledger(desk.begin(), Appended())
        desk.committer.read_on()
        desk.commands()
    elif state is not CommitState.IDLE:
        operation, result = desk.begin(), results[state]
        if result is not None:
            desk.committer.on_ledger(operation, result)
            desk.commands()
    assert desk.state is state
    return desk


every_state = pytest.mark.parametrize("state", CommitState)
BUSY = [state for state in CommitState if state is not CommitState.IDLE]

# -- the table ---------------------------------------------------------------------------------------------


@every_state
@pytest.mark.parametrize("event", CommitEvent)
def test_what_is_not_in_the_table_raises(state: CommitState, event: CommitEvent) -> None:
    committer = in_state(state).committer
    after = {(row.before, row.event): row.after for row in COMMIT_TRANSITIONS}.get((state, event))
    if after is not None:
        committer._machine.fire(event)
        assert committer.state is after
        return
    with pytest.raises(IllegalTransition, match=f"{event.name} cannot happen to what is {state.value}"):
        committer._machine.fire(event)
    assert committer.state is state


@pytest.mark.parametrize(
    ("result", "following"),
    [
        (Appended(), CommitState.IDLE),
        (KNOWN, CommitState.IDLE),
        (LOST, CommitState.IN_DOUBT),
        (AWAY, CommitState.AWAY),
        (TAKEN, CommitState.DEPOSED),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, CommitState) else value.value,
)
def test_each_answer_leads_where_it_should(result: Result, following: CommitState) -> None:
    desk = in_state(CommitState.IDLE)
    operation = desk.begin()
    settled = desk.committer.on_ledger(operation, result)
    assert desk.state is following
    assert settled == (None if isinstance(result, LedgerAway | Unknown) else result)
    assert desk.committer.is_idle == (following is CommitState.IDLE)


@pytest.mark.parametrize("state", BUSY)
def test_there_is_one_entry_under_way(state: CommitState) -> None:
    desk = in_state(state)
    mine = desk.committer.entry
    with pytest.raises(IllegalTransition, match="APPENDED cannot happen"):
        desk.committer.append(trade())
    assert desk.commands() == []
    assert (desk.state, desk.committer.entry) == (state, mine)


# -- places ------------------------------------------------------------------------------------------------


def test_entries_are_written_one_place_after_the_other() -> None:
    desk = Desk(NOWHERE)
    for place in range(3):
        entry = trade()
        operation = desk.begin(entry)
        assert operation == at(place, entry)
        desk.committer.on_ledger(operation, Appended())


def test_what_was_refused_for_good_leaves_its_place_to_the_next_entry() -> None:
    desk = Desk()
    desk.committer.on_ledger(desk.begin(), KNOWN)
    following = trade()
    assert desk.begin(following) == at(LAST + 1, following)


# -- a log that is shared ---------------------------------------------------------------------------------


def north(entry: TradeEntry | None = None) -> TradeEntry:
    return msgspec.structs.replace(entry or trade(), area="north")


def shared() -> Desk:
    """A committer of the south, whose log the north writes to as well."""
    desk = Desk()
    desk.committer = Committer(desk.ctx, LAST, Seat("south"))
    return desk


def test_another_areas_entry_takes_the_place_and_not_the_office() -> None:
    desk, theirs = shared(), north()
    assert desk.committer.on_ledger(desk.begin(), Taken(entry=theirs)) == Behind((theirs,))
    following = trade()
    assert desk.begin(following) == at(LAST + 2, following)


def test_an_entry_of_its_own_area_deposes() -> None:
    desk, taken = shared(), Taken(entry=msgspec.structs.replace(office(2), area="south"))
    assert desk.committer.on_ledger(desk.begin(), taken) == taken
    assert desk.state is CommitState.DEPOSED


def test_who_is_beaten_twice_reads_to_the_end_before_it_writes_again() -> None:
    desk = shared()
    for _ in range(2):
        assert not desk.committer.is_beaten
        desk.committer.on_ledger(desk.begin(), Taken(entry=north()))
    assert desk.committer.is_beaten
    desk.committer.read_on()
    reading = desk.performed()
    assert reading == ReadOn(place=LAST + 2)
    theirs = (north(), north())
    assert desk.committer.on_ledger(reading, ReadEntries(entries=theirs)) == Behind(theirs, is_end=True)
    following = trade()
    assert desk.begin(following) == at(LAST + 5, following)


def test_to_read_of_a_successor_ends_the_term() -> None:
    desk, successor = shared(), msgspec.structs.replace(office(2), area="south")
    desk.committer.read_on()
    settled = desk.committer.on_ledger(desk.performed(), ReadEntries(entries=(north(), successor)))
    assert settled == Taken(entry=successor)
    assert desk.state is CommitState.DEPOSED


def test_where_the_log_was_cut_nobody_can_go_on() -> None:
    desk = shared()
    desk.committer.read_on()
    settled = desk.committer.on_ledger(desk.performed(), ReadEntries(entries=(), cut=True))
    assert settled == Taken(entry=None)


def test_what_cannot_be_read_now_is_read_another_time() -> None:
    desk = shared()
    desk.committer.read_on()
    assert desk.committer.on_ledger(desk.performed(), AWAY) == Behind((), is_end=False)
    assert desk.committer.is_idle


# -- in doubt ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("result", [LOST, AWAY], ids=["in doubt", "away"])
@pytest.mark.parametrize("end", [Appended(), KNOWN, TAKEN], ids=["appended", "known", "taken"])
def test_the_very_same_entry_is_written_again_at_the_same_place(result: Result, end: Result) -> None:
    desk = Desk()
    first = desk.begin()
    for _ in range(3):
        assert desk.committer.on_ledger(first, result) is None
        assert desk.commands() == [SetTimer(timer="ledger", after_s=RETRY_LEDGER_S)]
        assert desk.retry() is first
    assert desk.committer.on_ledger(first, end) == end


@pytest.mark.parametrize("state", [CommitState.IDLE, CommitState.APPENDING, CommitState.DEPOSED])
def test_a_timer_of_the_past_does_nothing(state: CommitState) -> None:
    desk = in_state(state)
    desk.committer.on_timer()
    assert desk.commands() == []
    assert desk.state is state


# -- answers that are not meant ----------------------------------------------------------------------------


def someone_elses(mine: Append) -> list[tuple[Operation, Result]]:
    return [
        (LookUp(request_ids=("r1",)), Found()),
        (LookUp(request_ids=("r1",)), AWAY),
        (RecordElection(record=election(1)), Done()),
        (at(mine.place - 1, mine.entry), Appended()),
        (at(mine.place + 1, mine.entry), TAKEN),
        (at(mine.place, trade()), Appended()),
        (at(mine.place, trade()), TAKEN),
    ]


def test_answers_that_are_not_meant_change_nothing() -> None:
    desk = Desk()
    mine = desk.begin()
    assert isinstance(mine, Append)
    for operation, result in someone_elses(mine):
        assert desk.committer.on_ledger(operation, result) is None
        assert desk.commands() == []
        assert desk.state is CommitState.APPENDING
    assert desk.committer.on_ledger(mine, Appended()) == Appended()


@pytest.mark.parametrize("state", [state for state in BUSY if state is not CommitState.APPENDING])
@pytest.mark.parametrize("result", [Appended(), LOST, AWAY, TAKEN, KNOWN], ids=lambda each: type(each).__name__)
def test_an_answer_given_twice_counts_once(state: CommitState, result: Result) -> None:
    desk = in_state(state)
    again = Append(place=LAST + 1, entry=desk.committer.entry)
    assert desk.committer.on_ledger(again, result) is None
    assert desk.commands() == []
    assert desk.state is state


def test_the_answer_to_an_entry_that_is_done_does_not_count_for_the_next() -> None:
    desk = Desk()
    first = desk.begin()
    desk.committer.on_ledger(first, Appended())
    assert desk.committer.on_ledger(first, Appended()) is None
    second = desk.begin()
    assert desk.committer.on_ledger(first, TAKEN) is None
    assert desk.committer.on_ledger(second, Appended()) == Appended()


# -- what people are told ----------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [Appended(), KNOWN, TAKEN], ids=["appended", "known", "taken"])
def test_people_are_told_once_that_the_books_are_away_and_once_that_they_are_back(end: Result) -> None:
    desk = Desk()
    first = desk.begin()
    told: list[list[str]] = []
    for result in (AWAY, AWAY, LOST, AWAY, end):
        desk.committer.on_ledger(first, result)
        desk.commands()
        told.append(list(desk.reports))
        desk.committer.on_timer()
        desk.commands()
    away, back = LedgerTrouble.__name__, LedgerBack.__name__
    assert told == [[away], [away], [away], [away], [away, back]]


def test_of_an_answer_that_was_lost_people_hear_nothing() -> None:
    desk = Desk()
    first = desk.begin()
    desk.committer.on_ledger(first, LOST)
    desk.commands()
    assert desk.retry() is first
    desk.committer.on_ledger(first, Appended())
    desk.commands()
    assert desk.reports == []


# -- all together ------------------------------------------------------------------------------------------


class Fate:
    """The ledger behind a network that loses questions and answers, and delivers some of them late."""

    def __init__(self, draw: Callable[[st.SearchStrategy[str]], str]) -> None:
        self.ledger = MemoryLedger()
        self._draw = draw
        self._late: list[Operation] = []

    def perform(self, operation: Operation) -> Result:
        while self._late and self._draw(st.sampled_from(["late", "later"])) == "late":
            self.ledger.perform(self._late.pop(0))
        match self._draw(st.sampled_from(["fine", "away", "lost", "answer lost", "late"])):
            case "away":
                return AWAY
            case "lost":
                return LOST
            case "answer lost":
                self.ledger.perform(operation)
                return LOST
            case "late":
                self._late.append(operation)
                return LOST
        return self.ledger.perform(operation)

    def delivers_the_rest(self) -> None:
        for operation in self._late:
            self.ledger.perform(operation)


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 6), st.data())
def test_whatever_is_lost_or_late_each_entry_stands_once_and_in_order(entries: int, data: st.DataObject) -> None:
    fate, desk = Fate(data.draw), Desk(NOWHERE)
    written: list[Entry] = []
    for number in range(entries):
        entry: Entry = trade(deposits=(stock(f"d{number}", 1),)) if number else office()
        operation, settled = desk.begin(entry), None
        for _ in range(1000):
            settled = desk.committer.on_ledger(operation, fate.perform(operation))
            desk.commands()
            if settled is not None:
                break
            operation = desk.retry()
        assert settled == Appended()
        written.append(entry)
    fate.delivers_the_rest()
    assert [fate.ledger.entry_at(place) for place in range(entries + 1)] == [*written, None]
    assert desk.state is CommitState.IDLE
