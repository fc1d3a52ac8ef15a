"""What came of an audit: the report, and its form for programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from db.audit.findings import LOST, Finding, Verdict

Answer = Literal["holds", "violated", "could not tell", "could be lost at this level"]

EXIT_CODES: Mapping[Answer, int] = {"holds": 0, "violated": 1, "could not tell": 2, LOST: 1}


HERE = "here"
"""How the machine on which an audit runs is called in its report."""


class JournalsRead(msgspec.Struct, frozen=True, kw_only=True):
    """How much was read of the journals of one machine, `HERE` or as people know it; `missing`: why that is not all,
    "" if it is."""

    machine: str
    journals: int
    lines: int
    missing: str = ""


class AuditReport(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an audit. `verdict` is None when the books could not be read; `why` then says why.

    `journals`: those that were held against the books, by machine."""

    database: str
    seconds: float
    verdict: Verdict | None = None
    why: str = ""
    journals: tuple[JournalsRead, ...] = ()

    @property
    def answer(self) -> Answer:
        if self.verdict is None:
            return "could not tell"
        if self.verdict.violated:
            return "violated"
        if self.verdict.lost:
            return LOST
        return "holds" if self.verdict.holds else "could not tell"

    @property
    def exit_code(self) -> int:
        """Returns the exit code: 0 holds, 1 violated or something that was told is lost, 2 could not tell."""
        return EXIT_CODES[self.answer]


def worst(answers: Iterable[Answer]) -> Answer:
    """Returns what several answers come to: the worst of them. Something lost weighs more than what is not known."""
    given = set(answers)
    order: tuple[Answer, ...] = ("violated", LOST, "could not tell")
    return next((answer for answer in order if answer in given), "holds")


def to_json(report: AuditReport) -> str:
    """The report as JSON; money as texts."""
    return msgspec.json.format(msgspec.json.encode(report_body(report)), indent=2).decode()


def report_body(report: AuditReport) -> dict[str, object]:
    """The report as what is to become JSON."""
    verdict = report.verdict
    return {
        "answer": report.answer,
        "exit_code": report.exit_code,
        "holds": report.answer == "holds",
        "why": report.why,
        "database": report.database,
        "seconds": round(report.seconds, 3),
        "violated": verdict.violated if verdict else (),
        "lost": verdict.lost if verdict else 0,
        "counts": verdict.counts if verdict else None,
        "journals": report.journals,
        "invariants": {finding.invariant: finding_body(finding) for finding in (verdict.findings if verdict else ())},
    }


def finding_body(finding: Finding) -> dict[str, object]:
    """One invariant, as what is to become JSON."""
    return {
        "state": finding.state,
        "why": finding.why,
        "found": finding.found,
        "violations": [{"documents": each.documents, "what": each.what} for each in finding.violations],
        "notes": finding.notes,
    }
