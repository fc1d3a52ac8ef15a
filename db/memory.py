"""The ledger in memory: the same answers as the one in MongoDB, without a server.

For the simulator, which performs millions of operations and copies whole states, and for tests. It never waits, loses
nothing and is never away; whoever wants such trouble puts it in front. `documents()` shows the books in the form
they have in MongoDB, for the audit to check with the same predicates.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import Any

import msgspec

from db.documents import (
    PLAIN,
    Document,
    date,
    deposit_document,
    election_document,
    outcome_document,
    queued_document,
)
from db.plan import plan
from db.schema import POST
from peers.core.ledger import (
    AlreadyRecorded,
    Commit,
    Deposed,
    Done,
    Enqueue,
    FindSales,
    Found,
    LookUp,
    Meanwhile,
    OfficeRefused,
    OfficeTaken,
    Operation,
    RecordElection,
    Result,
    TakeOffice,
)
from peers.core.records import Accepted, Deposit, ElectionRecord, Outcome, Post

_DONE = Done()
_ALREADY_RECORDED = AlreadyRecorded()


class MemoryLedger:
    """The books in dicts. Records are frozen and shared between copies; only the dicts are copied."""

    def __init__(self) -> None:
        self._post = Post()
        self._since_ms: int | None = None
        self._arrival = 0
        self._queue: dict[str, Accepted] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._sales: dict[str, list[Outcome]] = {}  # by seller, in order of decision
        self._deposits: dict[str, Deposit] = {}  # as they came in
        self._remaining: dict[str, int] = {}  # of each deposit
        self._stock: dict[str, None] = {}  # ids of the deposits that hold something
        self._elections: dict[int, ElectionRecord] = {}

    def perform(self, operation: Operation, meanwhile: Meanwhile | None = None) -> Result:  # noqa: ARG002
        """Carries out one operation, at once."""
        match operation:
            case Commit():
                return self._commit(operation)
            case Enqueue():
                return self._enqueue(operation)
            case TakeOffice():
                return self._take_office(operation)
            case LookUp():
                return self._look_up(operation)
            case FindSales():
                return self._find_sales(operation)
            case RecordElection():
                self._elections[operation.record.term] = operation.record
                return _DONE

    def close(self) -> None:
        """There is nothing to let go of."""

    def __deepcopy__(self, memo: dict[int, Any]) -> MemoryLedger:
        twin = MemoryLedger.__new__(MemoryLedger)
        memo[id(self)] = twin
        for name, value in self.__dict__.items():
            twin.__dict__[name] = value.copy() if isinstance(value, dict) else value
        twin._sales = {seller: sales.copy() for seller, sales in self._sales.items()}
        return twin

    def documents(self) -> dict[str, list[Document]]:
        """Returns every collection as MongoDB would give it, but with Decimal for money."""
        since = None if self._since_ms is None else date(self._since_ms)
        post = {"_id": POST, "term": self._post.term, "trader": self._post.trader, "since": since}
        return {
            "requests": [
                *(outcome_document(outcome, PLAIN) for outcome in self._outcomes.values()),
                *(queued_document(accepted, PLAIN) for accepted in self._queue.values()),
            ],
            "deposits": [deposit_document(self._deposit(deposit_id), PLAIN) for deposit_id in self._deposits],
            "posts": [{**post, "seq": self._post.seq}],
            "elections": [election_document(record, PLAIN) for record in self._elections.values()],
        }

    # Writing under a term: everything is checked before anything is changed.

    def _enqueue(self, operation: Enqueue) -> Result:
        if operation.term != self._post.term:
            return Deposed(post=self._post)
        entries = {entry.request.request_id: entry for entry in operation.entries}
        if len(entries) != len(operation.entries) or not self._all_new(entries):
            return _ALREADY_RECORDED
        self._queue.update(entries)
        self._arrival = max([self._arrival, *(entry.arrival for entry in operation.entries)])
        return _DONE

    def _commit(self, operation: Commit) -> Result:
        planned = plan(operation)
        if operation.term != self._post.term:
            return Deposed(post=self._post)
        if planned is None or operation.seq != self._post.seq or not self._ids_fit(operation):
            return _ALREADY_RECORDED
        remaining = self._remaining
        if any(remaining.get(deposit_id, 0) < units for deposit_id, units in planned.draws.items()):
            return _ALREADY_RECORDED
        for deposit in planned.deposits:
            deposit_id = deposit.offer.deposit_id
            self._deposits[deposit_id] = deposit
            self._set_remaining(deposit_id, deposit.remaining)
        for deposit_id, units in planned.draws.items():
            self._set_remaining(deposit_id, remaining[deposit_id] - units)
        for decision in operation.decisions:
            self._record(decision.outcome)
        self._post = Post(term=self._post.term, trader=self._post.trader, seq=planned.new_seq)
        return _DONE

    def _ids_fit(self, operation: Commit) -> bool:
        """Whether what must be new is new, what must stand in the queue does, and nothing comes twice."""
        ids = set()
        for decision in operation.decisions:
            request_id = decision.outcome.accepted.request.request_id
            ids.add(request_id)
            if decision.was_queued != (request_id in self._queue) or request_id in self._outcomes:
                return False
        deposit_ids = {deposit.offer.deposit_id for deposit in operation.deposits}
        return (
            len(ids) == len(operation.decisions)
            and len(deposit_ids) == len(operation.deposits)
            and self._deposits.keys().isdisjoint(deposit_ids)
        )

    def _all_new(self, request_ids: Iterable[str]) -> bool:
        return not any(each in self._queue or each in self._outcomes for each in request_ids)

    def _record(self, outcome: Outcome) -> None:
        accepted = outcome.accepted
        request_id = accepted.request.request_id
        self._queue.pop(request_id, None)
        self._outcomes[request_id] = outcome
        self._arrival = max(self._arrival, accepted.arrival)
        if outcome.sale is not None:
            self._sales.setdefault(outcome.sale.seller, []).append(outcome)

    def _set_remaining(self, deposit_id: str, units: int) -> None:
        self._remaining[deposit_id] = units
        if units:
            self._stock[deposit_id] = None
        else:
            self._stock.pop(deposit_id, None)

    # Taking office.

    def _take_office(self, operation: TakeOffice) -> Result:
        if operation.expected_term != self._post.term:
            return OfficeRefused(post=self._post)
        self._post = Post(term=self._post.term + 1, trader=operation.trader, seq=self._post.seq)
        self._since_ms = operation.now_ms
        return OfficeTaken(
            post=self._post,
            arrival=self._arrival,
            queue=tuple(sorted(self._queue.values(), key=lambda entry: entry.request.order)),
            stock=self._in_stock(),
        )

    # Reading.

    def _look_up(self, operation: LookUp) -> Found:
        request_ids = dict.fromkeys(operation.request_ids)
        return Found(
            post=self._post,
            outcomes=tuple(self._outcomes[each] for each in request_ids if each in self._outcomes),
            queued=tuple(self._queue[each] for each in request_ids if each in self._queue),
            deposits=tuple(
                self._deposit(each) for each in dict.fromkeys(operation.deposit_ids) if each in self._deposits
            ),
        )

    def _find_sales(self, operation: FindSales) -> Found:
        sales = self._sales.get(operation.seller, [])
        first = bisect_right(sales, operation.after_seq, key=lambda outcome: outcome.seq)
        return Found(
            post=self._post,
            outcomes=tuple(sales[first : first + operation.limit]),
            deposits=self._in_stock(operation.seller),
        )

    def _in_stock(self, seller: str | None = None) -> tuple[Deposit, ...]:
        held = (self._deposits[deposit_id] for deposit_id in self._stock)
        found = [deposit for deposit in held if seller in (None, deposit.offer.seller)]
        found.sort(key=lambda deposit: deposit.offer.order)
        return tuple(self._deposit(deposit.offer.deposit_id) for deposit in found)

    def _deposit(self, deposit_id: str) -> Deposit:
        deposit, remaining = self._deposits[deposit_id], self._remaining[deposit_id]
        if deposit.remaining == remaining:
            return deposit
        return msgspec.structs.replace(deposit, remaining=remaining)
