"""The kinds of graph: what each promises after any losses, and who watches whom."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peers.core.membership.graph_kinds import FEW, first_graph, graph_of, is_sound, watched
from peers.core.membership.overlay_graph import distances
from peers.core.names import GraphKind

KINDS: tuple[GraphKind, ...] = ("random", "complete", "ring")
crowds = st.sets(st.integers(0, 200), min_size=1, max_size=60)


@pytest.mark.parametrize("kind", KINDS)
@given(up=crowds, seed=st.integers(0, 2**32))
def test_whoever_is_up_the_graph_is_sound(kind: GraphKind, up: set[int], seed: int) -> None:
    graph = graph_of(kind, first_graph(kind, 20, Random(seed)), up)
    assert graph.keys() == up
    assert is_sound(graph, kind)


def test_a_ring_closes_over_who_is_lost() -> None:
    assert graph_of("ring", (), [0, 2, 5, 9]) == {0: (2, 9), 2: (0, 5), 5: (2, 9), 9: (0, 5)}
    assert graph_of("ring", (), [0, 9]) == {0: (9,), 9: (0,)}
    assert graph_of("ring", (), [9]) == {9: ()}


@pytest.mark.parametrize(
    ("kind", "graph"),
    [
        ("complete", {0: (1,), 1: (0, 2), 2: (1,)}),  # An edge is missing.
        ("ring", {0: (1, 2, 3), 1: (0, 2), 2: (0, 1), 3: (0,)}),  # One has three neighbours.
        ("random", {0: (1, 2, 3, 4), 1: (0,), 2: (0,), 3: (0,), 4: (0,)}),  # One has four.
    ],
)
def test_what_its_kind_does_not_allow_is_not_sound(kind: GraphKind, graph: dict[int, tuple[int, ...]]) -> None:
    assert not is_sound(graph, kind)


@pytest.mark.parametrize("kind", KINDS)
@given(up=crowds)
def test_everybody_is_watched_by_whom_it_watches_and_they_are_few(kind: GraphKind, up: set[int]) -> None:
    graph = graph_of(kind, (), up)
    seen = {rank: watched(graph, rank) for rank in graph}
    for rank, others in seen.items():
        assert set(others) <= set(graph[rank])
        assert all(rank in seen[other] for other in others)
        assert len(others) <= max(FEW, 2 * len(up).bit_length())
    assert len(distances(seen, min(up))) == len(up)
