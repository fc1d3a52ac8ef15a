"""The kinds of graph that peers may sit on: random with few neighbours each, complete, or a ring by rank.

Each is a pure function of who is up (and, for the random one, of the graph the town began with), so that peers with
equal maps of members have equal graphs, and the graph is healed as soon as a loss is known.

Where a peer has many neighbours it need not watch them all: it exchanges heartbeats with those whose place in the
order of ranks is 1, 2, 4, 8, … away, as the fingers of Chord are (Stoica et al., 2001). So each peer is watched by
about 2·log2(n) others, and the cost of liveness does not grow with the number of edges.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from random import Random

from peers.core.membership.members import Edge
from peers.core.membership.overlay_graph import MAX_NEIGHBOURS, Adjacency, build_graph, distances, live_graph
from peers.core.names import GraphKind

FEW = 8
"""A peer exchanges heartbeats with all its neighbours as long as there are no more than these."""


def first_graph(kind: GraphKind, n: int, rng: Random) -> tuple[Edge, ...]:
    """Returns the edges that a town of ranks 0 … n-1 begins with, as far as they do not follow from who is up."""
    return build_graph(n, rng) if kind == "random" else ()


def graph_of(kind: GraphKind, first_edges: Iterable[Edge], up: Iterable[int]) -> Adjacency:
    """Returns rank -> sorted neighbours for the ranks that are `up`."""
    if kind == "random":
        return live_graph(first_edges, up)
    ranks = sorted(up)
    if kind == "complete":
        return {rank: tuple(other for other in ranks if other != rank) for rank in ranks}
    return {rank: _beside(ranks, place) for place, rank in enumerate(ranks)}


def _beside(ranks: Sequence[int], place: int) -> tuple[int, ...]:
    """Those before and after a place in the ring; the same one twice counts once."""
    both = {ranks[place - 1], ranks[(place + 1) % len(ranks)]} - {ranks[place]}
    return tuple(sorted(both))


def most_neighbours(kind: GraphKind, n: int) -> int:
    """Returns how many neighbours a peer of a sound graph of `n` peers has at most."""
    return {"random": MAX_NEIGHBOURS, "complete": max(n - 1, 0), "ring": 2}[kind]


def is_sound(graph: Mapping[int, Sequence[int]], kind: GraphKind = "random") -> bool:
    """True when `graph` is connected, symmetric, without loops, and nobody has more neighbours than its kind allows;
    a complete one has all edges that there can be."""
    most = most_neighbours(kind, len(graph))
    symmetric = all(
        rank != other and rank in graph.get(other, ()) for rank, links in graph.items() for other in links
    )
    degrees = [len(links) for links in graph.values()]
    slim = all(len(set(links)) == len(links) <= most for links in graph.values())
    full = kind != "complete" or all(degree == most for degree in degrees)
    return symmetric and slim and full and (not graph or len(distances(graph, next(iter(graph)))) == len(graph))


def watched(graph: Mapping[int, Sequence[int]], rank: int) -> tuple[int, ...]:
    """Returns the neighbours with which `rank` exchanges heartbeats, sorted. It is so both ways: whom it watches
    watches it."""
    neighbours = graph.get(rank, ())
    if len(neighbours) <= FEW:
        return tuple(neighbours)
    ranks = sorted(graph)
    place, n = ranks.index(rank), len(ranks)
    steps = [1 << power for power in range((n // 2).bit_length())]
    fingers = {ranks[(place + sign * step) % n] for step in steps for sign in (1, -1)} - {rank}
    return tuple(sorted(fingers & set(neighbours)))
