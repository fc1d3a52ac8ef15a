"""A log that traders of two areas share, in short words: one of the north and one of the south, over one stock."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from peers.core.ledger.log import Entry
from peers.core.market.records import Accepted, Deposit, Outcome
from tests.helpers.deals import accepted, office, sold, stock, trade, unavailable

NORTH, SOUTH = "north", "south"
TRADERS = {NORTH: "merchant8", SOUTH: "merchant9"}

E = TypeVar("E", bound=Entry | Accepted | Deposit)


def of(area: str, each: E) -> E:
    """The same of that area."""
    if isinstance(each, Accepted | Deposit):
        return msgspec.structs.replace(each, area=area)
    return msgspec.structs.replace(each, area=area)


def decided(area: str, number: int, seq: int, deposit: Deposit | None, *, term: int = 1) -> Outcome:
    """The outcome of request `r<number>` at the post of `area`: sold out of `deposit`, or not to be had."""
    request = of(area, accepted(number, term=term))
    if deposit is None:
        return unavailable(request, seq, term=term, trader=TRADERS[area])
    return sold(request, seq, deposit, term=term, trader=TRADERS[area])


def takes_office(area: str, term: int = 1, trader: str = "") -> Entry:
    """The entry with which the trader of `area` takes office."""
    entry = office(term, trader or TRADERS[area])
    return msgspec.structs.replace(entry, area=area, uri=f"PYRO:{entry.trader}@host:1")


def trades(
    area: str,
    *outcomes: Outcome,
    deposits: tuple[Deposit, ...] = (),
    queued: tuple[Accepted, ...] = (),
    known: tuple[str, ...] = (),
    term: int = 1,
    trader: str = "",
) -> Entry:
    """An entry of the trader of `area`."""
    return of(
        area,
        trade(
            *outcomes,
            deposits=tuple(of(area, each) for each in deposits),
            queued=tuple(of(area, each) for each in queued),
            known=known,
            term=term,
            trader=trader or TRADERS[area],
        ),
    )


FISH = of(NORTH, stock("d1", 9))


def shared_log() -> tuple[Entry, ...]:
    """A log of both: the south sells what was deposited in the north, and each has somebody waiting."""
    return (
        takes_office(NORTH),
        takes_office(SOUTH),
        trades(NORTH, deposits=(FISH,), queued=(accepted(1),)),
        trades(SOUTH, decided(SOUTH, 2, 1, FISH), queued=(accepted(3),)),
        trades(NORTH, decided(NORTH, 1, 2, FISH), known=("r1",)),
        takes_office(NORTH, 2, "merchant9"),
        trades(NORTH, queued=(accepted(4, term=2),), term=2, trader="merchant9"),
    )
