"""What a log in memory adds up to: the post at its end, and by id and by seller what it says of each.

The ledger in memory keeps one beside its log, entry by entry, and answers out of it what MongoDB reads from log and
books together.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

import msgspec

from peers.core.ledger.log import Entry, OfficeEntry, TradeEntry
from peers.core.ledger.port import AlreadyRecorded, FindReversals, FindSales, Found, LookUp
from peers.core.market.records import Accepted, Deposit, Holder, Outcome, Post


class LogIndex:
    """Begins with an empty log. Records are frozen and shared between copies; only dicts and lists are copied."""

    def __init__(self) -> None:
        self.end = Post()
        """The post after the whole log."""
        self.requests: dict[str, Accepted | Outcome] = {}
        """By id, the requests as the log leaves them."""
        self.deposits: dict[str, Deposit] = {}
        """By id, the deposits as they came in; see `as_left`."""
        self.reversals: list[Outcome] = []
        """The sales that were taken back, by number."""
        self._left: dict[str, int] = {}
        self._written_off: dict[str, int] = {}
        # The sales of each seller, in the order of decision.
        self._sales: dict[str, list[Outcome]] = {}

    def copy(self) -> LogIndex:
        """Returns one that goes on by itself."""
        twin = LogIndex.__new__(LogIndex)
        for name, value in self.__dict__.items():
            twin.__dict__[name] = value.copy() if isinstance(value, dict | list) else value
        twin._sales = {seller: sales.copy() for seller, sales in self._sales.items()}
        return twin

    # -- as the log grows ----------------------------------------------------------------------------------

    def add(self, entry: Entry) -> None:
        """The log has one entry more."""
        if isinstance(entry, TradeEntry):
            self._add_trade(entry)
        if entry.area:
            self.end = self.end.held(self._holder(entry))
            return
        end = msgspec.structs.replace(self.end, term=entry.term, trader=entry.trader)
        if isinstance(entry, OfficeEntry):
            end = msgspec.structs.replace(end, since_ms=entry.written_at_ms, uri=entry.uri)
        self.end = end

    def _holder(self, entry: Entry) -> Holder:
        if isinstance(entry, OfficeEntry):
            since_ms, uri = entry.written_at_ms, entry.uri
        else:
            before = self.end.holder(entry.area)
            since_ms, uri = (before.since_ms, before.uri) if before is not None else (0, "")
        return Holder(
            area=entry.area,
            term=entry.term,
            trader=entry.trader,
            since_ms=since_ms,
            uri=uri,
            written_at_ms=entry.written_at_ms,
        )

    def _add_trade(self, entry: TradeEntry) -> None:
        for deposit in entry.deposits:
            self.deposits[deposit.offer.deposit_id] = deposit
            self._left[deposit.offer.deposit_id] = deposit.remaining
        for recount in entry.recounts:
            self._left[recount.deposit.offer.deposit_id] = recount.deposit.remaining
            self._written_off[recount.deposit.offer.deposit_id] = recount.deposit.written_off
        for outcome in entry.reversals:
            self._take_back(outcome)
        for outcome in entry.outcomes:
            self.requests[outcome.request.request_id] = outcome
            if outcome.sale is not None:
                self._sales.setdefault(outcome.sale.seller, []).append(outcome)
                self._left[outcome.sale.deposit] = self._left.get(outcome.sale.deposit, 0) - outcome.request.quantity
        self.requests.update((accepted.request.request_id, accepted) for accepted in entry.queued)
        taken_in = [*(outcome.accepted for outcome in entry.outcomes), *entry.queued]
        self.end = msgspec.structs.replace(
            self.end,
            seq=entry.outcomes[-1].seq if entry.outcomes else self.end.seq,
            arrival=max([self.end.arrival, *(accepted.arrival for accepted in taken_in)]),
            reversals=self.end.reversals + len(entry.reversals),
        )

    def _take_back(self, outcome: Outcome) -> None:
        self.requests[outcome.request.request_id] = outcome
        self.reversals.append(outcome)
        sales = self._sales.get(outcome.sale.seller, []) if outcome.sale is not None else []
        at = bisect_left(sales, outcome.seq, key=lambda sale: sale.seq)
        if at < len(sales):
            sales[at] = outcome

    # -- reading -------------------------------------------------------------------------------------------

    def recorded_of(self, entry: TradeEntry) -> AlreadyRecorded | None:
        """What is recorded under the ids that `entry` takes for new; None if they are."""
        known_requests = [each for each in entry.new_requests if each in self.requests]
        known_deposits = [each for each in entry.new_deposits if each in self.deposits]
        reversed_before = {each.request.request_id: each for each in self.reversals} if entry.reversals else {}
        taken_back = [reversed_before[each] for each in entry.new_reversals if each in reversed_before]
        if not (known_requests or known_deposits or taken_back):
            return None
        return AlreadyRecorded(
            outcomes=_decided(self.requests[each] for each in known_requests),
            deposits=tuple(map(self.as_left, known_deposits)),
            reversals=tuple(taken_back),
        )

    def look_up(self, operation: LookUp, place: int) -> Found:
        """Returns what is recorded by these ids; the log ends at `place`."""
        records = [self.requests[each] for each in dict.fromkeys(operation.request_ids) if each in self.requests]
        known_deposits = [each for each in dict.fromkeys(operation.deposit_ids) if each in self.deposits]
        return Found(
            outcomes=_decided(records),
            queued=tuple(record for record in records if isinstance(record, Accepted)),
            deposits=tuple(map(self.as_left, known_deposits)),
            place=place,
        )

    def find_sales(self, operation: FindSales, place: int) -> Found:
        """Returns the next sales of a seller, and what it still has on offer; the log ends at `place`."""
        sales = self._sales.get(operation.seller, [])
        first = bisect_right(sales, operation.after_seq, key=lambda outcome: outcome.seq)
        held = [
            self.as_left(deposit_id)
            for deposit_id, deposit in self.deposits.items()
            if deposit.offer.seller == operation.seller and self._left[deposit_id]
        ]
        return Found(
            outcomes=tuple(sales[first : first + operation.limit]),
            deposits=tuple(sorted(held, key=lambda deposit: deposit.offer.sort_key)),
            place=place,
        )

    def find_reversals(self, operation: FindReversals, place: int) -> Found:
        """Returns the next sales that were taken back and concern a customer; the log ends at `place`."""
        concerned = [
            outcome
            for outcome in self.reversals[operation.after :]
            if operation.customer in (outcome.request.buyer, outcome.sale and outcome.sale.seller)
        ]
        return Found(outcomes=tuple(concerned[: operation.limit]), place=place)

    def left_of(self, deposit_id: str) -> int:
        """How many units the log leaves of a deposit. KeyError if there is none of that id."""
        return self._left[deposit_id]

    def as_left(self, deposit_id: str) -> Deposit:
        """Returns a deposit as the log leaves it. KeyError if there is none of that id."""
        return msgspec.structs.replace(
            self.deposits[deposit_id],
            remaining=self._left[deposit_id],
            written_off=self._written_off.get(deposit_id, 0),
        )


def _decided(records: Iterable[Accepted | Outcome]) -> tuple[Outcome, ...]:
    return tuple(record for record in records if isinstance(record, Outcome))
