"""The laws of the graph: connected, at most three neighbours, the same for the same members."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peers.core.membership.graph_kinds import is_sound
from peers.core.membership.members import Edge
from peers.core.membership.overlay_graph import (
    MAX_NEIGHBOURS,
    Adjacency,
    build_graph,
    distances,
    live_graph,
)

sizes = st.integers(2, 300)
seeds = st.integers(0, 2**32)


def adjacency(n: int, edges: tuple[Edge, ...]) -> Adjacency:
    links: dict[int, list[int]] = {rank: [] for rank in range(n)}
    for a, b in edges:
        links[a].append(b)
        links[b].append(a)
    return {rank: tuple(sorted(others)) for rank, others in links.items()}


def edges_of(graph: Adjacency) -> set[Edge]:
    return {(min(a, b), max(a, b)) for a, links in graph.items() for b in links}


@given(n=sizes, seed=seeds)
def test_the_first_graph_is_sound(n: int, seed: int) -> None:
    edges = build_graph(n, Random(seed))
    assert is_sound(adjacency(n, edges))
    assert list(edges) == sorted(set(edges))
    assert all(0 <= a < b < n for a, b in edges)


@given(n=sizes, seed=seeds)
def test_the_same_seed_draws_the_same_graph(n: int, seed: int) -> None:
    assert build_graph(n, Random(seed)) == build_graph(n, Random(seed))


def test_different_seeds_draw_different_graphs() -> None:
    assert len({build_graph(12, Random(seed)) for seed in range(50)}) > 40


class CountingRandom(Random):
    """Counts how often it is asked for something."""

    drawn = 0

    def getrandbits(self, k: int, /) -> int:
        self.drawn += 1
        return super().getrandbits(k)


def draws(n: int) -> int:
    rng = CountingRandom(n)
    build_graph(n, rng)
    return rng.drawn


def test_drawing_the_graph_takes_time_linear_in_its_size() -> None:
    assert draws(300) < 10 * 300
    assert draws(3000) < 15 * draws(300)


@given(n=sizes, seed=seeds)
def test_while_nobody_is_lost_the_live_graph_is_the_first(n: int, seed: int) -> None:
    edges = build_graph(n, Random(seed))
    assert live_graph(edges, range(n)) == adjacency(n, edges)


@settings(max_examples=60, deadline=None)
@given(n=sizes, seed=seeds, data=st.data())
def test_the_live_graph_is_sound_after_any_losses_and_joins(n: int, seed: int, data: st.DataObject) -> None:
    first = build_graph(n, Random(seed))
    up = set(range(n))
    for _ in range(data.draw(st.integers(1, 5))):
        lost = data.draw(st.sets(st.sampled_from(sorted(up)), max_size=len(up) - 1))
        joined = data.draw(st.sets(st.integers(0, n + 40), max_size=10))
        up = (up - lost) | joined
        graph = live_graph(first, up)
        assert set(graph) == up
        assert is_sound(graph)
        check_kept(first, up, graph)


def check_kept(first: tuple[Edge, ...], up: set[int], graph: Adjacency) -> None:
    """Of the first graph all is kept but what had to be opened: one edge at most for each piece taken in."""
    left = {(a, b) for a, b in first if a in up and b in up}
    pieces = count_pieces(up, left)
    opened = left - edges_of(graph)
    assert len(opened) <= pieces - 1
    if pieces == 1:
        assert edges_of(graph) == left


def count_pieces(ranks: set[int], edges: set[Edge]) -> int:
    leader = {rank: rank for rank in ranks}

    def find(rank: int) -> int:
        while leader[rank] != rank:
            rank = leader[rank]
        return rank

    for a, b in edges:
        leader[find(a)] = find(b)
    return len({find(rank) for rank in ranks})


@settings(max_examples=40, deadline=None)
@given(n=st.integers(2, 60), seed=seeds, data=st.data())
def test_equal_members_have_equal_graphs_in_whatever_order_the_news_came(
    n: int, seed: int, data: st.DataObject
) -> None:
    first = build_graph(n, Random(seed))
    up = sorted(data.draw(st.sets(st.integers(0, n + 10), min_size=1)))
    told = data.draw(st.permutations(up))
    shuffled = data.draw(st.permutations(first))
    assert live_graph(shuffled, told) == live_graph(first, up)


def test_a_full_graph_opens_one_edge_to_take_a_newcomer_in() -> None:
    full = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
    graph = live_graph(full, range(5))
    assert is_sound(graph)
    assert len(set(full) - edges_of(graph)) == 1
    assert len(graph[4]) == 2


def full(*ranks: int) -> set[Edge]:
    """The edges of four that are all next to each other, and so have no room for anybody."""
    return {(a, b) for a in ranks for b in ranks if a < b}


ranks = st.integers(0, 9)


@given(
    up=st.sets(ranks),
    fours=st.lists(st.sets(ranks, min_size=4, max_size=4), max_size=4),
    more=st.lists(st.tuples(ranks, ranks)),
)
def test_the_live_graph_is_sound_whatever_a_liar_says_of_the_first(
    up: set[int], fours: list[set[int]], more: list[Edge]
) -> None:
    assert is_sound(live_graph([edge for four in fours for edge in full(*four)] + more, up))


@pytest.mark.parametrize(
    ("up", "edges"),
    [
        pytest.param(range(5), full(1, 2, 3, 4), id="a newcomer and a full piece"),
        pytest.param(range(6), {(0, 1), *full(2, 3, 4, 5)}, id="two and a full piece"),
        pytest.param(range(8), full(0, 1, 2, 3) | full(4, 5, 6, 7), id="two full pieces"),
    ],
)
def test_a_piece_without_room_is_opened_as_well(up: range, edges: set[Edge]) -> None:
    graph = live_graph(sorted(edges), up)
    assert is_sound(graph)
    assert len(edges - edges_of(graph)) == 1 + (len(up) == 8), "no more edges are opened than there must be"


def test_a_bridge_is_never_opened() -> None:
    # Two rings of five are held together by one edge; every rank has three neighbours.
    half = [(0, 4), (1, 4), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    full = (*half, *((a + 5, b + 5) for a, b in half), (4, 9))
    assert {len(links) for links in live_graph(full, range(10)).values()} == {MAX_NEIGHBOURS}
    for newcomers in range(1, 6):
        graph = live_graph(full, range(10 + newcomers))
        assert is_sound(graph)
        assert 9 in graph[4]


def test_a_town_of_newcomers_only_is_sound() -> None:
    assert is_sound(live_graph((), range(50)))
    assert live_graph((), [7]) == {7: ()}
    assert live_graph((), []) == {}


@settings(max_examples=30)
@given(n=st.integers(2, 60), seed=seeds, source=st.integers(0, 59))
def test_distances_are_those_of_a_walk_outwards(n: int, seed: int, source: int) -> None:
    graph = adjacency(n, build_graph(n, Random(seed)))
    source %= n
    hops, edge = {source: 0}, [source]
    while edge:
        edge = [b for a in edge for b in graph[a] if b not in hops and not hops.update({b: hops[a] + 1})]
    assert distances(graph, source) == hops


@pytest.mark.parametrize(
    ("graph", "sound"),
    [
        ({}, True),
        ({0: ()}, True),
        ({0: (1,), 1: (0,)}, True),
        ({0: (1,), 1: ()}, False),
        ({0: (), 1: ()}, False),
        ({0: (0,)}, False),
        ({0: (1, 1), 1: (0, 0)}, False),
        ({0: (1, 2, 3, 4), 1: (0,), 2: (0,), 3: (0,), 4: (0,)}, False),
        ({0: (9,)}, False),
    ],
    ids=["empty", "alone", "pair", "one-sided", "apart", "loop", "twice", "four", "to-nobody"],
)
def test_soundness_is_judged_rightly(graph: Adjacency, sound: bool) -> None:
    assert is_sound(graph) is sound
