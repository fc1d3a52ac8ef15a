"""Made-up histories for tests: sales at a steady pace, with holes in them."""

from __future__ import annotations

from collections.abc import Iterable

from peers.chaos.events import Injected, Sale
from peers.chaos.history import History
from peers.chaos.kinds import Kind


def sale(at_s: float, *, term: int = 1, seq: int = 0) -> Sale:
    return Sale(at_s=at_s, seq=seq, term=term, trader=f"seller{term}", buyer="buyer0", seller="merchant9", told=True)


def steady(duration_s: float, holes: Iterable[tuple[float, float]] = (), *, every_s: float = 0.05) -> list[Sale]:
    """A sale every so often, but in no hole; after each hole another trader sells."""
    sales: list[Sale] = []
    left = sorted(holes)
    term, steps = 1, round(duration_s / every_s)
    for step in range(steps):
        at_s = round(step * every_s, 4)
        while left and at_s >= left[0][1]:
            left.pop(0)
            term += 1
        if not left or at_s <= left[0][0]:
            sales.append(sale(at_s, term=term, seq=len(sales) + 1))
    return sales


def fault(kind: Kind, start_s: float, end_s: float | None = None, *, number: int = 1, skipped: str = "") -> Injected:
    return Injected(
        number=number, kind=kind, start_s=start_s, end_s=start_s if end_s is None else end_s, skipped=skipped
    )


def history(sales: list[Sale], faults: Iterable[Injected]) -> History:
    made = History()
    made.sales += sales
    made.faults += faults
    return made
