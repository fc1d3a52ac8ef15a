"""What is true of the log itself: its places, its ids and its terms. Parts of `decided_once` and `one_trader_a_term`.

An id comes into the log once, for ever: a request when it is queued or, if it need not wait, decided; a deposit when
it is taken in. So a request that is decided was either queued by an earlier entry, or is new in the one that decides
it. A term begins with an entry of the kind `office`, and until the next one nobody else writes. Where several areas
share the log, that is so for each of them.

Of a place that was cut, only its new ids are known. The term before a gap or a cut is not held against what follows.
"""

from __future__ import annotations

from collections.abc import Callable

from db.audit.log_rows import KINDS, EntryRow
from db.audit.rows import DECIDED, RequestRow

Violate = Callable[..., None]

_ACCEPTED = ("buyer", "item", "quantity", "clock", "order", "queued_at", "queued_term", "arrival", "area")
_MOST_NAMED = 3
"""The most ids named in one sentence: enough to find the fault."""


def pass_over(*_: str, what: str) -> None:
    """Takes no notice: what is wrong with terms is for `one_trader_a_term` to say, and others only follow them."""


class PlacesAndIds:
    """Places without gap; every id once; each request decided after it was queued, or where it is new."""

    def __init__(self, violate: Violate) -> None:
        self._violate = violate
        self._last = -1
        # By id, the requests that wait: the place that queued them, and what it said.
        self._queued: dict[str, tuple[int, RequestRow]] = {}
        # The requests that came into the log at a place that was cut, and were not seen decided since.
        self._cut: set[str] = set()
        # The deposits that have come into the log.
        self._deposits: set[str] = set()
        self.decided: set[str] = set()
        """The ids of the requests that have been decided; the checker that sees the outcomes adds them."""

    @property
    def used(self) -> bool:
        """Whether there is a log at all."""
        return self._last >= 0

    def entry(self, entry: EntryRow) -> None:
        """Judges an entry; its outcomes come into `decided` after this."""
        if entry.misplaced:
            self._violate(entry.name, what=entry.misplaced)
            return
        if entry.place > self._last + 1:
            missing = f"place {self._last + 1}" + (f" to {entry.place - 1}" if entry.place > self._last + 2 else "")
            self._violate(entry.name, what=f"{missing} is missing; after {self._last} comes {entry.place}")
        self._last = entry.place
        if not entry.cut:
            self._check_form(entry)
            self._check_requests(entry)
            self._check_reversals(entry)
        else:
            again = [each for each in entry.new_requests if self._came(each)]
            self._came_before(entry, again)
            self._cut.update(entry.new_requests)
        self._check_deposits(entry)

    def _check_form(self, entry: EntryRow) -> None:
        wrong = list(entry.malformed)
        if entry.kind not in KINDS:
            wrong.append(f"its kind is {entry.kind}")
        if entry.entry is None:
            wrong.append("it has no id of its writer's making")
        if entry.written_at is None:
            wrong.append("it has no date")
        if entry.kind == "office" and entry.reason is None:
            wrong.append("it does not say why the election was held")
        if entry.kind == "queue" and not entry.queued:
            wrong.append("it queues nothing")
        decides = entry.decided or entry.deposits or entry.recounts or entry.reversals or entry.leases
        if entry.kind == "decide" and not decides:
            wrong.append("it decides nothing and takes nothing in")
        outcomes = entry.kind != "decide" and decides
        if outcomes or (entry.kind == "office" and entry.queued):
            wrong.append(f"it holds more than a {entry.kind} entry may")
        for what in wrong:
            self._violate(entry.name, what=what)

    def _check_requests(self, entry: EntryRow) -> None:
        new = set(entry.new_requests)
        if len(new) < len(entry.new_requests):
            self._violate(entry.name, what="its new_requests name a request twice")
        here: set[str] = set()
        for row, _ in entry.decided:
            self._decided(entry, row, row.id in new, here)
        queued: dict[str, tuple[int, RequestRow]] = {}
        for row, _ in entry.queued:
            self._stands_here(entry, row.id, row.at)
            if row.status != "queued":
                self._violate(row.id, entry.name, what=f"it was queued there; its status is {row.status}")
            if self._came(row.id) or row.id in here:
                self._came_before(entry, [row.id])
            elif row.id not in new:
                self._violate(row.id, entry.name, what="it was queued there; new_requests do not name it")
            queued.setdefault(row.id, (entry.place, row))
            here.add(row.id)
        for request_id, version in queued.items():
            self._queued.setdefault(request_id, version)
        self._named_in_vain(entry, "new_requests", new - here)

    def _check_reversals(self, entry: EntryRow) -> None:
        for row, _ in entry.reversals:
            self._stands_here(entry, row.id, row.at)
        for recount, _ in entry.recounts:
            self._stands_here(entry, recount.deposit.id, recount.deposit.at)

    def _decided(self, entry: EntryRow, row: RequestRow, new: bool, here: set[str]) -> None:
        self._stands_here(entry, row.id, row.at)
        if row.status not in DECIDED:
            self._violate(row.id, entry.name, what=f"it was decided there; its status is {row.status}")
        known = row.id in self.decided or row.id in here
        here.add(row.id)
        place, queued = self._queued.pop(row.id, (None, None))
        if queued is not None:
            changed = [field for field in _ACCEPTED if getattr(row, field) != getattr(queued, field)]
            if changed:
                what = f"decided at place {entry.place} with another {', '.join(changed)} than queued at {place}"
                self._violate(row.id, entry.name, what=what)
        elif row.id in self._cut:
            self._cut.discard(row.id)
        elif not known:
            if not new:
                what = f"decided at place {entry.place} although it was neither queued before nor is new there"
                self._violate(row.id, entry.name, what=what)
            return
        if new:
            self._came_before(entry, [row.id])

    def _check_deposits(self, entry: EntryRow) -> None:
        new = set(entry.new_deposits)
        if len(new) < len(entry.new_deposits):
            self._violate(entry.name, what="its new_deposits name a deposit twice")
        here = {row.id for row, _ in entry.deposits}
        if len(here) < len(entry.deposits):
            self._violate(entry.name, what="it takes a deposit in twice")
        self._came_before(entry, sorted((here | new) & self._deposits))
        for row, _ in entry.deposits:
            self._stands_here(entry, row.id, row.at)
            if row.id not in new:
                self._violate(row.id, entry.name, what="it was taken in there; new_deposits do not name it")
        if not entry.cut:
            self._named_in_vain(entry, "new_deposits", new - here)
        self._deposits |= new | here

    def _came(self, request_id: str) -> bool:
        return request_id in self._queued or request_id in self.decided or request_id in self._cut

    def _came_before(self, entry: EntryRow, ids: list[str]) -> None:
        for each in ids:
            self._violate(each, entry.name, what=f"it comes into the log at place {entry.place}, and came before")

    def _named_in_vain(self, entry: EntryRow, field: str, ids: set[str]) -> None:
        if ids:
            named = ", ".join(sorted(ids)[:_MOST_NAMED])
            self._violate(entry.name, what=f"its {field} name {named}, which it does not hold")

    def _stands_here(self, entry: EntryRow, record: str, at: int | None) -> None:
        if at != entry.place:
            self._violate(record, entry.name, what=f"it stands at place {entry.place}; its at is {at}")


class Terms:
    """Terms rise by one with each `office` entry; what stands between two of them is its trader's. For each area."""

    def __init__(self, violate: Violate) -> None:
        self._violate = violate
        self._last = -1
        # By area, term and trader of the entry before; None where a gap or a cut hides them.
        self._before: dict[str, tuple[int | None, str | None]] = {}
        self._is_hidden = False
        self._highest: dict[str, int] = {}

    @property
    def used(self) -> bool:
        """Whether there is a log at all."""
        return self._last >= 0

    def highest(self, area: str) -> int:
        """The highest term of an area so far, 0 before its first."""
        return self._highest.get(area, 0)

    def trader_of(self, area: str) -> str | None:
        """Who is trader of an area after the last entry, None where that cannot be known."""
        return self._before.get(area, (None, None))[1]

    def in_office(self) -> list[str]:
        """Those who are traders after the last entry, of whichever area, as far as can be known."""
        return [trader for _, trader in self._before.values() if trader is not None]

    def entry(self, entry: EntryRow) -> None:
        if entry.misplaced:
            return
        if entry.cut or entry.place != self._last + 1:
            self._before, self._is_hidden = {}, True
        self._last = entry.place
        if entry.cut:
            return
        if entry.term is None or entry.term < 1 or entry.trader is None:
            self._violate(entry.name, what=f"its term is {entry.term} and its trader {entry.trader}")
            return
        if entry.kind == "office":
            self._begin(entry, entry.term)
        else:
            self._go_on(entry, entry.term)
        self._before[entry.area] = entry.term, entry.trader
        self._highest[entry.area] = max(self.highest(entry.area), entry.term)
        self._check_rows(entry)

    def _begin(self, entry: EntryRow, term: int) -> None:
        highest, (last, _) = self.highest(entry.area), self._last_of(entry.area)
        if term <= highest:
            self._violate(entry.name, what=f"term {term} begins; term {highest} had begun before")
        elif last is not None and term != last + 1:
            self._violate(entry.name, what=f"term {term} begins; after term {last} comes {last + 1}")

    def _go_on(self, entry: EntryRow, term: int) -> None:
        highest, (last, trader) = self.highest(entry.area), self._last_of(entry.area)
        if term < highest:
            self._violate(entry.name, what=f"an entry of term {term}, after term {highest} had begun")
        elif last is not None and term != last:
            self._violate(entry.name, what=f"an entry of term {term}, which nobody began with an office entry")
        elif trader is not None and entry.trader != trader:
            self._violate(entry.name, what=f"{entry.trader} wrote it in term {term}, which is {trader}'s")

    def _last_of(self, area: str) -> tuple[int | None, str | None]:
        return self._before.get(area, (None if self._is_hidden else 0, None))

    def _check_rows(self, entry: EntryRow) -> None:
        new = set(entry.new_requests)
        rows = [row for row, _ in (*entry.decided, *entry.queued)]
        for record, area in [(row.id, row.area) for row in rows] + [(row.id, row.area) for row, _ in entry.deposits]:
            if area != entry.area:
                self._violate(record, entry.name, what=f"its area is {area!r}; its entry is of {entry.area!r}")
        for row, _ in entry.decided:
            if row.term != entry.term or row.trader != entry.trader:
                decided = f"decided by {row.trader} in term {row.term}"
                self._violate(row.id, entry.name, what=f"{decided}; its entry is {entry.trader}'s, of {entry.term}")
            if row.id in new:
                self._of_term(entry, row.id, "queued_term", row.queued_term)
        for row, _ in entry.queued:
            self._of_term(entry, row.id, "queued_term", row.queued_term)
        for deposit, _ in entry.deposits:
            self._of_term(entry, deposit.id, "term", deposit.term)

    def _of_term(self, entry: EntryRow, record: str, field: str, term: int | None) -> None:
        if term != entry.term:
            self._violate(record, entry.name, what=f"its {field} is {term}; its entry is of term {entry.term}")
