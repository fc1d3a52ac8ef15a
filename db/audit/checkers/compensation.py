"""`compensated_whole`: a sale that was taken back gave back goods and money, once, and both sides were told.

With a log, a reversal names a sale that an earlier entry decided, word for word; it is the only one of that sale,
its number is the next, it gives back exactly what was paid, to the cent, and in the same entry exactly the units that
were sold come back to the deposit. Without one, of each request the books say the same by themselves.

That both sides were told only their journals can say. Who was gone in time need not have heard, so a peer is held to
it if it lived on long enough afterwards; and while the town is at work, word may be on its way. The clocks of two
machines may be far apart, so that is measured by the peer's own, the monotonic one: from the first line that speaks
of a decision after the reversal to the last line of its journal. A customer that is no peer is told when it asks.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import deque
from itertools import accumulate
from typing import ClassVar

from db.audit.checkers.acknowledgements import payload_of, subject_of
from db.audit.findings import Checker, Finding
from db.audit.log_rows import EntryRow
from db.audit.rows import JournalEntry, RequestRow, is_peer

TOLD_WITHIN_MS = 30_000
"""How long after a reversal a peer that is well must have heard of it. No setting: it takes a heartbeat or two."""

_NO_SALE = 0
_NOWHERE = 2**62
_MOST_MISSING = 10_000
"""Numbers of decisions that may be missing at a time; where more are, `decided_once` says enough."""

_TOLD = ("got_back", "took_back")
_MONEY = ("amount", "commission", "earned")


class CompensatedWhole(Checker):
    """Sales that were taken back. Feed it the lines of journals too."""

    name: ClassVar[str] = "compensated_whole"

    def __init__(self, not_calm: str = "") -> None:
        super().__init__()
        self.not_calm = not_calm
        self.reversals = 0
        # The number of the last reversal that the log is known to have.
        self._last = 0
        # By number of decision, a checksum of the sale: that of each is kept, for any may be taken back.
        self._sales = array("q")
        # By number of decision, its place, or that of one before it where that is not known.
        self._places = array("q")
        self._entry: EntryRow | None = None
        # The ids of the requests whose sales were taken back.
        self._undone: set[str] = set()
        # By peer, the places of the reversals that it is to hear of, and the ids of the requests.
        self._to_hear: dict[str, list[tuple[int, str]]] = {}
        # The same once all of the log is known, in order, and of each the last decision before it.
        self._due: dict[str, deque[tuple[int, str]]] = {}
        # Since when a peer that is to hear of one knew of later decisions, by a clock of its own, in microseconds.
        self._since: dict[tuple[str, str], tuple[str, int]] = {}
        # Why not all journals could be had, "" if they could.
        self._missing = ""
        self._unreadable = False
        # Without a log: the numbers of the reversals.
        self._numbers: list[int | None] = []
        # By peer and clock, the time of the newest line of its journal; and who says to have heard of which.
        self._newest_us: dict[tuple[str, str], int] = {}
        self._told: set[tuple[str, str]] = set()

    # -- the log -------------------------------------------------------------------------------------------

    def log_entry(self, row: EntryRow) -> None:
        self._entry = row
        if row.cut or row.misplaced:
            self._last += len(row.new_reversals)
            return
        undone = [outcome for outcome, _ in row.reversals]
        if tuple(outcome.id for outcome in undone) != row.new_reversals:
            self.violate(row.name, what="its new_reversals are not those of the sales that it takes back")
        sold: dict[str | None, int] = {}
        for outcome in undone:
            sold[outcome.deposit] = sold.get(outcome.deposit, 0) + (outcome.quantity or 0)
        returned: dict[str | None, int] = {}
        for recount, _ in row.recounts:
            deposit_id = recount.deposit.id
            if deposit_id in returned:
                self.violate(deposit_id, row.name, what="it is counted anew twice")
            returned[deposit_id] = returned.get(deposit_id, 0) + (recount.returned or 0)
        for deposit in sold.keys() | returned.keys():
            due, came = sold.get(deposit, 0), returned.get(deposit, 0)
            if due != came:
                what = f"sales of {due} out of it are taken back, and {came} come back to it"
                self.violate(str(deposit), row.name, what=what)

    def request(self, row: RequestRow) -> None:
        if row.seq is not None and 0 < row.seq <= len(self._sales) + _MOST_MISSING:
            while len(self._sales) < row.seq:
                self._sales.append(_NO_SALE)
                self._places.append(self._places[-1] if self._places else 0)
            if row.taken_back is None and row.at is not None:
                self._places[row.seq - 1] = max(row.at, self._places[row.seq - 1])
            self._sales[row.seq - 1] = _checksum(row) if row.sold else _NO_SALE
        if row.taken_back is not None:  # There is no log: the books say it themselves.
            self._judge(row)
            self._numbers.append(row.taken_back.number)

    def reversal(self, row: RequestRow) -> None:
        if row.id in self._undone:
            self.violate(row.id, what="its sale is taken back a second time")
            return
        seq = row.seq or 0
        if not (0 < seq <= len(self._sales) and self._sales[seq - 1] == _checksum(row)):
            self.violate(row.id, what=f"what is taken back is not what was sold to it before, as seq {row.seq}")
        self._judge(row)
        for side in {row.buyer, row.seller}:
            if side is not None and is_peer(side):
                self._to_hear.setdefault(side, []).append((row.at if row.at is not None else _NOWHERE, row.id))
        if self._entry is not None and not self._entry.cut and row.at == self._entry.place:
            self._judge_here(row, self._entry)

    def _judge(self, row: RequestRow) -> None:
        self.reversals += 1
        taken_back = row.taken_back
        self._undone.add(row.id)
        if not row.sold or taken_back is None:
            self.violate(row.id, what=f"it is {row.status}, and its sale is taken back by {taken_back}")
            return
        for field in _MONEY:
            paid, back = getattr(row, field), getattr(taken_back, field)
            if paid != back:
                self.violate(row.id, what=f"its {field} was {paid}; given back was {back}")

    def _judge_here(self, row: RequestRow, entry: EntryRow) -> None:
        """Judges what only an entry that is whole can say."""
        self._last += 1
        taken_back = row.taken_back
        if taken_back is None:
            return
        if taken_back.number != self._last:
            self.violate(row.id, what=f"it is reversal {taken_back.number}; the next number is {self._last}")
        if (taken_back.term, taken_back.trader) != (entry.term, entry.trader):
            by = f"taken back by {taken_back.trader} in term {taken_back.term}"
            self.violate(row.id, entry.name, what=f"{by}; its entry is {entry.trader}'s, of {entry.term}")

    # -- journals ------------------------------------------------------------------------------------------

    def journal_entry(self, entry: JournalEntry) -> None:
        """Takes in a line of a journal."""
        clock, at_us = _time_of(entry)
        self._newest_us[entry.peer, clock] = max(at_us, self._newest_us.get((entry.peer, clock), at_us))
        if self._to_hear:
            self._find_what_is_due()
        due = self._due.get(entry.peer)
        if due:
            seq = payload_of(entry).get("seq")
            while due and isinstance(seq, int) and due[0][0] < seq:
                self._since[entry.peer, due.popleft()[1]] = clock, at_us
        if entry.kind in _TOLD:
            subject = subject_of(entry)
            if subject is not None:
                self._told.add((entry.peer, subject[1]))

    def _find_what_is_due(self) -> None:
        """All of the log is known. Where it was cut, a reversal comes with its sale, and its place may be far behind:
        who was gone by then need not have heard."""
        places = array("q", accumulate(self._places, max))
        for side, undone in self._to_hear.items():
            self._due[side] = deque(sorted((bisect_left(places, place), name) for place, name in undone))
        self._to_hear = {}

    def missing(self, why: str) -> None:
        """Journals could not be had: who was told there is not known."""
        self._missing = self._missing or why

    def unreadable(self, why: str) -> None:
        """Something in a journal could not be read: whoever does not say to have heard of a reversal may have."""
        self._unreadable = True
        self.missing(why)

    def finish(self) -> Finding:
        numbers = sorted(number or 0 for number in self._numbers)
        if numbers != list(range(1, len(numbers) + 1)):
            self.violate(what=f"reversals are not numbered from 1 without gaps: {numbers[:5]} and so on")
        if not self.not_calm:
            if not self._unreadable:
                self._check_told()
            if self._missing and self.reversals and not self._found:
                return self.not_judged("could not tell", self._missing)
        return super().finish()

    def _check_told(self) -> None:
        for (peer, request_id), (clock, since_us) in self._since.items():
            if self._newest_us[peer, clock] < since_us + TOLD_WITHIN_MS * 1000 or (peer, request_id) in self._told:
                continue
            self.violate(request_id, what=f"its sale was taken back, and {peer} was not told")


def _time_of(entry: JournalEntry) -> tuple[str, int]:
    """Returns which clock a line was written by, and its time in microseconds: the monotonic one of that boot of the
    machine; the one on the wall only where a journal is so old that it has no other."""
    if entry.boot and entry.mono_us is not None:
        return entry.boot, entry.mono_us
    return "", entry.at_ms * 1000


def _checksum(row: RequestRow) -> int:
    """Never 0, and nearly always another for another sale."""
    money = (row.price, row.amount, row.commission, row.earned)
    return hash((row.id, row.buyer, row.seller, row.deposit, row.item, row.quantity, row.term, money)) or 1
