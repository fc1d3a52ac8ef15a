"""`lowest_clock_first`: was the fair order kept? Judged from the books alone, after the fact.

The books do not say what the queue looked like at a decision, so it is played again. Requests enter in the order of
`arrival`, decisions leave in the order of `seq`, and each decision must be the lowest of those that were *certainly*
waiting. A request B was certainly accepted before A was decided if one of these is so:

- B's `arrival` is below that of A, or of anything decided before A;
- B was taken in under a term before that of A's decision (its trader could not have written it any later);
- the log queued B at a place before the one that decided A;
- B was taken in under the term of A's decision, and its `queued_at` lies before A's `decided_at`. Both were
  stamped by one process, the trader of that term, so its one clock is compared with itself. If the times of a term
  run against the order of its arrivals or decisions, that clock was set back, and only the numbers count.

Batches make none of this too strict, because a batch is formed from the lowest of all that wait, at the moment that
`decided_at` names. What comes in while a batch is being committed is later than that moment, whatever its clock. Two
things are asked of the trader in return: it stamps `queued_at`, `arrival` and `decided_at` as it handles the event,
not before; and it does not pass over a request whose way into the queue is still under way.

Where several areas share the log, each has a queue of its own, and all sell from one stock.

Of the sellers that hold enough, the lowest sells; and where one does, nobody is told that there is nothing, unless a
cache of the stock had refused the request before (`foretold`). Both are judged only where it is certain that a lower
deposit was on the shelf: taken in under an earlier term, or sold from before; and its own account must add
up. A seller that is the buyer, or in office, is passed over rightly. What was taken in at the post of another area
counts once something was sold out of it.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from typing import ClassVar

from db.audit.checkers.shelf import ShelfReplay
from db.audit.findings import MOST_LISTED, Checker, Finding
from db.audit.log_rows import EntryRow, RecountRow
from db.audit.rows import DECIDED, DepositRow, RequestRow, derived_order, logical_time

_NEVER = -(2**62)


class LowestClockFirst(Checker):
    """Requests are decided lowest order first, and the lowest deposit that holds enough sells."""

    name: ClassVar[str] = "lowest_clock_first"

    def __init__(self) -> None:
        super().__init__()
        # By area.
        self._queues: dict[str, _QueueReplay] = {}
        self._shelf = ShelfReplay()

    def log_entry(self, row: EntryRow) -> None:
        self._queue_of(row.area).entry(row)
        self._shelf.entry(row)

    def deposit(self, row: DepositRow) -> None:
        self._check_order(row, row.seller)
        self._shelf.deposit(row)

    def recount(self, row: RecountRow) -> None:
        self._shelf.recount(row.deposit)

    def request(self, row: RequestRow) -> None:
        self._check_order(row, row.buyer)
        if row.arrival is None:
            self.violate(row.id, what="it has no arrival, so nobody can say when it was accepted")
            return
        self._queue_of(row.area).request(row, row.arrival)
        if row.sold:
            self._shelf.sale(row)
        elif row.status == "unavailable":
            self._shelf.refusal(row)

    def finish(self) -> Finding:
        for queue in self._queues.values():
            for documents, what in queue.judge():
                self.violate(*documents, what=what)
            self._notes += queue.notes
        for documents, what in self._shelf.judge():
            self.violate(*documents, what=what)
        self._notes += self._shelf.notes
        return super().finish()

    def _queue_of(self, area: str) -> _QueueReplay:
        return self._queues.setdefault(area, _QueueReplay())

    def _check_order(self, row: RequestRow | DepositRow, owner: str | None) -> None:
        expected = derived_order(row.clock, owner, row.id)
        if row.order is None or expected is None:
            missing = "order" if row.order is None else "clock that makes an order"
            self.violate(row.id, what=f"it has no {missing}")
        elif row.order != expected:
            self.violate(row.id, what=f"its order is {row.order}; its clock, owner and id make it {expected}")


class _QueueReplay:
    """The queue, played again. It keeps columns of numbers, not objects, so that a year's books fit in memory."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._ids: list[str] = []
        self._buyers: list[str | None] = []
        self._times = array("q")
        # By index, the orders that cannot be made again of time, buyer and id.
        self._odd: dict[int, str] = {}
        self._arrival = array("q")
        self._queued_at = array("q")
        self._queued_term = array("q")
        self._seq = array("q")
        self._term = array("q")
        self._decided_at = array("q")
        self._queue_place = array("q")
        self._place = array("q")
        # By id of request, the place of the entry that queued it.
        self._waiting: dict[str, int] = {}
        # The place of the entry at hand.
        self._here = _NEVER

    def entry(self, entry: EntryRow) -> None:
        """Takes in an entry: the requests that come next were decided by it, or by one before it that was cut."""
        if entry.misplaced:
            return
        self._here = _or_never(entry.place)
        self._waiting.update((row.id, self._here) for row, _ in entry.queued)

    def request(self, row: RequestRow, arrival: int) -> None:
        decided = row.status in DECIDED and row.seq is not None
        time = _or_never(logical_time(row.clock))
        if time == _NEVER or row.buyer is None:
            self._odd[len(self._ids)] = derived_order(row.clock, row.buyer, row.id) or row.order or ""
        self._ids.append(row.id)
        self._buyers.append(row.buyer)
        self._times.append(time)
        self._arrival.append(arrival)
        self._queued_at.append(_or_never(row.queued_at))
        self._queued_term.append(_or_never(row.queued_term))
        self._seq.append(_or_never(row.seq) if decided else _NEVER)
        self._term.append(_or_never(row.term))
        self._decided_at.append(_or_never(row.decided_at))
        self._queue_place.append(self._waiting.pop(row.id, _NEVER))
        self._place.append(min(_or_never(row.at), self._here) if decided else _NEVER)

    def judge(self) -> list[tuple[tuple[str, ...], str]]:
        """Returns the documents and words of each violation."""
        by_order = _sorted(range(len(self._ids)), key=self._order)
        wrong = self._twins(by_order)
        place = array("q", bytes(8 * len(by_order)))
        for position, index in enumerate(by_order):
            place[index] = position
        decided = _sorted((i for i, seq in enumerate(self._seq) if seq != _NEVER), key=self._seq.__getitem__)
        by_arrival = _sorted(range(len(self._ids)), key=self._arrival.__getitem__)
        terms = self._certain_terms(decided)
        distrusted = self._clocks_set_back(by_arrival, decided)
        waiting: list[int] = []
        gone, reported = bytearray(len(by_order)), bytearray(len(by_order))
        entered = 0  # It only grows: what was accepted before an earlier decision was so before a later one, too.
        for which, term in zip(decided, terms, strict=True):
            mark = self._arrival[which]
            moment = _NEVER if term in distrusted else self._decided_at[which]
            decided_at = (mark, term, moment, self._place[which])
            while entered < len(by_arrival) and self._accepted(by_arrival[entered], *decided_at):
                heappush(waiting, place[by_arrival[entered]])
                entered += 1
            gone[which] = 1
            while waiting and gone[by_order[waiting[0]]]:
                heappop(waiting)
            if waiting and waiting[0] < place[which]:
                passed_over = by_order[waiting[0]]
                if not reported[passed_over]:
                    reported[passed_over] = 1
                    wrong.append(((self._ids[which], self._ids[passed_over]), self._describe(which, passed_over)))
        return wrong

    def _accepted(self, index: int, mark: int, term: int, moment: int, place: int) -> bool:
        """Whether the request at `index` was certainly accepted before that decision."""
        queued_term = self._queued_term[index]
        return (
            self._arrival[index] <= mark
            or _NEVER < queued_term < term
            or _NEVER < self._queue_place[index] < place
            or (queued_term == term and _NEVER < self._queued_at[index] < moment)
        )

    def _order(self, index: int) -> str:
        """Returns a request's order, made anew each time: kept, it would take most of an audit's memory."""
        odd = self._odd.get(index) if self._odd else None
        if odd is not None:
            return odd
        return derived_order({"lamport": self._times[index]}, self._buyers[index], self._ids[index]) or ""

    def _twins(self, by_order: array[int]) -> list[tuple[tuple[str, ...], str]]:
        wrong: list[tuple[tuple[str, ...], str]] = []
        previous, one = None, 0
        for other in by_order:
            order = self._order(other)
            if order == previous:
                what = f"both have the order {order}, so neither comes first"
                wrong.append(((self._ids[one], self._ids[other]), what))
            previous, one = order, other
        return wrong

    def _certain_terms(self, decided: array[int]) -> array[int]:
        """Returns the terms of the decisions, lowered where a later one is lower.

        So they are never above the truth, even if somebody wrote a wrong term into a decision.
        """
        terms = array("q")
        lowest = 2**62
        for index in reversed(decided):
            lowest = min(lowest, self._term[index])
            terms.append(lowest)
        terms.reverse()
        return terms

    def _clocks_set_back(self, by_arrival: array[int], decided: array[int]) -> set[int]:
        """Returns the terms whose times contradict the order of their events."""
        back: set[int] = set()
        for order, term_of, time_of in (
            (by_arrival, self._queued_term, self._queued_at),
            (decided, self._term, self._decided_at),
        ):
            newest: dict[int, int] = {}
            for index in order:
                term, time = term_of[index], time_of[index]
                if time == _NEVER:
                    continue
                if time < newest.get(term, _NEVER):
                    back.add(term)
                newest[term] = max(time, newest.get(term, _NEVER))
        self.notes += [
            f"the times of term {term} run backwards; its queue was judged by arrival alone"
            for term in sorted(back)[:MOST_LISTED]
        ]
        return back

    def _describe(self, which: int, passed_over: int) -> str:
        later = self._seq[passed_over]
        fate = "is still queued" if later == _NEVER else f"was decided only as seq {later}"
        return (
            f"seq {self._seq[which]} (order {self._order(which)}, arrival {self._arrival[which]}) was decided "
            f"while {self._ids[passed_over]} was waiting with a lower order ({self._order(passed_over)}, "
            f"arrival {self._arrival[passed_over]}), which {fate}"
        )


def _sorted(indexes: Iterable[int], key: Callable[[int], int | str]) -> array[int]:
    """Returns the sorted indexes as an array, which takes a fifth of the memory of a list."""
    return array("q", sorted(indexes, key=key))


def _or_never(value: int | None) -> int:
    return _NEVER if value is None or abs(value) >= -_NEVER else value
