"""Looks up what is recorded, by id: in the books, and in the log where the books are not made yet.

For the audit, which holds what peers were told against it while the town trades. What somebody was told stood in the
log at that moment, so it is found if this looks later: first up to where the books are made, then the books, then the
log from there on. Of that part of the log the ids are remembered, and dropped once the books have come so far.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec
from pymongo.database import Database

from db.audit.checkers.acknowledgements import PROMISED_FIELDS, Subject
from db.audit.log_rows import EntryRow, read_entry
from db.audit.rows import MAIN_POST, DepositRow, RequestRow, read_deposit, read_post, read_request

Documents = dict[str, Any]

REQUEST_FIELDS = dict.fromkeys(RequestRow.__struct_fields__[1:], 1)
DEPOSIT_FIELDS = dict.fromkeys(DepositRow.__struct_fields__[1:], 1)
_PROMISED = dict.fromkeys((*PROMISED_FIELDS, "at"), 1)
_TAIL_FIELDS = dict.fromkeys(
    (
        "cut",
        "queued._id",
        "decided._id",
        "decided.status",
        "decided.deposit",
        "decided.quantity",
        "deposits._id",
        "reversals._id",
    ),
    1,
)
# Neither is a setting: any number finds the same; they bound the memory of the audit, and how often it tries.
_BATCH = 1000
_TRIES = 5

Records = dict[Subject, RequestRow | DepositRow]


class _Moved(Exception):
    """The log was cut where it was about to be read: by now the books hold what stood there."""


class LogTail:
    """The books and the end of the log, as they grow. Made once for an audit, and asked again and again."""

    def __init__(self, database: Database[Documents]) -> None:
        self._database = database
        # How far the log has been read, and how far the books are made.
        self._end = -1
        self._made = -1
        # For records that entries after `_made` touch: the last place that does.
        self._touched: dict[Subject, int] = {}
        # By id of deposit: place and units of each sale after `_made`.
        self._draws: dict[str, list[tuple[int, int]]] = {}
        # What is in the two above, by rising place, so that it can be dropped once the books have come so far.
        self._order: deque[tuple[int, Subject]] = deque()

    def look_up(self, subjects: Collection[Subject]) -> Records:
        """Returns what is recorded now of each subject, deposits with what is left of them; the rest is left out."""
        for left in reversed(range(_TRIES)):
            try:
                return self._look_up(subjects, give_up=not left)
            except _Moved:
                continue
        raise AssertionError("the last try returns")

    def _look_up(self, subjects: Collection[Subject], *, give_up: bool) -> Records:
        self._read_made()
        records = self._of_books(subjects)
        self._catch_up(give_up=give_up)
        newer: dict[int, list[Subject]] = {}
        for subject in subjects if self._touched else ():
            place, record = self._touched.get(subject, -1), records.get(subject)
            if place > self._made and (record is None or (subject[0] == "request" and (record.at or 0) < place)):
                newer.setdefault(place, []).append(subject)
        records.update(self._of_log(newer, give_up=give_up))
        for subject, record in records.items() if self._draws else ():
            if isinstance(record, DepositRow) and record.id in self._draws:
                records[subject] = self._drawn(record)
        return records

    def _read_made(self) -> None:
        post = self._database.posts.find_one({"_id": MAIN_POST}) or {}
        made = read_post(post).made
        made = -1 if made is None else made
        if made < self._made:  # Somebody is making the books anew.
            self._touched, self._draws, self._order, self._end = {}, {}, deque(), made
        self._made = made

    def _of_books(self, subjects: Iterable[Subject]) -> Records:
        ids: dict[str, list[str]] = {"request": [], "deposit": []}
        for kind, record_id in subjects:
            ids[kind].append(record_id)
        records: Records = {}
        if ids["request"]:
            found = self._database.requests.find({"_id": {"$in": ids["request"]}}, _PROMISED, batch_size=_BATCH)
            records.update((("request", row.id), row) for row in map(read_request, found))
        if ids["deposit"]:
            found = self._database.deposits.find({"_id": {"$in": ids["deposit"]}}, DEPOSIT_FIELDS, batch_size=_BATCH)
            records.update((("deposit", row.id), row) for row in map(read_deposit, found))
        return records

    def _catch_up(self, *, give_up: bool) -> None:
        """Reads which records the new entries of the log touch, and forgets those that the books hold by now."""
        while self._order and self._order[0][0] <= self._made:
            place, subject = self._order.popleft()
            if self._touched.get(subject) == place:
                del self._touched[subject]
            draws = self._draws.get(subject[1], [])
            if draws and draws[0][0] <= self._made:
                later = [draw for draw in draws if draw[0] > self._made]
                if later:
                    self._draws[subject[1]] = later
                else:
                    del self._draws[subject[1]]
        self._end = max(self._end, self._made)
        fresh = self._database.log.find({"_id": {"$gt": self._end}}, _TAIL_FIELDS, batch_size=_BATCH)
        for document in fresh.sort("_id", 1):
            entry = read_entry(document, -1)
            if entry.misplaced:
                continue
            if entry.cut and not give_up:
                raise _Moved
            place = self._end = entry.place
            for row, _ in entry.reversals:
                self._touch(place, ("request", row.id))
            for row, _ in (*entry.queued, *entry.decided):
                self._touch(place, ("request", row.id))
                if row.sold and row.deposit is not None:
                    self._draws.setdefault(row.deposit, []).append((place, row.quantity or 0))
                    self._order.append((place, ("deposit", row.deposit)))
            for deposit, _ in entry.deposits:
                self._touch(place, ("deposit", deposit.id))

    def _touch(self, place: int, subject: Subject) -> None:
        self._touched[subject] = place
        self._order.append((place, subject))

    def _of_log(self, newer: Mapping[int, list[Subject]], *, give_up: bool) -> Records:
        """Reads these records in the entries that touch them last."""
        records: Records = {}
        places = list(newer)
        for start in range(0, len(places), _BATCH):
            for document in self._database.log.find({"_id": {"$in": places[start : start + _BATCH]}}):
                entry = read_entry(document, -1)
                if entry.cut and not give_up:
                    raise _Moved
                wanted = set(newer.get(entry.place, ()))
                records.update((subject, row) for subject, row in _rows_of(entry) if subject in wanted)
        return records

    def _drawn(self, record: DepositRow) -> DepositRow:
        """Returns the deposit with what is left of it now, after the sales that the log has beyond it."""
        since = -1 if record.at is None else record.at
        gone = sum(units for place, units in self._draws[record.id] if place > since)
        return (
            record if record.remaining is None else msgspec.structs.replace(record, remaining=record.remaining - gone)
        )


def _rows_of(entry: EntryRow) -> Iterable[tuple[Subject, RequestRow | DepositRow]]:
    for deposit, _ in entry.deposits:
        # It came with all its goods, before what the same entry sold.
        yield ("deposit", deposit.id), msgspec.structs.replace(deposit, at=entry.place - 1)
    for row, _ in (*entry.queued, *entry.decided, *entry.reversals):
        yield ("request", row.id), row
