"""The graph the peers sit on: random, connected, at most three neighbours each; and how it heals.

`build_graph` draws the graph a town begins with, in time linear in n: a random tree grown by attaching each new
peer to a random one that has room, then some extra edges between peers that have room left. Nothing is drawn
again until it fits.

`live_graph` is a pure function of the first graph and of who is up. Every peer computes it for itself from its own
map of members; peers with equal maps have equal graphs, in whatever order the news reached them, so that nobody
has to be asked where to link.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import cast

import networkx as nx

from peers.core.membership import Edge

MAX_NEIGHBOURS = 3
EXTRA_EDGES = 0.25
"""Edges beyond the tree, as a share of the number of peers."""

Adjacency = dict[int, tuple[int, ...]]


def build_graph(n: int, rng: Random) -> tuple[Edge, ...]:
    """Returns the edges `(low, high)`, sorted, of a random connected graph of ranks 0 … n-1, at most three each."""
    degree = [0] * n
    edges: set[Edge] = set()
    order = list(range(n))
    rng.shuffle(order)
    roomy = order[:1]  # those with room for one more

    def link(a: int, b: int) -> None:
        edges.add((min(a, b), max(a, b)))
        for rank in (a, b):
            degree[rank] += 1

    for rank in order[1:]:
        at = rng.randrange(len(roomy))
        link(rank, roomy[at])
        if degree[roomy[at]] == MAX_NEIGHBOURS:
            roomy[at] = roomy[-1]
            roomy.pop()
        roomy.append(rank)
    for _ in range(int(n * EXTRA_EDGES)):
        a, b = rng.choice(roomy), rng.choice(roomy)
        if a != b and (min(a, b), max(a, b)) not in edges and max(degree[a], degree[b]) < MAX_NEIGHBOURS:
            link(a, b)
    return tuple(sorted(edges))


def live_graph(first_edges: Iterable[Edge], up: Iterable[int]) -> Adjacency:
    """Returns rank -> sorted neighbours for the ranks that are `up`: connected, at most three neighbours each.

    What is left of the first graph is kept; its pieces (newcomers are pieces of one) are joined up in the order of
    their lowest ranks. Where the joined part has no room, one of its edges is opened to take the piece in.
    """
    graph: nx.Graph[int] = nx.Graph()
    graph.add_nodes_from(sorted(up))
    graph.add_edges_from((a, b) for a, b in first_edges if a in graph and b in graph)
    pieces = sorted((sorted(piece) for piece in nx.connected_components(graph)), key=lambda piece: piece[0])
    joined = list(pieces[0]) if pieces else []
    for piece in pieces[1:]:
        _join(graph, joined, piece)
        joined.extend(piece)
    return {rank: tuple(sorted(graph.neighbors(rank))) for rank in graph}


def _join(graph: nx.Graph[int], joined: Sequence[int], piece: Sequence[int]) -> None:
    inner = _with_room(graph, joined)
    outer = _with_room(graph, piece)
    if inner:
        graph.add_edge(inner[0], outer[0])
        return
    # Every joined peer has three neighbours, so there is a cycle, and an edge of it can be opened.
    whole = graph.subgraph(joined)
    bridges = {_sorted(edge) for edge in cast("Iterable[Edge]", nx.bridges(whole))}
    a, b = min({_sorted(edge) for edge in whole.edges} - bridges)
    graph.remove_edge(a, b)
    graph.add_edge(a, outer[0])
    rest = _with_room(graph, piece)
    if rest:
        graph.add_edge(b, rest[0])


def _with_room(graph: nx.Graph[int], ranks: Iterable[int]) -> list[int]:
    return sorted(rank for rank in ranks if graph.degree(rank) < MAX_NEIGHBOURS)


def distances(graph: Mapping[int, Sequence[int]], source: int) -> dict[int, int]:
    """Returns the number of hops from `source` to every rank it can reach."""
    if source not in graph:
        return {}
    whole: nx.Graph[int] = nx.Graph()
    whole.add_edges_from((a, b) for a, links in graph.items() for b in links)
    whole.add_node(source)
    return dict(nx.single_source_shortest_path_length(whole, source))


def is_sound(graph: Mapping[int, Sequence[int]]) -> bool:
    """True when `graph` is connected, symmetric, without loops, and nobody has more than three neighbours."""
    symmetric = all(
        rank != other and rank in graph.get(other, ()) for rank, links in graph.items() for other in links
    )
    slim = all(len(set(links)) == len(links) <= MAX_NEIGHBOURS for links in graph.values())
    return symmetric and slim and (not graph or len(distances(graph, next(iter(graph)))) == len(graph))


def _sorted(edge: Edge) -> Edge:
    return (min(edge), max(edge))
