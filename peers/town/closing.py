"""How a market is closed so that its books balance.

First everybody stops trading while all are still there to elect a trader should this one resign just now; once
nothing waits any more, the customers go, and the trader last.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from nameserver.finder import Finder, Registered
from peers.core.graph import is_sound
from peers.core.names import rank_of
from peers.core.records import Post
from peers.errors import BazaarError, TownError
from peers.town.crew import Crew

if TYPE_CHECKING:
    from peers.town.books import Books

_LOOK_S = 0.02
_CALM_S = 0.05


async def finish_in_order(crew: Crew, books: Books, *, leave: bool = False, drain_s: float = 3.0) -> None:
    """Ends a crew. While its customers go, the trader decides what they asked for last."""
    trader = crew.trader
    await crew.finish([name for name in crew.alive() if name != trader], leave=leave)
    if trader is not None and not leave:
        await until(Calm(books).holds, drain_s, look_s=_CALM_S)
    await crew.finish(crew.alive(), leave=leave)


class Calm:
    """Whether nothing waits, and nothing was decided since the last look: a request may be in the trader's hands,
    accepted and not yet written down."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._seen: tuple[int, Post] | None = None

    def holds(self) -> bool:
        try:
            now = (self._books.queued(), self._books.post())
        except BazaarError:
            return True  # there is nobody to ask, so nothing to wait for
        before, self._seen = self._seen, now
        return now[0] == 0 and now == before


async def until(condition: Callable[[], bool], timeout_s: float, look_s: float = _LOOK_S) -> bool:
    """Asks `condition`, which may block, until it holds or the time is up; returns whether it does."""
    try:
        async with asyncio.timeout(timeout_s):
            while not await asyncio.to_thread(condition):
                await asyncio.sleep(look_s)
    except TimeoutError:
        return False
    return True


def graph_is_sound(graph: dict[str, list[str]]) -> bool:
    """Whether the peers have joined the graph up again after a loss."""
    return is_sound({rank_of(name): [rank_of(other) for other in others] for name, others in graph.items()})


def foreigners(finder: Finder, crew: Crew) -> list[Registered]:
    """Returns the peers of other terminals that still listen; none if the name server does not answer."""
    try:
        others = [peer for peer in finder.peers() if peer.name not in crew.names]
    except TownError:
        return []
    return [peer for peer in others if _listens(peer.uri)]


def _listens(uri: str, timeout_s: float = 0.3) -> bool:
    host, _, port = uri.rpartition("@")[2].rpartition(":")
    with suppress(OSError, ValueError), socket.create_connection((host.strip("[]"), int(port)), timeout_s):
        return True
    return False


def until_now(condition: Callable[[], bool], timeout_s: float, look_s: float = _LOOK_S) -> bool:
    """The same, outside an event loop."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(look_s)
    return True
