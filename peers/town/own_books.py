"""The mongod of a town that has no database given: alone on loopback, or shared with the town's other machines."""

from __future__ import annotations

from pathlib import Path

import msgspec

from db.mongod.guard import make_guard
from db.mongod.process import MongodProcess
from peers.files import write_json
from peers.rpc.tls import TlsFiles, is_secured
from peers.town.addresses import can_be_reached, pick_port
from peers.town.directory import Directory


def own_mongod(
    directory: Directory, host: str, *, ports: tuple[int, int] | None, nameserver_port: int
) -> MongodProcess:
    """Returns the mongod of the town in `directory`, not started.

    Where other machines can reach `host`, it listens there, to members that know the password; the port is kept from
    run to run, for the others remember it. Elsewhere it listens on loopback. LedgerError if its secrets cannot be
    kept, TownError if no port is left.
    """
    if not (is_secured() and can_be_reached(host)):
        return MongodProcess(directory.mongo)
    files = TlsFiles(directory.tls)
    guard = make_guard(files.directory, files.authority, files.member)
    port = 0
    if ports is not None:
        remembered = files.directory / "mongod.port"
        port = pick_port(host, ports, preferred=_read_port(remembered), without=[nameserver_port])
        write_json(remembered, port)
    return MongodProcess(directory.mongo, host, port, guard=guard)


def _read_port(path: Path) -> int:
    try:
        return msgspec.json.decode(path.read_bytes(), type=int)
    except (OSError, msgspec.MsgspecError):
        return 0
