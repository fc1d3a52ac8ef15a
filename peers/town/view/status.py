"""What `bazaar status` shows. Every peer is asked at once and briefly, so that dead and hung ones delay nobody."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import msgspec
from rich.console import Console
from rich.table import Table

from nameserver.client import Registered, find
from peers.books_address import is_hidden, without_secrets
from peers.core.names import Role
from peers.endpoints import split_endpoint
from peers.errors import LedgerError, TownError, WireError
from peers.rpc.rpc_connection import CallFailed, RpcConnection
from peers.rpc.tls import TlsFiles, secure
from peers.town.books import Books
from peers.town.directory import Directory, PeerState, TownState
from peers.town.view.members import BooksMember, read_members

# None of these is a setting: a peer that does not answer in a second is not well, and asking fifty at once keeps the
# status of a hundred peers quick.
_ANSWER_S = 1.0
_AT_ONCE = 50


class NameServerStatus(msgspec.Struct, frozen=True, kw_only=True):
    host: str
    port: int
    alive: bool


class PeerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """`alive`: it answers. One that is stopped or cut off runs, but is not alive to anybody. `machine` is the address
    it is called at, empty for one that never said."""

    name: str
    machine: str
    rank: int | None
    role: str | None
    pid: int | None
    uri: str
    neighbours: tuple[str, ...]
    alive: bool


class TownStatus(msgspec.Struct, frozen=True, kw_only=True):
    """`term` and `trader` are those of the books where they can be read, else what the peers last said. `mongo_uri`
    is as it may be shown, without a password. `members` are those of the database, where it has several, and
    `outlook` says what may be lost of them."""

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


class _Known(msgspec.Struct, frozen=True):
    name: str
    rank: int | None
    role: Role | str | None
    uri: str
    pid: int | None = None
    neighbours: tuple[str, ...] = ()
    ended: bool = False


def read_status(directory: Directory) -> TownStatus:
    """Returns how the town in `directory` is; TownError if none runs there."""
    state = directory.running_town()
    if state is None:
        raise TownError(f"no town runs in {directory.path}: start one with bazaar run, or name its place with --dir")
    if state.tls:
        secure(TlsFiles(directory.tls))
    registered = _registered(state)
    known = _known(directory.read_peers(), registered or [])
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        post = pool.submit(_post, state)
        members = pool.submit(read_members, state)
        peers = tuple(pool.map(_look_at, known))
        term, trader = post.result()
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
    )


def _registered(state: TownState) -> list[Registered] | None:
    if not state.nameserver_port:
        return None
    try:
        with find(state.nameserver_host, state.nameserver_port) as names:
            return names.peers()
    except TownError:
        return None


def _known(states: list[PeerState], registered: list[Registered]) -> list[_Known]:
    """Those of the state files, and those of terminals elsewhere that only the name server knows."""
    known = {
        state.name: _Known(
            state.name, state.rank, state.role, state.uri, state.pid, state.neighbours, state.ended is not None
        )
        for state in states
    }
    for peer in registered:
        known.setdefault(peer.name, _Known(peer.name, peer.rank, peer.role, peer.uri))
    return sorted(known.values(), key=lambda peer: (peer.rank is None, peer.rank or 0))


def _look_at(peer: _Known) -> PeerStatus:
    answer: dict[str, object] | None = None
    if not peer.ended and peer.uri:
        connection = RpcConnection(peer.uri, _ANSWER_S)
        with suppress(CallFailed, WireError):
            answer = connection.call("status")
        connection.close()
    neighbours = answer.get("neighbours") if answer else None
    return PeerStatus(
        name=peer.name,
        machine=_machine_of(peer.uri),
        rank=peer.rank,
        role=peer.role,
        pid=peer.pid,
        uri=peer.uri,
        neighbours=tuple(map(str, neighbours)) if isinstance(neighbours, list | tuple) else peer.neighbours,
        alive=answer is not None,
    )


def _machine_of(uri: str) -> str:
    try:
        return split_endpoint(uri.rpartition("@")[2])[0]
    except ValueError:
        return ""


def _post(state: TownState) -> tuple[int, str | None]:
    if not state.mongo_uri or is_hidden(state.mongo_uri):
        return state.term, state.trader
    books = Books(state.mongo_uri, state.database, timeout_s=2 * _ANSWER_S)
    try:
        post = books.post()
        return post.term, post.trader
    except LedgerError:
        return state.term, state.trader
    finally:
        books.close()


def to_json(status: TownStatus) -> str:
    return msgspec.json.format(msgspec.json.encode(status), indent=2).decode()


def print_status(status: TownStatus) -> None:
    """For people."""
    out = Console(highlight=False, markup=False, emoji=False)
    server = status.nameserver
    away = "" if server.alive else " (does not answer)"
    out.print(f"town {status.phase} in {status.directory} (process {status.pid})", soft_wrap=True)
    out.print(f"name server {server.host} port {server.port}{away}", soft_wrap=True)
    out.print(f"books {status.mongo_uri}, database {status.database}", soft_wrap=True)
    if status.outlook:
        out.print(status.outlook, soft_wrap=True)
    out.print(f"term {status.term}, trader {status.trader or 'none'}")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("peer", "role", "machine", "process", "alive", "neighbours"):
        table.add_column(heading)
    for peer in status.peers:
        mark = " *" if peer.name == status.trader else ""
        row = (f"{peer.name}{mark}", peer.role or "-", peer.machine or "-", str(peer.pid or "-"))
        table.add_row(
            *row, "yes" if peer.alive else "no", ", ".join(peer.neighbours), style=None if peer.alive else "red"
        )
    out.print(table)
