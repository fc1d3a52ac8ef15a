"""What a town, or an area of it, says of itself in its `town.json`, from before anything of it is started."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from peers.errors import TownError
from peers.rpc.security.tls import is_secured
from peers.town.files.directory import Directory, TownState
from peers.town.plan.options import RunOptions
from peers.town.view.console import Console

if TYPE_CHECKING:
    from peers.town.database.replicas import Replicas


def first_state(options: RunOptions, directory: Directory, host: str) -> TownState:
    """Returns the state of a town that is about to start in this directory.

    Books that are kept are those of certain peers, so a town that goes on keeps its seed, and its peers. TownError
    where the journals here belong to other books.
    """
    before = None if options.fresh else directory.read_town()
    had_own_books = directory.has_private_books() if before is None else before.private_books
    # Where `town.json` is lost and there are no private books here, nobody knows where those of the journals are.
    is_known = before is not None or had_own_books or options.mongo is None
    if is_known and had_own_books != (options.mongo is None) and directory.has_journals():
        how = "give the address of those by --mongo" if options.mongo is None else "leave out --mongo"
        raise TownError(
            f"the journals in {directory.path} belong to other books than these: {how}, or choose another --dir"
        )
    same = before is not None and (before.n, before.merchants) == (options.n, options.merchants)
    seed = options.seed
    if seed is None:
        seed = before.seed if same and before is not None else random.SystemRandom().getrandbits(32)
    return TownState(
        phase="starting",
        pid=os.getpid(),
        host=host,
        advertised=options.advertise or host,
        n=options.n,
        seed=seed,
        merchants=options.merchants,
        graph=options.settings.graph,
        areas=tuple(area.name for area in options.areas),
        private_books=options.mongo is None,
        tls=is_secured(),
        started_at_ms=time.time_ns() // 1_000_000,
    )


def own_books_of(directory: Directory, console: Console, options: RunOptions) -> Callable[[], Replicas]:
    """Returns what makes the books of the town, or of an area, in `directory`. To be asked for before anything new is
    written down there, for they are to be where they were, unless they begin anew: peers of the old town that were
    away meanwhile would look for theirs there."""
    before_at = "" if options.fresh else _books_before(directory)

    def make() -> Replicas:
        # It brings the driver, which takes as long to import as all else.
        from peers.town.terminals.own_books import founded_books

        return founded_books(directory, console, options, before_at)

    return make


def _books_before(directory: Directory) -> str:
    """Returns where the books of the town's own were when it was open last; empty if it had none."""
    before = directory.read_town()
    return before.mongo_uri if before is not None and before.private_books else ""


CLOSED = {"phase": "closed", "nameserver_pid": None, "mongod_pid": None, "trader": None}
"""What is written down of a town, or of an area, that has ended."""


class StateFile:
    """The state as it is written down in a directory."""

    def __init__(self, directory: Directory, state: TownState) -> None:
        self._directory = directory
        self.state = state

    def begin(self) -> None:
        """Writes it down as it is at first."""
        self._directory.write_town(self.state)

    def write(self, **changes: object) -> None:
        """Writes down what has changed, if anything has."""
        changed = msgspec.structs.replace(self.state, **changes)
        if changed != self.state:
            self.state = changed
            self._directory.write_town(changed)
