"""`reads`: what customers read is what the log says at its place, in the order, and no older than, it was promised.

All that customers did (purchases, deposits, searches, outcomes) is judged for strict serializability (Papadimitriou,
1979; with real time, Herlihy and Wing, 1990), by the one order that there is: that of the log's places. A search may
miss what its answer says it may (`within_ms`), but nothing that the same customer was told before.

Below a majority the end of a term may be lost with a primary, and its places are given once more; nor does a member
show there what a majority does not have yet. What that explains could be lost at its level; all else is violated,
whatever was lost beside it.

`history` is read before the log, so that the log has whatever was seen in it; feed it to the checker as it is.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import ClassVar

import msgspec

from db.audit.checkers.levels import WriteLevels
from db.audit.findings import LOST, MOST_LISTED, Checker, Finding, Violation
from db.audit.history.operations import DEPOSIT, NEVER, OUTCOME, PURCHASE, SEARCH, UNSAID, Operations, Seen
from db.audit.history.order import ANYWHERE, NOTHING, Contradiction, Ranges, contradictions
from db.audit.history.shelf import Shelf
from db.audit.history.words import in_words
from db.audit.log_rows import EntryRow, RecountRow
from db.audit.rows import DepositRow, RequestRow

_MOST = 2**27
"""Decisions with a higher seq are left out: broken books may say any number."""


_MOST_NAMED = 5
"""So many are named whose journals cannot be understood. No setting: it keeps a sentence short."""


class Reads(Checker):
    """Judges the history of customers; None where there are no journals."""

    name: ClassVar[str] = "reads"

    def __init__(self, history: Operations | None = None) -> None:
        super().__init__()
        self._history = history
        operations = history or Operations()
        self._searches = sorted(range(len(operations.searches)), key=lambda each: operations.searches[each].place)
        self._next = 0
        self._shelf = Shelf()
        self._place = NOTHING
        self._is_cut = False
        # By seq, the place that decided it; by number of a record whose place is asked for, that place.
        self._places = array("q")
        self._deposits = {
            name: ANYWHERE for kind, name in zip(operations.kind, operations.names, strict=True) if kind == DEPOSIT
        }
        self._undecided = {
            operations.names[index]: ANYWHERE for index, state in operations.states.items() if state == "none"
        }
        # By seq, the place that took it back.
        self._taken_back: dict[int, int] = {}
        self._not_judged = 0
        self._levels = WriteLevels()
        # What its write level allows for: the first of it, and how many.
        self._lost: list[Violation] = []
        self._losses = 0

    # -- the log -------------------------------------------------------------------------------------------

    def log_entry(self, row: EntryRow) -> None:
        if self._history is None or row.misplaced:
            return
        self._leave_place()
        self._levels.log_entry(row)
        self._place = row.place
        self._is_cut = self._is_cut or row.cut
        self._shelf.entry(row)

    def deposit(self, row: DepositRow) -> None:
        if self._history is None:
            return
        self._shelf.deposit(row)
        if row.id in self._deposits:
            self._deposits[row.id] = self._place

    def request(self, row: RequestRow) -> None:
        if self._history is None or row.seq is None or row.seq < 1 or row.status == "queued":
            return
        self._shelf.request(row)
        if self._is_cut and row.at != self._place:
            return  # It may be of an entry that was cut, and nobody knows of which.
        while len(self._places) <= min(row.seq, _MOST):
            self._places.append(NOTHING)
        if row.seq <= _MOST:
            self._places[row.seq] = self._place
        if row.id in self._undecided:
            self._undecided[row.id] = self._place

    def reversal(self, row: RequestRow) -> None:
        if row.seq is not None:
            # What was cut is fed once a later entry has come, and only the books say where it was.
            self._taken_back[row.seq] = self._place if row.at is None or not self._is_cut else row.at

    def recount(self, row: RecountRow) -> None:
        if self._history is not None:
            self._shelf.recount(row)

    def _leave_place(self) -> None:
        """The entry at hand has brought all it brings: those who saw that much must have seen this."""
        self._shelf.finish()
        searches = self._history.searches if self._history is not None else []
        while self._next < len(self._searches) and searches[self._searches[self._next]].place <= self._place:
            self._look_at(self._searches[self._next])
            self._next += 1

    def _look_at(self, number: int) -> None:
        assert self._history is not None
        seen = self._history.searches[number]
        if self._is_cut or seen.place != self._place:
            self._not_judged += 1
            return
        wrong = self._shelf.wrong(seen)
        if wrong:
            what = f"a search as of place {seen.place} {wrong}"
            self._wrong(f"log {seen.place}", what=what, lost=self._is_of_lost_end(seen))

    def _is_of_lost_end(self, seen: Seen) -> bool:
        return seen.term is not None and self._levels.may_have_lost_at(seen.term, seen.place)

    def _wrong(self, *documents: str, what: str, lost: bool) -> None:
        """Something is not as the log says: a violation, unless its write level allows for it (`lost`)."""
        if not lost:
            self.violate(*documents, what=what)
            return
        self._losses += 1
        if len(self._lost) < MOST_LISTED:
            self._lost.append(Violation(invariant=self.name, documents=documents, what=what))

    # -- the verdict ---------------------------------------------------------------------------------------

    def finish(self) -> Finding:
        history = self._history
        if history is None:
            return self.not_judged("not checked", "there are no journals, or no log to hold them against")
        self._leave_place()
        for number in self._searches[self._next :]:
            seen = history.searches[number]
            what = f"a search was shown what there was at place {seen.place}, and the log ends at {self._place}"
            self._wrong(f"log {seen.place}", what=what, lost=self._is_of_lost_end(seen))
        self._check_undone(history)
        self._check_since(history)
        self._check_areas(history)
        ranges, begins = self._ranges(history), self._begins(history)
        said: set[int] = set()
        for members, begin, end, in_session in self._orders(history, begins):
            for found in contradictions(ranges, members, begin, end, NEVER):
                if found.later not in said:  # What contradicts the clock and the journal is one fault.
                    said.add(found.later)
                    words = in_words(found, history, ranges, in_session=in_session)
                    named = [history.names[each] for each in (found.earlier, found.later) if history.names[each]]
                    lost = self._may_be_explained(found, history, ranges)
                    self._wrong(*dict.fromkeys(named), what=words, lost=lost)
        if self._not_judged:
            self._notes.append(f"{self._not_judged:,} searches are of places whose entries were cut: not compared")
        if history.unreadable and not self._found and not self._losses:
            who = ", ".join(sorted(set(history.unreadable))[:_MOST_NAMED])
            return self.not_judged("could not tell", f"what was read cannot be understood in the journals of {who}")
        finding = super().finish()
        if self._found or not self._losses:
            return finding
        return msgspec.structs.replace(finding, state=LOST, violations=tuple(self._lost), found=self._losses)

    def _may_be_explained(self, found: Contradiction, history: Operations, ranges: Ranges) -> bool:
        """Whether a write level explains a contradiction: a reading may be behind what a majority did not have yet,
        and of what was told in nobody knows which term, nobody knows whether it was lost."""
        earlier, later, levels = found.earlier, found.later, self._levels

        def is_unknown(index: int) -> bool:
            return history.term[index] == UNSAID and levels.is_below_at(ranges.low[index])

        if history.kind[later] in (PURCHASE, DEPOSIT):
            return is_unknown(earlier) or is_unknown(later)
        term = history.term[later]
        is_behind = levels.is_below_at(ranges.high[later] + 1) if term == UNSAID else levels.is_below(term)
        return is_behind or is_unknown(earlier)

    def _check_undone(self, history: Operations) -> None:
        """Whoever was told of a reversal was told its place."""
        for index, told in history.undone.items():
            seq = history.ref[index]
            place = self._taken_back.get(seq)
            if place == told or (place is None and self._is_cut):  # It may be of an entry that was cut.
                continue
            said = f"{history.who(index)} was told that the sale with seq {seq} was taken back at place {told}"
            there = "does not say so" if place is None else f"says so at place {place}"
            named, term = history.names[index] or f"log {told}", history.term[index]
            lost = self._levels.is_below_at(told) if term == UNSAID else self._levels.may_have_lost_at(term, told)
            self._wrong(named, what=f"{said}; the log {there}", lost=lost)

    def _check_since(self, history: Operations) -> None:
        """No search shows less than its caller said to have been told."""
        for index, kind in enumerate(history.kind):
            seen = history.searches[history.ref[index]] if kind == SEARCH else None
            if seen is None or seen.since is None or not seen.is_older:
                continue
            where = f" of {seen.area}" if seen.area else ""
            shown = f"was shown what there was{where} at place {seen.place}, seq {seen.seq}, term {seen.term}"
            told = f"place {seen.since.place}, seq {seen.since.seq}, term {seen.since.term}"
            what = f"{history.who(index)} {shown}, and had said that it was told as of {told}"
            lost = self._levels.may_have_lost_at(seen.since.term, seen.since.place)
            self._wrong(f"log {seen.place}", what=what, lost=lost)

    def _check_areas(self, history: Operations) -> None:
        """A search over areas has of each what it shows, or names it as one that did not answer."""
        for seen in history.areas:
            faults = {
                "neither shows nor names as missing": seen.wanted - seen.answered - seen.missing,
                "shows and names as missing": seen.answered & seen.missing,
                "shows goods of, and does not say as of what": seen.shown - seen.answered,
            }
            for fault, areas in faults.items():
                if areas:
                    named = ", ".join(sorted(areas))
                    self.violate(*sorted(areas), what=f"what {seen.who} got of several areas {fault}: {named}")

    def _ranges(self, history: Operations) -> Ranges:
        """Where each operation may have happened, by the log."""
        ranges = Ranges(len(history))
        for index, kind in enumerate(history.kind):
            name, seq = history.names[index], history.ref[index]
            place, high, alone = NOTHING, ANYWHERE, False
            if kind == PURCHASE:
                place = self._place_of(seq)
                alone = place != NOTHING
            elif kind == DEPOSIT:
                place = self._deposits.get(name, ANYWHERE)
                alone = history.begin[index] != NEVER
            elif kind == SEARCH:
                place = high = history.searches[seq].place
            else:
                place, high = self._range_of(history.states[index], name, seq, is_read=kind == OUTCOME)
            # What was lost says nothing of the order of what stands; that it is lost is said by itself.
            if place != ANYWHERE and not self._levels.may_have_lost_at(history.term[index], place):
                ranges.put(index, min(place, self._place), high, alone=alone)
        return ranges

    def _range_of(self, state: str, name: str, seq: int, *, is_read: bool) -> tuple[int, int]:
        """Where an outcome may have been read, or heard of."""
        if state == "none":
            decided = self._undecided.get(name, ANYWHERE)
            return NOTHING, decided - 1 if decided != ANYWHERE else ANYWHERE
        undone = self._taken_back.get(seq, ANYWHERE)
        if state == "taken_back":
            return (undone if undone != ANYWHERE else NOTHING), ANYWHERE
        return self._place_of(seq), undone - 1 if is_read and undone != ANYWHERE else ANYWHERE

    def _place_of(self, seq: int) -> int:
        """The place that decided a request; that of none where its entry was cut, or it is not recorded."""
        return self._places[seq] if 0 < seq < len(self._places) else NOTHING

    @staticmethod
    def _begins(history: Operations) -> array[int]:
        """By operation, the moment before which all that was told must be in it."""
        begins = array("q", history.begin)
        for index, kind in enumerate(history.kind):
            if kind == SEARCH:
                begins[index] -= history.searches[history.ref[index]].within_us
        return begins

    @staticmethod
    def _orders(history: Operations, begins: array[int]) -> Iterator[tuple[list[int], array[int], array[int], bool]]:
        """Gives what came before what: by the lines of each session, then by the clock of each boot of a machine."""
        for column, begin, end in (
            (history.session, history.first_line, history.last_line),
            (history.boot, begins, history.end),
        ):
            groups: dict[int, list[int]] = {}
            for index, group in enumerate(column):
                groups.setdefault(group, []).append(index)
            for members in groups.values():
                yield members, begin, end, column is history.session
