"""What can be bought after each entry of the log, played once more: what a search must have shown at its place.

Of a trader in office nothing is for sale, and of a deposit only what is not set aside for other areas. Lowest sort
key first in an item, which is the order in which they sell.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from db.audit.history.digest import MOST_ROWS, seen_digest
from db.audit.history.operations import Seen
from db.audit.leases import LeaseBook
from db.audit.log_rows import EntryRow, RecountRow
from db.audit.rows import DepositRow, RequestRow


class Shelf:
    """The goods while the log is played. Feed each entry, then what it brought; `check` after that."""

    def __init__(self) -> None:
        self.seq = 0
        self._deposits: dict[str, DepositRow] = {}
        self._left: dict[str, int] = {}
        # By item, the deposits that hold something.
        self._by_item: dict[str, set[str]] = {}
        self._leases = LeaseBook()
        # By area, its term and who is trader there.
        self._office: dict[str, tuple[int, str]] = {}
        # What was worked out for the entry at hand, by item and area.
        self._known: dict[tuple[str | None, str], list[tuple[str, int]]] = {}

    def entry(self, entry: EntryRow) -> None:
        """Goes on to an entry."""
        self._known = {}
        self._leases.begin(entry)
        self._office[entry.area] = (entry.term or 0, entry.trader or "")

    def finish(self) -> None:
        """The entry at hand has brought all it brings."""
        self._leases.finish()

    def deposit(self, row: DepositRow) -> None:
        self._deposits[row.id] = row
        self._put(row.id, row.quantity or 0)

    def request(self, row: RequestRow) -> None:
        self.seq = max(self.seq, row.seq or 0)
        if row.sold and row.deposit in self._left:
            self._leases.draw(row, self._left[row.deposit])
            self._put(row.deposit, self._left[row.deposit] - (row.quantity or 0))

    def recount(self, row: RecountRow) -> None:
        if row.deposit.id in self._left:
            self._leases.drop(row.deposit.id)
            self._put(row.deposit.id, self._left[row.deposit.id] + (row.returned or 0) - (row.written_off or 0))

    def _put(self, deposit_id: str, left: int) -> None:
        self._left[deposit_id] = left
        shelf = self._by_item.setdefault(self._deposits[deposit_id].item or "", set())
        (shelf.add if left > 0 else shelf.discard)(deposit_id)

    def wrong(self, seen: Seen) -> str:
        """Returns what is wrong with what a search showed of the entry at hand, in words; nothing if it is right."""
        term = self._office.get(seen.area, (0, ""))[0]
        if seen.seq != self.seq or seen.term != term:
            return f"says seq {seen.seq} and term {seen.term}; there the log is at seq {self.seq}, in term {term}"
        rows = self._rows(seen.item, seen.area)
        if (seen.rows, seen.digest) == (len(rows), seen_digest(rows)):
            return ""
        for number, (shown, there) in enumerate(zip(seen.first, rows, strict=False), 1):
            if shown != there:
                return f"shows {shown[1]} of {shown[0]} as row {number}; by the log it is {there[1]} of {there[0]}"
        if len(rows) < len(seen.first):
            deposit, units = seen.first[len(rows)]
            return f"shows {units} of {deposit}, which by the log cannot be bought there"
        return f"shows {seen.rows} rows, and not those {len(rows)} that the log adds up to there"

    def _rows(self, item: str | None, area: str) -> list[tuple[str, int]]:
        rows = self._known.get((item, area))
        if rows is None:
            rows = self._known[item, area] = list(islice(self._free(item, area), MOST_ROWS))
        return rows

    def _free(self, item: str | None, area: str) -> Iterator[tuple[str, int]]:
        in_office = {trader for _, trader in self._office.values()}
        for name in [item] if item is not None else sorted(self._by_item):
            for deposit in sorted(
                self._by_item.get(name, ()), key=lambda each: (self._deposits[each].order or "", each)
            ):
                if self._deposits[deposit].seller in in_office:
                    continue
                leases = self._leases.of(deposit)
                free = self._left[deposit] - sum(units for whose, units in leases.items() if whose != area)
                if free > 0:
                    yield deposit, free
