"""Every planted mistake is caught, and by which check: a checker that finds nothing proves nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from peers.simulator.faults import FaultOptions
from peers.simulator.runs.play import play
from peers.simulator.scenario import Scenario, draw_scenario
from tests.simulation.planted import MISTAKES, Planted

MOST_SEEDS = 2000
PEERS = 5

_table: list[str] = []


def seeds_for(planted: Planted) -> Iterator[int]:
    """Those that are known to catch it first, so that the test is quick as long as they do."""
    yield from planted.seeds
    yield from (seed for seed in range(1, MOST_SEEDS + 1) if seed not in planted.seeds)


def scenario_of(planted: Planted, seed: int) -> Scenario:
    changes = [f"election={planted.election}", *planted.changes]
    return draw_scenario(seed, PEERS, FaultOptions(), changes=changes, areas=planted.areas)


def catch(planted: Planted) -> tuple[int, int, str]:
    """Returns the seed that caught it, after how many seeds, and the checks that did."""
    with planted.plant():
        for tried, seed in enumerate(seeds_for(planted), start=1):
            scenario = scenario_of(planted, seed)
            breaches = play(scenario).breaches
            # One that does not fit the code any more raises wherever it is called, and would prove nothing.
            assert not any("positional argument" in each.what or "keyword argument" in each.what for each in breaches)
            if breaches:
                return seed, tried, ", ".join(sorted({breach.invariant for breach in breaches}))
            if tried == MOST_SEEDS:
                break
    pytest.fail(f"{planted.name} was not caught by {MOST_SEEDS} seeds")


@pytest.fixture(scope="module", autouse=True)
def _print_table(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print("\n\nmistake                          seed  tried  caught by")
        print("\n".join(_table))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("planted", MISTAKES, ids=lambda planted: planted.name)
def test_a_planted_mistake_is_caught(planted: Planted) -> None:
    seed, tried, checks = catch(planted)
    _table.append(f"{planted.name:<30} {seed:>6} {tried:>6}  {checks}")


def test_there_are_enough_of_them_and_without_them_all_is_well() -> None:
    assert len(MISTAKES) >= 15
    played: set[object] = set()
    for planted in MISTAKES:
        for seed in planted.seeds:
            conditions = (planted.election, planted.areas, planted.changes, seed)
            if conditions not in played:
                played.add(conditions)
                assert play(scenario_of(planted, seed)).breaches == ()
