"""A failing schedule is made smaller, written down, and can be seen again with the command that is printed."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from peers.cli.main import invoke
from peers.errors import SettingsError
from peers.simulator.environment.record import Breach
from peers.simulator.faults import FaultOptions
from peers.simulator.runs.play import play
from peers.simulator.runs.shrink import Shrunk, shrink
from peers.simulator.scenario import Scenario, draw_scenario, load, save
from peers.simulator.terminal import show_run
from tests.simulation.planted import MISTAKES, Planted


def planted(name: str) -> Planted:
    return next(mistake for mistake in MISTAKES if mistake.name == name)


def eventful() -> Scenario:
    return next(s for s in (draw_scenario(seed, 5, FaultOptions()) for seed in range(1, 99)) if len(s.plan) > 8)


BROKEN = Breach(invariant="broken", what="at 1.0: it is")
ALSO_BROKEN = Breach(invariant="also_broken", what="at 2.0: it is")


def raised(where: str) -> Breach:
    return Breach(invariant="no_exception", what="at 1.0: KeyError", where=where)


def test_what_does_not_matter_is_taken_out() -> None:
    scenario = eventful()
    culprits = {scenario.plan[2], scenario.plan[5]}

    def verdict(candidate: Scenario) -> list[Breach]:
        kept = {fault for fault in candidate.plan if any(fault.at_s == each.at_s for each in culprits)}
        return [BROKEN] if len(kept) == 2 else []

    smaller = shrink(scenario, verdict=verdict).scenario
    assert {fault.at_s for fault in smaller.plan} == {fault.at_s for fault in culprits}
    assert smaller.chaos_s <= scenario.chaos_s


def test_what_does_not_fail_stays_as_it_is() -> None:
    scenario = eventful()
    assert shrink(scenario, verdict=lambda _: []) == Shrunk(scenario=scenario, breaches=())


def test_what_is_left_comes_with_what_it_breaks_itself() -> None:
    scenario = eventful()

    def verdict(candidate: Scenario) -> list[Breach]:
        return [BROKEN, ALSO_BROKEN] if len(candidate.plan) > 3 else [BROKEN] if candidate.plan else []

    shrunk = shrink(scenario, verdict=verdict)
    assert len(shrunk.scenario.plan) == 1
    assert shrunk.breaches == (BROKEN,)


def test_what_raises_something_else_or_elsewhere_does_not_fail_alike() -> None:
    scenario = eventful()

    def verdict(candidate: Scenario) -> list[Breach]:
        return [raised("KeyError in there, line 1" if len(candidate.plan) > 3 else "KeyError in here, line 7")]

    shrunk = shrink(scenario, verdict=verdict)
    assert len(shrunk.scenario.plan) == 4
    assert shrunk.breaches == (raised("KeyError in there, line 1"),)


def test_a_real_failure_shrinks_and_still_fails() -> None:
    mistake = planted("successor_counts_from_one")
    with mistake.plant():
        scenario = draw_scenario(mistake.seeds[0], 5, FaultOptions())
        shrunk = shrink(scenario, most_runs=60)
        assert len(shrunk.scenario.plan) < len(scenario.plan)
        assert play(shrunk.scenario).breaches == shrunk.breaches != ()


def test_a_saved_scenario_is_the_same_when_loaded(tmp_path: Path) -> None:
    scenario = eventful()
    save(scenario, tmp_path / "it.json")
    assert load(tmp_path / "it.json") == scenario


def test_what_is_no_scenario_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        load(tmp_path / "nothing.json")
    (tmp_path / "it.json").write_text("{}")
    with pytest.raises(SettingsError):
        load(tmp_path / "it.json")


def test_a_failed_seed_says_how_to_see_it_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with planted("buys_from_itself").plant():
        assert show_run(Console(soft_wrap=True), range(2, 4), 5, FaultOptions(), jobs=1, to=None) == 1
        printed = capsys.readouterr().out
        assert "bazaar simulate --replay 2 --peers 5" in printed
        assert "trader_neutral" in printed
        assert invoke(["simulate", "--replay", "2", "--peers", "5"]) == 1
        listing = capsys.readouterr().out
        assert "VIOLATED" in listing
        assert "bought" in listing
        assert show_run(Console(soft_wrap=True), range(2, 3), 5, FaultOptions(), jobs=1, to=tmp_path) == 1
        printed = capsys.readouterr().out
        assert f"bazaar simulate --file {tmp_path / 'seed2.json'}" in printed
        assert invoke(["simulate", "--file", str(tmp_path / "seed2.json")]) == 1
        again = capsys.readouterr().out.partition("VIOLATED\n")[2].splitlines()
        shown = printed.partition("  which break:\n")[2].partition("  see it again")[0].splitlines()
        assert [line.strip() for line in shown] == [line.strip() for line in again], "it does what was said of it"
        saved = load(tmp_path / "seed2.json")
        assert saved.note == "; ".join(sorted({breach.invariant for breach in play(saved).breaches}))
    assert invoke(["simulate", "--file", str(tmp_path / "seed2.json")]) == 0


def test_the_command_line_runs_replays_and_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["simulate", "--seeds", "1-10", "--jobs", "1"]) == 0
    assert "All invariants hold" in capsys.readouterr().out
    assert invoke(["simulate", "--replay", "5", "--shiviz", str(tmp_path / "5.log")]) == 0
    assert (tmp_path / "5.log").read_text().startswith("(?<host>")
    assert invoke(["simulate", "--seeds", "later"]) == 2
    assert invoke(["simulate", "--only", "earthquake"]) == 2
    assert invoke(["simulate", "--peers", "1"]) == 2
