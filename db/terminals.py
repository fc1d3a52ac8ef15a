"""Which terminals use the books just now: each leaves a word in them, again and again while it lives.

That is no part of the books, and nothing is decided by it but which town may be opened on them
(`peers.town.machines.lease`). Each renewal leaves a mark that was never there before, so whoever looks twice sees
whether a terminal lives. That needs no clock; the times in a word are the server's, which may be set, and are good
for a first guess only.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from pymongo import MongoClient
from pymongo.client_session import ClientSession
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from db.ledger.connection import unusable
from peers.books_address import without_secrets
from peers.errors import LedgerError

COLLECTION = "terminals"
CLAIMS = "claims"
LIVING_S = 6.0
"""For so long a word counts. No setting: longer than some renewals that are late, and short enough to wait for."""

_TOWN = "town"
"""The id of the one claim there is."""

_T = TypeVar("_T")


class Place(msgspec.Struct, frozen=True):
    """Where a terminal is: what others call its machine, its directory there, and its name server (`host:port`, ""
    before it has one)."""

    host: str
    directory: str
    nameserver: str = ""


class InUse(msgspec.Struct, frozen=True):
    """The word of a terminal. `opens`: it would open a town, and does not use the books yet. `mark` is another after
    each renewal."""

    terminal: str
    place: Place
    opens: bool
    mark: tuple[object, object]


class Claim(msgspec.Struct, frozen=True):
    """Which terminal may open a town, as claimed once: the `number` is of that one claim."""

    terminal: str
    number: str


class Terminals:
    """The words of terminals in one database; for one thread. Every method raises LedgerError if it is away.

    All that is read is a majority's, and no older than what this one has read or written before."""

    def __init__(self, uri: str, database: str, timeout_s: float = 2.0) -> None:
        limit_ms = round(timeout_s * 1000)
        self._shown = without_secrets(uri)
        self._client = MongoClient[dict[str, Any]](
            uri, serverSelectionTimeoutMS=limit_ms, connectTimeoutMS=limit_ms, socketTimeoutMS=limit_ms, tz_aware=True
        )
        books = self._client.get_database(
            database, read_concern=ReadConcern("majority"), write_concern=WriteConcern("majority")
        )
        self._words, self._claims = books[COLLECTION], books[CLAIMS]
        self._session: ClientSession | None = None

    def close(self) -> None:
        """Lets go of all connections."""
        self._client.close()

    def renew(self, terminal: str, place: Place, *, opens: bool = False) -> None:
        """Says that this terminal uses the books, or (`opens`) that it would open a town on them. LedgerError if that
        cannot be said."""
        said: dict[str, Any] = {**msgspec.structs.asdict(place), "opens": opens, "renewal": uuid.uuid4().hex}
        change = {key: {"$literal": value} for key, value in said.items()}
        # Versions before this one go by when a word was left first.
        since = "$$NOW" if opens else {"$ifNull": ["$since", "$$NOW"]}
        update = [{"$set": {**change, "renewed_at": "$$NOW", "since": since}}]
        self._asked(lambda session: self._words.update_one({"_id": terminal}, update, upsert=True, session=session))

    def release(self, terminal: str) -> None:
        """Says that it does no longer. LedgerError if that cannot be said."""
        self._asked(lambda session: self._words.delete_one({"_id": terminal}, session=session))

    def forget(self, dead: InUse) -> None:
        """Removes the word of a terminal that is dead, unless it was renewed after all. LedgerError if that cannot be
        done."""
        renewal, renewed_at = dead.mark
        word = {"_id": dead.terminal, "renewal": renewal, "renewed_at": renewed_at}
        self._asked(lambda session: self._words.delete_one(word, session=session))

    def living(self) -> list[InUse]:
        """Returns all that use the books just now, as far as the server's clock tells. LedgerError if it cannot be
        told."""
        fresh = {"$expr": {"$gt": ["$renewed_at", {"$subtract": ["$$NOW", round(LIVING_S * 1000)]}]}}
        found = self._asked(lambda session: list(self._words.find(fresh, session=session)))
        return [each for each in map(_in_use, found) if not each.opens]

    def others(self, terminal: str) -> list[InUse]:
        """Returns all words but that of this terminal, also those of the dead. LedgerError if they cannot be read."""
        found = self._asked(lambda session: list(self._words.find({"_id": {"$ne": terminal}}, session=session)))
        return [_in_use(word) for word in found]

    def claim(self) -> Claim | None:
        """Returns the last claim, None if there never was one. LedgerError if it cannot be read."""
        found = self._asked(lambda session: self._claims.find_one({"_id": _TOWN}, session=session))
        return None if found is None else Claim(str(found.get("terminal")), str(found.get("number")))

    def claim_after(self, before: Claim | None, terminal: str) -> Claim | None:
        """Claims for this terminal; None if `before` is not the last claim any more. LedgerError if that cannot be
        asked: then nobody knows whether it has."""
        made = Claim(terminal, uuid.uuid4().hex)
        words = msgspec.structs.asdict(made)
        if before is not None:
            which = {"_id": _TOWN, "number": before.number}
            done = self._asked(lambda session: self._claims.update_one(which, {"$set": words}, session=session))
            return made if done.matched_count else None
        first = {"$setOnInsert": words}
        done = self._asked(
            lambda session: self._claims.update_one({"_id": _TOWN}, first, upsert=True, session=session)
        )
        return made if done.upserted_id is not None else None

    def _asked(self, question: Callable[[ClientSession], _T]) -> _T:
        try:
            self._session = self._session or self._client.start_session(causal_consistency=True)
            return question(self._session)
        except PyMongoError as error:
            if error.timeout:
                raise LedgerError(f"no database answers at {self._shown}: start it, or mend --mongo") from error
            raise unusable(error) from error


def _in_use(word: dict[str, Any]) -> InUse:
    host, directory, nameserver = (str(word.get(key, "")) for key in Place.__struct_fields__)
    mark = (word.get("renewal"), word.get("renewed_at"))
    return InUse(str(word["_id"]), Place(host, directory, nameserver), word.get("opens") is True, mark)
