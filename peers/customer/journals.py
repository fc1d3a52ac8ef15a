"""The journals of a customer, one at each post it trades at: each post is audited by those of its own area."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from db.audit.history.digest import seen_digest
from peers.errors import TownError
from peers.rpc.forms.read_form import Document
from peers.runtime.journal import Journal

_READS_A_SECOND = 20
"""So many of its readings are noted at most: an audit judges each by itself, and a journal must not grow without end
because somebody looks all the time. No setting."""

_ROWS_NOTED = 8
"""So many rows of a search are noted in full; all of them are in the digest."""


class Journals:
    """The journals of customer `name`. `directories`: of each area the directory that its journals are in, None where
    none are kept. Each is opened when first needed."""

    def __init__(self, name: str, directories: Mapping[str, Path | None]) -> None:
        self._name = name
        self._directories = directories
        self._open: dict[str, Journal] = {}
        # When the last readings were noted, in seconds of the monotonic clock.
        self._read_s: deque[float] = deque(maxlen=_READS_A_SECOND)

    def note(self, area: str, kind: str, **payload: Any) -> None:
        """Writes down what is asked of the post of `area`. TownError if it cannot be written: it must not be asked
        then."""
        journal = self._journal(area)
        if journal is not None:
            journal.write(_now_ms(), kind, **payload)

    def note_answer(self, area: str, kind: str, **payload: Any) -> None:
        """Writes down what was told by the post of `area`. Where that cannot be written now it is later, before
        anything else, for it was told all the same."""
        with contextlib.suppress(TownError):  # Where nothing was written yet, there is nothing that this belongs to.
            journal = self._journal(area)
            if journal is not None:
                journal.keep(_now_ms(), kind, **payload)

    def _journal(self, area: str) -> Journal | None:
        """Returns the journal of an area, None where none is kept; TownError if it cannot be begun."""
        directory = self._directories.get(area)
        if directory is None or area in self._open:
            return self._open.get(area)
        try:
            journal = Journal(directory, self._name)
        except OSError as error:
            why = error.strerror or error
            raise TownError(f"the journal of {self._name} cannot be opened in {directory} ({why})") from error
        try:
            journal.write(_now_ms(), "opened")  # What an earlier life was told, this one does not know.
        except BaseException:
            journal.close()
            raise
        self._open[area] = journal
        return journal

    def note_search(
        self, area: str, asked_s: float, item: str | None, found: Document, since: Document | None = None
    ) -> None:
        """Writes down what a search showed, which was asked for at `asked_s` of the monotonic clock, and `since` what
        it was to be no older than."""
        self._note_read(asked_s, {area: _search_words(item, found, since)})

    def note_areas(
        self,
        area: str,
        asked_s: float,
        item: str | None,
        wanted: Collection[str],
        found: Document,
        since: Mapping[str, Document | None],
    ) -> None:
        """Writes down what a search over the areas `wanted` showed, which the post of `area` was asked for: of each
        area as of a search there, and there too who answered, and who is said not to have."""
        shown: dict[str, list[Document]] = {name: [] for name in found["areas"]}
        for row in found["offers"]:
            shown.setdefault(row["area"], []).append(row)
        words: Document = {
            "what": "areas",
            "wanted": sorted(wanted),
            "answered": list(found["areas"]),
            "missing": [each["area"] for each in found["missing"]],
            "shown": sorted(name for name, rows in shown.items() if rows),
        }
        searches = {}
        for name, as_of in found["as_of"].items():
            shared = {"area": name if found.get("one_log") else "", "within_ms": found.get("within_ms")}
            browsed = {**as_of, **shared, "rows": shown.get(name, [])}
            searches[name] = _search_words(item, browsed, since.get(name))
        self._note_read(asked_s, searches, about=(area, words))

    def note_outcome(self, area: str, asked_s: float, request_id: str, found: Document | None) -> None:
        """Writes down what had become of a request."""
        state = "none" if found is None else "taken_back" if "taken_back" in found else "decided"
        seq = None if found is None else found.get("seq")
        undone = {"place": found["taken_back"].get("place")} if found is not None and state == "taken_back" else {}
        words = {"what": "outcome", "request_id": request_id, "state": state, "seq": seq, **undone}
        self._note_read(asked_s, {area: words})

    def _note_read(
        self, asked_s: float, words: Mapping[str, Document], about: tuple[str, Document] | None = None
    ) -> None:
        """Writes down what was read in each area, and in one of them what is to be said of all."""
        now_s = time.monotonic()
        if len(self._read_s) == _READS_A_SECOND and now_s - self._read_s[0] < 1:
            return
        self._read_s.append(now_s)
        lines = [*words.items(), *([] if about is None else [about])]
        # What is not noted is not judged; nobody is to be kept from looking by a disk that is full.
        with contextlib.suppress(TownError):
            for area, each in lines:
                self.note(area, "read", read={**each, "asked_us": round(asked_s * 1_000_000)})

    def close(self) -> None:
        """Closes them all, with what was told in them if it can be written."""
        for journal in self._open.values():
            with contextlib.suppress(OSError):
                journal.catch_up()
            journal.close()


def _search_words(item: str | None, found: Document, since: Document | None) -> Document:
    rows = [(row["deposit_id"], row["remaining"]) for row in found["rows"]]
    as_of = {field: found.get(field) for field in ("term", "seq", "place", "area", "within_ms")}
    seen = {"rows": len(rows), "digest": seen_digest(rows), "first": rows[:_ROWS_NOTED]}
    return {"what": "search", "item": item, **as_of, **seen, **({} if since is None else {"since": since})}


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
