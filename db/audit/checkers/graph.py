"""`graph_sound`: the live peers form one graph, with few neighbours each."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import ClassVar

from db.audit.findings import Checker, Finding

Graph = Mapping[str, Collection[str]]
"""The neighbours of each live peer."""

MOST_NEIGHBOURS = 3
"""The most neighbours of a peer. No setting: the invariant says three."""


class GraphSound(Checker):
    """The live peers form one connected graph. A neighbour that is not live is no part of it, and no fault."""

    name: ClassVar[str] = "graph_sound"

    def __init__(self, graph: Graph | None) -> None:
        super().__init__()
        self._graph = graph

    def finish(self) -> Finding:
        if self._graph is None:
            return self.not_judged("not checked", "no graph of live peers was given")
        links = {peer: sorted(set(others) & self._graph.keys()) for peer, others in sorted(self._graph.items())}
        for peer, others in links.items():
            self._check_peer(peer, others, links)
        parts = _parts(links)
        for part in parts[1:]:
            what = f"no path leads from here to {parts[0][0]} and its {len(parts[0]) - 1} others"
            self.violate(*part, what=what)
        return super().finish()

    def _check_peer(self, peer: str, others: list[str], links: dict[str, list[str]]) -> None:
        if len(others) > MOST_NEIGHBOURS:
            self.violate(
                peer, what=f"it has {len(others)} neighbours, more than {MOST_NEIGHBOURS}: {', '.join(others)}"
            )
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
