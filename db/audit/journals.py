"""Reads peers' journals (`journals/<peer>.jsonl`), a line at a time, as they are: also those of killed peers.

A peer writes what it asked for and what it was told, one JSON object a line. A peer that is killed while it
writes leaves a line without an end: that line is *torn*, which is no fault, and says nothing. A whole line that is no
entry is *unreadable*: nobody knows what was told there, and the audit must not pretend to.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from db.audit.rows import JournalEntry, whole

FOLDER = "journals"
AREAS = "areas"
"""The folder of a town in which each of its areas has one with its own journals."""
SUFFIX = ".jsonl"
COPIES = "copies"
"""The folder of a town in which there is one for each other terminal, with what was copied of its journals."""

AT_REST = "at-rest"
"""The file in a town's directory that says that nobody there writes to journals any more."""

_TAIL_BYTES = 1 << 16
"""The bytes read at a time from the end: longer than nearly all lines. No setting: any size finds the same."""

_TOLD = ("told", "deposited", "earned", "got_back", "took_back")

_DEEPEST = 32
"""No line that a peer writes is nested nearly as deep. No setting: it keeps Python from running out of stack."""

_MANY_DIGITS = re.compile(rb"[0-9]{16}")
"""What a line has in it if any of its numbers may be too large; mostly it is part of an id."""

_entries = msgspec.json.Decoder(JournalEntry)


class Witness(msgspec.Struct, frozen=True, kw_only=True):
    """The journals of the peers of one machine, as far as they are here to be read. `machine`: how people know it;
    `missing`: why not all of them could be had, "" if all of them are here."""

    machine: str
    paths: tuple[Path, ...]
    missing: str = ""


WitnessesOf = Callable[[Collection[str]], Iterable[Witness]]
"""Gives the journals of other machines, one machine after the other: those of these areas, or of all where none are
named."""


class Extent(msgspec.Struct, frozen=True):
    """How much there is of a terminal's journals: how many they are, and the bytes of their whole lines."""

    journals: int
    size: int

    def covers(self, other: Extent) -> bool:
        """Whether this is as much as `other`, or more. Journals in which nothing was ever written hold nothing."""
        return not other.size or (self.journals >= other.journals and self.size >= other.size)


class Torn(msgspec.Struct, frozen=True, kw_only=True):
    """The journal at `path` ends in the middle of a line."""

    path: Path


class Unreadable(msgspec.Struct, frozen=True, kw_only=True):
    """A line, or a journal, that cannot be read: `why` says where and what is wrong."""

    why: str


def journal_files(directory: Path) -> list[Path]:
    """Returns the journals of a town that lives in `directory`, those of all its areas too, or of one area."""
    folders = (directory, *sorted((directory / AREAS).glob("*")))
    return [path for folder in folders for path in sorted((folder / FOLDER).glob(f"*{SUFFIX}"))]


def journal_path(directory: Path, area: str, name: str) -> Path:
    """Returns where the journal of `name` is in a town's directory, or in a copy of its journals; `area` is "" in a
    town with one post."""
    home = directory / AREAS / area if area else directory
    return home / FOLDER / f"{name}{SUFFIX}"


def tells_of_trade(directory: Path) -> bool:
    """Whether anybody in the journals there was told of something that books must have. Who only asked was not."""
    return any(
        isinstance(each, JournalEntry) and each.kind in _TOLD
        for path in journal_files(directory)
        for each in read_journal(path)
    )


def read_journal(path: Path) -> Iterator[JournalEntry | Torn | Unreadable]:
    """Gives what is in a journal, line by line; never raises, and holds one line at a time."""
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip() and (read := _read_line(path, number, line)):
                    yield read
                if not line.endswith(b"\n"):
                    return  # If it is being written just now, its rest would be taken for a line of its own.
    except OSError as error:
        yield Unreadable(why=f"{path.name} cannot be read: {error.strerror or error}")


def trim_torn_tail(path: Path) -> int:
    """Cuts a torn last line off, so that a peer that comes back goes on in a new line; returns the bytes cut.

    For the writer, before it opens its journal again. Left in place, the torn piece and the next entry would become
    one unreadable line.
    """
    try:
        with path.open("r+b") as journal:
            end = end_of_lines(journal)
            size = journal.seek(0, os.SEEK_END)
            journal.truncate(end)
            return size - end
    except FileNotFoundError:
        return 0


def end_of_lines(journal: BinaryIO) -> int:
    """Returns where the last whole line of an open journal ends, in bytes; what follows is torn, or being written.

    OSError if it cannot be read."""
    end = journal.seek(0, os.SEEK_END)
    while end > 0:
        start = max(0, end - _TAIL_BYTES)
        journal.seek(start)
        newline = journal.read(end - start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def _read_line(path: Path, number: int, line: bytes) -> JournalEntry | Torn | Unreadable:
    try:
        entry = _entries.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if not line.endswith(b"\n"):
            return Torn(path=path)
        return Unreadable(why=f"{path.name}, line {number}: {error}")
    fault = _fault_of(entry, line)
    return Unreadable(why=f"{path.name}, line {number}: {fault}") if fault else entry


def _fault_of(entry: JournalEntry, line: bytes) -> str:
    """Says what in a line no peer writes and the audit could not reckon with; "" if it is nothing. Few lines need a
    closer look: what is too large or too deep shows in the bytes."""
    if line.count(b"[") + line.count(b"{") <= _DEEPEST and not _MANY_DIGITS.search(line):
        return ""
    level: list[Any] = list(msgspec.structs.astuple(entry))
    for _ in range(_DEEPEST):
        if any(type(value) is int and whole(value) is None for value in level):
            return "a number in it is beyond 64 bits"
        groups = (value.values() if isinstance(value, dict) else value for value in level)
        level = [each for group in groups if not isinstance(group, str | int | float | None) for each in group]
        if not level:
            return ""
    return f"it is nested more than {_DEEPEST} deep"
