"""What customers asked and were told, as operations with a beginning and an end, out of the lines of journals.

A journal is read line by line, and a line counts from the moment at which it was written: what was asked was written
down before it was sent, and what was told after it had come. Times are microseconds of the monotonic clock, and are
compared only between lines of one boot of one machine; within a journal the order of its lines says what came first.

Operations are kept in columns of numbers, for there may be a million of them.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

import msgspec

from db.audit.rows import MOST_US, JournalEntry, whole

NEVER = -(2**62)
"""The beginning of an operation of which no line says when it began."""

PURCHASE, DEPOSIT, SEARCH, OUTCOME, HEARD = range(5)
"""The kinds: decided, recorded, seen what can be bought, seen what became of a request, heard of a sale."""

UNSAID = -1
"""The term of an operation of which the journal does not say in which it was told."""


class Since(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """As of what a caller said to have been told something; what it did not say is as low as can be."""

    term: int
    seq: int
    place: int


class Seen(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a search showed: the rows as a digest (`seen_digest`), how many, and the first of them in full."""

    item: str | None
    area: str
    term: int | None
    seq: int | None
    place: int
    rows: int | None
    digest: str
    first: tuple[tuple[str, int], ...]
    within_us: int
    since: Since | None = None

    @property
    def is_older(self) -> bool:
        """Whether it shows less than its caller said to have been told. In a log of its own a later term has all that
        was told in those before; in one that areas share, terms do not compare."""
        since, term = self.since, self.term or 0
        if since is None or (not self.area and term > since.term):
            return False
        return (not self.area and term < since.term) or self.place < since.place or (self.seq or 0) < since.seq


class AreasSeen(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a search over several areas said of them: which were wanted, as far as the caller knew, which answered,
    which did not, and of which goods are shown."""

    who: str
    wanted: frozenset[str]
    answered: frozenset[str]
    missing: frozenset[str]
    shown: frozenset[str]


class Operations:
    """All operations, each in a row over the columns. Feed `journal` before the lines of each journal."""

    def __init__(self) -> None:
        self.kind = array("b")
        self.begin = array("q")
        self.end = array("q")
        self.boot = array("l")
        # The journal, and in it the lines; a journal that a process opened anew counts as another session.
        self.session = array("l")
        self.first_line = array("q")
        self.last_line = array("q")
        # By kind: the seq, or the index of the search in `searches`. What else names a record is in `names`.
        self.ref = array("q")
        # The term of what was told, UNSAID where its line does not say it.
        self.term = array("q")
        self.names: list[str] = []
        self.peers: list[str] = []
        self.searches: list[Seen] = []
        self.areas: list[AreasSeen] = []
        # By index of an outcome that was read: "none", "decided" or "taken_back".
        self.states: dict[int, str] = {}
        # By index of what told that a sale was taken back, the place that is to have done so, if it said.
        self.undone: dict[int, int] = {}
        # Who wrote down a reading that cannot be understood.
        self.unreadable: list[str] = []
        # The decisions, by seq, and the deposits, by id, that somebody was told of before.
        self._told: set[int | str] = set()
        self._boots: dict[str, int] = {}
        self._sessions: list[str] = []
        self._line = 0
        # By id, where the first line that asks for it stands in the journal at hand: boot, time, line.
        self._asked: dict[str, tuple[int, int, int]] = {}

    def __len__(self) -> int:
        return len(self.kind)

    def journal(self) -> None:
        """Another journal begins."""
        self._line, self._asked = 0, {}
        self._sessions.append("")

    def who(self, index: int) -> str:
        """Returns the name of whose operation it is."""
        return self._sessions[self.session[index]]

    def line(self, entry: JournalEntry) -> None:
        """Takes in a line. Lines without a monotonic time, as older journals have them, say nothing here."""
        self._line += 1
        if not self._sessions or self._sessions[-1] not in ("", entry.peer):
            self._sessions.append("")
        if entry.kind == "opened":
            self._sessions.append("")
        self._sessions[-1] = entry.peer
        if not entry.boot or entry.mono_us is None:
            return
        boot, at_us = self._boots.setdefault(entry.boot, len(self._boots)), entry.mono_us
        match entry.kind:
            case "asked":
                self._ask((entry.request or {}).get("request_id"), boot, at_us)
            case "offered":
                self._ask((entry.offer or {}).get("deposit_id"), boot, at_us)
            case "told":
                self._decided(entry.outcome or {}, boot, at_us)
            case "deposited":
                self._deposited(entry.deposit or {}, boot, at_us)
            case "earned":
                sale = entry.sale or {}
                self._heard(whole(sale.get("seq")), "decided", sale, boot, at_us)
            case "got_back" | "took_back":
                self._undone(entry.reversal or {}, entry.reversal or {}, boot, at_us)
            case "read":
                self._read(entry.read or {}, boot, at_us)

    def _ask(self, record_id: object, boot: int, at_us: int) -> None:
        if isinstance(record_id, str):
            self._asked.setdefault(record_id, (boot, at_us, self._line))

    def _decided(self, outcome: Mapping[str, Any], boot: int, at_us: int) -> None:
        seq, record_id = whole(outcome.get("seq")), outcome.get("request_id", outcome.get("_id"))
        if seq is None or not isinstance(record_id, str):
            return  # `acknowledged_is_recorded` complains of it.
        if seq in self._told:  # Asked again, or looked up: that only reads what was decided.
            self._heard(seq, "decided", outcome, boot, at_us)
        else:
            self._told.add(seq)
            self._add(PURCHASE, seq, record_id, self._begun(record_id, boot), boot, at_us, outcome.get("term"))
        taken_back = outcome.get("taken_back")
        if isinstance(taken_back, Mapping):
            self._undone(outcome, taken_back, boot, at_us)

    def _deposited(self, deposit: Mapping[str, Any], boot: int, at_us: int) -> None:
        record_id = deposit.get("deposit_id", deposit.get("_id"))
        if isinstance(record_id, str) and record_id not in self._told:
            self._told.add(record_id)
            self._add(DEPOSIT, 0, record_id, self._begun(record_id, boot), boot, at_us, deposit.get("term"))

    def _undone(self, sale: Mapping[str, Any], reversal: Mapping[str, Any], boot: int, at_us: int) -> None:
        """Somebody was told that a sale was taken back."""
        if self._heard(whole(sale.get("seq")), "taken_back", reversal, boot, at_us):
            self._note_undone(whole(reversal.get("place")))

    def _note_undone(self, place: int | None) -> None:
        if place is not None and place >= 0:  # What earlier versions noted does not say.
            self.undone[len(self) - 1] = place

    def _heard(self, seq: int | None, state: str, told: Mapping[str, Any], boot: int, at_us: int) -> bool:
        if seq is None:
            return False
        self.states[len(self)] = state
        self._add(HEARD, seq, "", (NEVER, self._line), boot, at_us, told.get("term"))
        return True

    def _read(self, read: Mapping[str, Any], boot: int, at_us: int) -> None:
        asked_us, place = whole(read.get("asked_us")), whole(read.get("place"))
        if asked_us is None or not 0 <= asked_us <= at_us:
            self.unreadable.append(self._sessions[-1])
        elif read.get("what") == "outcome" and _says_outcome(read):
            self.states[len(self)] = str(read.get("state"))
            self._add(OUTCOME, whole(read.get("seq")) or 0, read["request_id"], (asked_us, self._line), boot, at_us)
            if read.get("state") == "taken_back":
                self._note_undone(place)
        elif read.get("what") == "search" and place is not None and _says_search(read):
            self._add(SEARCH, len(self.searches), "", (asked_us, self._line), boot, at_us, read.get("term"))
            self.searches.append(_seen(read, place))
        elif read.get("what") == "areas":
            self.areas.append(_areas_seen(self._sessions[-1], read))
        else:
            self.unreadable.append(self._sessions[-1])

    def _begun(self, record_id: str, boot: int) -> tuple[int, int]:
        asked = self._asked.pop(record_id, None)
        if asked is None:
            return NEVER, NEVER
        # What was asked for in an earlier boot was asked for before, and nobody knows how long before.
        return (asked[1] if asked[0] == boot else NEVER), asked[2]

    def _add(
        self, kind: int, ref: int, name: str, begun: tuple[int, int], boot: int, at_us: int, term: object = None
    ) -> None:
        said = whole(term)
        self.kind.append(kind)
        self.ref.append(ref)
        self.term.append(UNSAID if said is None else said)
        self.names.append(name)
        self.begin.append(begun[0])
        self.first_line.append(begun[1])
        self.end.append(at_us)
        self.last_line.append(self._line)
        self.boot.append(boot)
        self.session.append(len(self._sessions) - 1)


def history_of(lines: Iterable[JournalEntry]) -> Operations | None:
    """Returns what the lines of journals in memory say, each peer's in their order; None where there are none."""
    history: Operations | None = None
    for _, own in groupby(sorted(lines, key=_peer), key=_peer):
        history = history or Operations()
        history.journal()
        for line in own:
            history.line(line)
    return history


def _peer(line: JournalEntry) -> str:
    return line.peer


def _says_outcome(read: Mapping[str, Any]) -> bool:
    """Whether a line says what became of a request, in words that can be understood."""
    return isinstance(read.get("request_id"), str) and all(
        _whole_or_none(read.get(each)) for each in ("seq", "place")
    )


def _says_search(read: Mapping[str, Any]) -> bool:
    """Whether a line says what a search showed, and as of what, in words that can be understood."""
    within_ms, first, since = read.get("within_ms"), read.get("first"), read.get("since")
    bounds = since.values() if isinstance(since, Mapping) else ()
    return (
        all(_is_count(read.get(field)) for field in ("term", "seq", "rows"))
        and (within_ms is None or _is_count(within_ms))
        and isinstance(first, list | tuple | None)
        and isinstance(since, Mapping | None)
        and all(map(_whole_or_none, bounds))
    )


def _is_count(value: object) -> bool:
    number = whole(value)
    return number is not None and number >= 0


def _whole_or_none(value: object) -> bool:
    return value is None or whole(value) is not None


def _areas_seen(who: str, read: Mapping[str, Any]) -> AreasSeen:
    def named(field: str) -> frozenset[str]:
        given = read.get(field)
        return frozenset(map(str, given)) if isinstance(given, list | tuple) else frozenset()

    wanted, answered, missing, shown = map(named, ("wanted", "answered", "missing", "shown"))
    return AreasSeen(who=who, wanted=wanted, answered=answered, missing=missing, shown=shown)


def _since(given: object) -> Since | None:
    if not isinstance(given, Mapping):
        return None
    term, seq, place = (whole(given.get(field)) for field in ("term", "seq", "place"))
    return Since(term=term or 0, seq=seq or 0, place=-1 if place is None else place)


def _seen(read: Mapping[str, Any], place: int) -> Seen:
    item, first = read.get("item"), read.get("first")
    pairs = [each for each in first if isinstance(each, list | tuple) and len(each) == 2] if first else []
    return Seen(
        item=item if isinstance(item, str) else None,
        area=str(read.get("area") or ""),
        term=whole(read.get("term")),
        seq=whole(read.get("seq")),
        place=place,
        rows=whole(read.get("rows")),
        digest=str(read.get("digest")),
        first=tuple((str(deposit), whole(units) or 0) for deposit, units in pairs),
        within_us=min(1000 * (whole(read.get("within_ms")) or 0), MOST_US),  # More than all times is all of them.
        since=_since(read.get("since")),
    )
