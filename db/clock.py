"""What the clock of a database says: whoever looks for what is wrong compares it with its own."""

from __future__ import annotations

import datetime
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from db.refusals import what_to_do
from peers.books_address import without_secrets
from peers.errors import LedgerError


def clock_of(uri: str, timeout_s: float) -> float:
    """Returns its time in seconds since 1970, asked as a member that may use the books; LedgerError if it cannot."""
    limit_ms = round(timeout_s * 1000)
    limits: dict[str, Any] = {"serverSelectionTimeoutMS": limit_ms, "connectTimeoutMS": limit_ms}
    try:
        with MongoClient[dict[str, Any]](uri, tz_aware=True, socketTimeoutMS=limit_ms, **limits) as client:
            client.admin.command("ping")
            said: dict[str, Any] = client.admin.command("hello")
            client.admin.command("connectionStatus")
    except (PyMongoError, ValueError, OSError) as error:
        raise LedgerError(what_to_do(error, without_secrets(uri))) from error
    local: datetime.datetime = said["localTime"]
    return local.timestamp()
