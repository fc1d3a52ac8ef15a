"""The walk over all orders of events: what it sees, that it holds, and that it finds what is planted."""

from __future__ import annotations

import itertools
from collections import deque
from functools import partial
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from rich.console import Console

from peers.core.leadership.elections.registry import ALGORITHMS
from peers.core.leadership.state import LeadershipEvent, LeadershipState
from peers.core.membership.members import Member
from peers.core.peer import Peer
from peers.core.settings import Settings
from peers.core.state_machine import StateMachine, Transition
from peers.core.trader.committer import COMMIT_TRANSITIONS, CommitState
from peers.errors import PostClosed
from peers.simulator.exhaustive.interning import MIDDLE, Peers, freeze
from peers.simulator.exhaustive.search import explore
from peers.simulator.exhaustive.walks import WALKS, Walk, with_election
from peers.simulator.terminal import show_walks
from tests.simulation.planted import MISTAKES

ELECTION, *MARKETS = WALKS


@pytest.mark.timeout(300)
@pytest.mark.parametrize("most_states", [6_000, pytest.param(15_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("walk", WALKS, ids=lambda walk: f"{walk.name}, {walk.faults} faults")
def test_no_order_of_events_breaks_anything(walk: Walk, most_states: int) -> None:
    sight = explore(walk, most_states)
    assert sight.violation == ""
    assert sight.states >= most_states
    assert sight.steps > sight.states, "different orders lead to equal states"


@pytest.mark.parametrize("election", [name for name in ALGORITHMS if name != Settings().election])
@pytest.mark.parametrize("walk", [ELECTION, MARKETS[0]], ids=lambda walk: walk.name)
def test_nor_where_elections_are_held_in_another_way(election: str, walk: Walk) -> None:
    sight = explore(with_election(walk, election), 5_000)
    assert sight.violation == ""
    assert sight.states >= 5_000


def test_a_walk_that_reaches_its_bound_says_so() -> None:
    shallow = explore(msgspec.structs.replace(ELECTION, depth=4), 100_000)
    assert shallow.complete
    assert shallow.depth == 4
    assert not explore(ELECTION, 500).complete


def test_without_faults_an_election_can_be_walked_to_its_end() -> None:
    sight = explore(msgspec.structs.replace(ELECTION, faults=0, depth=200), 150_000)
    assert sight.complete
    assert sight.violation == ""
    assert sight.depth < 200


@pytest.mark.parametrize(
    ("mistake", "walk"),
    [
        ("term_not_raised", ELECTION),
        ("answer_before_append", MARKETS[0]),
        ("place_not_checked", MARKETS[0]),
        ("money_not_given_back", MARKETS[-1]),
    ],
)
def test_it_finds_what_is_planted(mistake: str, walk: Walk) -> None:
    planted = next(each for each in MISTAKES if each.name == mistake)
    with planted.plant():
        sight = explore(walk, 200_000)
    assert sight.violation
    assert sight.trace, "and it says by which steps"


@pytest.mark.parametrize("walk", [ELECTION, MARKETS[0]], ids=lambda walk: walk.name)
def test_a_core_that_raises_is_a_violation_too(walk: Walk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise PostClosed

    monkeypatch.setattr("peers.core.trader.term.TraderTerm.pump", broken)
    sight = explore(walk, 10_000)
    assert "no_exception: PostClosed" in sight.violation
    assert sight.trace, "and it says by which steps"


def test_it_says_what_it_saw(capsys: pytest.CaptureFixture[str]) -> None:
    assert show_walks(Console(soft_wrap=True), election="bully", most_states=300) == 0
    printed = capsys.readouterr().out
    assert printed.count("states") == len(WALKS)
    assert "No violation." in printed


def test_equal_states_are_one_state() -> None:
    settings = Settings()
    known = Peers(settings)
    members = [Member(rank=r, name=f"buyer{r}", role="buyer", uri=str(r), incarnation=0) for r in (0, 0, 1)]
    numbers = [known.number(Peer(member, settings, MIDDLE)) for member in members]
    assert numbers == [0, 0, 1]
    assert freeze(known.get(0)) == freeze(Peer(members[0], settings, MIDDLE))


def test_peers_whose_entry_is_in_another_state_are_not_equal() -> None:
    machines = {state: freeze(StateMachine(COMMIT_TRANSITIONS, state)) for state in CommitState}
    assert len(set(machines.values())) == len(CommitState)


def _row(after: LeadershipState) -> Transition[LeadershipState, LeadershipEvent]:
    return Transition(LeadershipState.ELECTING, LeadershipEvent.NOMINATED, after)


_ONE, _OTHER = SimpleNamespace(number=1), SimpleNamespace(number=2)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((*CommitState, CommitState.IDLE), (*CommitState, CommitState.IN_DOUBT)),
        (deque([1]), deque([2])),
        (frozenset([1]), frozenset([2])),
        (_row(LeadershipState.CANDIDATE), _row(LeadershipState.TRADER)),
        (partial(freeze, 1), partial(freeze, 2)),
        (Peer.handle, Peer.status),
        ((_ONE, _OTHER, _ONE), (_ONE, _OTHER, _OTHER)),
    ],
    ids=["enum", "deque", "frozenset", "named tuple", "partial", "function", "shared"],
)
def test_states_that_differ_in_one_value_are_two(one: Any, other: Any) -> None:
    assert freeze(SimpleNamespace(held=one)) != freeze(SimpleNamespace(held=other))


def test_what_nobody_can_compare_is_refused_and_not_taken_for_equal() -> None:
    with pytest.raises(TypeError, match="count"):
        freeze(SimpleNamespace(held=itertools.count()))
