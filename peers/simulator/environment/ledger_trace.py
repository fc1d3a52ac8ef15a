"""The steps of one schedule that the ledger can tell apart, in the words of the specification in `tests/spec`.

A trader of the specification is one bid of one process and, if it is won, the term after it. Which load a bid is made
on is known only when its office entry is written, so loads are noted with no trader, and those that led to none are
left out at the end. What is noted was seen in the ledger and in what peers were told; the code that decided it is not
asked. Places count from 1, as they do in the specification.

See Cirstea, Kuppe, Loillier and Merz, "Validating Traces of Distributed Programs Against TLA+ Specifications" (2024).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from db.ledger.memory import MemoryLedger
from peers.core.commands import Command, NotifySales, Perform, Respond
from peers.core.inputs import Input, LedgerReplied
from peers.core.ledger.log import NOWHERE, Entry, OfficeEntry, TradeEntry
from peers.core.ledger.port import (
    AlreadyRecorded,
    Append,
    Appended,
    Loaded,
    MakeBooks,
    ReadEntries,
    ReadOn,
    Result,
    Taken,
)
from peers.core.market.records import Accepted, Deposit, Outcome
from peers.simulator.environment.process import Process

NOBODY = 0
"""The trader of a step that has none, or of one that nobody had a right to."""

StepKind = Literal[
    "load", "bid", "trade", "again", "stand", "land", "settle", "lose", "appended", "taken", "already recorded",
    "behind", "read on", "make", "say made", "told", "leave",
]  # fmt: skip
Value = str | int


class Step(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One step: of a trader, with an entry (its number in the trace), at a place. `base` is how far the books were
    made that were loaded; `docs` are documents of the books that were written; `told` is what somebody heard of."""

    kind: StepKind
    trader: int = NOBODY
    entry: int = 0
    place: int = 0
    base: int = 0
    docs: dict[str, Value] = msgspec.field(default_factory=dict)
    told: tuple[str, str] = ("", "")
    places: tuple[int, ...] = ()


class TracedEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry: the ids it takes for new, what it leaves requests as, and by how many units it moves deposits."""

    kind: Literal["office", "trade"]
    trader: int
    term: int
    new: tuple[str, ...] = ()
    puts: dict[str, str] = msgspec.field(default_factory=dict)
    moves: dict[str, int] = msgspec.field(default_factory=dict)


class Trace(msgspec.Struct, kw_only=True):
    """All of one schedule; `traders` is how many there were. `areas` says of each, from the first, whose post it was
    to hold; it is empty where areas do not share the log."""

    seed: int
    traders: int
    areas: list[str] = []
    entries: list[TracedEntry]
    steps: list[Step]


class _Trader(msgspec.Struct):
    """A trader as far as it was seen. `after_term`: it was beaten to the place, and reads again to follow that.

    `in_doubt`: an attempt had no answer, so it waits for none until it has tried again. What an earlier attempt is
    answered meanwhile, by a thread that was held, is as good as lost. `place` is that of the last entry that it is
    seen to know, from 0."""

    number: int
    place: int = NOWHERE
    under_way: Append | None = None
    in_doubt: bool = False
    after_term: int | None = None


class LedgerTrace:
    """Notes the steps of one schedule. Where areas share the log, a process may hold the posts of several."""

    def __init__(self) -> None:
        self._steps: list[Step] = []
        self._entries: list[TracedEntry] = []
        # By the id that its writer gave it, the number of an entry.
        self._numbers: dict[str, int] = {}
        # By id and what it was left as, the places that entries were written to that say so.
        self._saying: dict[tuple[str, str], list[int]] = {}
        # Of each trader, from the first, the area.
        self._areas: list[str] = []
        # By the uri of a process and the area, the trader that it is or was last.
        self._trader_of: dict[tuple[str, str], _Trader] = {}
        # Loads that nobody has made a bid on yet, with the results they gave; then, by process, the last it heard of.
        self._loads: list[tuple[Result, Step]] = []
        self._heard: dict[str, Step] = {}
        self._is_primary_ahead = False

    def trace(self, seed: int) -> Trace:
        """Returns what was noted."""
        steps = [step for step in self._steps if step.kind != "load" or step.trader != NOBODY]
        areas = self._areas if any(self._areas) else []
        return Trace(seed=seed, traders=len(self._areas), areas=areas, entries=self._entries, steps=steps)

    # -- what peers hear and do ----------------------------------------------------------------------------

    def on_input(self, process: Process, event: Input) -> None:
        """A peer is about to take in an input."""
        if not isinstance(event, LedgerReplied):
            return
        if isinstance(event.result, Loaded):
            self._heard[process.uri] = next(step for result, step in self._loads if result is event.result)
        elif isinstance(event.operation, Append):
            self._on_answer(process, event.operation, event.result)
        elif isinstance(event.operation, ReadOn) and isinstance(event.result, ReadEntries):
            self._on_read(process, event.operation, event.result)

    def on_command(self, process: Process, command: Command) -> None:
        """A peer has commanded something."""
        if isinstance(command, Perform) and isinstance(command.operation, Append):
            self._on_append(process, command.operation)
        elif isinstance(command, Respond):
            reply = command.reply
            if isinstance(reply, Outcome):
                self._on_told(reply)
            elif isinstance(reply, Deposit):
                self._note(Step(kind="told", told=(reply.offer.deposit_id, ""), places=self._places(reply)))
        elif isinstance(command, NotifySales):
            for outcome in command.sales:
                self._on_told(outcome)

    def on_gone(self, process: Process) -> None:
        """A process has ended."""
        for key in [each for each in self._trader_of if each[0] == process.uri]:
            self._note(Step(kind="leave", trader=self._trader_of.pop(key).number))

    def _on_append(self, process: Process, append: Append) -> None:
        entry, place = append.entry, append.place + 1
        trader = self._trader_of.get((process.uri, entry.area))
        under_way = None if trader is None else trader.under_way
        if trader is not None:
            trader.in_doubt = False
        if trader is not None and under_way is not None and under_way.entry.entry_id == entry.entry_id:
            number = self._number(trader.number, append)
            self._note(Step(kind="again", trader=trader.number, entry=number, place=place))
            return
        if isinstance(entry, OfficeEntry):
            trader = self._bidder(process, entry)
        elif trader is None:
            trader = _Trader(NOBODY)
        trader.under_way = append
        number = self._number(trader.number, append)
        kind: StepKind = "bid" if isinstance(entry, OfficeEntry) else "trade"
        self._note(Step(kind=kind, trader=trader.number, entry=number, place=place))

    def _bidder(self, process: Process, entry: OfficeEntry) -> _Trader:
        """Returns the trader that makes this bid: another one, unless it was beaten to the place just now."""
        trader = self._trader_of.get((process.uri, entry.area))
        if trader is None or trader.after_term is None or trader.after_term != entry.term - 1:
            self._areas.append(entry.area)
            trader = self._trader_of[process.uri, entry.area] = _Trader(len(self._areas))
        trader.after_term = None
        load = self._heard.pop(process.uri, None)
        if load is not None:
            load.trader = trader.number
        return trader

    def _on_answer(self, process: Process, append: Append, result: Result) -> None:
        trader = self._trader_of.get((process.uri, append.entry.area))
        if trader is None or trader.under_way is None:
            return
        under_way = trader.under_way
        if trader.in_doubt or (under_way.place, under_way.entry.entry_id) != (append.place, append.entry.entry_id):
            return
        if isinstance(result, Appended):
            self._note(Step(kind="appended", trader=trader.number))
            trader.place = append.place
        elif isinstance(result, Taken):
            is_others = result.entry is not None and result.entry.area != append.entry.area
            self._note(Step(kind="behind" if is_others else "taken", trader=trader.number))
            if is_others:
                trader.place = append.place
            if isinstance(append.entry, OfficeEntry):  # It goes on with its bid.
                trader.after_term = append.entry.term - 1
        elif isinstance(result, AlreadyRecorded):
            self._note(Step(kind="already recorded", trader=trader.number))
        else:
            trader.in_doubt = True
            return
        trader.under_way = None

    def _on_read(self, process: Process, operation: ReadOn, result: ReadEntries) -> None:
        """A trader has read what others wrote, up to what ends its term, if that is there."""
        areas = {entry.area for entry in result.entries}
        for (uri, area), trader in self._trader_of.items():
            if uri == process.uri and trader.under_way is None and trader.place == operation.place:
                if areas and area not in areas:
                    trader.place = operation.place + len(result.entries)
                    self._note(Step(kind="read on", trader=trader.number, place=trader.place + 1))
                return

    def _on_told(self, outcome: Outcome) -> None:
        told = (outcome.request.request_id, _status(outcome))
        self._note(Step(kind="told", told=told, places=tuple(self._saying.get(told, ()))))

    def _places(self, deposit: Deposit) -> tuple[int, ...]:
        return tuple(self._saying.get((deposit.offer.deposit_id, ""), ()))

    # -- what becomes of log and books ---------------------------------------------------------------------

    def on_loaded(self, loaded: Loaded) -> None:
        """The ledger has answered a load."""
        base = loaded.made + 1
        step = Step(kind="load", base=base, place=base + len(loaded.entries))
        self._loads.append((loaded, step))
        self._note(step)

    def on_primary(self, append: Append) -> None:
        """The primary has an entry that a majority has not."""
        self._is_primary_ahead = True
        self._note(Step(kind="land", entry=self._numbers.get(append.entry.entry_id, 0), place=append.place + 1))

    def on_primary_lost(self) -> None:
        """What only the primary had is lost."""
        self._is_primary_ahead = False
        self._note(Step(kind="lose"))

    def on_log(self, ledger: MemoryLedger, end: int) -> None:
        """An append was carried out by the ledger, whose log ended at `end` before."""
        for at in range(end + 1, ledger.end + 1):
            entry = ledger.entry_at(at)
            assert entry is not None
            kind: StepKind = "settle" if self._is_primary_ahead else "stand"
            self._is_primary_ahead = False
            self._note(Step(kind=kind, entry=self._numbers.get(entry.entry_id, 0), place=at + 1))

    def on_books(self, ledger: MemoryLedger, changes: MakeBooks, before: dict[str, int], made: int) -> None:
        """The books were made of `changes`, which were at `before` (see `MemoryLedger.places_in_books`)."""
        at = changes.place
        docs: dict[str, Value] = {}
        for record in changes.requests:
            docs[record.request.request_id] = _status(record)
        for deposit in changes.deposits:
            docs[deposit.offer.deposit_id] = deposit.remaining
        after = ledger.places_in_books(changes)
        written = {name: value for name, value in docs.items() if after[name] == at and before[name] != at}
        if written:
            self._note(Step(kind="make", place=at + 1, docs=written))
        if ledger.made != made:
            self._note(Step(kind="say made", place=ledger.made + 1))

    # -- entries -------------------------------------------------------------------------------------------

    def _note(self, step: Step) -> None:
        self._steps.append(step)

    def _number(self, trader: int, append: Append) -> int:
        """Returns the number of an entry, and notes what it says the first time, and where each time."""
        entry = append.entry
        traced = _traced(trader, entry)
        number = self._numbers.get(entry.entry_id)
        if number is None:
            self._entries.append(traced)
            number = self._numbers[entry.entry_id] = len(self._entries)
        deposits = entry.new_deposits if isinstance(entry, TradeEntry) else ()
        for said in (*traced.puts.items(), *((each, "") for each in deposits)):
            places = self._saying.setdefault(said, [])
            if append.place + 1 not in places:
                places.append(append.place + 1)
        return number


def _traced(trader: int, entry: Entry) -> TracedEntry:
    if isinstance(entry, OfficeEntry):
        return TracedEntry(kind="office", trader=trader, term=entry.term)
    records: list[Accepted | Outcome] = [*entry.outcomes, *entry.queued, *entry.reversals]
    puts = {each.request.request_id: _status(each) for each in records}
    moves: dict[str, int] = {}

    def move(deposit_id: str, units: int) -> None:
        moves[deposit_id] = moves.get(deposit_id, 0) + units

    for deposit in entry.deposits:
        move(deposit.offer.deposit_id, deposit.remaining)
    for recount in entry.recounts:
        move(recount.deposit.offer.deposit_id, recount.returned - recount.written_off)
    for outcome in entry.outcomes:
        if outcome.sale is not None:
            move(outcome.sale.deposit, -outcome.request.quantity)
    # An id comes in once for a request, and once more for the reversal of its sale.
    new = (*entry.new_requests, *entry.new_deposits, *(f"{each} taken back" for each in entry.new_reversals))
    return TracedEntry(kind="trade", trader=trader, term=entry.term, new=new, puts=puts, moves=moves)


def _status(record: Accepted | Outcome) -> str:
    if isinstance(record, Accepted):
        return "queued"
    return "taken back" if record.taken_back is not None else record.status
