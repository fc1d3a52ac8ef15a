"""What a terminal does about the journals of its peers: it says that there are some, and at its end hands them over.

Before its first peer trades, the books are told that journals are kept here. Once its last peer has ended, they are
told how much there is of them, so that others know when they have all. The name server goes on handing them out until
the others have them, which takes a moment; where nobody else is left, or nobody asks, not even that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import closing, suppress

import psutil

from db.keepers import Keepers
from db.queries import Queries
from db.terminals import Place
from nameserver.journal_copies import Source, extent_of
from peers.endpoints import endpoint
from peers.errors import LedgerError, TownError
from peers.town.files.directory import Directory
from peers.town.machines.elsewhere import Elsewhere
from peers.town.machines.registry import Registry
from peers.waiting import wait_until

# None of these is a setting: they bound by how much a terminal ends later for the sake of those that stay.
_AT_END_S = 4.0
_FIRST_S = 8.0
_OTHERS_S = 1.0
_ANSWER_S = 2.0
_LOOK_S = 0.05


class JournalKeeping:
    """The journals of one terminal, in the directory of a town that has that of `registry`. `claimed`: it is the only
    one there, or the first."""

    def __init__(self, directory: Directory, registry: Registry, *, claimed: bool) -> None:
        self._directory = directory
        self._registry = registry
        self._claimed = claimed
        self._books: Queries | None = None
        self._rests = False

    def begin(self, books: Queries, host: str, areas: Iterable[str]) -> None:
        """Has the books say that journals are kept here, of peers of these areas; others call this machine `host`.

        LedgerError if that cannot be said."""
        self._books = books
        self._directory.say_journals_rest(at_rest=False)
        where = Place(host, str(self._directory.path), self._registry.where) if self._claimed else None
        with closing(Keepers(books.uri, books.database)) as keepers:
            keepers.begin(self._directory.terminal(), where, areas)

    def rest(self, ours: Collection[str]) -> None:
        """Says how much the journals here hold, now that the peers here, `ours`, have ended; nothing as long as other
        terminals have peers here, nor what was said already. Books that are away are not told."""
        if self._books is None or self._rests or others_write(self._directory, ours):
            return
        self._rests = True
        self._directory.say_journals_rest(at_rest=True)
        with suppress(LedgerError), closing(Keepers(self._books.uri, self._books.database)) as keepers:
            keepers.rest(self._directory.terminal(), extent_of(self._directory.path))

    def elsewhere(self, *, closes: bool) -> Elsewhere:
        """Returns the journals of the other terminals, for the audit at the end of this one; `closes`: all end."""
        assert self._books is not None
        return Elsewhere(self._directory, self._books.uri, self._books.database, limit_s=_AT_END_S, closes=closes)

    def hand_over(self, others: Elsewhere) -> None:
        """Has those of the others that are on other machines copy the journals here; returns once one of them has
        all, and the rest of them had the time for it."""
        wanted = {name for name, nameserver in others.apart.items() if self._ask_to_take(nameserver)}
        if not wanted:
            return
        with closing(Source(endpoint(*self._registry.address), _ANSWER_S)) as here:

            def readers() -> set[str]:
                try:
                    return wanted & {*here.readers()}
                except TownError:
                    return wanted  # The name server is gone, and with it the journals for all others.

            if wait_until(readers, _FIRST_S, look_s=_LOOK_S):
                wait_until(lambda: readers() == wanted, _OTHERS_S, look_s=_LOOK_S)

    def _ask_to_take(self, nameserver: str) -> bool:
        with suppress(TownError), closing(Source(nameserver, _ANSWER_S)) as other:
            other.take(self._registry.where)
            return True
        return False


def others_write(directory: Directory, ours: Collection[str]) -> bool:
    """Whether another terminal has peers in this directory."""
    peers = [peer for area in directory.areas() for peer in area.read_peers()]
    return any(peer.ended is None and peer.name not in ours and psutil.pid_exists(peer.pid) for peer in peers)
