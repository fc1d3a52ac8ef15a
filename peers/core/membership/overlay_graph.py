"""The random graph the peers sit on: connected, at most three neighbours each; and how it heals.

`build_graph` draws the graph a town begins with, in time linear in n: a random tree grown by attaching each new
peer to a random one that has room, then some extra edges between peers that have room left. Nothing is drawn
again until it fits.

`live_graph` is a pure function of the first graph and of who is up. Every peer computes it for itself from its own
map of members; peers with equal maps have equal graphs, in whatever order the news reached them, so that nobody
has to be asked where to link.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from random import Random

from peers.core.membership.members import Edge

MAX_NEIGHBOURS = 3
EXTRA_EDGES = 0.25
"""Edges beyond the tree, as a share of the number of peers."""

Adjacency = dict[int, tuple[int, ...]]
_Links = dict[int, set[int]]


def build_graph(n: int, rng: Random) -> tuple[Edge, ...]:
    """Returns the edges `(low, high)`, sorted, of a random connected graph of ranks 0 … n-1, at most three each."""
    degree = [0] * n
    edges: set[Edge] = set()
    order = list(range(n))
    rng.shuffle(order)
    roomy = order[:1]  # Those in the tree that have room for one more neighbour.

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
    their lowest ranks. Where one side has no room, one of its edges is opened for the other.
    """
    links: _Links = {rank: set() for rank in sorted(up)}
    for a, b in first_edges:
        if a in links and b in links and a != b and max(len(links[a]), len(links[b])) < MAX_NEIGHBOURS:
            _link(links, a, b)
    pieces = _pieces(links)
    joined = list(pieces[0]) if pieces else []
    for piece in pieces[1:]:
        _join(links, joined, piece)
        joined.extend(piece)
    return {rank: tuple(sorted(others)) for rank, others in links.items()}


def _pieces(links: _Links) -> list[list[int]]:
    """What is connected, each piece sorted, in the order of their lowest ranks."""
    seen: set[int] = set()
    pieces = []
    for rank in links:
        if rank not in seen:
            piece = distances(links, rank)
            seen.update(piece)
            pieces.append(sorted(piece))
    return pieces


def _join(links: _Links, joined: Sequence[int], piece: Sequence[int]) -> None:
    inner = _with_room(links, joined)
    outer = _with_room(links, piece)
    if inner is not None and outer is not None:
        _link(links, inner, outer)
        return
    # Where every peer has three neighbours there is a cycle, and an edge of it can be opened. A piece can be so, too,
    # for whoever lies of the first graph may give it any edges.
    opened = [_open_cycle(links, full) for full, room in ((joined, inner), (piece, outer)) if room is None]
    for end in range(2):
        near = opened[0][end] if inner is None else _with_room(links, joined)
        far = opened[-1][end] if outer is None else _with_room(links, piece)
        if near is not None and far is not None:
            _link(links, near, far)


def _open_cycle(links: _Links, joined: Sequence[int]) -> Edge:
    """Takes away the first edge that is no bridge; returns it."""
    edges = sorted((rank, other) for rank in joined for other in links[rank] if rank < other)
    for a, b in edges:
        links[a].remove(b)
        links[b].remove(a)
        if b in distances(links, a):
            return a, b
        _link(links, a, b)
    raise AssertionError("a graph whose peers all have three neighbours has a cycle")


def _link(links: _Links, a: int, b: int) -> None:
    links[a].add(b)
    links[b].add(a)


def _with_room(links: _Links, ranks: Iterable[int]) -> int | None:
    """The lowest of `ranks` that has room for one more."""
    return min((rank for rank in ranks if len(links[rank]) < MAX_NEIGHBOURS), default=None)


def distances(graph: Mapping[int, Collection[int]], source: int) -> dict[int, int]:
    """Returns the number of hops from `source` to every rank it can reach."""
    if source not in graph:
        return {}
    hops = {source: 0}
    edge = [source]
    while edge:
        further = []
        for rank in edge:
            for other in graph.get(rank, ()):
                if other not in hops:
                    hops[other] = hops[rank] + 1
                    further.append(other)
        edge = further
    return hops


def next_hop(graph: Mapping[int, Collection[int]], source: int, target: int) -> int | None:
    """Returns the neighbour of `source` on a shortest path to `target`, the lowest of several; None if none is."""
    hops = distances(graph, target)
    ways = [rank for rank in graph.get(source, ()) if rank in hops]
    return min(ways, key=lambda rank: (hops[rank], rank), default=None)
