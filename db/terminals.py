"""Which terminals use the books just now: each leaves a word in them, again and again while it lives.

That is no part of the books, and nothing is decided by it: it is for who is about to open a town on books that are
another's already. All times are those of the server, so the clocks of the machines do not matter.
"""

from __future__ import annotations

import datetime
from typing import Any

import msgspec
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from db.ledger.connection import unusable
from peers.books_address import without_secrets
from peers.errors import LedgerError

COLLECTION = "terminals"
LIVING_S = 6.0
"""For so long a word counts. No setting: longer than some renewals that are late, and short enough to wait for."""


class InUse(msgspec.Struct, frozen=True):
    """A terminal that uses the books. `where`: how to find it, in words; `renewed_at`: by the server's clock."""

    terminal: str
    where: str
    renewed_at: datetime.datetime


class Terminals:
    """The words of terminals in one database; for one thread. Every method raises LedgerError if it is away."""

    def __init__(self, uri: str, database: str, timeout_s: float = 2.0) -> None:
        limit_ms = round(timeout_s * 1000)
        self._shown = without_secrets(uri)
        self._client = MongoClient[dict[str, Any]](
            uri, serverSelectionTimeoutMS=limit_ms, connectTimeoutMS=limit_ms, socketTimeoutMS=limit_ms, tz_aware=True
        )
        self._words = self._client[database][COLLECTION]

    def close(self) -> None:
        """Lets go of all connections."""
        self._client.close()

    def renew(self, terminal: str, where: str) -> None:
        """Says that this terminal uses the books. LedgerError if that cannot be said."""
        change = [{"$set": {"where": where, "renewed_at": "$$NOW", "since": {"$ifNull": ["$since", "$$NOW"]}}}]
        try:
            self._words.update_one({"_id": terminal}, change, upsert=True)
        except PyMongoError as error:
            raise self._failed(error) from error

    def release(self, terminal: str) -> None:
        """Says that it does no longer. LedgerError if that cannot be said."""
        try:
            self._words.delete_one({"_id": terminal})
        except PyMongoError as error:
            raise self._failed(error) from error

    def earlier(self, terminal: str) -> list[InUse]:
        """Returns those that live and were there before this one. LedgerError if it cannot be told."""
        try:
            ours = self._words.find_one({"_id": terminal}) or {}
            living = {"$gt": ["$renewed_at", {"$subtract": ["$$NOW", round(LIVING_S * 1000)]}]}
            words = self._words.find({"_id": {"$ne": terminal}, "$expr": living})
            return [
                InUse(str(word["_id"]), str(word["where"]), word["renewed_at"])
                for word in words
                if "since" not in ours or (word["since"], word["_id"]) < (ours["since"], terminal)
            ]
        except PyMongoError as error:
            raise self._failed(error) from error

    def _failed(self, error: PyMongoError) -> LedgerError:
        if error.timeout:
            return LedgerError(f"no database answers at {self._shown}: start it, or mend --mongo")
        return unusable(error)
