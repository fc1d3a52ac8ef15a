"""The ledger in memory: the same answers as the one in MongoDB, without a server. The log is a list.

Below the write level of a majority it knows up to where a majority has the log (`settle`), and can lose the rest as a
set does whose primary falls (`lose_end`).

For the simulator, which performs millions of operations and copies whole states, and for tests. It never waits, loses
nothing and is never away; tests that want such trouble put it between trader and ledger. `documents()` shows log
and books in the form they have in MongoDB, for the audit to check with the same predicates.
"""

from __future__ import annotations

from typing import Any

from db.ledger.memory_index import LogIndex
from db.schema.documents import deposit_document, election_document, entry_document, post_document, request_document
from db.schema.forms import PLAIN, Document
from peers.core.ledger.log import NOWHERE, Entry, TradeEntry
from peers.core.ledger.port import (
    Append,
    Appended,
    Done,
    EndLost,
    FindEnd,
    FindReversals,
    FindSales,
    Found,
    Load,
    Loaded,
    LookUp,
    MakeBooks,
    Operation,
    PostRead,
    Reach,
    ReadEntries,
    ReadOn,
    ReadPost,
    RecordElection,
    Result,
    StockedDeposit,
    Taken,
)
from peers.core.ledger.post_state import held_after
from peers.core.market.records import Accepted, Deposit, ElectionRecord, Outcome, Post
from peers.core.names import WriteLevel

_DONE = Done()
_APPENDED = Appended()
_END_LOST = EndLost()


class MemoryLedger:
    """Log and books in lists and dicts. Records are frozen and shared between copies; only these are copied."""

    def __init__(self, write_level: WriteLevel = "majority") -> None:
        self._write_level: WriteLevel = write_level
        self._log: list[Entry] = []
        # A majority has the log up to here.
        self._settled = NOWHERE
        # What is to be made of the books once a majority has the entry.
        self._to_make: list[MakeBooks] = []
        self.index = LogIndex()
        """What the whole log adds up to."""
        # The books: what stands in each document, and the place of the entry that put it there.
        self._requests: dict[str, tuple[int, Accepted | Outcome]] = {}
        self._deposits: dict[str, tuple[int, Deposit]] = {}
        self._made = NOWHERE
        self._post = Post()
        # By area and term.
        self._elections: dict[tuple[str, int], ElectionRecord] = {}

    def perform(self, operation: Operation) -> Result:
        """Carries out one operation, at once."""
        match operation:
            case Append():
                return self._append(operation)
            case MakeBooks():
                if operation.place > self._settled:
                    self._to_make.append(operation)
                elif self._stands(operation):
                    self.make(operation)
                return _DONE
            case Load():
                return self._load()
            case ReadPost():
                return PostRead(post=held_after(self._post, self._log[self._made + 1 : self._settled + 1]))
            case ReadOn():
                return self._read_on(operation)
            case FindEnd():
                return Found(place=self._settled)
            case LookUp():
                return self.index.look_up(operation, self.end)
            case FindSales():
                return self.index.find_sales(operation, self.end)
            case FindReversals():
                return self.index.find_reversals(operation, self.end)
            case Reach():
                return _DONE
            case RecordElection():
                self._elections[operation.record.area, operation.record.term] = operation.record
                return _DONE

    def close(self) -> None:
        """There is nothing to let go of."""

    def __deepcopy__(self, memo: dict[int, Any]) -> MemoryLedger:
        twin = MemoryLedger.__new__(MemoryLedger)
        memo[id(self)] = twin
        for name, value in self.__dict__.items():
            twin.__dict__[name] = value.copy() if isinstance(value, dict | list) else value
        twin.index = self.index.copy()
        return twin

    @property
    def post(self) -> Post:
        """The post after the whole log."""
        return self.index.end

    @property
    def end(self) -> int:
        """The last place that is taken; NOWHERE in an empty log."""
        return len(self._log) - 1

    @property
    def made(self) -> int:
        """Up to which entry the books say they are made."""
        return self._made

    def settle(self) -> None:
        """A majority has the whole log now."""
        self._settled = self.end
        to_make, self._to_make = self._to_make, []
        for changes in filter(self._stands, to_make):
            self.make(changes)

    def lose_end(self) -> int:
        """The primary falls, and what a majority did not have is lost; returns how many entries that were."""
        lost = self.end - self._settled
        if lost:
            del self._log[self._settled + 1 :]
            self._to_make, self.index = [], LogIndex()
            for entry in self._log:
                self.index.add(entry)
        return lost

    def entry_at(self, place: int) -> Entry | None:
        """The entry at `place`, None where there is none yet."""
        return self._log[place] if place < len(self._log) else None

    def made_at(self, deposit_id: str) -> int:
        """The place of the entry that the books have of a deposit; NOWHERE where they have none."""
        return self._deposits[deposit_id][0] if deposit_id in self._deposits else NOWHERE

    def places_in_books(self, changes: MakeBooks) -> dict[str, int]:
        """By id, the place of the entry that the books have of each request and deposit in `changes`."""
        requests = [record.request.request_id for record in changes.requests]
        places = {each: self._requests[each][0] if each in self._requests else NOWHERE for each in requests}
        return places | {each: self.made_at(each) for each in (d.offer.deposit_id for d in changes.deposits)}

    def recorded(self, request_id: str) -> Accepted | Outcome | None:
        """What the log says of a request."""
        return self.index.requests.get(request_id)

    def recorded_deposit(self, deposit_id: str) -> tuple[Deposit, int] | None:
        """A deposit as it came in, and what the log leaves of it."""
        deposit = self.index.deposits.get(deposit_id)
        return None if deposit is None else (deposit, self.index.left_of(deposit_id))

    def documents(self) -> dict[str, list[Document]]:
        """Returns every collection as MongoDB would give it, but with Decimal for money."""
        return {
            "log": [entry_document(place, entry, PLAIN) for place, entry in enumerate(self._log)],
            "requests": [request_document(record, at, PLAIN) for at, record in self._requests.values()],
            "deposits": [deposit_document(deposit, PLAIN, at=at) for at, deposit in self._deposits.values()],
            "posts": [post_document(self._post, self._made, PLAIN)],
            "elections": [election_document(record, PLAIN) for record in self._elections.values()],
        }

    # -- the log -------------------------------------------------------------------------------------------

    def _append(self, operation: Append) -> Result:
        place, entry = operation.place, operation.entry
        if place < len(self._log):
            standing = self._log[place]
            if place > self._settled:
                self.settle()  # Whoever finds a place taken is told by whom once a majority has that.
            return _APPENDED if standing.entry_id == entry.entry_id else Taken(entry=standing)
        below_majority = self._write_level != "majority" and isinstance(entry, TradeEntry)
        if below_majority and (place > len(self._log) or not place or self._log[place - 1].term != entry.term):
            return _END_LOST
        if place > len(self._log):
            raise ValueError(f"place {place} is tried, and the log ends at {len(self._log) - 1}")
        if isinstance(entry, TradeEntry):
            recorded = self.index.recorded_of(entry)
            if recorded is not None:
                return recorded
        self.index.add(entry)
        self._log.append(entry)
        if not below_majority:
            self.settle()
        return _APPENDED

    def _stands(self, changes: MakeBooks) -> bool:
        """Whether books may be made of an entry: not where it was lost, and nothing or another's is at its place."""
        if self._write_level == "majority":
            return True
        entry = self.entry_at(changes.place)
        return entry is not None and entry.entry_id == changes.entry_id

    def _read_on(self, operation: ReadOn) -> ReadEntries:
        first = operation.place + 1
        return ReadEntries(entries=tuple(self._log[first : first + operation.limit]))

    # -- the books -----------------------------------------------------------------------------------------

    def make(self, changes: MakeBooks, *, post: bool = True) -> None:
        """Makes the books one entry further; what is newer already is left as it is.

        With `post` they also say so, if they were made up to the entry before.
        """
        at = changes.place
        for record in changes.requests:
            request_id = record.request.request_id
            if self._requests.get(request_id, (NOWHERE, None))[0] < at:
                self._requests[request_id] = at, record
        for deposit in changes.deposits:
            deposit_id = deposit.offer.deposit_id
            if self._deposits.get(deposit_id, (NOWHERE, None))[0] < at:
                self._deposits[deposit_id] = at, deposit
        if post and self._made == at - 1:
            self._made, self._post = at, changes.post

    def _load(self) -> Loaded:
        queue = [record for _, record in self._requests.values() if isinstance(record, Accepted)]
        stock = [StockedDeposit(deposit=each, at=at) for at, each in self._deposits.values() if each.remaining]
        return Loaded(
            made=self._made,
            post=self._post,
            queue=tuple(sorted(queue, key=lambda accepted: accepted.request.sort_key)),
            stock=tuple(sorted(stock, key=lambda stocked: stocked.deposit.offer.sort_key)),
            entries=tuple(self._log[self._made + 1 : self._settled + 1]),
        )
