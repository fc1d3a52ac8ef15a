"""What a terminal writes down of its peers, and what becomes of that when the terminal is gone.

One that was killed leaves its peers' files as they were, and nobody else changes them while it may live. So they are
read together with whether it does.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import msgspec

from peers.core.names import Role
from peers.process_identity import has_ended

TERMINAL_ENDED = "its terminal ended"
"""What is said of a peer whose terminal could not say any more how it ended."""


class PeerState(msgspec.Struct, frozen=True, kw_only=True):
    """`peers/<name>.json`. `ended` says how the process ended, None while it runs, and `ended_at_ms` when. `town_pid`
    and `town_process` are the number and the identity of the terminal that writes this."""

    name: str
    rank: int
    role: Role
    pid: int
    uri: str
    neighbours: tuple[str, ...] = ()
    town_pid: int
    town_process: str = ""
    ended: str | None = None
    ended_at_ms: int | None = None


class Terminals:
    """The terminals that had peers in a folder when these were last read, by number and identity of the process."""

    def __init__(self) -> None:
        self._running: frozenset[tuple[int, str]] = frozenset()

    def as_is(self, states: Iterable[PeerState]) -> list[PeerState]:
        """Returns the states, those of peers whose terminal is gone as ended, whatever it said last."""
        read = list(states)
        running = {_terminal_of(state) for state in read if state.ended is None}
        self._running = frozenset(each for each in running if each[0] != os.getpid())
        gone = {each for each in self._running if has_ended(*each)}
        return [
            msgspec.structs.replace(state, ended=TERMINAL_ENDED)
            if state.ended is None and _terminal_of(state) in gone
            else state
            for state in read
        ]

    def are_fewer(self) -> bool:
        """Whether one of them is gone, of whose peers no file says so yet."""
        return any(has_ended(*each) for each in self._running)


def live_graph(peers: Iterable[PeerState]) -> dict[str, list[str]]:
    """Returns the adjacency list of the peers that run. An edge counts when either end names it."""
    states = [state for state in peers if state.ended is None]
    graph: dict[str, set[str]] = {state.name: set() for state in states}
    for state in states:
        for other in state.neighbours:
            if other in graph:
                graph[state.name].add(other)
                graph[other].add(state.name)
    rank = {state.name: state.rank for state in states}
    return {name: sorted(links, key=rank.__getitem__) for name, links in graph.items()}


def _terminal_of(state: PeerState) -> tuple[int, str]:
    return state.town_pid, state.town_process
