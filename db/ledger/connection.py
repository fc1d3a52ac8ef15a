"""The connection to the database: how long to wait for what, how durable, and what an error of the driver means."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import ConfigurationError, ConnectionFailure, PyMongoError, WriteConcernError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from peers.errors import LedgerError

Document = dict[str, Any]

DURABLE = WriteConcern("majority", j=True)
"""A write is acknowledged once a majority has it in its journal: it can then not be lost."""

SETTLED = ReadConcern("majority")
"""A read sees only what a majority has."""

PATIENCE_S = 2.0
"""How long one operation may take. No setting: a caller's own patience, which is longer, asks again after it."""

REACH_WITHIN_S = 0.5
"""How long a sign of life may take. No setting: some hundred times what it takes, and half of `ledger_patience_s`."""

_CLIENT_OPTIONS: dict[str, Any] = {
    # These four bound what a cut-off or frozen primary costs; the driver's own limits are half a minute and more.
    "connectTimeoutMS": 1000,
    "serverSelectionTimeoutMS": 1500,
    "heartbeatFrequencyMS": 500,
    "socketTimeoutMS": 2000,
    # The ledger itself writes entries and books again; the server's way of doing that costs one more write each.
    "retryWrites": False,
    "appname": "bazaar",
}

_PASSING_CODES = frozenset((6, 7, 89, 91, 189, 246, 262, 9001, 10107, 11600, 11602, 13435, 13436))
"""The error codes after which a later try may succeed: the server was away, closing, interrupted, or no primary."""

_BAD_VALUE, _OBJECT_TOO_LARGE = 2, 10334
"""The error codes of a server for a document that is larger than it takes; the former is for much else as well."""


_addresses: dict[int, str] = {}
"""By the id of a client, the address that it was made with, which a client does not say."""


def connect(
    uri: str, database: str, *, server_selector: Callable[[Sequence[Any]], Sequence[Any]] | None = None
) -> Database[Document]:
    """Returns the database, with settled reads and durable writes; connects at the first use.

    `server_selector` picks among the servers that a reading could go to, as the driver has it. Raises LedgerError for
    an address that is none.
    """
    try:
        selector: dict[str, Any] = {} if server_selector is None else {"server_selector": server_selector}
        client = MongoClient[Document](uri, connect=False, tz_aware=True, **_CLIENT_OPTIONS, **selector)
        _addresses[id(client)] = uri
        weakref.finalize(client, _addresses.pop, id(client), None)
        return client.get_database(database, read_concern=SETTLED, write_concern=DURABLE)
    except (ConfigurationError, ValueError) as error:
        raise LedgerError(f"the database's address is unusable: {error}; mend --mongo") from error


def connect_again(database: Database[Document]) -> Database[Document]:
    """Returns the same database over connections of its own, made at the first use; its client is to be closed.

    The driver keeps for good what a member said when a connection was made: of one that was just starting, that it
    has no sessions. For all else such a connection is as good as any, so it is not given up, and stays in use.
    """
    return connect(_addresses[id(database.client)], database.name)


def lacks_sessions(error: PyMongoError) -> bool:
    """Whether a connection was of a member that was just starting when it was made; see `connect_again`."""
    return isinstance(error, ConfigurationError) and "essions are not supported" in str(error)


def is_passing(error: PyMongoError) -> bool:
    """Whether the same thing may well succeed later: the server is away, starts, is busy, or another is primary."""
    if lacks_sessions(error):
        return True
    if error.timeout or isinstance(error, ConnectionFailure | WriteConcernError):
        return True
    return getattr(error, "code", None) in _PASSING_CODES


def is_too_large(error: PyMongoError) -> bool:
    """Whether the server refuses a document for its size. The driver's own refusal is a DocumentTooLarge, which is no
    PyMongoError."""
    code = getattr(error, "code", None)
    return code == _OBJECT_TOO_LARGE or (code == _BAD_VALUE and "too large" in str(error))


def unusable(error: PyMongoError) -> LedgerError:
    """Returns what to raise for an error that trying again does not mend."""
    return LedgerError(f"the database refused what it should take: {error}")
