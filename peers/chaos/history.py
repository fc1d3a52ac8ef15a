"""How a chaos run comes to know what happened: from its own faults, from peers, books and journals.

A sale counts from the moment somebody is known to have been told of it, not from the moment it was decided: what is
decided while the database is away becomes true only when that is back. The journals are the witnesses.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from db.audit.checkers.acknowledgements import subject_of
from db.audit.journals import Torn, Unreadable, journal_files, read_journal
from db.queries import Queries, RecordedSale
from peers.chaos.events import Election, Events, Heard, Sale
from peers.core.market.records import ElectionRecord
from peers.core.reports import (
    Elected,
    ElectionStarted,
    EntryRefused,
    JournalTrouble,
    LedgerBack,
    LedgerTrouble,
    LeftOffice,
    Lost,
    Report,
    Returned,
)
from peers.town.view.console import Console

_TOLD = (
    Elected,
    ElectionStarted,
    EntryRefused,
    JournalTrouble,
    LedgerBack,
    LedgerTrouble,
    LeftOffice,
    Lost,
    Returned,
)


class History(Events):
    """The events of a run under way, as they become known. `began_ms` is the wall clock at second 0: it tells when
    something happened that others noted, and nothing else, for that clock may be set while the run goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.begin()
        # Peers whose clocks on the wall were set: when something happened they do not know.
        self.clocks_set: set[str] = set()

    def begin(self) -> None:
        """Makes this moment second 0 of the run."""
        self.began_ms, self._began_s = time.time_ns() // 1_000_000, time.monotonic()

    def now_s(self) -> float:
        """Returns the second of the run that it is, whatever the clock on the wall says."""
        return round(time.monotonic() - self._began_s, 4)

    def at_s(self, wall_ms: float) -> float:
        """Returns the second of the run that it was, by the clock on the wall."""
        return round((wall_ms - self.began_ms) / 1000, 4)

    def hear(self, report: Report) -> None:
        """Takes in what a peer told."""
        sentence = report.sentence() if isinstance(report, _TOLD) else None
        if sentence is not None:
            self.heard.append(Heard(at_s=self.now_s(), said=sentence))

    # -- from the books and the journals -------------------------------------------------------------------

    def read_books(self, uri: str, database: str, directory: Path) -> None:
        """Takes in sales and elections; LedgerError if the books cannot be read."""
        told_ms, told = _first_told_ms(directory, self.clocks_set)
        with Queries(uri, database, who="chaos") as books:
            before_s = 0.0
            for sale in sorted(books.sales(), key=lambda sale: sale.seq):
                before_s = self._at_s(sale, told_ms.get(sale.request_id), before_s)
                self.sales.append(_sale(sale, before_s, told=sale.request_id in told))
            self.elections += map(self._election, books.elections())

    def _at_s(self, sale: RecordedSale, told_ms: int | None, before_s: float) -> float:
        """When a sale counts from; where nobody with a right clock knows, from when the one before it does."""
        if told_ms is not None:
            return self.at_s(told_ms)
        return before_s if sale.trader in self.clocks_set else self.at_s(sale.decided_at_ms)

    def _election(self, record: ElectionRecord) -> Election:
        at_s = self.at_s(record.started_at_ms)
        if record.trader in self.clocks_set:
            at_s = next((sale.at_s for sale in self.sales if sale.term == record.term), at_s)
        return Election(
            at_s=at_s,
            term=record.term,
            trader=record.trader,
            reason=record.reason,
            started_by=record.started_by,
            took_ms=record.took_ms,
            messages=record.messages if record.complete else None,
        )


def _sale(sale: RecordedSale, at_s: float, *, told: bool) -> Sale:
    return Sale(
        at_s=at_s, seq=sale.seq, term=sale.term, trader=sale.trader, buyer=sale.buyer, seller=sale.seller, told=told
    )


def _first_told_ms(directory: Path, clocks_set: Collection[str]) -> tuple[dict[str, int], set[str]]:
    """When each sale was first known to somebody with a right clock, its buyer or its seller; and which ever were."""
    first: dict[str, int] = {}
    told: set[str] = set()
    for path in journal_files(directory):
        for entry in read_journal(path):
            if isinstance(entry, Torn | Unreadable):
                continue  # Lines that cannot be read are left to the audit, which reports them.
            subject = subject_of(entry) if entry.kind in ("told", "earned") else None
            if subject is not None:
                told.add(subject[1])
                if path.stem not in clocks_set:
                    first[subject[1]] = min(entry.at_ms, first.get(subject[1], entry.at_ms))
    return first, told


class Listener(Console):
    """A town's console that also keeps a history of what peers tell."""

    def __init__(self, history: History, *, out: Any) -> None:
        super().__init__(quiet=True, out=out)
        self._history = history

    def tell(self, report: Report, area: str = "") -> None:
        self._history.hear(report)
        super().tell(report, area)
