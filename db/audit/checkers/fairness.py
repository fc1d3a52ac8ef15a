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
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from itertools import count
from typing import ClassVar

from db.audit.checkers.log_checks import Terms, pass_over
from db.audit.findings import MOST_LISTED, Checker, Finding
from db.audit.leases import LeaseBook
from db.audit.log_rows import EntryRow, RecountRow
from db.audit.rows import DECIDED, DepositRow, RequestRow, derived_order, logical_time

_NEVER = -(2**62)
_LONGEST_LOOK = 256
"""The most deposits looked at for one sale: many that hold too little must not make an audit quadratic."""


class LowestClockFirst(Checker):
    """Requests are decided lowest order first, and the lowest deposit that holds enough sells."""

    name: ClassVar[str] = "lowest_clock_first"

    def __init__(self) -> None:
        super().__init__()
        # By area.
        self._queues: dict[str, _QueueReplay] = {}
        self._shelf = _ShelfReplay()

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


class _Shelved:
    """A deposit during the replay: what it held as the sales went by."""

    __slots__ = (
        "area", "deposited_at", "held", "id", "item", "on_shelf", "order", "quantity", "remaining", "seller", "term",
    )  # fmt: skip

    def __init__(self, row: DepositRow, order: str, quantity: int) -> None:
        self.id, self.order, self.item, self.seller = row.id, order, row.item, row.seller
        self.term, self.deposited_at, self.area = row.term, row.deposited_at, row.area
        self.quantity = self.held = quantity
        self.remaining = row.remaining
        self.on_shelf = False


class _ShelfReplay:
    """The goods, played again: of each item the deposits that were certainly there, lowest order first."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.folded = False
        """Whether a log says what was left, so that every account adds up."""
        self._deposits: dict[str, _Shelved] = {}
        self._items: dict[str | None, list[tuple[str, str]]] = {}
        # By area.
        self._to_come: dict[str, list[tuple[int, int, _Shelved]]] = {}
        self._terms = Terms(pass_over)
        self._leases = LeaseBook()
        # Whether entries were cut, so that nobody knows what was leased.
        self._is_cut = False
        self._count = count()
        self._suspects: list[tuple[str, _Shelved, str]] = []
        self._cut_short = 0

    def entry(self, row: EntryRow) -> None:
        """Takes in an entry of the log, before what it decides."""
        self.folded = True
        self._terms.entry(row)
        self._leases.begin(row)
        self._is_cut |= row.cut

    def deposit(self, row: DepositRow) -> None:
        """Takes in a deposit. When one was counted anew that the books alone tell of, nobody can say."""
        order = derived_order(row.clock, row.seller, row.id) or row.order
        if order is not None and row.quantity is not None and not row.written_off:
            shelved = self._deposits[row.id] = _Shelved(row, order, row.quantity)
            if row.term is not None:
                heappush(self._to_come.setdefault(row.area, []), (row.term, next(self._count), shelved))

    def recount(self, row: DepositRow) -> None:
        """A deposit was counted anew, before anything is sold out of it: it holds what the log says."""
        shelved = self._deposits.get(row.id)
        self._leases.drop(row.id)
        if shelved is not None and row.remaining is not None:
            shelved.held = row.remaining
            if shelved.held > 0:
                self._put_on_shelf(shelved)
            else:
                self._take_off(shelved)

    def sale(self, row: RequestRow) -> None:
        chosen = self._deposits.get(row.deposit or "")
        if chosen is None or row.quantity is None or row.term is None:
            return  # `no_oversell` and `decided_once` report it.
        self._stock_up(row.area, row.term)
        self._look_below(row, row.quantity, chosen)
        self._put_on_shelf(chosen)
        self._leases.draw(row, chosen.held)
        chosen.held -= row.quantity
        if chosen.held <= 0:
            self._take_off(chosen)

    def refusal(self, row: RequestRow) -> None:
        """A request found nothing. So nothing that was certainly there was enough, unless a cache had refused it."""
        if not self.folded or row.foretold == "refused" or row.quantity is None or row.term is None:
            return
        self._stock_up(row.area, row.term)
        neutral = self._neutral(row)
        if row.buyer == row.trader or row.buyer in self._terms.in_office():
            return
        for _, deposit_id in self._items.get(row.item, [])[:_LONGEST_LOOK]:
            there = self._deposits[deposit_id]
            if self._free(there, row) >= row.quantity and there.seller not in neutral and _before(there, row):
                what = f"seq {row.seq} found nothing, although {there.id} of {there.seller} held {there.held}"
                self._suspects.append((row.id, there, what))
                return

    def _free(self, deposit: _Shelved, row: RequestRow) -> int:
        """How much of a deposit was there for everybody; nothing where nobody knows."""
        return 0 if self._is_cut and row.area else deposit.held - self._leases.reserved(deposit.id)

    def _neutral(self, row: RequestRow) -> set[str | None]:
        """Those who sell nothing to the buyer: itself, and who is in office."""
        return {row.buyer, row.trader, *(self._terms.in_office() if row.area else ())}

    def judge(self) -> list[tuple[tuple[str, ...], str]]:
        """Returns the documents and words of each violation that is certain."""
        if self._cut_short:
            self.notes.append(f"for {self._cut_short} sales not every lower deposit was looked at")
        return [
            ((request, lower.id), what)
            for request, lower, what in self._suspects
            if self.folded or (lower.remaining is not None and lower.held == lower.remaining)
        ]

    def _look_below(self, row: RequestRow, quantity: int, chosen: _Shelved) -> None:
        shelf = self._items.get(chosen.item, [])
        neutral = self._neutral(row)
        for looked_at, (order, deposit_id) in enumerate(shelf):
            if order >= chosen.order:
                return
            if looked_at == _LONGEST_LOOK:
                self._cut_short += 1
                return
            lower = self._deposits[deposit_id]
            if self._free(lower, row) < quantity or lower.seller in neutral or not _before(lower, row):
                continue
            what = (
                f"seq {row.seq} was sold out of {chosen.id} (order {chosen.order}) although {lower.id} of "
                f"{lower.seller}, with a lower order ({lower.order}), held {lower.held} of the {quantity} wanted"
            )
            self._suspects.append((row.id, lower, what))
            return

    def _stock_up(self, area: str, term: int) -> None:
        """Puts on the shelf what was deposited under earlier terms: it was there when the trader of `term` began."""
        to_come = self._to_come.get(area)
        while to_come and to_come[0][0] < term:
            self._put_on_shelf(heappop(to_come)[2])

    def _put_on_shelf(self, deposit: _Shelved) -> None:
        if not deposit.on_shelf and deposit.held > 0:
            deposit.on_shelf = True
            insort(self._items.setdefault(deposit.item, []), (deposit.order, deposit.id))

    def _take_off(self, deposit: _Shelved) -> None:
        if deposit.on_shelf:
            deposit.on_shelf = False
            shelf = self._items[deposit.item]
            del shelf[bisect_left(shelf, (deposit.order, deposit.id))]


def _before(deposit: _Shelved, sale: RequestRow) -> bool:
    """Whether a deposit was there at a sale by its times too, so that a wrong term in the sale does not accuse."""
    if (deposit.area, deposit.term) == (sale.area, sale.term):
        return True
    times = (deposit.deposited_at, sale.decided_at)
    return None not in times and (deposit.deposited_at or 0) <= (sale.decided_at or 0)


def _sorted(indexes: Iterable[int], key: Callable[[int], int | str]) -> array[int]:
    """Returns the sorted indexes as an array, which takes a fifth of the memory of a list."""
    return array("q", sorted(indexes, key=key))


def _or_never(value: int | None) -> int:
    return _NEVER if value is None or abs(value) >= -_NEVER else value
