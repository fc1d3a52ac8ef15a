"""Made-up histories for tests, sales at a steady pace with holes in them; and made-up towns, of names alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import SimpleNamespace

from peers.chaos.events import Injected, Sale
from peers.chaos.history import History
from peers.chaos.kinds import Kind
from peers.core.names import Role
from peers.errors import BazaarError


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


class MadeUpTown:
    """Peers that are names, and end when they are told to. Whoever is to come or go is met by what it `refuses`."""

    def __init__(self, roles: Mapping[str, Role], *, trader: str, refuses: BazaarError) -> None:
        self._roles = roles
        self._ended: set[str] = set()
        self._refuses = refuses
        self.trader = trader
        self.names = tuple(roles)

    @property
    def processes(self) -> MadeUpTown:
        return self

    @property
    def population(self) -> MadeUpTown:
        return self

    def end(self, name: str) -> None:
        self._ended.add(name)

    def pid(self, name: str) -> int:
        return 0 if name in self._ended else 1 + self.names.index(name)

    def members(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(name=name, role=role) for name, role in self._roles.items() if self.pid(name)]

    async def revive(self, _name: str) -> None:
        raise self._refuses

    async def leave(self, name: str) -> None:
        self.end(name)
        raise self._refuses
