"""Transcripts of elections, to be read: when, who, and what it hears, says and asks of the ledger."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from peers.core.leadership.elections.registry import ALGORITHMS
from peers.core.names import Role
from peers.simulator.environment.history import History
from peers.simulator.faults import TRADER, Fault
from peers.simulator.runs.world import World
from peers.simulator.scenario import Scenario
from tests.fixtures.golden import Golden

ROLES: tuple[Role, ...] = ("buyer", "seller", "buyer", "seller", "merchant")
EDGES = ((0, 1), (0, 3), (1, 2), (2, 4), (3, 4))
"""A ring of five: 0 - 1 - 2 - 4 - 3 - 0."""


def once(kind: str, at_s: float, target: int = TRADER, until_s: float | None = None) -> Fault:
    return Fault(kind=kind, at_s=at_s, until_s=until_s or at_s, target=target, key=7)  # type: ignore[arg-type]


CASES = {
    "start": ((), 1.0),
    "resignation": ((once("resign", 1.5),), 2.5),
    "crash": ((once("crash", 1.5),), 3.5),
    "two_starters": ((once("false_alarm", 1.5),), 2.5),
    "crash_during": ((once("crash", 1.5), once("crash", 1.513, target=3)), 4.5),
    "sleeper": ((once("hang", 1.5, until_s=4.0),), 6.0),
}
TELLING = (
    "Election(", "Answer(", "RingWinner(", "Wave(", "WaveEcho(", "Coordinator(", "Vacancy(", "Load", "takes office",
    "RecordElection", " gone", " is back", "starts", "Dear buyers", "leaves office", "was refused", "###",
)  # fmt: skip


def transcript(election: str, plan: tuple[Fault, ...], until_s: float) -> Iterator[str]:
    scenario = Scenario(
        seed=1,
        roles=ROLES,
        edges=EDGES,
        settings={"election": election, "market": {"think_s": 1.0, "resign_after_sales": 0}},
        plan=plan,
        chaos_s=until_s,
    )
    history = History()
    World(scenario, history).run_until(until_s)
    return (line for line in history.listing() if any(word in line for word in TELLING))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("election", ALGORITHMS)
def test_an_election_goes_as_it_went(election: str, name: str, golden: Golden) -> None:
    plan, until_s = CASES[name]
    golden(f"{election}/{name}", transcript(election, plan, until_s))
