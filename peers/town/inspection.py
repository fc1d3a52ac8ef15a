"""The audit of a town from outside: of one that runs, or of one that has ended and left its books."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterable, Iterator, Sequence

from db.address import database_of
from db.audit.auditing import audit
from db.audit.checkers.graph import Graph
from db.audit.journals import Witness
from db.audit.members import MembersReport, compare_members
from db.audit.posts import PostBooks, TownReport, judge_together
from db.audit.report import AuditReport
from peers.books_address import ENVIRONMENT, address_from_environment, is_hidden
from peers.core.names import GraphKind
from peers.errors import TownError
from peers.town.database.replication import members_elsewhere
from peers.town.files.directory import Directory, TownState, graph_is_sound
from peers.town.files.peer_states import PeerState, live_graph
from peers.town.machines.elsewhere import Elsewhere
from peers.town.plan.areas import database_of_area
from peers.town.speaking import speak_to
from peers.town.view.console import Console
from peers.town.view.status import PeerStatus, read_status

_SETTLE_S = 3.0
"""Time for the peers to join the graph up after a loss. No setting: whoever audits may audit again."""

_LOOK_S = 0.1


def inspect(directory: Directory, mongo: str | None) -> TownReport:
    """Audits the whole town that `directory` belongs to: the books of each post and what holds over all, or the books
    at `mongo`, with the journals of all its machines. Starts its mongod where none runs.

    Where neither says where the books are, the environment may. TownError if nobody does."""
    areas, running = directory.areas(), directory.in_use()
    _speak_as_member(directory)
    with contextlib.ExitStack() as stack:
        home = stack.enter_context(_books(directory, mongo))
        elsewhere = stack.enter_context(Elsewhere(directory, *home))
        if not running:
            elsewhere.wait()
        # The market may be over here, and go on elsewhere.
        at_work = running or bool(elsewhere.answering)
        if mongo is not None or areas == [directory]:
            graph = _settled_graph(directory, directory) if running else None
            calm = _is_calm([directory], at_work=at_work)
            judged = _judge(directory, home, graph, elsewhere.witnesses(), calm=calm)
            return TownReport(posts={"": judged})
        reports: dict[str, AuditReport] = {}
        where: list[PostBooks] = []
        found: dict[tuple[str, str], list[Directory]] = {}
        for area in areas:
            place = stack.enter_context(_books_of(area, home, running=running))
            found.setdefault(place, []).append(area)
        for (uri, database), shared in found.items():
            names = tuple(area.area_name for area in shared)
            books = PostBooks(areas=names, uri=uri, database=database)
            graphs = _graphs(shared, directory) if running else None
            whose = shared[0] if len(shared) == 1 else directory
            told = elsewhere.witnesses(names)
            calm = _is_calm(shared, at_work=at_work)
            reports[books.name] = _judge(whose, (uri, database), graphs, told, calm=calm)
            where.append(books)
        return judge_together(reports, where)


def _speak_as_member(directory: Directory) -> None:
    """Has this process speak TLS, where the town does."""
    state = directory.read_town()
    if state is not None:
        speak_to(state, directory)


def _graphs(areas: list[Directory], town: Directory) -> list[dict[str, list[str]]] | None:
    """The live graph of each area; None unless all can be told."""
    graphs = [_settled_graph(area, town) for area in areas]
    told = [graph for graph in graphs if graph is not None]
    return told if len(told) == len(graphs) else None


def _judge(
    judged: Directory,
    books: tuple[str, str],
    graph: Graph | Sequence[Graph] | None,
    witnesses: Iterable[Witness],
    *,
    calm: bool | None,
) -> AuditReport:
    kind = _kind_of(judged)
    return audit(*books, judged.path, witnesses=witnesses, graph=graph, graph_kind=kind, calm=calm)


def _is_calm(areas: list[Directory], *, at_work: bool) -> bool | None:
    """Whether nothing may be left to decide in the books of these areas: None if that is to be found out.

    A town at work has requests waiting, and so has one that was killed; one that ended in order must have none."""
    states = [area.read_town() for area in areas]
    return None if at_work else all(state is not None and state.at_rest for state in states)


def _kind_of(directory: Directory) -> GraphKind:
    state = directory.read_town()
    return state.graph if state is not None else "random"


def inspect_members(directory: Directory, mongo: str | None) -> dict[str, MembersReport]:
    """Compares what the members of the database hold, found as `inspect` finds it, by area; in a town with one post
    under an empty name. TownError if nobody says where it is."""
    areas, running = directory.areas(), directory.in_use()
    with _books(directory, mongo) as home:
        if mongo is not None or areas == [directory]:
            return {"": compare_members(*home)}
        found = {}
        for area in areas:
            with _books_of(area, home, running=running) as (uri, database):
                found[area.area_name] = compare_members(uri, database)
        return found


@contextlib.contextmanager
def _books(directory: Directory, mongo: str | None) -> Iterator[tuple[str, str]]:
    """Gives the address of the books and their database; starts those of the town's own where they do not run."""
    state = directory.read_town()
    if mongo is not None:
        yield mongo, database_of(mongo)
    elif not directory.in_use() and _are_private(directory, state) and not _go_on_elsewhere(directory, state):
        with _private_books(directory) as uri:
            yield uri, (state.database if state is not None else "") or database_of(uri)
    else:
        yield _address_in(directory, state)


@contextlib.contextmanager
def _books_of(area: Directory, home: tuple[str, str], *, running: bool) -> Iterator[tuple[str, str]]:
    """Gives where the books of an area are, those of its town being at `home`; starts those that are its own unless
    the town is `running`."""
    state = area.read_town()
    if state is None or state.books == "town":
        uri, database = home
        yield uri, (state.database if state is not None else "") or database_of_area(database, area.area_name)
    elif state.books == "own" and not running:
        from peers.town.database.replicas import books_at_rest

        with books_at_rest(area.mongo, Console(out=sys.stderr)) as uri:
            yield uri, state.database
    else:
        yield _address_in(area, state)


def _address_in(directory: Directory, state: TownState | None) -> tuple[str, str]:
    if state is None or not state.mongo_uri or is_hidden(state.mongo_uri):
        elsewhere = address_from_environment()
        if elsewhere is not None:
            return elsewhere, database_of(elsewhere)
    if state is None or not state.mongo_uri:
        raise TownError(f"no town has been in {directory.path}: name another place with --dir, or books with --mongo")
    if is_hidden(state.mongo_uri):
        raise TownError(
            f"the books of {directory.path} have a password that you may not read there: give their address by "
            f"{ENVIRONMENT} or --mongo @FILE"
        )
    return state.mongo_uri, state.database


def _are_private(directory: Directory, state: TownState | None) -> bool:
    """Whether the books are the town's own, also where it was killed before it could say so or its word is lost."""
    if state is None or not state.mongo_uri:
        return directory.has_private_books() and (state is None or state.private_books)
    return state.private_books


def _go_on_elsewhere(directory: Directory, state: TownState | None) -> bool:
    """Whether other machines have members of the books, which may be in use there, and it is known how to reach
    them."""
    return state is not None and bool(state.mongo_uri) and bool(members_elsewhere(directory.mongo))


@contextlib.contextmanager
def _private_books(directory: Directory) -> Iterator[str]:
    from peers.town.database.replicas import books_at_rest

    try:
        if not directory.claim():
            raise TownError(f"a town has just started in {directory.path}; try again")
        with books_at_rest(directory.mongo, Console(out=sys.stderr)) as uri:
            yield uri
    finally:
        directory.let_go()


def _settled_graph(area: Directory, town: Directory) -> dict[str, list[str]] | None:
    """The live graph of an area, once the peers have joined it up after a loss, or after that long anyway.

    None where it cannot be told from here, for some of it is on another machine that does not answer."""
    deadline_s, kind = time.monotonic() + _SETTLE_S, _kind_of(town)
    while True:
        here = area.read_peers()
        graph: dict[str, list[str]] | None = live_graph(here)
        everybody = [peer for peer in _peers_of(town) if peer.area == area.area_name]
        elsewhere = [peer for peer in everybody if peer.name not in {state.name for state in here}]
        if elsewhere:
            graph = _joint_graph(here, elsewhere)
        if (graph is not None and graph_is_sound(graph, kind)) or time.monotonic() > deadline_s:
            return graph
        time.sleep(_LOOK_S)


def _peers_of(directory: Directory) -> tuple[PeerStatus, ...]:
    try:
        return read_status(directory).peers
    except TownError:  # It has just ended, or has not begun.
        return ()


def _joint_graph(here: list[PeerState], elsewhere: list[PeerStatus]) -> dict[str, list[str]] | None:
    """The graph over several machines: of the peers here by their files, of all others by their own word."""
    if not all(peer.alive for peer in elsewhere):
        return None
    graph = {state.name: list(state.neighbours) for state in here if state.ended is None}
    graph |= {peer.name: list(peer.neighbours) for peer in elsewhere}
    return {name: sorted(set(links) & graph.keys()) for name, links in graph.items()}
