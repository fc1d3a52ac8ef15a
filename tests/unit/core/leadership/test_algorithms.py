"""What every election algorithm must do, whichever it is: one that is registered is tested here with the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peers.cli.commands import run
from peers.core.inputs import PeerGone
from peers.core.leadership.elections.registry import ALGORITHMS, ELECTION_MESSAGES
from peers.core.membership.members import Edge
from peers.core.membership.overlay_graph import MAX_NEIGHBOURS, build_graph, live_graph, next_hop
from peers.core.messages import ElectionMessage
from peers.core.names import Role
from peers.core.settings import Settings
from peers.rpc.wire import Parcel, pack, unpack_parcel
from tests.unit.core.town import Town
from tests.unit.core.words import rules

MERCHANT: Role = "merchant"
LONG_S = 3.0
"""Longer than any of them takes where nothing goes wrong, at the start too."""
VERY_LONG_S = 40.0

every = pytest.mark.parametrize("name", ALGORITHMS)
promising = pytest.mark.parametrize("name", [name for name, each in ALGORITHMS.items() if each.highest_wins])
seeds = st.integers(0, 2**32)


def town(
    name: str, n: int, *, seed: int = 0, starters: tuple[int, ...] = (0,), edges: tuple[Edge, ...] | None = None
) -> Town:
    """Merchants only, so that everybody may take the post, and rank alone decides."""
    return Town(
        [MERCHANT] * n,
        seed=seed,
        starters=starters,
        settings=rules(election=name, resign_after_sales=0),
        edges=edges,
    )


def settled(name: str, n: int, *, seed: int = 0) -> Town:
    calm = town(name, n, seed=seed)
    calm.calm(LONG_S)
    calm.said.clear()
    return calm


def said(calm: Town) -> list[ElectionMessage]:
    return [message for message in calm.said if isinstance(message, ElectionMessage)]


def loses_its_trader(calm: Town) -> int:
    """The trader is gone, and one neighbour notices it; returns which."""
    trader = calm.trader()
    (noticing, *_) = calm.peers[trader].view.neighbours
    calm.kill(trader)
    calm.happens(noticing, PeerGone(rank=trader, incarnation=1))
    return noticing


# -- what is registered ------------------------------------------------------------------------------------


def test_what_can_be_set_is_what_is_registered() -> None:
    assert get_args(Settings.model_fields["election"].annotation) == tuple(ALGORITHMS)


@every
def test_the_help_says_what_it_does(name: str) -> None:
    assert f"- `{name}`: {ALGORITHMS[name].sentence}\n" in str(run.__doc__)


def test_each_message_is_one_algorithms() -> None:
    assert len(set(ELECTION_MESSAGES)) == len(ELECTION_MESSAGES)
    assert len({message.__name__ for message in ELECTION_MESSAGES}) == len(ELECTION_MESSAGES)


@every
def test_it_says_its_own_messages_and_they_survive_the_wire(name: str) -> None:
    calm = town(name, 9, starters=(0, 3))
    calm.calm(LONG_S)
    messages = said(calm)
    assert {type(message) for message in messages} == set(ALGORITHMS[name].messages)
    parcel = Parcel(sender=1, incarnation=2, messages=tuple(messages))
    assert unpack_parcel(pack(parcel)) == parcel
    assert all(message.gist() for message in messages)


@every
def test_what_another_algorithm_says_is_news_of_the_vacancy_at_most(name: str) -> None:
    """A town has one algorithm; a message of another must not harm a peer all the same."""
    strange = [message for other in ALGORITHMS if other != name for message in said_by(other)]
    calm = settled(name, 4)
    for message in strange:
        calm.peers[0]._messages[type(message)](1, message)
    calm.calm(LONG_S)
    calm.check_one_trader_a_term()
    calm.trader()


def said_by(name: str) -> list[ElectionMessage]:
    calm = town(name, 4)
    calm.calm(LONG_S)
    return said(calm)


# -- who wins ----------------------------------------------------------------------------------------------


@every
@settings(max_examples=15, deadline=None)
@given(n=st.integers(2, 12), seed=seeds, data=st.data())
def test_all_agree_on_one_whoever_starts_and_however_many(name: str, n: int, seed: int, data: st.DataObject) -> None:
    starters = data.draw(st.sets(st.integers(0, n - 1), min_size=1))
    calm = town(name, n, seed=seed, starters=tuple(sorted(starters)))
    calm.calm(LONG_S)
    calm.check_one_trader_a_term()
    if ALGORITHMS[name].highest_wins:
        assert calm.trader() == n - 1
    assert calm.term() == 1


@every
def test_a_large_town_agrees_too(name: str) -> None:
    calm = settled(name, 60)
    calm.check_one_trader_a_term()
    assert calm.trader() == 59 or not ALGORITHMS[name].highest_wins


@promising
def test_the_next_highest_follows_one_after_the_other(name: str) -> None:
    calm = settled(name, 7, seed=3)
    for winner in (5, 4, 3, 2, 1):
        loses_its_trader(calm)
        calm.calm(LONG_S)
        assert calm.trader() == winner


@every
def test_the_record_names_the_algorithm_and_counts_its_messages(name: str) -> None:
    calm = settled(name, 6)
    (record,) = calm.ledger.documents()["elections"]
    announced = 2 * len(calm.peers[0]._ctx.members.edges) - (6 - 1)
    assert record["algorithm"] == name
    assert record["complete"]
    assert record["messages"] == len(said(town_at_end(name))) + announced


def town_at_end(name: str) -> Town:
    calm = town(name, 6)
    calm.calm(LONG_S)
    return calm


# -- who stays out -----------------------------------------------------------------------------------------


def barred_one_stays_out(name: str) -> None:
    """One who resigned does not win the next election, whoever of six it is."""
    for seed in range(6):
        calm = settled(name, 6, seed=seed)
        gone = calm.trader()
        calm.resign(gone)
        calm.calm(LONG_S)
        assert calm.trader() != gone
        assert calm.term() == 2


@every
def test_the_barred_stay_out(name: str) -> None:
    barred_one_stays_out(name)


@every
def test_who_does_not_reach_the_books_passes_on_and_does_not_stand(name: str) -> None:
    calm = settled(name, 6, seed=2)
    cut_off = max(rank for rank in calm.alive() if rank != calm.trader())
    calm.peers[cut_off]._ctx.reaches_books = False
    loses_its_trader(calm)
    calm.arrives()
    calm.calm(0.5)
    assert calm.trader() != cut_off
    assert calm.term() == 2


@every
def test_who_leaves_in_the_middle_of_it_does_not_win(name: str) -> None:
    for steps in (0, 3, 6, 12):
        calm = settled(name, 6, seed=2)
        loses_its_trader(calm)
        calm.arrives_partly(steps)
        leaving = calm.alive()[-1]
        if leaving not in calm.held:
            calm.leave(leaving)
            calm.kill(leaving)
        calm.calm(VERY_LONG_S)
        calm.check_one_trader_a_term()
        assert calm.trader() in calm.alive()


# -- what goes wrong ---------------------------------------------------------------------------------------


@every
def test_it_ends_whoever_crashes_at_whatever_moment(name: str) -> None:
    for steps in range(0, 40, 3):
        for victim in range(4):
            calm = settled(name, 6, seed=steps)
            loses_its_trader(calm)
            calm.arrives_partly(steps)
            if victim in calm.alive():
                calm.kill(victim)
            calm.calm(20.0)
            calm.check_one_trader_a_term()
            assert calm.trader() in calm.alive()


@every
@settings(max_examples=20, deadline=None)
@given(n=st.integers(3, 9), seed=seeds, steps=st.integers(0, 300), loss=st.sampled_from([0.0, 0.1, 0.4]))
def test_in_any_weather_a_term_has_one_trader_and_then_all_agree(
    name: str, n: int, seed: int, steps: int, loss: float
) -> None:
    stormy = town(name, n, seed=seed, starters=(0, n // 2))
    stormy.storm(steps, loss=loss)
    stormy.check_one_trader_a_term()
    stormy.calm(VERY_LONG_S)
    stormy.check_one_trader_a_term()
    stormy.trader()


# -- what it costs -----------------------------------------------------------------------------------------

COST: dict[str, Callable[[int, int], int]] = {
    # Each edge carries an Election and the highest's answer once in each direction.
    "bully": lambda _, edges: 4 * edges,
    # One lap, each of whose legs is one hop; then the winner is told, who is at most half the ring away.
    "ring": lambda n, _: n + n // 2,
    # The starter's wave, which wakes the highest, and the highest's, which is two messages an edge.
    "echo": lambda _, edges: 4 * edges,
    "lease": lambda _, __: 0,
}
"""What the text book says: at most so many messages among n peers in a ring with one starter, announcing apart."""


def ring_of(n: int) -> tuple[Edge, ...]:
    return tuple(sorted((min(rank, (rank + 1) % n), max(rank, (rank + 1) % n)) for rank in range(n)))


@every
@pytest.mark.parametrize("n", [3, 6, 30])
def test_it_costs_what_the_text_book_says(name: str, n: int) -> None:
    calm = town(name, n, edges=ring_of(n))
    calm.calm(LONG_S)
    assert len(said(calm)) <= COST[name](n, n)
    assert calm.elected() == [(1, calm.trader())]


def test_a_lap_is_one_message_a_member_where_the_graph_is_the_ring() -> None:
    calm = town("ring", 12, edges=ring_of(12), starters=(11,))
    calm.calm(LONG_S)
    assert len(said(calm)) == 12


@pytest.mark.parametrize("seed", range(4))
def test_a_wave_is_two_messages_an_edge(seed: int) -> None:
    calm = town("echo", 30, seed=seed, starters=(29,))
    calm.calm(LONG_S)
    assert len(said(calm)) == 2 * len(calm.peers[0]._ctx.members.edges)


# -- the way round a ring ----------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(n=st.integers(2, 30), data=st.data())
def test_hop_by_hop_a_message_comes_to_whom_it_is_for(n: int, data: st.DataObject) -> None:
    graph = live_graph(build_graph(n, data.draw(st.randoms(use_true_random=False))), range(n))
    at, to = data.draw(st.integers(0, n - 1)), data.draw(st.integers(0, n - 1))
    hops = 0
    while at != to:
        hop = next_hop(graph, at, to)
        assert hop in graph[at]
        at, hops = hop, hops + 1
    assert hops < n
    assert max(map(len, graph.values())) <= MAX_NEIGHBOURS


def test_where_no_way_leads_there_is_no_hop() -> None:
    assert next_hop({0: (1,), 1: (0,), 2: ()}, 0, 2) is None
