"""The mixture: each seed a town of another kind, with timings out of wide ranges, tallied over several sittings."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from peers.cli.main import invoke
from peers.core.settings import Settings, make_settings
from peers.errors import SettingsError
from peers.simulator.faults import FaultOptions
from peers.simulator.mixture import showing
from peers.simulator.mixture.drawing import (
    CACHES,
    COMBINATIONS,
    ELECTIONS,
    FEWEST,
    MOST,
    ONE_POST,
    combination_of,
    draw_mixed,
)
from peers.simulator.mixture.showing import show_mixture, times_each
from peers.simulator.mixture.tally import Sitting, Tally, code_checksum, join, load_tally, save_tally, take_in
from peers.simulator.runs.play import play
from peers.simulator.runs.runner import Part, Summary, empty_summary, run_drawn
from peers.simulator.scenario import Scenario, load, save

ALL = FaultOptions()


def test_every_invariant_holds_in_towns_of_all_kinds() -> None:
    total = empty_summary(ALL)
    parts = list(run_drawn(range(1, 61), _draw, total, jobs=1))
    assert total.failures == []
    assert total.seeds == 60
    assert [seed for part in parts for seed in part.seeds] == list(range(1, 61))
    assert total.decisions > 500


def _draw(seed: int) -> Scenario:
    return draw_mixed(seed, ALL)


def test_a_round_of_seeds_has_each_combination_once() -> None:
    towns = [combination_of(seed) for seed in range(7, 7 + len(COMBINATIONS))]
    assert len(set(towns)) == len(COMBINATIONS)
    assert {(town.peers, town.clock, town.election) for town in towns if town.market == ONE_POST} == {
        (peers, clock, election)
        for peers in range(FEWEST, MOST + 1)
        for clock in ("lamport", "vector")
        for election in ELECTIONS
    }
    assert {town.market for town in towns} == {ONE_POST, *CACHES}
    assert set(times_each([(7, 6 + len(COMBINATIONS)), (1000, 1001)]).values()) == {1, 2}


def test_the_lists_of_the_mixture_are_those_of_the_settings() -> None:
    fields = Settings.model_fields["market"].annotation.model_fields  # type: ignore[union-attr]
    assert fields["cache"].annotation.__args__ == CACHES
    assert Settings.model_fields["election"].annotation.__args__ == ELECTIONS  # type: ignore[union-attr]


def test_a_town_is_what_its_combination_says_and_its_timings_are_wide() -> None:
    timings = []
    for seed in range(len(COMBINATIONS)):
        scenario, town = draw_mixed(seed, ALL), combination_of(seed)
        settings = make_settings(scenario.settings)
        timings.append(settings.timing)
        assert len(scenario.roles) == town.peers
        assert (settings.clock, settings.election) == (town.clock, town.election)
        assert bool(scenario.areas) == settings.market.one_stock == (town.market != ONE_POST)
        assert all(scenario.area_of(low) == scenario.area_of(high) for low, high in scenario.edges)
        assert scenario == draw_mixed(seed, ALL)
    for name in ("heartbeat_interval_s", "suspect_s", "election_s", "call_timeout_s", "ledger_patience_s"):
        drawn = [getattr(timing, name) for timing in timings]
        assert max(drawn) > 5 * min(drawn)


def test_a_schedule_that_ends_at_rest_can_be_saved_and_ends_as_it_did(tmp_path: Path) -> None:
    scenario = next(each for each in map(_draw, range(50)) if each.ends_at_rest)
    save(scenario, tmp_path / "it.json")
    assert load(tmp_path / "it.json") == scenario
    early, whole = play(scenario), play(msgspec.structs.replace(scenario, ends_at_rest=False))
    assert early.breaches == whole.breaches == ()
    assert scenario.chaos_s < early.virtual_s < whole.virtual_s


# -- the tally -------------------------------------------------------------------------------------------------


def test_ranges_are_joined_and_what_is_missing_is_found() -> None:
    assert join([(5, 6), (1, 2), (3, 3), (9, 9), (6, 7)]) == [(1, 3), (5, 7), (9, 9)]
    tally = Tally(sittings=[Sitting(code="a", held=[(1, 3)]), Sitting(code="b", held=[(5, 7), (20, 30)])])
    assert tally.missing(range(1, 11)) == [4, 8, 9, 10]
    assert tally.missing(range(2, 4)) == []
    assert tally.missing(range(29, 33)) == [31, 32]


def test_a_seed_that_failed_is_missing_until_it_holds() -> None:
    sitting = Sitting(code="a", held=[(1, 2)], failed={3: ["decided_once: twice"]})
    assert Tally(sittings=[sitting]).missing(range(1, 4)) == [3]
    take_in(sitting, Part(seeds=(3, 4), summary=Summary(seeds=2)))
    assert (sitting.held, sitting.failed) == ([(1, 4)], {})


def test_a_second_sitting_plays_what_the_first_one_did_not(tmp_path: Path) -> None:
    path, console = tmp_path / "tally.json", Console(quiet=True)
    assert show_mixture(console, range(1, 4), ALL, jobs=1, to=None, tally_at=path) == 0
    first = load_tally(path)
    assert [(each.code, each.held) for each in first.sittings] == [(code_checksum(), [(1, 3)])]
    first.sittings[0].code = "older"
    save_tally(first, path)
    assert show_mixture(console, range(1, 6), ALL, jobs=1, to=None, tally_at=path) == 0
    second = load_tally(path)
    assert [(each.code, each.held) for each in second.sittings] == [("older", [(1, 3)]), (code_checksum(), [(4, 5)])]
    assert second.held == [(1, 5)]


def test_a_ctrl_c_leaves_a_tally_of_what_was_played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tally.json"

    def stopped(*arguments: object, **options: object) -> object:
        yield next(iter(run_drawn(*arguments, **options)))  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(showing, "run_drawn", stopped)
    with pytest.raises(KeyboardInterrupt):
        show_mixture(Console(quiet=True), range(1, 100), ALL, jobs=1, to=None, tally_at=path)
    assert load_tally(path).held == [(1, 20)]


@pytest.mark.parametrize("content", [b"", b"{", b'{"sittings": 3}'])
def test_a_file_that_is_no_tally_is_named_and_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tally.json"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"tally\.json is no tally"):
        show_mixture(Console(quiet=True), range(1, 3), ALL, jobs=1, to=None, tally_at=path)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "arguments",
    [
        ["--mixture", "--peers", "5"],
        ["--mixture", "--set", "market.stock=3"],
        ["--mixture", "--areas", "a,b"],
        ["--mixture", "--only", "split", "--tally", "tally.json"],
        ["--tally", "tally.json"],
    ],
)
def test_what_the_mixture_draws_itself_cannot_be_asked_for(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["simulate", *arguments]) == 2
    assert "--mixture" in (said := capsys.readouterr().err) or "--tally" in said


def test_a_seed_is_replayed_by_the_command_that_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["simulate", "--mixture", "--replay", "5"]) == 0
    assert "all invariants hold" in capsys.readouterr().out
