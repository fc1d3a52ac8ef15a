"""The ledger in memory: the same answers as the one in MongoDB, without a server. The log is a list.

Below the write level of a majority it knows up to where a majority has the log (`settle`), and can lose the rest as a
set does whose primary falls (`lose_end`).

For the simulator, which performs millions of operations and copies whole states, and for tests. It never waits, loses
nothing and is never away; tests that want such trouble put it between trader and ledger. `documents()` shows log
and books in the form they have in MongoDB, for the audit to check with the same predicates.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Any

import msgspec

from db.schema.documents import deposit_document, election_document, entry_document, post_document, request_document
from db.schema.forms import PLAIN, Document
from peers.core.ledger.log import NOWHERE, Entry, OfficeEntry, TradeEntry
from peers.core.ledger.port import (
    AlreadyRecorded,
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
from peers.core.market.records import Accepted, Deposit, ElectionRecord, Holder, Outcome, Post
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
        # The post after the whole log.
        self._end = Post()
        # By id, the requests as the log leaves them.
        self._known: dict[str, Accepted | Outcome] = {}
        # By id, the deposits as they came in, and how many units the log leaves of each.
        self._deposits_in: dict[str, Deposit] = {}
        self._left: dict[str, int] = {}
        self._written_off: dict[str, int] = {}
        # The sales of each seller, in the order of decision.
        self._sales: dict[str, list[Outcome]] = {}
        # The sales that were taken back, by number.
        self._reversals: list[Outcome] = []
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
                else:
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
                return self._look_up(operation)
            case FindSales():
                return self._find_sales(operation)
            case FindReversals():
                return self._find_reversals(operation)
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
        twin._sales = {seller: sales.copy() for seller, sales in self._sales.items()}
        return twin

    @property
    def post(self) -> Post:
        """The post after the whole log."""
        return self._end

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
        for changes in to_make:
            self.make(changes)

    def lose_end(self) -> int:
        """The primary falls, and what a majority did not have is lost; returns how many entries that were."""
        lost = self.end - self._settled
        if lost:
            kept = MemoryLedger(self._write_level)
            for place, entry in enumerate(self._log[: self._settled + 1]):
                kept._append(Append(place=place, entry=entry))
            for name in ("_requests", "_deposits", "_made", "_post", "_elections", "_settled"):
                setattr(kept, name, getattr(self, name))
            self.__dict__.update(kept.__dict__)
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
        return self._known.get(request_id)

    def recorded_deposit(self, deposit_id: str) -> tuple[Deposit, int] | None:
        """A deposit as it came in, and what the log leaves of it."""
        deposit = self._deposits_in.get(deposit_id)
        return None if deposit is None else (deposit, self._left[deposit_id])

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
            recorded = self.recorded_of(entry)
            if recorded is not None:
                return recorded
            self._note(entry)
        if entry.area:
            self._note_holder(entry)
        else:
            end = msgspec.structs.replace(self._end, term=entry.term, trader=entry.trader)
            if isinstance(entry, OfficeEntry):
                end = msgspec.structs.replace(end, since_ms=entry.written_at_ms, uri=entry.uri)
            self._end = end
        self._log.append(entry)
        if not below_majority:
            self.settle()
        return _APPENDED

    def recorded_of(self, entry: TradeEntry) -> AlreadyRecorded | None:
        """What is recorded under the ids that `entry` takes for new; None if they are."""
        known_requests = [each for each in entry.new_requests if each in self._known]
        known_deposits = [each for each in entry.new_deposits if each in self._deposits_in]
        reversed_before = {each.request.request_id: each for each in self._reversals} if entry.reversals else {}
        taken_back = [reversed_before[each] for each in entry.new_reversals if each in reversed_before]
        if not (known_requests or known_deposits or taken_back):
            return None
        records = [self._known[each] for each in known_requests]
        return AlreadyRecorded(
            outcomes=tuple(record for record in records if isinstance(record, Outcome)),
            deposits=tuple(map(self._as_left, known_deposits)),
            reversals=tuple(taken_back),
        )

    def _note_holder(self, entry: Entry) -> None:
        if isinstance(entry, OfficeEntry):
            since_ms, uri = entry.written_at_ms, entry.uri
        else:
            before = self._end.holder(entry.area)
            since_ms, uri = (before.since_ms, before.uri) if before is not None else (0, "")
        holder = Holder(
            area=entry.area,
            term=entry.term,
            trader=entry.trader,
            since_ms=since_ms,
            uri=uri,
            written_at_ms=entry.written_at_ms,
        )
        self._end = self._end.held(holder)

    def _read_on(self, operation: ReadOn) -> ReadEntries:
        first = operation.place + 1
        return ReadEntries(entries=tuple(self._log[first : first + operation.limit]))

    def _note(self, entry: TradeEntry) -> None:
        for deposit in entry.deposits:
            self._deposits_in[deposit.offer.deposit_id] = deposit
            self._left[deposit.offer.deposit_id] = deposit.remaining
        for recount in entry.recounts:
            self._left[recount.deposit.offer.deposit_id] = recount.deposit.remaining
            self._written_off[recount.deposit.offer.deposit_id] = recount.deposit.written_off
        for outcome in entry.reversals:
            self._take_back(outcome)
        for outcome in entry.outcomes:
            self._known[outcome.request.request_id] = outcome
            if outcome.sale is not None:
                self._sales.setdefault(outcome.sale.seller, []).append(outcome)
                self._left[outcome.sale.deposit] = self._left.get(outcome.sale.deposit, 0) - outcome.request.quantity
        self._known.update((accepted.request.request_id, accepted) for accepted in entry.queued)
        taken_in = [*(outcome.accepted for outcome in entry.outcomes), *entry.queued]
        self._end = msgspec.structs.replace(
            self._end,
            seq=entry.outcomes[-1].seq if entry.outcomes else self._end.seq,
            arrival=max([self._end.arrival, *(accepted.arrival for accepted in taken_in)]),
            reversals=self._end.reversals + len(entry.reversals),
        )

    def _take_back(self, outcome: Outcome) -> None:
        self._known[outcome.request.request_id] = outcome
        self._reversals.append(outcome)
        sales = self._sales.get(outcome.sale.seller, []) if outcome.sale is not None else []
        at = bisect_left(sales, outcome.seq, key=lambda sale: sale.seq)
        if at < len(sales):
            sales[at] = outcome

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

    # -- reading: books and log together -------------------------------------------------------------------

    def _look_up(self, operation: LookUp) -> Found:
        records = [self._known[each] for each in dict.fromkeys(operation.request_ids) if each in self._known]
        return Found(
            outcomes=tuple(record for record in records if isinstance(record, Outcome)),
            queued=tuple(record for record in records if isinstance(record, Accepted)),
            deposits=tuple(
                self._as_left(each) for each in dict.fromkeys(operation.deposit_ids) if each in self._deposits_in
            ),
            place=self.end,
        )

    def _find_sales(self, operation: FindSales) -> Found:
        sales = self._sales.get(operation.seller, [])
        first = bisect_right(sales, operation.after_seq, key=lambda outcome: outcome.seq)
        held = [
            self._as_left(deposit_id)
            for deposit_id, deposit in self._deposits_in.items()
            if deposit.offer.seller == operation.seller and self._left[deposit_id]
        ]
        return Found(
            outcomes=tuple(sales[first : first + operation.limit]),
            deposits=tuple(sorted(held, key=lambda deposit: deposit.offer.sort_key)),
            place=self.end,
        )

    def _find_reversals(self, operation: FindReversals) -> Found:
        concerned = [
            outcome
            for outcome in self._reversals[operation.after :]
            if operation.customer in (outcome.request.buyer, outcome.sale and outcome.sale.seller)
        ]
        return Found(outcomes=tuple(concerned[: operation.limit]), place=self.end)

    def _as_left(self, deposit_id: str) -> Deposit:
        return msgspec.structs.replace(
            self._deposits_in[deposit_id],
            remaining=self._left[deposit_id],
            written_off=self._written_off.get(deposit_id, 0),
        )
