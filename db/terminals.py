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


class Place(msgspec.Struct, frozen=True):
    """Where a terminal is: what others call its machine, its directory there, and its name server (`host:port`, ""
    before it has one)."""

    host: str
    directory: str
    nameserver: str = ""


class InUse(msgspec.Struct, frozen=True):
    """A terminal that uses the books. `renewed_at`: by the server's clock."""

    terminal: str
    place: Place
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

    def renew(self, terminal: str, place: Place) -> None:
        """Says that this terminal uses the books. LedgerError if that cannot be said."""
        said = {key: {"$literal": value} for key, value in msgspec.structs.asdict(place).items()}
        change = [{"$set": {**said, "renewed_at": "$$NOW", "since": {"$ifNull": ["$since", "$$NOW"]}}}]
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

    def living(self) -> list[InUse]:
        """Returns all that use the books just now. LedgerError if it cannot be told."""
        return [found for _, found in self._living({})]

    def earlier(self, terminal: str) -> list[InUse]:
        """Returns those that live and were there before this one. LedgerError if it cannot be told."""
        try:
            ours = self._words.find_one({"_id": terminal}) or {}
        except PyMongoError as error:
            raise self._failed(error) from error
        others = self._living({"_id": {"$ne": terminal}})
        since = ours.get("since")
        return [found for began, found in others if since is None or (began, found.terminal) < (since, terminal)]

    def _living(self, which: dict[str, Any]) -> list[tuple[datetime.datetime, InUse]]:
        """Those of these that live, each with when it began."""
        fresh = {"$gt": ["$renewed_at", {"$subtract": ["$$NOW", round(LIVING_S * 1000)]}]}
        try:
            words = list(self._words.find({**which, "$expr": fresh}))
        except PyMongoError as error:
            raise self._failed(error) from error
        return [(word["since"], _in_use(word)) for word in words]

    def _failed(self, error: PyMongoError) -> LedgerError:
        if error.timeout:
            return LedgerError(f"no database answers at {self._shown}: start it, or mend --mongo")
        return unusable(error)


def _in_use(word: dict[str, Any]) -> InUse:
    host, directory, nameserver = (str(word.get(key, "")) for key in Place.__struct_fields__)
    return InUse(str(word["_id"]), Place(host, directory, nameserver), word["renewed_at"])
