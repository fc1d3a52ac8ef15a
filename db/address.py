"""What an address of MongoDB says, and whether anybody listens there: asked before anything is started."""

from __future__ import annotations

import socket
from contextlib import suppress

from db.schema.collections import DATABASE
from db.uri import hosts_of, parsed
from peers.errors import LedgerError


def database_of(uri: str) -> str:
    """Returns the database a MongoDB address names, else the usual one; LedgerError if it is no such address."""
    return database_in(uri) or DATABASE


def database_in(uri: str) -> str | None:
    """Returns the database a MongoDB address names, None if it names none; LedgerError if it is no such address."""
    database: str | None = parsed(uri)["database"]
    return database


def check_reachable(uri: str, timeout_s: float = 2.0) -> None:
    """Raises LedgerError if nobody listens at any of its hosts: said at once, before anything is started."""
    hosts = hosts_of(uri)
    for host, port in hosts:
        with suppress(OSError), socket.create_connection((host, port), timeout_s):
            return
    listed = ", ".join(f"{host}:{port}" for host, port in hosts)
    raise LedgerError(f"no database answers at {listed}: start one, or mend --mongo")
