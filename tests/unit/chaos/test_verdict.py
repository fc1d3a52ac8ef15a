"""What a chaos run may conclude: too little traffic proves nothing, and one violation settles it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from db.audit.findings import Counts, Finding, State, Verdict, Violation
from db.audit.invariants import INVARIANTS
from db.audit.report import AuditReport
from peers.chaos.gaps import TimeWithoutTrade
from peers.chaos.kinds import choose_kinds
from peers.chaos.plan import draw_plan
from peers.chaos.verdict import ChaosVerdict, End, Traffic, as_text, judge, write_verdict

NAMES = tuple(INVARIANTS)
GOOD = Traffic(duration_s=60, sales=5000, busy_s=58, faults=22, skipped=1, failovers=9, elections=10, unanswered=0)
IDLE = TimeWithoutTrade(total_s=6.0, worst_s=2.1, worst_at_s=13.0, pauses=5)


def report(**states: State) -> AuditReport:
    findings = tuple(_finding(name, states.get(name, "holds")) for name in NAMES)
    return AuditReport(database="bazaar", seconds=0.5, verdict=Verdict(findings=findings, counts=Counts()))


def _finding(name: str, state: State) -> Finding:
    if state == "violated":
        wrong = Violation(invariant=name, documents=("r1",), what="it is wrong")
        return Finding(invariant=name, state=state, violations=(wrong,), found=3)
    return Finding(invariant=name, state=state, why="" if state == "holds" else "it could not be read")


def judged(
    audit: AuditReport | None,
    *,
    only: str | None = None,
    trouble: str = "",
    doubts: Any = (),
    ends: Any = (),
    **traffic: Any,
) -> ChaosVerdict:
    plan = draw_plan(1, 60, 6) if only is None else draw_plan(1, 60, 6, choose_kinds(only))
    return judge(
        plan,
        audit,
        msgspec.structs.replace(GOOD, **traffic),
        trouble=trouble,
        doubts=doubts,
        ends=ends,
        without_trade=IDLE,
        kinds=(),
        gaps=(),
        again="bazaar chaos --seed 1",
    )


def test_all_is_well() -> None:
    verdict = judged(report())
    assert (verdict.answer, verdict.exit_code, verdict.why) == ("holds", 0, ())
    assert [line.invariant for line in verdict.lines] == [*NAMES, "trade_goes_on", "only_the_plan_kills"]


@pytest.mark.parametrize("name", NAMES)
def test_a_violation_settles_it(name: str) -> None:
    states: dict[str, State] = {name: "violated"}
    verdict = judged(report(**states), sales=0, failovers=0)
    assert (verdict.answer, verdict.exit_code, verdict.why) == ("violated", 1, (name,))
    text = "\n".join(as_text(verdict))
    assert "r1: it is wrong" in text
    assert "and 2 more" in text


@pytest.mark.parametrize(
    ("traffic", "said"),
    [
        ({"sales": 299}, "too little traffic"),
        ({"sales": 0, "busy_s": 0, "failovers": 0}, "too little traffic"),
        ({"busy_s": 29}, "too little traffic"),
        ({"faults": 7}, "too few faults"),
        ({"failovers": 0}, "no failover"),
    ],
)
def test_too_little_of_it_proves_nothing(traffic: dict[str, Any], said: str) -> None:
    verdict = judged(report(), **traffic)
    assert (verdict.answer, verdict.exit_code) == ("could not tell", 2)
    assert any(said in why for why in verdict.why)
    assert as_text(verdict)[-2].startswith("verdict: could not tell (")


@pytest.mark.parametrize("only", ["join", "hang", "slow", "memory"])
def test_faults_that_a_trader_may_survive_need_no_failover(only: str) -> None:
    assert judged(report(), only=only, failovers=0).answer == "holds"


@pytest.mark.parametrize("state", ["not checked", "could not tell"])
def test_what_was_not_judged_does_not_hold(state: State) -> None:
    verdict = judged(report(graph_sound=state))
    assert verdict.answer == "could not tell"
    assert any("graph_sound" in why for why in verdict.why)


def test_books_that_cannot_be_read() -> None:
    for audit in (None, AuditReport(database="bazaar", seconds=0.1, why="no database answers")):
        assert judged(audit).answer == "could not tell"


def test_what_befell_the_run_itself_proves_nothing_and_hides_nothing() -> None:
    verdict = judged(report(), doubts=["the customers died"])
    assert (verdict.answer, verdict.exit_code, verdict.why) == ("could not tell", 2, ("the customers died",))
    assert judged(report(), doubts=["the customers died"], trouble="nobody is in office").answer == "violated"


@pytest.mark.parametrize("wrong", [{"trouble": "nobody is in office"}, {"unanswered": 1}])
def test_trade_that_does_not_go_on(wrong: dict[str, Any]) -> None:
    verdict = judged(report(), **wrong)
    assert (verdict.answer, verdict.why) == ("violated", ("trade_goes_on",))


def test_a_peer_that_died_of_a_bug() -> None:
    ends = [End("buyer0", "killed by SIGKILL"), End("seller1", "exit code 70")]
    verdict = judged(report(), ends=ends)
    assert (verdict.answer, verdict.why) == ("violated", ("only_the_plan_kills",))
    assert verdict.lines[-1].details == ("seller1 died: exit code 70",)
    assert judged(report(), ends=ends[:1]).answer == "holds"


@pytest.mark.parametrize("how", ["exit code 71", "killed by SIGSEGV", "killed by SIGABRT"])
def test_who_got_no_memory_may_end_of_that_alone(how: str) -> None:
    assert judged(report(), ends=[End("buyer0", how, was_squeezed=True)]).answer == "holds"
    assert judged(report(), ends=[End("buyer0", how)]).lines[-1].details == (f"buyer0 died: {how}",)
    assert judged(report(), ends=[End("buyer0", "exit code 70", was_squeezed=True)]).answer == "violated"


def test_both_files_say_the_same(tmp_path: Path) -> None:
    verdict = judged(report())
    write_verdict(verdict, tmp_path)
    text = (tmp_path / "verdict.txt").read_text().splitlines()
    said = json.loads((tmp_path / "verdict.json").read_text())
    assert said["answer"] == "holds"
    assert [line["invariant"] for line in said["lines"]] == [line.split()[1] for line in text[: len(NAMES) + 2]]
    assert "verdict: holds" in text
    assert text[-1] == "again: bazaar chaos --seed 1"
