"""What a check of the books says: violations, a finding for each invariant, and the verdict over all.

A finding keeps the first violations and counts the rest: broken books of a long run would otherwise fill
the memory of whoever looks at them, and nobody reads the ten-thousandth line.
"""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar, Final, Literal

import msgspec

from db.audit.log_rows import EntryRow, RecountRow
from db.audit.rows import DepositRow, ElectionRow, PostRow, RequestRow

LOST: Final = "could be lost at this level"
"""The state where something that was told is not recorded, and the write level of its term allows for that."""

State = Literal["holds", "violated", "not checked", "could not tell", "could be lost at this level"]

MOST_LISTED = 20
"""The most violations kept for each invariant. No setting: nobody reads more of them, and all are counted."""


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong, and in which documents."""

    invariant: str
    documents: tuple[str, ...]
    what: str

    def __str__(self) -> str:
        return f"{self.invariant}: {', '.join(self.documents) or 'in total'}: {self.what}"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One invariant judged. `found` counts all violations, `violations` lists the first of them.

    *Not checked* says that there was nothing to judge by (no journals, no graph, a town that is not calm);
    *could not tell* that there was and it could not be read. `why` says it for both; `notes` say what was
    left out of a judgement. *Could be lost at this level* says that something told is not there, as a write level
    below a majority allows; `found` and `violations` are those.
    """

    invariant: str
    state: State
    violations: tuple[Violation, ...] = ()
    found: int = 0
    why: str = ""
    notes: tuple[str, ...] = ()


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """How much was looked at. `entries` are those of the log, and `cut` says of how many only the place is left."""

    requests: int = 0
    sales: int = 0
    unavailable: int = 0
    queued: int = 0
    deposits: int = 0
    elections: int = 0
    reversals: int = 0
    entries: int = 0
    cut: int = 0
    journal_entries: int = 0
    torn_lines: int = 0
    amount: Decimal = Decimal("0.00")
    commission: Decimal = Decimal("0.00")
    earned: Decimal = Decimal("0.00")


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """All invariants judged, in the order of `db.audit.invariants.INVARIANTS`."""

    findings: tuple[Finding, ...]
    counts: Counts

    @property
    def holds(self) -> bool:
        """True when nothing is violated and nothing that should have been judged could not be."""
        return all(finding.state in ("holds", "not checked") for finding in self.findings)

    @property
    def violated(self) -> tuple[str, ...]:
        """The names of the invariants that do not hold."""
        return tuple(finding.invariant for finding in self.findings if finding.state == "violated")

    @property
    def lost(self) -> int:
        """How many records that somebody was told of were lost, as their write level allows."""
        return sum(finding.found for finding in self.findings if finding.state == LOST)

    @property
    def violations(self) -> tuple[Violation, ...]:
        return tuple(each for finding in self.findings if finding.state != LOST for each in finding.violations)

    def of(self, invariant: str) -> Finding:
        """The finding of that name; KeyError if there is none."""
        for finding in self.findings:
            if finding.invariant == invariant:
                return finding
        raise KeyError(invariant)

    def __str__(self) -> str:
        return "\n".join(str(violation) for violation in self.violations) or "the books are sound"


class Checker:
    """One invariant, fed the books once, piece by piece.

    The checkers rely on the order of feeding. With a log: elections, then each entry along the places, followed by
    its deposits, the sales that it takes back, the deposits that it counts anew, and its outcomes; last the requests
    that are still queued. Without one: posts, elections, deposits, then requests, of these first those without a
    `seq`, then the others with `seq` rising. `finish` is called once, last.
    """

    name: ClassVar[str]

    def __init__(self) -> None:
        self._violations: list[Violation] = []
        self._found = 0
        self._notes: list[str] = []

    def post(self, row: PostRow) -> None:
        """Takes in a document of `posts`."""

    def election(self, row: ElectionRow) -> None:
        """Takes in a document of `elections`."""

    def log_entry(self, row: EntryRow) -> None:
        """Takes in an entry of the log."""

    def deposit(self, row: DepositRow) -> None:
        """Takes in a document of `deposits`."""

    def request(self, row: RequestRow) -> None:
        """Takes in a document of `requests`. With a log, it says nothing of `taken_back` yet."""

    def reversal(self, row: RequestRow) -> None:
        """Takes in that a sale of an earlier entry is taken back, as the log has it."""

    def recount(self, row: RecountRow) -> None:
        """Takes in that a deposit is counted anew."""

    def finish(self) -> Finding:
        """Judges."""
        return Finding(
            invariant=self.name,
            state="violated" if self._found else "holds",
            violations=tuple(self._violations),
            found=self._found,
            notes=tuple(self._notes),
        )

    def violate(self, *documents: str, what: str) -> None:
        """Notes a violation."""
        self._found += 1
        if len(self._violations) < MOST_LISTED:
            self._violations.append(Violation(invariant=self.name, documents=documents, what=what))

    def not_judged(self, state: State, why: str) -> Finding:
        return Finding(invariant=self.name, state=state, why=why, notes=tuple(self._notes))
