"""Holds what peers were told against what is recorded by then, journal by journal, in bounded memory."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Protocol

from db.audit.checkers.acknowledgements import Subject, subject_of
from db.audit.checkers.together import Checkers
from db.audit.journals import Torn, Unreadable, Witness, read_journal
from db.audit.log_tail import Records
from db.audit.report import HERE, JournalsRead
from db.audit.rows import JournalEntry

_BATCH = 1000
"""The lines that are looked up at a time. No setting: any number finds the same."""


class Recording(Protocol):
    """Whoever knows what is recorded by now."""

    def look_up(self, subjects: Collection[Subject]) -> Records:
        """Returns what is recorded now of each subject."""


def hear(witnesses: Iterable[Witness], recorded: Recording, checkers: Checkers) -> Iterator[JournalsRead]:
    """Feeds the checkers with what witnesses say, held against what is `recorded`; gives how much that was of each.

    Records are looked up once the lines were read, for what somebody was told stood in the log by then. Of a machine
    whose journals are not all here, those that are count all the same: what they say may be wrong."""
    for witness in witnesses:
        before = checkers.acknowledged.entries
        for path in witness.paths:
            checkers.acknowledged.journal("" if witness.machine == HERE else witness.machine)
            _read(path, recorded, checkers)
        if witness.missing:
            checkers.journals_missing(f"journals of {witness.machine} could not be had: {witness.missing}")
        yield JournalsRead(
            machine=witness.machine,
            journals=len(witness.paths),
            lines=checkers.acknowledged.entries - before,
            missing=witness.missing,
        )


def _read(path: Path, recorded: Recording, checkers: Checkers) -> None:
    lines, acknowledged = read_journal(path), checkers.acknowledged
    while batch := list(islice(lines, _BATCH)):
        entries: list[tuple[JournalEntry, Subject | None]] = []
        for line in batch:
            if isinstance(line, Torn):
                acknowledged.torn_line()
            elif isinstance(line, Unreadable):
                checkers.unreadable(line.why)
            else:
                entries.append((line, subject_of(line)))
        records = recorded.look_up({subject for _, subject in entries if subject is not None})
        for entry, subject in entries:
            checkers.journal_entry(entry, records.get(subject) if subject else None)
