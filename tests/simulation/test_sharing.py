"""Several areas over one log and one stock: each with a trader, a term and a queue of its own."""

from __future__ import annotations

import pytest

from peers.simulator.faults import FaultOptions
from peers.simulator.runs.play import play
from peers.simulator.runs.runner import run_seeds
from peers.simulator.runs.world import World
from peers.simulator.scenario import draw_scenario

AREAS = ("north", "south")


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("peers", "areas"), [(3, AREAS), (5, AREAS), (3, ("east", "north", "south"))])
def test_every_invariant_holds_for_many_seeds(peers: int, areas: tuple[str, ...]) -> None:
    summary = run_seeds(range(1, 61), peers, FaultOptions(), areas=areas, jobs=1)
    assert summary.failures == []
    assert summary.decisions > 1000


def test_without_faults_all_areas_have_a_trader_and_trade() -> None:
    scenario = draw_scenario(1, 4, FaultOptions(), areas=AREAS)
    world = World(scenario)
    world.faults.end_all()
    world.run_until(6.0)
    post = world.environment.road.post()
    assert [holder.area for holder in post.areas] == ["north", "south"]
    assert {scenario.area_of(p.rank) for p in world.environment.lives.in_office()} == set(AREAS)
    decided = [each["area"] for each in world.environment.road.ledger.documents()["requests"]]
    assert min(decided.count(area) for area in AREAS) > 3


def test_another_areas_entry_in_ones_place_is_no_end_of_a_term() -> None:
    played = play(draw_scenario(3, 4, FaultOptions(), areas=AREAS))
    assert played.sometimes["an entry found its place taken by another area's"] > 3
    assert played.breaches == ()
