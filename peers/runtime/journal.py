"""A peer's journal: `journals/<peer>.jsonl`, what it asked for and what it was told, each on a line of its own.

It is the witness that the audit holds the books against, so a line is handed to the kernel, in one write, before
the peer does anything that follows from it: what a peer knew is written down even if it is killed afterwards.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from db.audit.journals import FOLDER, read_journal, trim_torn_tail
from db.audit.rows import JournalEntry
from peers.core.inputs import HandedOver
from peers.core.journal import handed_over_in, journal_line
from peers.core.reports import Report


def handed_over_before(directory: Path, peer: str) -> tuple[HandedOver, ...]:
    """Returns what earlier lives of a seller handed over, by its journal in a town's directory."""
    lines = (each for each in read_journal(directory / FOLDER / f"{peer}.jsonl") if isinstance(each, JournalEntry))
    return handed_over_in({"kind": each.kind, "sale": each.sale} for each in lines)


class Journal:
    """The journal of `peer` in a town's directory; goes on where an earlier one ended."""

    def __init__(self, directory: Path, peer: str) -> None:
        path = directory / FOLDER / f"{peer}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        trim_torn_tail(path)
        self._peer = peer
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._encode = msgspec.json.Encoder().encode

    def write(self, at_ms: int, kind: str, **payload: Any) -> None:
        """Appends one entry; `at_ms` is the time of day."""
        self._append(at_ms, {"kind": kind, **payload})

    def note(self, report: Report, at_ms: int) -> None:
        """Writes down what a report says, if it is for the journal."""
        line = journal_line(report)
        if line is not None:
            self._append(at_ms, line)

    def _append(self, at_ms: int, line: dict[str, Any]) -> None:
        os.write(self._file, self._encode({"at_ms": at_ms, "peer": self._peer, **line}) + b"\n")

    def close(self) -> None:
        os.close(self._file)
