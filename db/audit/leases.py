"""What is set aside for whom, as the log goes by: read a second time, by code of the proof side's own.

An entry's leases come after all that it sells. What is leased to an area is free again when the area has another
trader, and when the deposit is counted anew.
"""

from __future__ import annotations

from db.audit.log_rows import EntryRow
from db.audit.rows import RequestRow


class LeaseBook:
    """The leases while a log is played: `begin` each entry, `draw` its sales in order, and `finish` it."""

    def __init__(self) -> None:
        # By deposit and area, how many units are set aside.
        self._units: dict[str, dict[str, int]] = {}
        self._unfinished: EntryRow | None = None

    def begin(self, entry: EntryRow) -> list[str]:
        """Goes on to an entry; the one before is finished. Returns the deposits that this one frees by itself."""
        self.finish()
        self._unfinished = entry
        if entry.kind != "office" or not entry.area:
            return []
        freed = self.leased_to(entry.area)
        for deposit in freed:
            self._set(deposit, entry.area, 0)
        return freed

    def finish(self) -> list[str]:
        """Takes in what the entry at hand leases, once; returns the deposits that it is of."""
        entry, self._unfinished = self._unfinished, None
        if entry is None:
            return []
        for deposit, units in entry.leases:
            self._set(deposit, entry.area, units)
        return [deposit for deposit, _ in entry.leases]

    def cut(self) -> None:
        """What an entry leased that was cut, nobody can say: what is known is forgotten."""
        self._units.clear()

    def reserved(self, deposit: str) -> int:
        """How many units of a deposit are set aside for anybody."""
        return sum(self._units.get(deposit, {}).values())

    def of(self, deposit: str) -> dict[str, int]:
        """By area, how many units of a deposit are set aside."""
        return dict(self._units.get(deposit, {}))

    def leased_to(self, area: str) -> list[str]:
        """The deposits of which something is set aside for an area: few, however many deposits there ever were."""
        return [deposit for deposit, leases in self._units.items() if area in leases]

    def may_draw(self, sale: RequestRow) -> bool:
        """Whether a sale may take what is set aside: the area's own, for what it has promised."""
        units = self._units.get(sale.deposit or "", {}).get(sale.area, 0)
        return sale.foretold == "promised" and units >= (sale.quantity or 0)

    def draw(self, sale: RequestRow, left: int) -> None:
        """A sale takes what is set aside for its area, where of the `left` units no others are enough."""
        deposit, quantity = sale.deposit or "", sale.quantity or 0
        if deposit in self._units and left - self.reserved(deposit) < quantity and self.may_draw(sale):
            self._set(deposit, sale.area, self._units[deposit][sale.area] - quantity)

    def drop(self, deposit: str) -> None:
        """A deposit was counted anew."""
        self._units.pop(deposit, None)

    def _set(self, deposit: str, area: str, units: int) -> None:
        leases = self._units.setdefault(deposit, {})
        leases.pop(area, None)
        if units > 0:
            leases[area] = units
        if not leases:
            del self._units[deposit]
