"""The writes of one transaction as plain commands, and what the server's word on each of them means.

As plain commands: the driver's own ways of writing take trouble to retry, and to split what is too large, which is
not done inside a transaction of ours, and shows in the time of a small one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pymongo.errors import BulkWriteError, ConnectionFailure, OperationFailure, PyMongoError

from peers.errors import LedgerError

Document = dict[str, Any]

TRANSIENT = "TransientTransactionError"
_DUPLICATE_KEY = 11000


class Refused(Exception):
    """A transaction does not find the books as it takes them to be. It is rolled back."""


@dataclass(frozen=True, kw_only=True)
class Write:
    """One command, and how many documents it has to find: `finds` is None where it only adds some."""

    command: Document
    finds: int | None = None


def inserting(collection: str, documents: list[Document]) -> Write:
    """Adds documents; their ids must not be taken."""
    return Write(command={"insert": collection, "documents": documents})


def updating(collection: str, updates: list[tuple[Document, Document]]) -> Write:
    """Changes one document for each query and change."""
    return Write(
        command={"update": collection, "updates": [{"q": query, "u": change} for query, change in updates]},
        finds=len(updates),
    )


def deleting(collection: str, query: Document, count: int) -> Write:
    """Takes away what the query finds, which must be `count` documents. By the index of `_id`."""
    return Write(
        command={"delete": collection, "deletes": [{"q": query, "limit": 0, "hint": "_id_"}]},
        finds=count,
    )


def check(write: Write, answer: Mapping[str, Any]) -> None:
    """Raises Refused unless the write found what it had to, and the driver's error for whatever else went wrong."""
    error = error_in(answer)
    if error is not None:
        if is_duplicate(error):
            raise Refused from error
        raise error
    if write.finds is not None and answer["n"] != write.finds:
        raise Refused


def error_in(answer: Mapping[str, Any]) -> PyMongoError | None:
    """Returns what the server's answer to a command complains about, as the driver would raise it."""
    if answer.get("ok") != 1:
        return OperationFailure(str(answer.get("errmsg")), answer.get("code"), answer)
    if "writeErrors" in answer:
        return BulkWriteError(dict(answer))
    concern = answer.get("writeConcernError")
    if concern is not None:
        return OperationFailure(str(concern.get("errmsg")), concern.get("code"), concern)
    return None


def is_duplicate(error: PyMongoError) -> bool:
    """Whether the server refused a write because its id, or its seq, is taken."""
    if isinstance(error, BulkWriteError):
        return any(failed["code"] == _DUPLICATE_KEY for failed in error.details["writeErrors"])
    return isinstance(error, OperationFailure) and error.code == _DUPLICATE_KEY


def is_passing(error: PyMongoError) -> bool:
    """Whether the same thing may well succeed later: the server is away or busy, or another was in the way."""
    return error.timeout or isinstance(error, ConnectionFailure) or error.has_error_label(TRANSIENT)


def unusable(error: PyMongoError) -> LedgerError:
    """What to raise for an error that trying again does not mend."""
    return LedgerError(f"the database refused what it should take: {error}")
