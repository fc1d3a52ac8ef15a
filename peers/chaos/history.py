"""How a chaos run comes to know what happened: from its own faults, from peers, books and journals.

A sale counts from the moment somebody is known to have been told of it, not from the moment it was decided: what is
decided while the database is away becomes true only when that is back. The journals are the witnesses.
"""

from __future__ import annotations

import time
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
    LedgerBack,
    LedgerTrouble,
    LeftOffice,
    Lost,
    Report,
    Returned,
)
from peers.town.view.console import Console

_TOLD = (Elected, ElectionStarted, LedgerBack, LedgerTrouble, LeftOffice, Lost, EntryRefused, Returned)


class History(Events):
    """The events of a run under way, as they become known. `began_ms` is the wall clock at second 0."""

    def __init__(self) -> None:
        super().__init__()
        self.began_ms = time.time_ns() // 1_000_000

    def begin(self) -> None:
        """Makes this moment second 0 of the run."""
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
            messages=record.messages if record.complete else None,
        )


def _first_told_ms(directory: Path) -> dict[str, int]:
    """When each sale was first known to somebody: its buyer, or its seller."""
    first: dict[str, int] = {}
    for path in journal_files(directory):
        for entry in read_journal(path):
            if isinstance(entry, Torn | Unreadable):
                continue  # Lines that cannot be read are left to the audit, which reports them.
            subject = subject_of(entry) if entry.kind in ("told", "earned") else None
            if subject is not None:
                first[subject[1]] = min(entry.at_ms, first.get(subject[1], entry.at_ms))
    return first


class Listener(Console):
    """A town's console that also keeps a history of what peers tell."""

    def __init__(self, history: History, *, out: Any) -> None:
        super().__init__(quiet=True, out=out)
        self._history = history

    def tell(self, report: Report, area: str = "") -> None:
        self._history.hear(report)
        super().tell(report, area)
