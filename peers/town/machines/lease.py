"""One town, one set of books: a terminal says in the books that it uses them, and who would open a second town on
them is told so, and how to join.

Two towns on the same books would depose each other's traders without end. The books themselves would hold.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

from db.address import database_of
from db.terminals import LIVING_S, Place, Terminals
from peers.books_address import without_secrets
from peers.endpoints import endpoint
from peers.errors import LedgerError, TownError
from peers.town.files.directory import Directory, TownState
from peers.town.machines.invitation import known_machines
from peers.town.machines.may_join import how_to_join
from peers.town.plan.options import RunOptions

# None of these is a setting: they say how soon a word is there, and how long one that died is waited for.
_RENEW_S = 2.0
_LOOK_S = 0.25


def check_unused(directory: Directory, uri: str, host: str, given: RunOptions) -> None:
    """Returns if no living town but that of `directory` uses the books at `uri`; it waits for one that may be dead.

    TownError if one does, with the command by which a terminal that was `given` these options may join it;
    LedgerError if the books cannot be asked."""
    ours = directory.terminal()
    terminals = Terminals(uri, database_of(uri))
    try:
        terminals.renew(ours, place_of(directory, None, host))
        if known_machines(directory):
            return  # Who has been in this town before finds the others, or begins again where nobody is left.
        seen = {each.terminal: each.renewed_at for each in terminals.earlier(ours)}
        deadline_s = time.monotonic() + LIVING_S + _RENEW_S
        while seen and time.monotonic() < deadline_s:
            living = terminals.earlier(ours)
            for each in living:
                if each.renewed_at > seen.get(each.terminal, each.renewed_at):
                    terminals.release(ours)
                    raise TownError(
                        f"the books at {without_secrets(uri)} are in use by the town on {each.place.host} "
                        f"(--dir {each.place.directory}), and two towns cannot share books: "
                        f"{how_to_join(each.place, directory, uri, host, given)}. Or name another database in --mongo"
                    )
            if not living:
                return
            time.sleep(_LOOK_S)
    finally:
        terminals.close()


def name_servers_in_books(uri: str) -> list[str]:
    """Returns where the name servers of those are who use the books at `uri` just now; none if it cannot be told."""
    terminals = Terminals(uri, database_of(uri))
    try:
        return [each.place.nameserver for each in terminals.living() if each.place.nameserver]
    except LedgerError:
        return []
    finally:
        terminals.close()


@contextlib.contextmanager
def held(directory: Directory, host: str, *, release: bool) -> Iterator[None]:
    """Has the books say that the terminal of `directory` uses them, as long as this lasts. Books that are away are
    told when they are back. `release`: at the end they are told too, for they are still there."""
    ended = threading.Event()
    keeper = threading.Thread(target=_keep, args=(directory, host, ended, release), name="lease", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        keeper.join(_RENEW_S)


def say_in_use(directory: Directory, host: str) -> None:
    """Has the books say that the terminal of `directory` uses them, at once: who begins just now is not to miss it.
    Books that are away are told later."""
    state = directory.running_town()
    if state is None or not state.mongo_uri:
        return
    with contextlib.suppress(LedgerError):
        terminals = Terminals(state.mongo_uri, state.database)
        try:
            terminals.renew(directory.terminal(), place_of(directory, state, host))
        finally:
            terminals.close()


def _keep(directory: Directory, host: str, ended: threading.Event, release: bool) -> None:
    terminals: Terminals | None = None
    ours = directory.terminal()
    while not ended.wait(_RENEW_S):
        state = directory.running_town()
        if state is None or not state.mongo_uri or state.phase != "open":
            continue
        with contextlib.suppress(LedgerError):
            terminals = terminals or Terminals(state.mongo_uri, state.database)
            terminals.renew(ours, place_of(directory, state, host))
    if terminals is not None:
        if release:
            with contextlib.suppress(LedgerError):
                terminals.release(ours)
        terminals.close()


def place_of(directory: Directory, state: TownState | None, host: str) -> Place:
    """Where this terminal is, as others find it."""
    outside = (state.advertised if state is not None else "") or host
    port = state.nameserver_port if state is not None else 0
    return Place(outside, str(directory.path), endpoint(outside, port) if port else "")
