"""The journals of a customer, one at each post it trades at: each post is audited by those of its own area."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from db.audit.history.digest import seen_digest
from peers.errors import TownError
from peers.rpc.read_form import Document
from peers.runtime.journal import Journal

_READS_A_SECOND = 20
"""So many of its readings are noted at most: an audit judges each by itself, and a journal must not grow without end
because somebody looks all the time. No setting."""

_ROWS_NOTED = 8
"""So many rows of a search are noted in full; all of them are in the digest."""


class Journals:
    """The journals of customer `name`. `directories`: of each area the directory that its journals are in, None where
    none are kept. Each is opened when first needed; TownError if it cannot be written."""

    def __init__(self, name: str, directories: Mapping[str, Path | None]) -> None:
        self._name = name
        self._directories = directories
        self._open: dict[str, Journal] = {}
        # When the last readings were noted, in seconds of the monotonic clock.
        self._read_s: deque[float] = deque(maxlen=_READS_A_SECOND)

    def note(self, area: str, kind: str, **payload: Any) -> None:
        """Writes down what was asked of the post of `area`, or told by it."""
        directory = self._directories.get(area)
        if directory is None:
            return
        if area not in self._open:
            self._open[area] = Journal(directory, self._name)
            self._write(area, "opened", {})  # What an earlier life was told, this one does not know.
        self._write(area, kind, payload)

    def note_search(self, area: str, asked_s: float, item: str | None, found: Document) -> None:
        """Writes down what a search showed, which was asked for at `asked_s` of the monotonic clock."""
        rows = [(row["deposit_id"], row["remaining"]) for row in found["rows"]]
        as_of = {field: found.get(field) for field in ("term", "seq", "place", "area", "within_ms")}
        seen = {"rows": len(rows), "digest": seen_digest(rows), "first": rows[:_ROWS_NOTED]}
        self._note_read(area, asked_s, {"what": "search", "item": item, **as_of, **seen})

    def note_outcome(self, area: str, asked_s: float, request_id: str, found: Document | None) -> None:
        """Writes down what had become of a request."""
        state = "none" if found is None else "taken_back" if "taken_back" in found else "decided"
        seq = None if found is None else found.get("seq")
        undone = {"place": found["taken_back"].get("place")} if found is not None and state == "taken_back" else {}
        words = {"what": "outcome", "request_id": request_id, "state": state, "seq": seq, **undone}
        self._note_read(area, asked_s, words)

    def _note_read(self, area: str, asked_s: float, words: dict[str, Any]) -> None:
        now_s = time.monotonic()
        if len(self._read_s) == _READS_A_SECOND and now_s - self._read_s[0] < 1:
            return
        self._read_s.append(now_s)
        # What is not noted is not judged; nobody is to be kept from looking by a disk that is full.
        with contextlib.suppress(TownError):
            self.note(area, "read", read={**words, "asked_us": round(asked_s * 1_000_000)})

    def _write(self, area: str, kind: str, payload: dict[str, Any]) -> None:
        self._open[area].write(time.time_ns() // 1_000_000, kind, **payload)

    def close(self) -> None:
        """Closes them all."""
        for journal in self._open.values():
            journal.close()
