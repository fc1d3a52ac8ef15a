"""A peer's journal: `journals/<peer>.jsonl`, what it asked for and what it was told, each on a line of its own.

It is the witness that the audit holds the books against, so a line is handed to the kernel, in one write, before
the peer does anything that follows from it: what a peer knew is written down even if it is killed afterwards.
Where it cannot be written (the disk is full), nothing may follow from it until it is. No part of a line stays behind.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from db.audit.journals import FOLDER, read_journal, trim_torn_tail
from db.audit.rows import JournalEntry
from peers.boot import boot
from peers.core.inputs import HandedOver
from peers.core.journal import handed_over_in, journal_line
from peers.core.reports import JournalBack, JournalTrouble, Report
from peers.errors import TownError

_TRY_AGAIN_S = 0.25
"""How long a line that could not be written waits before it is tried again, in seconds."""


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
        # Where the last whole line ends. Nobody else writes to this file.
        self._end = os.fstat(self._file).st_size
        self._is_torn = False
        # Lines that could not be written yet, oldest first.
        self._backlog: deque[bytes] = deque()
        self._encode = msgspec.json.Encoder().encode

    @property
    def is_behind(self) -> bool:
        """Whether there are lines that could not be written yet."""
        return bool(self._backlog)

    def write(self, at_ms: int, kind: str, **payload: Any) -> None:
        """Appends one entry; `at_ms` is the time of day. TownError if it, or one before it, cannot be written; then
        it is not kept."""
        try:
            self.catch_up()
            self._append(self._line(at_ms, {"kind": kind, **payload}))
        except OSError as error:
            raise TownError(f"the journal of {self._peer} cannot be written ({error.strerror or error})") from error

    def keep(self, at_ms: int, kind: str, **payload: Any) -> None:
        """Appends one entry; where it cannot be written now it is kept, and written before the next one."""
        self._backlog.append(self._line(at_ms, {"kind": kind, **payload}))
        with contextlib.suppress(OSError):
            self.catch_up()

    def note(self, report: Report, at_ms: int) -> None:
        """Writes down what a report says, if it is for the journal. OSError if it cannot be written; then it is kept,
        and `catch_up` writes it."""
        line = journal_line(report)
        if line is not None:
            self._backlog.append(self._line(at_ms, line))
            self.catch_up()

    def catch_up(self) -> None:
        """Writes the lines that could not be written, in their order. OSError if it still cannot be done."""
        while self._backlog:
            self._append(self._backlog[0])
            self._backlog.popleft()

    def _line(self, at_ms: int, words: dict[str, Any]) -> bytes:
        # That is now, for what is asked for is sent after it, and what was told has come before.
        when = {"at_ms": at_ms, "boot": boot(), "mono_us": time.monotonic_ns() // 1000}
        return self._encode({**when, "peer": self._peer, **words}) + b"\n"

    def _append(self, line: bytes) -> None:
        if self._is_torn:
            os.ftruncate(self._file, self._end)
            self._is_torn = False
        written = os.write(self._file, line)
        if written < len(line):
            # The disk took a part of it. Half a line would be the end of the journal for whoever reads it.
            self._is_torn = True
            os.ftruncate(self._file, self._end)
            self._is_torn = False
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._end += written

    def close(self) -> None:
        os.close(self._file)


class NotedFirst:
    """Has a peer write down what it was told before anything follows from it, however long that takes.

    While its journal cannot be written, the peer goes on in everything else: it only asks for nothing, and tells
    nobody of what is not noted. For one thread at a time.
    """

    def __init__(
        self,
        journal: Journal,
        peer: str,
        on_report: Callable[[Report], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._journal = journal
        self._peer = peer
        self._on_report = on_report
        self._clock = clock
        self._held_back: deque[Callable[[], None]] = deque()
        self._tried_s = 0.0

    @property
    def is_behind(self) -> bool:
        """Whether something waits for a line of the journal."""
        return self._journal.is_behind

    def publish(self, report: Report, at_ms: int) -> None:
        """Writes down what a report says, then tells people."""
        was_behind = self._journal.is_behind
        try:
            self._journal.note(report, at_ms)
        except OSError as error:
            self._tried_s = self._clock()
            if not was_behind:
                self._on_report(JournalTrouble(peer=self._peer, why=error.strerror or str(error)))
        else:
            if was_behind:
                self._go_on()
        self.then(lambda: self._on_report(report))

    def then(self, act: Callable[[], None]) -> None:
        """Calls `act`: now, or as soon as all that was to be noted before it is."""
        if self._journal.is_behind or self._held_back:
            self._held_back.append(act)
        else:
            act()

    def look(self) -> None:
        """Tries again, now and then, what could not be written; to be called often."""
        if not self._journal.is_behind or self._clock() - self._tried_s < _TRY_AGAIN_S:
            return
        self._tried_s = self._clock()
        try:
            self._journal.catch_up()
        except OSError:
            return
        self._go_on()

    def _go_on(self) -> None:
        self._on_report(JournalBack(peer=self._peer))
        while self._held_back:
            self._held_back.popleft()()
