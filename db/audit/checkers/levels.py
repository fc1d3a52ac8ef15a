"""What the log says of write levels: which terms were told below a majority, and where each of them ends.

Below a majority the end of a term can be lost with a primary: the log goes on with the next term before it. So what
somebody was told under such a term, and what is not recorded, may be lost and no lie; but only if it came after all
that stands of the term, for nothing is lost out of the middle of a log.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from db.audit.log_rows import EntryRow, Places

BELOW_MAJORITY = ("two", "one")


class WriteLevels:
    """Fed with the entries of a log, in order."""

    def __init__(self) -> None:
        # By term told below a majority, the number of the last decision of it that stands (0 where none does), and
        # the place of the last entry.
        self._last_seq: dict[int, int] = {}
        self._last_place: dict[int, int] = {}
        self._level: dict[int, str] = {}
        # The places that were told below a majority, and the last of all.
        self._places = Places()
        self._end = -1

    def log_entry(self, row: EntryRow) -> None:
        """Takes in the next entry."""
        if row.misplaced:
            return
        self._end = row.place
        if row.term is None:
            return
        if row.write_level in BELOW_MAJORITY:
            self._last_seq[row.term] = 0
            self._level[row.term] = row.write_level
        elif row.decided and row.term in self._last_seq:
            self._last_seq[row.term] = max(each.seq or 0 for each, _ in row.decided)
        if row.term in self._last_seq:
            self._last_place[row.term] = row.place
            self._places.add(row.place)

    def is_below(self, term: int) -> bool:
        """Whether a term was told below a majority."""
        return term in self._last_place

    def is_below_at(self, place: int) -> bool:
        """Whether what stands at a place was told below a majority; the last entry, where the log ends before."""
        return min(place, self._end) in self._places

    def may_have_lost_at(self, term: int, place: int) -> bool:
        """Whether what somebody was told in a term, as of a place, may have been at its lost end."""
        return term in self._last_place and place > self._last_place[term]

    def may_have_lost(self, told: Mapping[str, Any]) -> bool:
        """Whether what somebody was told may have been at the lost end of its term."""
        term, seq = told.get("term"), told.get("seq")
        if not isinstance(term, int) or term not in self._last_seq:
            return False
        # The number of a decision that was taken back says nothing of when that was.
        return not isinstance(seq, int) or "number" in told or seq > self._last_seq[term]

    def note(self) -> str:
        """What there is to say of it, empty where all was a majority's."""
        said = []
        for level in BELOW_MAJORITY:
            terms = Places()
            for term in sorted(term for term, theirs in self._level.items() if theirs == level):
                terms.add(term)
            if terms.count:
                said.append(f"{'term' if terms.count == 1 else 'terms'} {terms} at write level {level}")
        return f"what was told last could be lost in {' and '.join(said)}" if said else ""
