"""`graph_sound`: the live peers form one graph, with few neighbours each; of several areas, each its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar

from db.audit.findings import Checker, Finding

Graph = Mapping[str, Collection[str]]
"""The neighbours of each live peer."""

_MOST_NEIGHBOURS = {"random": 3, "ring": 2}
"""The most neighbours of a peer, by the kind of graph; in a complete one, all others. The invariant says so."""


class GraphSound(Checker):
    """The live peers form one connected graph of its kind. A neighbour that is not live is no part of it.

    Areas that share their books have a graph each, and all are judged."""

    name: ClassVar[str] = "graph_sound"

    def __init__(self, graph: Graph | Sequence[Graph] | None, kind: str = "random") -> None:
        super().__init__()
        self._graphs = (graph,) if isinstance(graph, Mapping) else graph
        self._kind = kind

    def finish(self) -> Finding:
        if self._graphs is None:
            return self.not_judged("not checked", "no graph of live peers was given")
        for graph in self._graphs:
            self._check(graph)
        return super().finish()

    def _check(self, graph: Graph) -> None:
        links = {peer: sorted(set(others) & graph.keys()) for peer, others in sorted(graph.items())}
        for peer, others in links.items():
            self._check_peer(peer, others, links)
        parts = _parts(links)
        for part in parts[1:]:
            what = f"no path leads from here to {parts[0][0]} and its {len(parts[0]) - 1} others"
            self.violate(*part, what=what)

    def _check_peer(self, peer: str, others: list[str], links: dict[str, list[str]]) -> None:
        most = _MOST_NEIGHBOURS.get(self._kind, len(links) - 1)
        if len(others) > most:
            self.violate(peer, what=f"it has {len(others)} neighbours, more than {most}: {', '.join(others)}")
        if self._kind == "complete" and len(others) < most:
            missing = sorted(links.keys() - set(others) - {peer})
            self.violate(peer, what=f"everybody is linked to everybody here, and it is not to {', '.join(missing)}")
        for other in others:
            if other == peer:
                self.violate(peer, what="it is its own neighbour")
            elif peer not in links[other]:
                self.violate(peer, other, what=f"{peer} has {other} for a neighbour, but not the other way round")


def _parts(links: dict[str, list[str]]) -> list[list[str]]:
    """The connected parts, the largest first. A link counts in both directions, whoever named it."""
    both: dict[str, set[str]] = {peer: set(others) for peer, others in links.items()}
    for peer, others in links.items():
        for other in others:
            both[other].add(peer)
    parts: list[list[str]] = []
    unseen = dict.fromkeys(links)
    while unseen:
        first = next(iter(unseen))
        part, reach = [], [first]
        del unseen[first]
        while reach:
            peer = reach.pop()
            part.append(peer)
            fresh = [other for other in both[peer] if other in unseen]
            reach += fresh
            for other in fresh:
                del unseen[other]
        parts.append(sorted(part))
    return sorted(parts, key=len, reverse=True)
