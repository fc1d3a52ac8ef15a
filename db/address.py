"""What an address of MongoDB says, and whether anybody listens there: asked before anything is started."""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from typing import Any

from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

from db.schema.collections import DATABASE
from peers.books_address import without_secrets
from peers.errors import LedgerError


def database_of(uri: str) -> str:
    """Returns the database a MongoDB address names, else the usual one; LedgerError if it is no such address."""
    database: str | None = _parsed(uri)["database"]
    return database or DATABASE


def check_reachable(uri: str, timeout_s: float = 2.0) -> None:
    """Raises LedgerError if nobody listens at any of its hosts: said at once, before anything is started."""
    hosts = _parsed(uri)["nodelist"]
    for host, port in hosts:
        with suppress(OSError), socket.create_connection((host, port or 27017), timeout_s):
            return
    listed = ", ".join(f"{host}:{port}" for host, port in hosts)
    raise LedgerError(f"no database answers at {listed}: start one, or mend --mongo")


def _parsed(uri: str) -> Any:
    """Returns an address as the driver reads it; LedgerError if it cannot.

    The error shows nothing of what was given: in a malformed address any part may belong to a password."""
    if not uri.startswith(("mongodb://", "mongodb+srv://")):
        raise LedgerError("--mongo: expected an address such as mongodb://127.0.0.1:27017/?replicaSet=rs0")
    scheme, _, rest = uri.partition("://")
    _login, at, place = rest.rpartition("@")
    try:
        if re.search(r"[\s\"']", uri):
            raise ValueError("spaces and quotes must be escaped")
        return parse_uri(uri, validate=True)
    except (PyMongoError, ValueError) as error:
        why = str(error)
    if at:
        # The driver's errors may quote what they do not understand. Where it does not understand the rest alone
        # either, its error for that can be shown.
        try:
            parse_uri(f"{scheme}://{place}", validate=True)
        except (PyMongoError, ValueError) as error:
            why = str(error)
        else:
            why = "in user and password, all but letters, digits and - . _ ~ must be escaped (@ is %40)"
    raise LedgerError(without_secrets(f"--mongo: no address of a database: {why}"))
