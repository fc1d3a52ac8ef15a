"""What happened in a chaos run, and when: faults, elections, what peers told, and every sale.

A sale counts from the moment somebody is known to have been told of it, not from the moment it was decided: what is
decided while the database is away becomes true only when that is back. The journals are the witnesses.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from db.audit.journals import Torn, Unreadable, journal_files, read_journal
from db.queries import Queries, RecordedSale
from peers.chaos.plan import Kind
from peers.core.market.records import ElectionRecord
from peers.core.reports import (
    Elected,
    ElectionStarted,
    EntryRefused,
    LedgerBack,
    LedgerTrouble,
    LeftOffice,
    Lost,
    Report,
    Returned,
)
from peers.files import write_whole
from peers.town.view.console import Console

_TOLD = (Elected, ElectionStarted, LedgerBack, LedgerTrouble, LeftOffice, Lost, EntryRefused, Returned)


class Injected(msgspec.Struct, kw_only=True, tag="fault"):
    """A planned fault whose time had come. `end_s` is when what it did was undone; `skipped` says why it did nothing.

    Times are seconds after the chaos began, here and in all of the history."""

    number: int
    kind: Kind
    start_s: float
    end_s: float | None = None
    peers: tuple[str, ...] = ()
    detail: str = ""
    skipped: str = ""


class Sale(msgspec.Struct, frozen=True, kw_only=True, tag="sale"):
    """One sale; `told` is False where nobody lived to be told, so that `at_s` is when it was decided."""

    at_s: float
    seq: int
    term: int
    trader: str
    buyer: str
    seller: str
    told: bool


class Election(msgspec.Struct, frozen=True, kw_only=True, tag="election"):
    """A finished election, as the books have it."""

    at_s: float  # when it had begun
    term: int
    trader: str
    reason: str
    started_by: str | None
    took_ms: float
    messages: int | None


class Heard(msgspec.Struct, frozen=True, kw_only=True, tag="told"):
    """What a peer told its town, when that heard it."""

    at_s: float
    said: str


Entry = Injected | Sale | Election | Heard


class History:
    """The entries of one run. `began_ms` is the wall clock at second 0."""

    def __init__(self) -> None:
        self.began_ms = time.time_ns() // 1_000_000
        self.faults: list[Injected] = []
        self.heard: list[Heard] = []
        self.sales: list[Sale] = []
        self.elections: list[Election] = []

    def begin(self) -> None:
        """It is second 0."""
        self.began_ms = time.time_ns() // 1_000_000

    def now_s(self) -> float:
        return self.at_s(time.time_ns() / 1_000_000)

    def at_s(self, wall_ms: float) -> float:
        return round((wall_ms - self.began_ms) / 1000, 4)

    def hear(self, report: Report) -> None:
        """Takes in what a peer told."""
        sentence = report.sentence() if isinstance(report, _TOLD) else None
        if sentence is not None:
            self.heard.append(Heard(at_s=self.now_s(), said=sentence))

    def carried_out(self) -> list[Injected]:
        return [fault for fault in self.faults if not fault.skipped]

    def write(self, path: Path) -> None:
        """Writes `history.jsonl`: every entry on a line of its own, in the order of time."""
        entries: list[Entry] = [*self.faults, *self.elections, *self.heard, *self.sales]
        entries.sort(key=lambda entry: entry.start_s if isinstance(entry, Injected) else entry.at_s)
        write_whole(path, b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries))

    # -- from the books and the journals -------------------------------------------------------------------

    def read_books(self, uri: str, database: str, directory: Path) -> None:
        """Takes in sales and elections; LedgerError if the books cannot be read."""
        told_ms = _first_told_ms(directory)
        with Queries(uri, database, who="chaos") as books:
            self.sales += [self._sale(sale, told_ms.get(sale.request_id)) for sale in books.sales()]
            self.elections += map(self._election, books.elections())

    def _sale(self, sale: RecordedSale, told_ms: int | None) -> Sale:
        return Sale(
            at_s=self.at_s(sale.decided_at_ms if told_ms is None else told_ms),
            seq=sale.seq,
            term=sale.term,
            trader=sale.trader,
            buyer=sale.buyer,
            seller=sale.seller,
            told=told_ms is not None,
        )

    def _election(self, record: ElectionRecord) -> Election:
        return Election(
            at_s=self.at_s(record.started_at_ms),
            term=record.term,
            trader=record.trader,
            reason=record.reason,
            started_by=record.started_by,
            took_ms=record.took_ms,
            messages=record.messages,
        )


def _first_told_ms(directory: Path) -> dict[str, int]:
    """When each sale was first known to somebody: its buyer, or its seller."""
    first: dict[str, int] = {}
    for path in journal_files(directory):
        for entry in read_journal(path):
            if isinstance(entry, Torn | Unreadable):
                continue  # the audit has its own word on these
            subject = entry.outcome.get("_id") if entry.outcome else None
            if subject is None and entry.sale:
                subject = entry.sale.get("request_id")
            if isinstance(subject, str) and isinstance(entry.at_ms, int):
                first[subject] = min(entry.at_ms, first.get(subject, entry.at_ms))
    return first


class Listener(Console):
    """A town's console that also keeps a history of what peers tell."""

    def __init__(self, history: History, *, out: Any) -> None:
        super().__init__(quiet=True, out=out)
        self._history = history

    def tell(self, report: Report) -> None:
        self._history.hear(report)
        super().tell(report)


def times_of(sales: Iterable[Sale]) -> list[float]:
    """When there was trade, in order."""
    return sorted(sale.at_s for sale in sales)
