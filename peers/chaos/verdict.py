"""What a chaos run proves: *holds*, *violated*, or *could not tell*.

The audit's twelve invariants judge the log, the books, the journals and the graph; two more lines say whether trade
went on once everything was healed, and whether a peer died of anything but the plan. That nothing was found means
little where little was tried: a run with too little traffic, too few faults or no failover could not tell, nor can
one whose customers died.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from db.audit.findings import LOST, Finding, State
from db.audit.report import EXIT_CODES, Answer, AuditReport
from peers.chaos.evidence import never_mattered
from peers.chaos.gaps import Gap, KindOfGap, TimeWithoutTrade
from peers.chaos.kinds import ENDING_KINDS
from peers.chaos.plan import Plan
from peers.errors import SettingsError
from peers.files import write_json, write_whole
from peers.points import NO_MEMORY

# None of these is an option: *holds* must have something to stand on. With less, a run could not tell.
LEAST_SALES_A_SECOND = 5.0
LEAST_BUSY = 0.5  # The share of the seconds that must have a sale: traffic that stopped half way is no traffic.
LEAST_FAULTS_A_MINUTE = 8.0

VERDICT, VERDICT_TEXT = "verdict.json", "verdict.txt"
_BY_PLAN = "killed by SIGKILL"
_OF_NO_MEMORY = (f"exit code {NO_MEMORY}", "killed by SIGSEGV", "killed by SIGABRT")
"""How a peer may end that gets no memory: it ends itself, or Python does not even come to that. The kernel ends a
process whose stack cannot grow, and Python one that cannot have a lock, or whose new thread has no state."""


class End(NamedTuple):
    """How a peer ended that nobody told to, and whether the plan kept memory from it then."""

    name: str
    how: str
    was_squeezed: bool = False


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One invariant, or whatever else was judged."""

    invariant: str
    state: State
    details: tuple[str, ...] = ()


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """How much there was to go wrong."""

    duration_s: float
    sales: int
    busy_s: int  # The number of seconds that had a sale.
    faults: int  # The number of faults that were carried out.
    skipped: int
    failovers: int  # How often another trader than the last one sold.
    elections: int
    unanswered: int  # Calls of customers that nobody answered for as long as they waited.

    @property
    def sales_a_second(self) -> float:
        return self.sales / self.duration_s


class ChaosVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """`verdict.json`."""

    answer: Answer
    exit_code: int
    why: tuple[str, ...]
    again: str  # The command that runs the same plan.
    lines: tuple[Line, ...]
    traffic: Traffic
    without_trade: TimeWithoutTrade
    kinds: tuple[KindOfGap, ...]
    gaps: tuple[Gap, ...]


def judge(
    plan: Plan,
    report: AuditReport | None,
    traffic: Traffic,
    *,
    trouble: str = "",
    doubts: Sequence[str] = (),
    ends: Sequence[End] = (),
    without_trade: TimeWithoutTrade,
    kinds: Sequence[KindOfGap],
    gaps: Sequence[Gap],
    again: str,
) -> ChaosVerdict:
    """Judges a run. `trouble` says what did not come back to life once everything was healed, `doubts` what befell
    the run itself, and `ends` how peers ended that were not told to."""
    lines = [_line(finding) for finding in (report.verdict.findings if report and report.verdict else ())]
    lines += [_trade_goes_on(trouble, traffic), _only_the_plan_kills(ends)]
    violated = [line.invariant for line in lines if line.state == "violated"]
    doubts = [*doubts, *_doubts(plan, report, lines, traffic)]
    lost = [line.invariant for line in lines if line.state == LOST]
    answer: Answer = "violated" if violated else LOST if lost else "could not tell" if doubts else "holds"
    return ChaosVerdict(
        answer=answer,
        exit_code=EXIT_CODES[answer],
        why=tuple(violated or lost or doubts),
        again=again,
        lines=tuple(lines),
        traffic=traffic,
        without_trade=without_trade,
        kinds=tuple(kinds),
        gaps=tuple(gaps),
    )


def _line(finding: Finding) -> Line:
    details = [f"{', '.join(each.documents) or 'in total'}: {each.what}" for each in finding.violations]
    if finding.found > len(finding.violations):
        details.append(f"… and {finding.found - len(finding.violations):,} more")
    if finding.why:
        details.append(finding.why)
    return Line(invariant=finding.invariant, state=finding.state, details=tuple(details))


def _trade_goes_on(trouble: str, traffic: Traffic) -> Line:
    details = [trouble] if trouble else []
    if traffic.unanswered:
        details.append(f"{traffic.unanswered} calls of customers were not answered for as long as they waited")
    return Line(invariant="trade_goes_on", state="violated" if details else "holds", details=tuple(details))


def _only_the_plan_kills(ends: Sequence[End]) -> Line:
    """A peer that meets a bug ends itself, and the market goes on: that must not pass for the plan's doing."""
    others = [end for end in ends if end.how != _BY_PLAN and not (end.was_squeezed and end.how in _OF_NO_MEMORY)]
    details = tuple(f"{end.name} died: {end.how}" for end in others)
    return Line(invariant="only_the_plan_kills", state="violated" if details else "holds", details=details)


def _doubts(plan: Plan, report: AuditReport | None, lines: Sequence[Line], traffic: Traffic) -> list[str]:
    """Why *holds* would say too much."""
    doubts = []
    if report is None or report.verdict is None:
        doubts.append(f"the books could not be audited{f': {report.why}' if report else ''}")
    doubts += [f"{line.invariant}: {line.state}" for line in lines if line.state in ("not checked", "could not tell")]
    rate, least = traffic.sales_a_second, LEAST_SALES_A_SECOND
    if rate < least:
        doubts.append(f"too little traffic: {rate:.1f} sales a second, at least {least:g} are needed")
    elif traffic.busy_s < LEAST_BUSY * traffic.duration_s:
        doubts.append(f"too little traffic: trade in {traffic.busy_s} of {traffic.duration_s:g} seconds only")
    # A plan for the database alone has fewer, for that has to be whole again before the next.
    wanted = max(1, min(int(LEAST_FAULTS_A_MINUTE * traffic.duration_s / 60), len(plan.faults)))
    if traffic.faults < wanted:
        doubts.append(f"too few faults: {traffic.faults} carried out, at least {wanted} are needed")
    if not traffic.failovers and ENDING_KINDS.intersection(plan.kinds):
        doubts.append("no failover: no trader took over from another")
    return doubts


def read_verdict(folder: Path) -> ChaosVerdict:
    """Reads what `write_verdict` wrote; SettingsError if it is not there, or something else."""
    try:
        return msgspec.json.decode((folder / VERDICT).read_bytes(), type=ChaosVerdict)
    except (OSError, msgspec.MsgspecError) as error:
        raise SettingsError(f"{folder} holds no verdict ({error}): run `bazaar chaos` first") from error


def write_verdict(verdict: ChaosVerdict, folder: Path) -> None:
    """Writes `verdict.json` and `verdict.txt`."""
    write_json(folder / VERDICT, verdict)
    write_whole(folder / VERDICT_TEXT, ("\n".join(as_text(verdict)) + "\n").encode())


def as_text(verdict: ChaosVerdict) -> list[str]:
    """One line for each invariant, what is wrong below it, the numbers, and the answer."""
    said = []
    for line in verdict.lines:
        said.append(f"{line.state:<14}  {line.invariant}")
        said += [f"    {detail}" for detail in line.details]
    said += summary(verdict)
    why = f" ({'; '.join(verdict.why)})" if verdict.why else ""
    said.append(f"verdict: {verdict.answer}{why}")
    said.append(f"again: {verdict.again}")
    return said


def summary(verdict: ChaosVerdict) -> list[str]:
    """The numbers of a run."""
    traffic, idle = verdict.traffic, verdict.without_trade
    said = [
        f"sales: {traffic.sales:,} in {traffic.duration_s:g} s, {traffic.sales_a_second:.1f} a second; "
        f"{traffic.failovers} failovers, {traffic.elections} elections; "
        f"{traffic.faults} faults, {traffic.skipped} skipped",
        f"without trade: {idle.total_s:.2f} s in all ({idle.pauses} pauses), "
        f"{idle.worst_s:.2f} s at worst (second {idle.worst_at_s:.1f})",
        f"{'':<20}{'':>6}{'':>10}{'':>10}{'gap of those alone':>20}{'with others':>14}",
        f"{'fault':<20}{'times':>6}{'mattered':>10}{'failovers':>10}{'median':>12}{'worst':>8}{'worst':>14}",
    ]
    said += [_kind_line(each) for each in verdict.kinds]
    idle_kinds = never_mattered(verdict.gaps)
    if idle_kinds:
        said.append(f"carried out, and never seen to matter: {', '.join(idle_kinds)}")
    return said


def _kind_line(each: KindOfGap) -> str:
    alone = f"{each.median_s:>10.2f} s{each.worst_s:>6.2f} s" if each.alone else f"{'–':>12}{'–':>8}"
    return (
        f"{each.kind:<20}{each.faults:>6}{each.mattered:>10}{each.failovers:>10}{alone}{each.worst_of_all_s:>12.2f} s"
    )
