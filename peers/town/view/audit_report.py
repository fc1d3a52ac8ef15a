"""How people read what came of an audit."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from db.audit.findings import LOST, Counts, Finding
from db.audit.posts import TownReport
from db.audit.report import HERE, Answer, AuditReport
from peers.town.view.words import counted

_STYLES = {
    "holds": "green",
    "violated": "bold red",
    "not checked": "dim",
    "could not tell": "yellow",
    LOST: "bold yellow",
}
_STATE_WIDTH = len("could not tell")  # The one state that is longer is rare, and its line may be, too.


def print_audit(report: AuditReport, console: Console) -> None:
    """Prints a line for each invariant, what is wrong below it, and the answer."""
    if report.verdict is not None:
        for finding in report.verdict.findings:
            _print_finding(console, finding)
        _print(console, _counted(report.verdict.counts))
    _print_journals(report, console)
    _print_answer(console, "audit", report.answer, report.why, report.seconds)


def print_over_all(report: TownReport, console: Console) -> None:
    """Prints what holds over all posts of a town, and the answer of all its audits."""
    for finding in report.findings:
        _print_finding(console, finding)
    _print(console, _counted(report.counts))
    _print_answer(console, f"audit of {len(report.posts)} posts", report.answer, report.why, report.seconds)


def print_town(report: TownReport, console: Console) -> None:
    """Prints the audit of each post, and what holds over all of them; of a town with one post the audit of that."""
    for name, each in report.posts.items():
        if name:
            _print(console, (f"{name}:", "bold"))
        print_audit(each, console)
    if len(report.posts) > 1:
        _print(console, ("over all posts:", "bold"))
        print_over_all(report, console)


def _print_journals(report: AuditReport, console: Console) -> None:
    """Prints which machines' journals were read, where there are others than this one."""
    if all(each.machine == HERE for each in report.journals):
        return
    for each in report.journals:
        whose = HERE if each.machine == HERE else f"of {each.machine}"
        read = f"journals {whose}: {each.journals:,}, {counted(each.lines, 'line')}"
        missing = (f"; not all could be had: {each.missing}", "yellow") if each.missing else ""
        _print(console, read, missing)


def _print_finding(console: Console, finding: Finding) -> None:
    _print(console, *_heading(finding))
    for violation in finding.violations:
        documents = ", ".join(violation.documents) or "in total"
        _print(console, f"    {documents}: ", (violation.what, "red"))
    if finding.found > len(finding.violations):
        _print(console, f"    … and {finding.found - len(finding.violations):,} more")
    for note in finding.notes:
        _print(console, (f"    note: {note}", "dim"))


def _print_answer(console: Console, what: str, answer: Answer, why: str, seconds: float) -> None:
    told = f"{answer}: {why}" if why else answer
    _print(console, f"{what}: ", (told, _STYLES[answer]), f" ({seconds:.1f} s)")


def _heading(finding: Finding) -> tuple[str | tuple[str, str], ...]:
    state = (f"{finding.state:<{_STATE_WIDTH}}", _STYLES[finding.state])
    more = f"  {finding.found:,} found" if finding.found else f"  {finding.why}" if finding.why else ""
    return state, f"  {finding.invariant}", more


def _counted(counts: Counts) -> str:
    torn = f" ({counts.torn_lines} torn)" if counts.torn_lines else ""
    cut = f" ({counts.cut:,} cut)" if counts.cut else ""
    back = f" ({counts.reversals:,} taken back)" if counts.reversals else ""
    return (
        f"{counted(counts.requests, 'request')} ({counts.sales:,} sold{back}, {counts.unavailable:,} unavailable, "
        f"{counts.queued:,} queued), {counted(counts.deposits, 'deposit')}, "
        f"{counted(counts.elections, 'election')}, {counts.entries:,} log entries{cut}, "
        f"{counts.journal_entries:,} journal entries{torn}; sold for {counts.amount:,}: "
        f"{counts.commission:,} commission, {counts.earned:,} earned"
    )


def _print(console: Console, *parts: str | tuple[str, str]) -> None:
    """Ids and names come from others; none of them is markup."""
    console.print(Text.assemble(*parts), soft_wrap=True)
