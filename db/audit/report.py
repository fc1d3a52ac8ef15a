"""What came of an audit: the report, and how people and programs read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec
from rich.console import Console
from rich.text import Text

from db.audit.findings import Finding, Verdict

Answer = Literal["holds", "violated", "could not tell"]

EXIT_CODES: Mapping[Answer, int] = {"holds": 0, "violated": 1, "could not tell": 2}


class AuditReport(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an audit. `verdict` is None when the books could not be read; `why` then says why."""

    database: str
    seconds: float
    verdict: Verdict | None = None
    why: str = ""

    @property
    def answer(self) -> Answer:
        if self.verdict is None:
            return "could not tell"
        if self.verdict.violated:
            return "violated"
        return "holds" if self.verdict.holds else "could not tell"

    @property
    def exit_code(self) -> int:
        """0 holds, 1 violated, 2 could not tell."""
        return EXIT_CODES[self.answer]


_STYLES = {"holds": "green", "violated": "bold red", "not checked": "dim", "could not tell": "yellow"}
_STATE_WIDTH = max(map(len, _STYLES))


def render(report: AuditReport, console: Console) -> None:
    """Prints a line for each invariant, what is wrong below it, and the answer."""
    if report.verdict is not None:
        for finding in report.verdict.findings:
            _print(console, *_heading(finding))
            for violation in finding.violations:
                documents = ", ".join(violation.documents) or "in total"
                _print(console, f"    {documents}: ", (violation.what, "red"))
            if finding.found > len(finding.violations):
                _print(console, f"    … and {finding.found - len(finding.violations):,} more")
            for note in finding.notes:
                _print(console, (f"    note: {note}", "dim"))
        _print(console, _counted(report.verdict))
    why = f": {report.why}" if report.why else ""
    _print(console, "audit: ", (report.answer + why, _STYLES[report.answer]), f" ({report.seconds:.1f} s)")


def to_json(report: AuditReport) -> str:
    """The report as JSON; money as texts."""
    verdict = report.verdict
    body = {
        "answer": report.answer,
        "exit_code": report.exit_code,
        "holds": report.answer == "holds",
        "why": report.why,
        "database": report.database,
        "seconds": round(report.seconds, 3),
        "violated": verdict.violated if verdict else (),
        "counts": verdict.counts if verdict else None,
        "invariants": {
            finding.invariant: _finding_body(finding) for finding in (verdict.findings if verdict else ())
        },
    }
    return msgspec.json.format(msgspec.json.encode(body), indent=2).decode()


def _finding_body(finding: Finding) -> dict[str, object]:
    return {
        "state": finding.state,
        "why": finding.why,
        "found": finding.found,
        "violations": [{"documents": each.documents, "what": each.what} for each in finding.violations],
        "notes": finding.notes,
    }


def _heading(finding: Finding) -> tuple[str | tuple[str, str], ...]:
    state = (f"{finding.state:<{_STATE_WIDTH}}", _STYLES[finding.state])
    more = f"  {finding.found:,} found" if finding.found else f"  {finding.why}" if finding.why else ""
    return state, f"  {finding.invariant}", more


def _counted(verdict: Verdict) -> str:
    counts = verdict.counts
    torn = f" ({counts.torn_lines} torn)" if counts.torn_lines else ""
    cut = f" ({counts.cut:,} cut)" if counts.cut else ""
    return (
        f"{counts.requests:,} requests ({counts.sales:,} sold, {counts.unavailable:,} unavailable, "
        f"{counts.queued:,} queued), {counts.deposits:,} deposits, {counts.elections:,} elections, "
        f"{counts.entries:,} log entries{cut}, "
        f"{counts.journal_entries:,} journal entries{torn}; sold for {counts.amount:,}: "
        f"{counts.commission:,} commission, {counts.earned:,} earned"
    )


def _print(console: Console, *parts: str | tuple[str, str]) -> None:
    """Ids and names come from others; none of them is markup."""
    console.print(Text.assemble(*parts), soft_wrap=True)
