"""How peers may behave: each behaviour is seen in schedules that have it, and every invariant holds there."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest

from peers.core.market.resignation import elections_to_sit_out
from peers.simulator.faults import FaultOptions, choose
from peers.simulator.runs.play import play
from peers.simulator.runs.world import World
from peers.simulator.scenario import Scenario, draw_scenario

CALM = choose(FaultOptions(), only="delay", rates="delay=0")


def scenario(seed: int, faults: FaultOptions = CALM, *, graph: str = "random", **market: Any) -> Scenario:
    drawn = draw_scenario(seed, 5, faults)
    settings = {**drawn.settings, "graph": graph, "market": {**drawn.settings["market"], **market}}
    return msgspec.structs.replace(drawn, settings=settings)


def seen(market: dict[str, Any], seeds: range = range(1, 9)) -> dict[str, int]:
    sometimes: dict[str, int] = {}
    for seed in seeds:
        played = play(scenario(seed, **market))
        assert [str(breach) for breach in played.breaches] == []
        assert played.decisions > 0
        for what, times in played.sometimes.items():
            sometimes[what] = sometimes.get(what, 0) + times
    return sometimes


def test_a_trader_that_crashes_by_chance_is_replaced_and_comes_back() -> None:
    sometimes = seen({"crash_probability": 1.0, "period_s": 1.0, "return_after_s": 1.0})
    assert sometimes["a trader killed itself"] > 8
    assert sometimes["a trader that killed itself came back"] > 8


def test_a_trader_out_of_office_goes_on_in_the_role_that_the_lot_gives_it() -> None:
    sometimes = seen({"demotion": "drawn", "resign_after_sales": 3})
    assert sometimes["a trader went back to another role"] > 8


@pytest.mark.parametrize("graph", ["random", "complete", "ring"])
def test_the_lowest_rank_begins_in_office_without_an_election(graph: str) -> None:
    calm = scenario(
        3, graph=graph, first_trader="lowest", resign_after_sales=0, resign_probability=0.0, crash_probability=0.0
    )
    world = World(calm)
    assert world.run() == []
    (trader,) = world.environment.lives.in_office()
    assert (trader.rank, trader.view.term) == (0, 1)


@pytest.mark.parametrize("graph", ["complete", "ring"])
def test_other_graphs_hold_under_all_faults(graph: str) -> None:
    for seed in range(1, 31):
        assert [str(breach) for breach in play(scenario(seed, FaultOptions(), graph=graph)).breaches] == []


def test_who_comes_back_by_chance_sits_out_longer_the_smaller_the_chance() -> None:
    rng = Random(1)
    assert {elections_to_sit_out(rng, 1, 1.0, at_most=9) for _ in range(20)} == {1}
    assert {elections_to_sit_out(rng, 0, 0.1, at_most=9) for _ in range(20)} == {0}
    drawn = [elections_to_sit_out(rng, 1, 0.25, at_most=1000) for _ in range(2000)]
    assert min(drawn) == 1
    assert 3.5 < sum(drawn) / len(drawn) < 4.5  # 1 and on average three more.
    assert max(elections_to_sit_out(rng, 1, 0.01, at_most=9) for _ in range(50)) == 9
