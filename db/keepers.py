"""Which terminals keep journals of what these books decide: each says so before its first peer trades.

Journals lie where the peers run, so nobody sees from one machine that there are others; the books remember it, even
of a terminal that is gone. One that ends in order says how much its journals hold by then, so that whoever has as
much of them has them all. That is no part of the books, and nothing is decided by it: it is for the audit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import msgspec
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from db.audit.journals import Extent
from db.audit.rows import whole
from db.ledger.connection import unusable
from db.terminals import Place
from peers.books_address import without_secrets
from peers.errors import LedgerError

COLLECTION = "keepers"
_T = TypeVar("_T")


class Keeper(msgspec.Struct, frozen=True, kw_only=True):
    """A terminal that keeps journals, of the peers of these `areas` ("" in a town with one post). `at_rest`: how much
    they hold, None while somebody may write to them, or where nobody could say so any more."""

    terminal: str
    place: Place
    areas: tuple[str, ...] = ("",)
    at_rest: Extent | None = None


class Keepers:
    """What one database says of those who keep journals; for one thread. Methods raise LedgerError if it is away."""

    def __init__(self, uri: str, database: str, timeout_s: float = 2.0) -> None:
        limit_ms = round(timeout_s * 1000)
        self._shown = without_secrets(uri)
        self._client = MongoClient[dict[str, Any]](
            uri, serverSelectionTimeoutMS=limit_ms, connectTimeoutMS=limit_ms, socketTimeoutMS=limit_ms
        )
        self._words = self._client[database].get_collection(
            COLLECTION, read_concern=ReadConcern("majority"), write_concern=WriteConcern("majority")
        )

    def close(self) -> None:
        """Lets go of all connections."""
        self._client.close()

    def begin(self, terminal: str, place: Place | None, areas: Iterable[str]) -> None:
        """Says that a terminal keeps journals from now on, at `place`; None leaves that as it was said before.

        LedgerError if that cannot be said."""
        known = msgspec.structs.asdict(place) if place is not None else {}
        said: dict[str, Any] = {key: {"$literal": value} for key, value in known.items()}
        said["areas"] = {"$setUnion": [{"$ifNull": ["$areas", []]}, {"$literal": [*areas]}]}
        change: list[dict[str, Any]] = [{"$set": said}, {"$unset": "at_rest"}]
        self._asked(lambda: self._words.update_one({"_id": terminal}, change, upsert=True))

    def rest(self, terminal: str, extent: Extent) -> None:
        """Says that nobody writes to a terminal's journals any more, and how much they hold. LedgerError if that
        cannot be said."""
        change = {"$set": {"at_rest": msgspec.structs.asdict(extent)}}
        self._asked(lambda: self._words.update_one({"_id": terminal}, change))

    def all(self) -> list[Keeper]:
        """Returns all that ever kept journals of these books, by name. LedgerError if it cannot be told."""
        return [_keeper(word) for word in self._asked(lambda: list(self._words.find().sort("_id", 1)))]

    def _asked(self, question: Callable[[], _T]) -> _T:
        try:
            return question()
        except PyMongoError as error:
            if error.timeout:
                raise LedgerError(f"no database answers at {self._shown}: start it, or mend --mongo") from error
            raise unusable(error) from error


def _keeper(word: dict[str, Any]) -> Keeper:
    host, directory, nameserver = (str(word.get(key, "")) for key in Place.__struct_fields__)
    areas = word.get("areas")
    return Keeper(
        terminal=str(word["_id"]),
        place=Place(host, directory, nameserver),
        areas=tuple(map(str, areas)) if isinstance(areas, list) else ("",),
        at_rest=_extent(word.get("at_rest")),
    )


def _extent(given: object) -> Extent | None:
    """How much there was; None where that is said in a way that is not ours, so that nobody knows."""
    said = given if isinstance(given, dict) else {}
    journals, size = whole(said.get("journals")), whole(said.get("size"))
    return None if journals is None or size is None else Extent(journals, size)
