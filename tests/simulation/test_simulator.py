"""The simulator as a whole: many seeds hold, every fault is played, and its options mean what they say."""

from __future__ import annotations

import time

import msgspec
import pytest

from peers.errors import BadRequest, PostClosed, SettingsError
from peers.simulator.breaking.fault_play import FaultPlay
from peers.simulator.faults import KINDS, FaultOptions, choose
from peers.simulator.runs.play import play
from peers.simulator.runs.runner import Summary, run_seeds
from peers.simulator.runs.sometimes import ENOUGH_SEEDS, SOMETIMES
from peers.simulator.runs.world import World
from peers.simulator.scenario import Scenario, draw_scenario
from peers.simulator.terminal import fault_arguments, parse_seeds


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("peers", "seeds"), [(3, 100), (5, 100), (8, 40), pytest.param(5, 1000, marks=pytest.mark.long)]
)
def test_every_invariant_holds_for_many_seeds(peers: int, seeds: int) -> None:
    summary = run_seeds(range(1, seeds + 1), peers, FaultOptions(), jobs=1)
    assert summary.failures == []
    assert summary.decisions > 500


def test_it_is_a_thousand_times_faster_than_real_time_by_a_wide_margin_of_error() -> None:
    began_s = time.process_time()  # Time in which others have the processor does not count.
    summary = run_seeds(range(1, 41), 5, FaultOptions(), jobs=1)
    assert summary.virtual_s > 100 * (time.process_time() - began_s)


def test_there_are_at_least_twelve_kinds_of_fault_and_each_is_played(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(KINDS) >= 12
    played: set[str] = set()
    start = FaultPlay._start

    def watch(self: FaultPlay, nobody: None, which: tuple[int, object]) -> None:
        played.add(which[1].kind)  # type: ignore[attr-defined]
        start(self, nobody, which)  # type: ignore[arg-type]

    monkeypatch.setattr(FaultPlay, "_start", watch)
    for seed in range(1, 60):
        play(draw_scenario(seed, 5, FaultOptions(), chaos_s=3.0))
    assert played == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_can_be_had_alone(kind: str) -> None:
    options = choose(FaultOptions(), only=kind, rates=f"{kind}=3")
    scenarios = [draw_scenario(seed, 5, options) for seed in range(1, 9)]
    assert {fault.kind for scenario in scenarios for fault in scenario.plan} == {kind}
    assert [str(breach) for scenario in scenarios[:4] for breach in play(scenario).breaches] == []


def test_kinds_can_be_switched_off_and_rated() -> None:
    options = choose(FaultOptions(), without="split,hang", rates="crash=2.5")
    assert (options.split, options.hang, options.crash) == (0.0, 0.0, 2.5)
    assert choose(FaultOptions(), rates=fault_arguments(options).split("--rate ")[1].strip("'")) == options


@pytest.mark.parametrize(
    "bad", [{"only": "earthquake"}, {"rates": "split=often"}, {"rates": "split=-1"}, {"rates": "quake=1"}]
)
def test_what_is_no_option_is_refused(bad: dict[str, str]) -> None:
    with pytest.raises(SettingsError):
        choose(FaultOptions(), **bad)


def test_seeds_are_a_range() -> None:
    assert list(parse_seeds("3-5")) == [3, 4, 5]
    assert list(parse_seeds("7")) == [7]
    for bad in ("", "5-3", "a-b", "1-", "-1"):
        with pytest.raises(SettingsError):
            parse_seeds(bad)


def test_all_faults_are_over_when_calm_begins() -> None:
    for seed in range(1, 30):
        scenario = draw_scenario(seed, 5, FaultOptions(), chaos_s=5.0)
        assert all(fault.at_s <= fault.until_s <= 5.0 for fault in scenario.plan)
        world = World(scenario)
        world.run_until(5.001)
        environment = world.environment
        assert environment.network.weather.clear
        assert not any(process.hung or process.slow_s for process in environment.lives.live())
        assert not any(environment.road.away_for.values())


def test_without_faults_nothing_is_lost_and_nobody_is_taken_for_gone() -> None:
    quiet = draw_scenario(1, 6, FaultOptions())
    scenario = Scenario(seed=1, roles=quiet.roles, edges=quiet.edges, settings=quiet.settings, plan=())
    played = play(scenario)
    assert played.breaches == ()
    assert played.decisions > 20
    assert "a peer taken for gone came back" not in played.sometimes
    assert "a deposed trader's commit was refused" not in played.sometimes


def test_a_run_that_never_met_what_it_should_meet_has_failed() -> None:
    everything = dict.fromkeys(SOMETIMES, 1)
    assert Summary(seeds=ENOUGH_SEEDS, sometimes=dict(everything), demanding=True).holds
    missing = Summary(seeds=ENOUGH_SEEDS, sometimes={**everything, SOMETIMES[3]: 0}, demanding=True)
    assert missing.never == [SOMETIMES[3]]
    assert not missing.holds
    missing.seeds = ENOUGH_SEEDS - 1
    assert missing.holds, "too few seeds to tell"


@pytest.mark.parametrize(
    "error",
    [KeyError("gone"), PostClosed(), BadRequest(field="item", why="is none"), msgspec.ValidationError("is none")],
    ids=lambda error: type(error).__name__,
)
def test_a_core_that_raises_is_a_violation_too(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr("peers.core.trader.term.TraderTerm.pump", broken)
    summary = run_seeds(range(1, 3), 5, FaultOptions(), jobs=1)
    assert [failure.seed for failure in summary.failures] == [1, 2], "the run goes on, and has both"
    for failure in summary.failures:
        assert [breach.invariant for breach in failure.breaches] == ["no_exception"]
        assert type(error).__name__ in failure.breaches[0].what
        assert "in test_a_core_that_raises" in failure.breaches[0].what


def test_what_must_happen_now_and_then_does_within_a_few_hundred_seeds() -> None:
    options = FaultOptions()
    seen: set[str] = set()
    for seed in range(1, ENOUGH_SEEDS):
        seen |= play(draw_scenario(seed, 5, options)).sometimes.keys()
        if seen >= set(SOMETIMES):
            return
    pytest.fail(f"never: {set(SOMETIMES) - seen}")
