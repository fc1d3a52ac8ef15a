"""What `bazaar status` shows. Every peer is asked at once and briefly, so that dead and hung ones delay nobody."""

from __future__ import annotations

import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import msgspec
from rich.console import Console
from rich.table import Table

from nameserver.client import Registered, find
from peers.books_address import is_hidden, without_secrets
from peers.core.names import Role
from peers.endpoints import host_of, split_endpoint
from peers.errors import LedgerError, TownError, WireError
from peers.rpc.rpc_connection import CallFailed, RpcConnection
from peers.town.database.books import Books
from peers.town.files.directory import Directory, TownState
from peers.town.files.peer_states import PeerState
from peers.town.speaking import speak_to
from peers.town.view.members import BooksMember, read_members

# None of these is a setting: a peer that does not answer in a second is not well, and asking fifty at once keeps the
# status of a hundred peers quick.
_ANSWER_S = 1.0
_AT_ONCE = 50
_MOST_ASKED = 4
GONE_FOR_S = 300.0
"""Who has been gone for longer is shown only if asked for. No setting: there is `--all`."""


class NameServerStatus(msgspec.Struct, frozen=True, kw_only=True):
    host: str
    port: int
    alive: bool


class PeerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """`alive`: it answers. One that is stopped or cut off runs, but is not alive to anybody. `gone` says how a
    process ended that has, and `gone_at_ms` when. `machine` is the address it is called at, empty for one that never
    said."""

    name: str
    machine: str
    rank: int | None
    role: str | None
    pid: int | None
    uri: str
    neighbours: tuple[str, ...]
    alive: bool
    gone: str | None = None
    gone_at_ms: int | None = None
    area: str = ""


class AreaStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One area of a town with several posts: who is trader there, and where its books are (none where that is not
    known here)."""

    name: str
    term: int
    trader: str | None
    mongo_uri: str
    database: str


class TownStatus(msgspec.Struct, frozen=True, kw_only=True):
    """`term` and `trader` are those of the books where they can be read, else what the peers last said. `mongo_uri`
    is as it may be shown, without a password. `members` are those of the database, where it has several, and
    `outlook` says what may be lost of them. A town with several posts has `areas`, each with a term and a trader, and
    none of its own."""

    directory: str
    pid: int
    phase: str
    nameserver: NameServerStatus
    mongo_uri: str
    database: str
    term: int
    trader: str | None
    peers: tuple[PeerStatus, ...]
    members: tuple[BooksMember, ...] = ()
    outlook: str = ""
    areas: tuple[AreaStatus, ...] = ()


class _Known(msgspec.Struct, frozen=True):
    name: str
    rank: int | None
    role: Role | str | None
    uri: str
    pid: int | None = None
    neighbours: tuple[str, ...] = ()
    ended: str | None = None
    ended_at_ms: int | None = None
    area: str = ""


def read_status(directory: Directory) -> TownStatus:
    """Returns how the town in `directory` is; TownError if none runs there."""
    state = directory.running_town()
    if state is None:
        raise TownError(f"no town runs in {directory.path}: start one with bazaar run, or name its place with --dir")
    nameserver = speak_to(state, directory)
    registered = _registered(nameserver)
    # Any machine of the town lists the same.
    listed = registered if registered is not None else _listed_elsewhere(directory)
    known = _known([(area.area_name, peer) for area in directory.areas() for peer in area.read_peers()], listed)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        post = pool.submit(_post, state) if not state.areas else None
        areas = [pool.submit(_look_at_area, directory.area(name), nameserver) for name in state.areas]
        members = pool.submit(read_members, state)
        peers = tuple(pool.map(_look_at, known))
        term, trader = post.result() if post is not None else (0, None)
    return TownStatus(
        directory=str(directory.path),
        pid=state.pid,
        phase=state.phase,
        nameserver=NameServerStatus(
            host=state.nameserver_host, port=state.nameserver_port, alive=registered is not None
        ),
        mongo_uri=without_secrets(state.mongo_uri),
        database=state.database,
        term=term,
        trader=trader,
        peers=peers,
        members=members.result().members,
        outlook=members.result().outlook,
        areas=tuple(area.result() for area in areas),
    )


def _registered(nameserver: tuple[str, int]) -> list[Registered] | None:
    if not nameserver[1]:
        return None
    try:
        with find(*nameserver) as names:
            return names.peers()
    except TownError:
        return None


def _listed_elsewhere(directory: Directory) -> list[Registered]:
    """The peers as another machine of the town lists them, as far as one of the latest that is remembered answers."""
    machines = directory.read_machines()
    for nameserver in machines.nameservers[:_MOST_ASKED] if machines is not None else ():
        with suppress(TownError), find(*split_endpoint(nameserver), _ANSWER_S) as names:
            card = names.card()
            if machines is not None and card is not None and card.get("town") == machines.town:
                return names.peers()
    return []


def _known(states: list[tuple[str, PeerState]], registered: list[Registered]) -> list[_Known]:
    """Those of the state files, and those of terminals elsewhere that only the name server knows."""
    known = {
        state.name: _Known(
            state.name,
            state.rank,
            state.role,
            state.uri,
            state.pid,
            state.neighbours,
            state.ended,
            state.ended_at_ms,
            area,
        )
        for area, state in states
    }
    for peer in registered:
        known.setdefault(peer.name, _Known(peer.name, peer.rank, peer.role, peer.uri, area=peer.area))
    return sorted(known.values(), key=lambda peer: (peer.rank is None, peer.rank or 0))


def _look_at(peer: _Known) -> PeerStatus:
    answer: dict[str, object] | None = None
    if peer.ended is None and peer.uri:
        connection = RpcConnection(peer.uri, _ANSWER_S)
        with suppress(CallFailed, WireError):
            answer = connection.call("status")
        connection.close()
    neighbours = answer.get("neighbours") if answer else None
    return PeerStatus(
        name=peer.name,
        machine=host_of(peer.uri),
        rank=peer.rank,
        role=peer.role,
        pid=peer.pid,
        uri=peer.uri,
        neighbours=tuple(map(str, neighbours)) if isinstance(neighbours, list | tuple) else peer.neighbours,
        alive=answer is not None,
        gone=peer.ended,
        gone_at_ms=peer.ended_at_ms,
        area=peer.area,
    )


def _look_at_area(area: Directory, nameserver: tuple[str, int]) -> AreaStatus:
    """How an area is: by its books, where this terminal has them, else by the word of the name server."""
    state = area.read_town()
    if state is not None:
        term, trader = _post(state, area.area_name)
        uri, database = without_secrets(state.mongo_uri), state.database
        return AreaStatus(name=area.area_name, term=term, trader=trader, mongo_uri=uri, database=database)
    term, trader = 0, None
    with suppress(TownError), find(*nameserver) as names:
        listed = names.trader(area.area_name)
        if listed is not None:
            term = listed.term
            trader = next((peer.name for peer in names.peers() if peer.uri == listed.uri), None)
    return AreaStatus(name=area.area_name, term=term, trader=trader, mongo_uri="", database="")


def _post(state: TownState, area: str = "") -> tuple[int, str | None]:
    if not state.mongo_uri or is_hidden(state.mongo_uri):
        return state.term, state.trader
    books = Books(state.mongo_uri, state.database, timeout_s=2 * _ANSWER_S)
    try:
        post = books.post()
        post = post.of(area) if post.areas else post  # Areas that share their books are told apart in these.
        return post.term, post.trader
    except LedgerError:
        return state.term, state.trader
    finally:
        books.close()


def to_json(status: TownStatus) -> str:
    return msgspec.json.format(msgspec.json.encode(status), indent=2).decode()


def print_status(status: TownStatus, *, everybody: bool = False) -> None:
    """For people. `everybody`: also those who have been gone for long."""
    out = Console(highlight=False, markup=False, emoji=False)
    server = status.nameserver
    away = "" if server.alive else " (does not answer)"
    out.print(f"town {status.phase} in {status.directory} (process {status.pid})", soft_wrap=True)
    out.print(f"name server {server.host} port {server.port}{away}", soft_wrap=True)
    # In a town with areas the books are in a database of each area's, which its own line names.
    in_one = f", database {status.database}" if not status.areas else ""
    out.print(f"books {status.mongo_uri}{in_one}", soft_wrap=True)
    if status.outlook:
        out.print(status.outlook, soft_wrap=True)
    gone = {peer.name for peer in status.peers if not peer.alive}
    for area in status.areas:
        where = f", database {area.database}" if area.database else ""
        elsewhere = f" at {area.mongo_uri}" if area.mongo_uri not in ("", status.mongo_uri) else ""
        told = f"{area.name}: term {area.term}, trader {_holder(area.trader, gone)}{where}{elsewhere}"
        out.print(told, soft_wrap=True)
    if not status.areas:
        out.print(f"term {status.term}, trader {_holder(status.trader, gone)}")
    table = Table(box=None, pad_edge=False, header_style="bold")
    of_area = ("area",) if status.areas else ()
    for heading in ("peer", *of_area, "role", "machine", "process", "alive", "neighbours"):
        # With areas beside it, how somebody ended would leave a narrow terminal no room for any neighbours.
        table.add_column(heading, no_wrap=heading != "neighbours" and not (of_area and heading == "alive"))
    traders = {status.trader, *(area.trader for area in status.areas)} - gone
    now_ms = time.time_ns() // 1_000_000
    shown = [peer for peer in status.peers if everybody or _gone_for_s(peer, now_ms) <= GONE_FOR_S]
    for peer in shown:
        mark = " *" if peer.name in traders else ""
        area_of = (peer.area,) if status.areas else ()
        row = (f"{peer.name}{mark}", *area_of, peer.role or "-", peer.machine or "-", str(peer.pid or "-"))
        table.add_row(*row, _alive(peer, now_ms), ", ".join(peer.neighbours), style=None if peer.alive else "red")
    out.print(table)
    left_out = len(status.peers) - len(shown)
    if left_out:
        out.print(f"{left_out} more {'is' if left_out == 1 else 'are'} gone since long: --all shows them too")


def _holder(trader: str | None, gone: Collection[str]) -> str:
    """Who is trader, for people. The books name the last one until another takes office, though it may be gone."""
    if trader is None:
        return "none"
    return f"{trader}, who is gone" if trader in gone else trader


def _gone_for_s(peer: PeerStatus, now_ms: int) -> float:
    return 0.0 if peer.gone_at_ms is None else max(now_ms - peer.gone_at_ms, 0) / 1000


def _alive(peer: PeerStatus, now_ms: int) -> str:
    if peer.gone is None:
        return "yes" if peer.alive else "no"
    gone_s = _gone_for_s(peer, now_ms)
    since = f"{gone_s:.0f} s" if gone_s < 120 else f"{gone_s / 60:.0f} min"
    when = f" {since} ago" if peer.gone_at_ms is not None else ""
    return f"gone{when} ({peer.gone})"
