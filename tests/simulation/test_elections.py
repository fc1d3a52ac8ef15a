"""Every election algorithm under the faults of the simulator, and what one election costs in virtual time."""

from __future__ import annotations

import pytest

from peers.cli.main import invoke
from peers.core.leadership.elections.registry import ALGORITHMS
from peers.simulator.faults import FaultOptions
from peers.simulator.runs.election_cost import measure_election
from peers.simulator.runs.play import play
from peers.simulator.scenario import draw_scenario

every = pytest.mark.parametrize("name", ALGORITHMS)


@every
def test_all_invariants_hold_however_elections_are_held(name: str) -> None:
    for seed in range(1, 9):
        assert play(draw_scenario(seed, 5, FaultOptions(), election=name)).breaches == ()


def test_a_seed_has_the_same_faults_whatever_the_algorithm() -> None:
    bully, ring = (draw_scenario(7, 5, FaultOptions(), election=name) for name in ("bully", "ring"))
    assert (bully.plan, bully.edges, bully.roles) == (ring.plan, ring.edges, ring.roles)
    assert {**bully.settings, "election": "ring"} == ring.settings


@every
@pytest.mark.parametrize("peers", [3, 9])
def test_what_an_election_costs_can_be_measured(name: str, peers: int) -> None:
    cost = measure_election(name, peers, seed=1)
    assert cost == measure_election(name, peers, seed=1)
    assert cost.took_s is not None
    assert 0 < cost.took_s < 1
    assert bool(cost.messages) == bool(ALGORITHMS[name].messages) or peers == 3
    assert cost.announcements > 0  # Some hear it from a heartbeat first.


def test_in_a_small_town_each_costs_no_more_than_some_messages_an_edge() -> None:
    for name in ALGORITHMS:
        assert measure_election(name, 6, seed=2).messages <= 30


def test_the_command_line_takes_every_name_and_refuses_others(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ALGORITHMS:
        assert invoke(["simulate", "--seeds", "3", "--jobs", "1", "--election", name]) == 0
    for command in (
        ["simulate", "--election", "dice"],
        ["simulate", "--exhaustive", "--election", "dice"],
        ["chaos", "--election", "dice"],
        ["run", "localhost", "3", "--election", "dice"],
    ):
        assert invoke(command) == 2
        said = capsys.readouterr().err
        assert "election" in said
        assert "'bully', 'ring', 'echo' or 'lease'" in said
