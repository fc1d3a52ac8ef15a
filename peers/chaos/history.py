"""How a chaos run comes to know what happened: from its own faults, from peers, books and journals.

A sale counts from the moment somebody is known to have been told of it, not from the moment it was decided: what is
decided while the database is away becomes true only when that is back. The journals are the witnesses.

All processes of a run are of one machine, and whatever happened when goes by its monotonic clock: the one on the wall
is set by the run's own faults, and may be by others.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from db.audit.checkers.acknowledgements import subject_of
from db.audit.journals import Torn, Unreadable, journal_files, read_journal
from db.queries import Queries, RecordedSale
from peers.chaos.events import Election, Events, Heard, Sale
from peers.chaos.kinds import FAMILIES
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

_FELT_AFTER_S = 7.0  # A thread that did not begin for want of memory is noticed after some seconds.


class History(Events):
    """The events of a run under way, as they become known."""

    def __init__(self) -> None:
        super().__init__()
        # By term: when the election began of whose end its trader told.
        self._elections_began_s: dict[int, float] = {}
        self.begin()

    def begin(self) -> None:
        """Makes this moment second 0 of the run."""
        self._began_s = time.monotonic()

    def now_s(self) -> float:
        """Returns the second of the run that it is."""
        return self.at_s(time.monotonic())

    def at_s(self, monotonic_s: float) -> float:
        """Returns the second of the run that it was, by this machine's monotonic clock."""
        return round(monotonic_s - self._began_s, 4)

    def was_squeezed(self, name: str, monotonic_s: float) -> bool:
        """Whether memory was kept from that peer at that moment, or so shortly before that what it does may be for
        that. It was by a fault that was begun, whatever came of it."""
        at_s = self.at_s(monotonic_s)
        return any(
            each.start_s <= at_s <= each.over_s + _FELT_AFTER_S
            for each in self.faults
            if each.kind in FAMILIES["memory"] and name in each.peers
        )

    def hear(self, report: Report) -> None:
        """Takes in what a peer told."""
        if isinstance(report, Elected):
            self._elections_began_s[report.term] = time.monotonic() - report.took_ms / 1000
        sentence = report.sentence() if isinstance(report, _TOLD) else None
        if sentence is not None:
            self.heard.append(Heard(at_s=self.now_s(), said=sentence))

    # -- from the books and the journals -------------------------------------------------------------------

    def read_books(self, uri: str, database: str, directory: Path) -> None:
        """Takes in sales and elections; LedgerError if the books cannot be read."""
        told_s = first_told_s(directory)
        with Queries(uri, database, who="chaos") as books:
            at_s = 0.0
            for sale in sorted(books.sales(), key=lambda sale: sale.seq):
                told = sale.request_id in told_s
                # Of whom nobody was told counts from when the one before it does.
                at_s = self.at_s(told_s[sale.request_id]) if told else at_s
                self.sales.append(_sale(sale, at_s, told=told))
            at_s = 0.0
            for record in sorted(books.elections(), key=lambda record: record.term):
                at_s = self._election_at_s(record.term, at_s)
                self.elections.append(_election(record, at_s))

    def _election_at_s(self, term: int, before_s: float) -> float:
        """When an election began; if its trader did not live to tell, its first sale or the one before is near."""
        began_s = self._elections_began_s.get(term)
        if began_s is not None:
            return self.at_s(began_s)
        return next((sale.at_s for sale in self.sales if sale.term == term), before_s)


def _election(record: ElectionRecord, at_s: float) -> Election:
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


def first_told_s(directory: Path) -> dict[str, float]:
    """Returns when each sale was first known to its buyer or its seller, by the monotonic clock; sales by request.
    All journals in `directory` are of one boot of one machine."""
    first: dict[str, float] = {}
    for path in journal_files(directory):
        for entry in read_journal(path):
            if isinstance(entry, Torn | Unreadable):
                continue  # Lines that cannot be read are left to the audit, which reports them.
            subject = subject_of(entry) if entry.kind in ("told", "earned") else None
            if subject is not None and entry.mono_us is not None:
                at_s = entry.mono_us / 1_000_000
                first[subject[1]] = min(at_s, first.get(subject[1], at_s))
    return first


class Listener(Console):
    """A town's console that also keeps a history of what peers tell."""

    def __init__(self, history: History, *, out: Any) -> None:
        super().__init__(quiet=True, out=out)
        self._history = history

    def tell(self, report: Report, area: str = "") -> None:
        self._history.hear(report)
        super().tell(report, area)
