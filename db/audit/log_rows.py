"""The log as the proof side reads it: an entry as a plain row, made from its document without trusting it.

Like `db.audit.rows`, this never raises for what stands in a document; what is missing or of the wrong type is None,
empty, or named in `malformed`. The documents of requests and deposits are kept beside their rows, for the books must
hold them exactly as they stand here.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import msgspec

from db.audit.rows import (
    DepositRow,
    Document,
    RequestRow,
    milliseconds,
    name,
    read_deposit,
    read_request,
    text,
    whole,
)

KINDS = ("office", "queue", "decide")

_Row = TypeVar("_Row")


class RecountRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A deposit that an entry counted anew: what it was left at, how much came back, and how much was written off."""

    deposit: DepositRow
    returned: int | None
    written_off: int | None


class EntryRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A document of `log`. Of one that was `cut`, only place, new ids and write level are left.

    `misplaced` is empty, or says why the entry cannot be taken in at all: it has no place, or its place is taken.
    """

    place: int
    misplaced: str
    cut: bool
    entry: str | None
    kind: str | None
    term: int | None
    trader: str | None
    written_at: int | None
    reason: str | None
    new_requests: tuple[str, ...]
    new_deposits: tuple[str, ...]
    queued: tuple[tuple[RequestRow, Document], ...]
    deposits: tuple[tuple[DepositRow, Document], ...]
    decided: tuple[tuple[RequestRow, Document], ...]
    malformed: tuple[str, ...]
    new_reversals: tuple[str, ...] = ()
    reversals: tuple[tuple[RequestRow, Document], ...] = ()
    recounts: tuple[tuple[RecountRow, Document], ...] = ()
    area: str = ""
    uri: str | None = None
    leases: tuple[tuple[str, int], ...] = ()
    write_level: str | None = None

    @property
    def name(self) -> str:
        """What a violation calls it."""
        return f"log {self.place}" if self.place >= 0 else "log"


def read_entry(document: Document, last: int) -> EntryRow:
    """Reads the entry that follows the one at place `last` (-1 before the first); never raises."""
    get = document.get
    place = whole(get("_id"))
    misplaced = ""
    if place is None or place < 0:
        misplaced = f"its place is {get('_id')!r}; places are whole numbers from 0"
    elif place <= last:
        misplaced = f"place {place} was given more than once"
    malformed: list[str] = []
    leases = _leases(document, malformed)
    return EntryRow(
        place=-1 if place is None else place,
        misplaced=misplaced,
        cut=get("cut") is True,
        entry=text(get("entry")),
        kind=text(get("kind")),
        term=whole(get("term")),
        trader=name(get("trader")),
        written_at=milliseconds(get("written_at")),
        reason=text(get("reason")),
        new_requests=_ids(document, "new_requests", malformed),
        new_deposits=_ids(document, "new_deposits", malformed),
        queued=_rows(document, "queued", read_request, malformed),
        deposits=_rows(document, "deposits", read_deposit, malformed),
        decided=_rows(document, "decided", read_request, malformed),
        new_reversals=_ids(document, "new_reversals", malformed),
        reversals=_rows(document, "reversals", read_request, malformed),
        recounts=_rows(document, "recounts", _read_recount, malformed),
        malformed=tuple(malformed),
        area=name(get("area")) or "",
        uri=text(get("uri", "")),
        leases=leases,
        write_level=text(get("write_level")),
    )


def _leases(document: Document, malformed: list[str]) -> tuple[tuple[str, int], ...]:
    given = document.get("leases")
    if given is None:
        return ()
    rows = given if isinstance(given, list | tuple) else [None]
    read = [(text(each.get("deposit")), whole(each.get("units"))) for each in rows if isinstance(each, Mapping)]
    sound = [(deposit, units) for deposit, units in read if deposit is not None and units is not None and units >= 0]
    if len(sound) < len(rows):
        malformed.append("its leases are no list of deposits and units")
    return tuple(sound)


def _read_recount(document: Document) -> RecountRow:
    deposit = document.get("deposit")
    return RecountRow(
        deposit=read_deposit(deposit if isinstance(deposit, Mapping) else {}),
        returned=whole(document.get("returned")),
        written_off=whole(document.get("written_off")),
    )


def place_of(document: Document) -> int:
    """Returns where an entry sorts; one without a place comes last, as in the database."""
    place = whole(document.get("_id"))
    return 2**63 if place is None else place


class Places:
    """A set of places, added to in rising order. It keeps runs rather than numbers, for most of a log may be cut."""

    def __init__(self) -> None:
        self.count = 0
        self._starts: list[int] = []
        self._ends: list[int] = []

    @property
    def last(self) -> int:
        """The highest of them, -1 where there is none."""
        return self._ends[-1] if self._ends else -1

    def add(self, place: int) -> None:
        self.count += 1
        if self._ends and self._ends[-1] + 1 == place:
            self._ends[-1] = place
        else:
            self._starts.append(place)
            self._ends.append(place)

    def __contains__(self, place: object) -> bool:
        if not isinstance(place, int):
            return False
        run = bisect_right(self._starts, place) - 1
        return run >= 0 and place <= self._ends[run]

    def _runs(self) -> Iterator[tuple[int, int]]:
        return zip(self._starts, self._ends, strict=True)

    def __str__(self) -> str:
        runs = [f"{start}" if start == end else f"{start} to {end}" for start, end in self._runs()]
        return ", ".join(runs[:3]) + (f" and {len(runs) - 3} more" if len(runs) > 3 else "")


def _ids(document: Document, field: str, malformed: list[str]) -> tuple[str, ...]:
    given = document.get(field)
    if given is None:
        return ()
    if not isinstance(given, list | tuple) or not all(isinstance(each, str) for each in given):
        malformed.append(f"its {field} is no list of ids")
        return ()
    return tuple(given)


def _rows(
    document: Document, field: str, read: Callable[[Mapping[str, Any]], _Row], malformed: list[str]
) -> tuple[tuple[_Row, Document], ...]:
    given = document.get(field)
    if given is None:
        return ()
    if not isinstance(given, list | tuple) or not all(isinstance(each, Mapping) for each in given):
        malformed.append(f"its {field} is no list of documents")
        return ()
    return tuple((read(each), each) for each in given)
