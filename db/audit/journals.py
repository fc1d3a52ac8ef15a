"""Reads peers' journals (`journals/<peer>.jsonl`), a line at a time, as they are: also those of killed peers.

A peer writes what it asked for and what it was told, one JSON object a line. A peer that is killed while it
writes leaves a line without an end: that line is *torn*, which is no fault, and says nothing. A whole line that is no
entry is *unreadable*: nobody knows what was told there, and the audit must not pretend to.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from db.audit.rows import JournalEntry

FOLDER = "journals"
AREAS = "areas"
"""The folder of a town in which each of its areas has one with its own journals."""
_TAIL_BYTES = 1 << 16
"""The bytes read at a time from the end: longer than nearly all lines. No setting: any size finds the same."""

_entries = msgspec.json.Decoder(JournalEntry)


class Torn(msgspec.Struct, frozen=True, kw_only=True):
    """The journal at `path` ends in the middle of a line."""

    path: Path


class Unreadable(msgspec.Struct, frozen=True, kw_only=True):
    """A line, or a journal, that cannot be read: `why` says where and what is wrong."""

    why: str


def journal_files(directory: Path) -> list[Path]:
    """Returns the journals of a town that lives in `directory`, those of all its areas too, or of one area."""
    folders = (directory, *sorted((directory / AREAS).glob("*")))
    return [path for folder in folders for path in sorted((folder / FOLDER).glob("*.jsonl"))]


def read_journal(path: Path) -> Iterator[JournalEntry | Torn | Unreadable]:
    """Gives what is in a journal, line by line; never raises, and holds one line at a time."""
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip() and (read := _read_line(path, number, line)):
                    yield read
    except OSError as error:
        yield Unreadable(why=f"{path.name} cannot be read: {error.strerror or error}")


def trim_torn_tail(path: Path) -> int:
    """Cuts a torn last line off, so that a peer that comes back goes on in a new line; returns the bytes cut.

    For the writer, before it opens its journal again. Left in place, the torn piece and the next entry would become
    one unreadable line.
    """
    try:
        with path.open("r+b") as journal:
            size = end = journal.seek(0, os.SEEK_END)
            while end > 0:
                start = max(0, end - _TAIL_BYTES)
                journal.seek(start)
                newline = journal.read(end - start).rfind(b"\n")
                if newline >= 0:
                    end = start + newline + 1
                    break
                end = start
            journal.truncate(end)
            return size - end
    except FileNotFoundError:
        return 0


def _read_line(path: Path, number: int, line: bytes) -> JournalEntry | Torn | Unreadable:
    try:
        return _entries.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if not line.endswith(b"\n"):
            return Torn(path=path)
        return Unreadable(why=f"{path.name}, line {number}: {error}")
