"""Traces for the specification in tests/spec: what is written down of a schedule, and that it changes nothing."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from peers.errors import SettingsError
from peers.simulator.environment.ledger_trace import LedgerTrace, Trace
from peers.simulator.faults import FaultOptions
from peers.simulator.runs.play import play
from peers.simulator.scenario import draw_scenario
from peers.simulator.terminal import show_traced

SCENARIO = draw_scenario(3, 5, FaultOptions())


def test_a_line_a_schedule_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "traces.jsonl"
    assert show_traced(Console(soft_wrap=True), [SCENARIO, SCENARIO], path) == 0
    assert "2 traces written" in capsys.readouterr().out
    one, other = (msgspec.json.decode(line, type=Trace) for line in path.read_bytes().splitlines())
    assert one == other, "the same schedule has the same trace"
    decided = sum(status in ("sold", "unavailable") for entry in one.entries for status in entry.puts.values())
    assert one.seed == 3
    assert one.traders >= 1
    assert decided >= play(SCENARIO).decisions


def test_to_trace_a_schedule_does_not_change_it() -> None:
    assert play(SCENARIO, trace=LedgerTrace()) == play(SCENARIO)


def test_of_areas_that_share_a_log_each_trader_has_its_own(tmp_path: Path) -> None:
    path = tmp_path / "traces.jsonl"
    areas = ("north", "south")
    assert show_traced(Console(soft_wrap=True), [draw_scenario(1, 3, FaultOptions(), areas=areas)], path) == 0
    trace = msgspec.json.decode(path.read_bytes(), type=Trace)
    assert set(trace.areas) == set(areas)
    assert len(trace.areas) == trace.traders
    assert "behind" in {step.kind for step in trace.steps}


def test_of_goods_that_are_set_aside_there_is_none(tmp_path: Path) -> None:
    leasing = draw_scenario(1, 3, FaultOptions(), areas=("north", "south"), changes=["market.cache=lease"])
    with pytest.raises(SettingsError, match="set aside"):
        show_traced(Console(), [leasing], tmp_path / "traces.jsonl")
