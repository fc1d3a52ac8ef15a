"""`acknowledged_is_recorded`: what buyers and sellers were told, held against what the ledger says.

A peer's journal is the only witness outside the ledger. Each of its entries is held against the one record it
speaks of, which whoever feeds the checker looks up; so journals of any length are judged in constant memory.

What was told must be recorded. Where it is not, and its term was told below a majority, it could be lost at that
write level, which is a state of its own (`db.audit.checkers.levels`). What was asked need not be recorded (it may
never have arrived), but if it is, it must be recorded as it was asked. Being told of a sale twice is no
contradiction: a seller that came back is told again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypeGuard

from db.audit.checkers.levels import WriteLevels
from db.audit.findings import LOST, MOST_LISTED, Checker, Finding, Violation
from db.audit.log_rows import EntryRow
from db.audit.rows import DepositRow, JournalEntry, RequestRow, ReversalRow, money, same_clock

Subject = tuple[Literal["request", "deposit"], str]

_PAYLOADS = {
    "asked": "request",
    "told": "outcome",
    "deposited": "deposit",
    "earned": "sale",
    "got_back": "reversal",
    "took_back": "reversal",
}
_LONGEST_ID = 1000
"""No id is nearly as long. No setting."""

_SIDES = {"got_back": "buyer", "took_back": "seller"}
_MONEY = ("price", "amount", "commission", "earned")
_ASKED = ("buyer", "item", "quantity", "clock")
_TOLD = ("status", "seq", "term", "trader", "seller", "deposit", *_MONEY, "buyer", "item", "quantity", "clock")
PROMISED_FIELDS = (*_TOLD, "taken_back")
"""The fields of a request that are judged here; there is no need to look up others."""

_EARNED = ("seq", "item", "quantity", "buyer", "price", "earned")
_REVERSED = ("seq", "buyer", "seller", "item", "quantity")
_GIVEN_BACK = ("number", "amount", "commission", "earned")
_DEPOSITED = ("seller", "item", "price", "quantity", "clock", "order", "term")


class AcknowledgedIsRecorded(Checker):
    """What peers were told is recorded, and as they were told. Feed it journals, not the documents of the books."""

    name: ClassVar[str] = "acknowledged_is_recorded"

    def __init__(self) -> None:
        super().__init__()
        self.entries = 0
        self.torn = 0
        self._journals = 0
        self._unreadable: list[str] = []
        # Where the journal at hand was written, "" for here.
        self._machine = ""
        self._levels = WriteLevels()
        # By id of record, what was told of it and could be lost at its write level.
        self._lost: dict[str, str] = {}

    def log_entry(self, row: EntryRow) -> None:
        self._levels.log_entry(row)

    def journal(self, machine: str = "") -> None:
        """A journal was there, even if empty: on another `machine`, or here (""). What follows is in it."""
        self._journals += 1
        self._machine = machine

    def missing(self, why: str) -> None:
        """Journals could not be had: what was told there is not known."""
        self._unreadable.append(why)

    def torn_line(self) -> None:
        """A journal ended in the middle of a line: its peer was killed while writing. That is no fault."""
        self.torn += 1

    def unreadable(self, why: str) -> None:
        """Something in a journal could not be read, so that what was told there is not known."""
        self._unreadable.append(f"{why} (in a journal of {self._machine})" if self._machine else why)

    def entry(self, entry: JournalEntry, record: RequestRow | DepositRow | None) -> None:
        """Judges an entry; `record` is what the ledger holds of its `subject`."""
        self.entries += 1
        subject = subject_of(entry)
        if subject is None:
            if entry.kind in _PAYLOADS:
                self.unreadable(f"an entry of {entry.peer} ({entry.kind}) does not say what it speaks of")
            return
        if record is None:
            if entry.kind != "asked":
                self._wrong(
                    entry,
                    subject[1],
                    f"{entry.peer} was told of it ({entry.kind}); the ledger has no such {subject[0]}",
                )
        elif isinstance(record, DepositRow):
            self._deposited(entry, record)
        else:
            self._of_request(entry, record)

    def finish(self) -> Finding:
        note = self._levels.note()
        if note:
            self._notes.append(note)
        if self._found:
            return super().finish()
        if self._lost:
            listed = [
                Violation(invariant=self.name, documents=(each,), what=what) for each, what in self._lost.items()
            ]
            return Finding(
                invariant=self.name,
                state=LOST,
                violations=tuple(listed[:MOST_LISTED]),
                found=len(listed),
                notes=tuple(self._notes),
            )
        if self._unreadable:
            more = f" (and {len(self._unreadable) - 1} more)" if len(self._unreadable) > 1 else ""
            return self.not_judged("could not tell", self._unreadable[0] + more)
        if not self._journals:
            return self.not_judged("not checked", "there are no journals")
        return super().finish()

    def _wrong(self, entry: JournalEntry, record_id: str, what: str) -> None:
        """What somebody was told is not what is recorded: a violation, unless it could be lost."""
        if self._machine:
            what = f"{what} (in a journal of {self._machine})"
        if entry.kind != "asked" and self._levels.may_have_lost(payload_of(entry)):
            self._lost.setdefault(record_id, what)
        else:
            self.violate(record_id, what=what)

    def _of_request(self, entry: JournalEntry, record: RequestRow) -> None:
        payload = payload_of(entry)
        if entry.kind == "asked":
            self._compare(entry, payload, record, _ASKED)
            return
        if entry.kind == "told":
            self._compare(entry, payload, record, _TOLD)
            self._addressee(entry, record.id, record.buyer, "buyer")
            return
        if entry.kind in _SIDES:
            self._taken_back(entry, payload, record)
            return
        if not record.sold:
            self._wrong(entry, record.id, f"{entry.peer} was told that it was sold; the ledger says {record.status}")
            return
        self._compare(entry, payload, record, _EARNED)
        self._addressee(entry, record.id, record.seller, "seller")

    def _taken_back(self, entry: JournalEntry, payload: Mapping[str, Any], record: RequestRow) -> None:
        if record.taken_back is None:
            self._wrong(
                entry, record.id, f"{entry.peer} was told that its sale was taken back; the ledger has it whole"
            )
            return
        self._compare(entry, payload, record, _REVERSED)
        self._compare(entry, payload, record.taken_back, _GIVEN_BACK, record_id=record.id)
        side = _SIDES[entry.kind]
        self._addressee(entry, record.id, getattr(record, side), side)

    def _deposited(self, entry: JournalEntry, record: DepositRow) -> None:
        payload = payload_of(entry)
        self._compare(entry, payload, record, _DEPOSITED)
        self._addressee(entry, record.id, record.seller, "seller")
        told, now = payload.get("remaining"), record.remaining
        # Stock only falls, unless sales were taken back, and then something was written off as well. So what is left
        # now may be less than what was left when the seller was told.
        if isinstance(told, int) and now is not None and told < now and not record.written_off:
            self._wrong(entry, record.id, f"{entry.peer} was told that {told} remain; the ledger says {now}")

    def _compare(
        self,
        entry: JournalEntry,
        payload: Mapping[str, Any],
        record: RequestRow | DepositRow | ReversalRow,
        fields: tuple[str, ...],
        *,
        record_id: str = "",
    ) -> None:
        verb = "asked for" if entry.kind == "asked" else "was told"
        for field in fields:
            if field not in payload:
                continue
            theirs, ours = payload[field], getattr(record, field)
            if field in _MONEY and theirs is not None:
                theirs = money(theirs)
            if not (same_clock(theirs, ours) if field == "clock" else theirs == ours):
                said = f"{entry.peer} {verb} {field} {payload[field]}"
                named = record_id if isinstance(record, ReversalRow) else record.id
                self._wrong(entry, named, f"{said}; the ledger says {ours}")

    def _addressee(self, entry: JournalEntry, document: str, owner: str | None, role: str) -> None:
        if entry.peer != owner:
            self._wrong(entry, document, f"{entry.peer} was told of it ({entry.kind}); its {role} is {owner}")


def payload_of(entry: JournalEntry) -> Mapping[str, Any]:
    """Returns what the entry says, empty where it says nothing that can be checked."""
    payload = getattr(entry, _PAYLOADS[entry.kind], None) if entry.kind in _PAYLOADS else None
    return payload or {}


def subject_of(entry: JournalEntry) -> Subject | None:
    """Returns which record the entry speaks of, None if it does not say."""
    payload = payload_of(entry)
    if entry.kind == "deposited":
        named = payload.get("_id", payload.get("deposit_id"))
        return ("deposit", named) if _is_id(named) else None
    named = payload.get("_id", payload.get("request_id"))
    return ("request", named) if _is_id(named) else None


def _is_id(named: object) -> TypeGuard[str]:
    """Whether a database can be asked for it, together with many others."""
    return isinstance(named, str) and len(named) <= _LONGEST_ID
