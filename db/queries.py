"""What town, chaos runs and bench ask of the books.

Nothing but `db` knows the names of collections and fields, so whoever needs another question answered adds it here.
The ledger and the audit read by themselves (`db.ledger.reading`, `db.audit.auditing`). Queries read what is there,
whether or not a majority has it, and change nothing but the counter of ranks and the town's name, which are no part
of the books.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterator
from decimal import Decimal
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec
from bson.decimal128 import Decimal128
from pymongo import MongoClient, ReturnDocument
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from db.ledger.connection import Document
from db.refusals import what_to_do
from db.schema.collections import COUNTERS, ELECTIONS, LOG, POST, POSTS, RANKS, REQUESTS, TOWN
from db.schema.documents import election_from, post_from
from db.schema.forms import ms_from
from peers.core.market.records import ElectionRecord, Post
from peers.errors import LedgerError

_T = TypeVar("_T")


class RecordedSale(msgspec.Struct, frozen=True, kw_only=True):
    """A sale as the books have it."""

    request_id: str
    seq: int
    term: int
    trader: str
    buyer: str
    seller: str
    decided_at_ms: int


class Dealings(msgspec.Struct, frozen=True, kw_only=True):
    """All decisions with the same buyer, seller, trader and result, summed up. Without a sale there is no seller."""

    sold: bool
    buyer: str
    seller: str | None
    trader: str
    count: int
    earned: Decimal
    commission: Decimal
    first_ms: int
    last_ms: int


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far the books are: up to which place of the log they are made, and the last decision's number there."""

    made: int
    seq: int


class WrittenEntry(msgspec.Struct, frozen=True, kw_only=True):
    """When an entry of the log was drawn up, by the clock of its trader."""

    place: int
    written_at_ms: int


class Queries:
    """A connection to the books in `database` at `uri`, made when first needed.

    Methods block, and may be called from any thread. They raise LedgerError where the database does not answer within
    `timeout_s`, or not as it should. `who` is the name under which the log of the database shows this connection.
    """

    def __init__(self, uri: str, database: str, *, timeout_s: float = 5.0, who: str = "bazaar") -> None:
        self.uri = uri
        self.database = database
        limit_ms = round(timeout_s * 1000)
        # The second bounds for how long a primary that is frozen, or cut off, is still taken for one.
        limits: Document = {"serverSelectionTimeoutMS": limit_ms, "connectTimeoutMS": limit_ms}
        self._client: MongoClient[Document] = MongoClient(uri, connect=False, appname=who, tz_aware=True, **limits)
        books = self._client[database]
        self._log = books[LOG.name]
        self._posts = books[POSTS.name]
        self._requests = books[REQUESTS.name]
        self._elections = books[ELECTIONS.name]
        self._counters = books[COUNTERS]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the connection."""
        self._client.close()

    # -- who is in office, and how far things are --------------------------------------------------------------

    def post(self) -> Post:
        """Returns the post as the books have it; that of the beginning where there are none. Raises LedgerError."""

        def read() -> Post:
            found = self._posts.find_one({"_id": POST})
            return Post() if found is None else post_from(found)

        return self._asked(read)

    def progress(self) -> Progress | None:
        """Returns how far the books are made; None where there are none. Raises LedgerError."""

        def read() -> Progress | None:
            found = self._posts.find_one({"_id": POST}, {"made": 1, "seq": 1})
            return None if found is None else Progress(made=found["made"], seq=found["seq"])

        return self._asked(read)

    def in_log(self, request_ids: Collection[str]) -> frozenset[str]:
        """Returns those of the requests that the log has, as a majority knows it. Raises LedgerError."""

        def read() -> frozenset[str]:
            wanted = list(request_ids)
            settled = self._log.with_options(read_concern=ReadConcern("majority"))
            found = settled.find({"new_requests": {"$in": wanted}}, {"new_requests": 1})
            return frozenset(each for entry in found for each in entry["new_requests"]).intersection(wanted)

        return self._asked(read)

    def entries(self, after: int, upto: int) -> tuple[WrittenEntry, ...]:
        """Returns the whole entries at the places after `after` up to `upto`, by place. Raises LedgerError."""

        def read() -> tuple[WrittenEntry, ...]:
            wanted = {"_id": {"$gt": after, "$lte": upto}, "written_at": {"$exists": True}}
            found = self._log.find(wanted, {"written_at": 1}).sort("_id", 1)
            return tuple(WrittenEntry(place=each["_id"], written_at_ms=ms_from(each["written_at"])) for each in found)

        return self._asked(read)

    def replicas(self) -> int:
        """Returns how many members the database has that can vote and hold data. Raises LedgerError."""
        return self._asked(lambda: len(self._client.admin.command("hello")["hosts"]))

    # -- requests ----------------------------------------------------------------------------------------------

    def count_queued(self) -> int:
        """Returns how many requests wait, as far as the books are made. Raises LedgerError."""
        return self._asked(lambda: self._requests.count_documents({"status": "queued"}))

    def count_sold(self, after: int, upto: int) -> int:
        """Returns how many decisions with a number after `after` up to `upto` are sales. Raises LedgerError."""
        wanted = {"seq": {"$gt": after, "$lte": upto}, "status": "sold"}
        return self._asked(lambda: self._requests.count_documents(wanted))

    def first_sale_ms(self) -> int | None:
        """Returns when the first sale of all was decided; None where there is none. Raises LedgerError."""

        def read() -> int | None:
            found = self._requests.find_one({"status": "sold"}, {"decided_at": 1}, sort=[("seq", 1)])
            return None if found is None else ms_from(found["decided_at"])

        return self._asked(read)

    def sales(self) -> Iterator[RecordedSale]:
        """Gives all sales in the order of their numbers, in a stream. Raises LedgerError, wherever it has come to."""
        fields = dict.fromkeys(("seq", "term", "trader", "buyer", "seller", "decided_at"), 1)
        found = self._requests.find({"status": "sold"}, fields).sort("seq", 1)
        while (row := self._asked(lambda: next(found, None))) is not None:
            yield RecordedSale(
                request_id=row["_id"],
                seq=row["seq"],
                term=row["term"],
                trader=row["trader"],
                buyer=row["buyer"],
                seller=row["seller"],
                decided_at_ms=ms_from(row["decided_at"]),
            )

    def dealings(self, after: int) -> tuple[Dealings, ...]:
        """Sums up the decisions with a number after `after`, by who took part in them; sales that were taken back are
        left out. Raises LedgerError."""
        sums = {
            "_id": {"status": "$status", "buyer": "$buyer", "seller": "$seller", "trader": "$trader"},
            "count": {"$sum": 1},
            "earned": {"$sum": "$earned"},
            "commission": {"$sum": "$commission"},
            "first": {"$min": "$decided_at"},
            "last": {"$max": "$decided_at"},
        }
        standing = {"seq": {"$gt": after}, "taken_back": {"$exists": False}}
        pipeline: list[Document] = [{"$match": standing}, {"$group": sums}]
        return self._asked(lambda: tuple(map(_dealings, self._requests.aggregate(pipeline))))

    def count_foretold(self, after: int, up_to: int) -> dict[tuple[str, str], int]:
        """Counts the decisions numbered after `after` and up to `up_to`, by what a trader's cache said before (""
        where it said nothing) and what became of it.

        Raises LedgerError."""
        sums = {"_id": {"foretold": "$foretold", "status": "$status"}, "count": {"$sum": 1}}
        pipeline: list[Document] = [{"$match": {"seq": {"$gt": after, "$lte": up_to}}}, {"$group": sums}]

        def read() -> dict[tuple[str, str], int]:
            found = self._requests.aggregate(pipeline)
            return {(each["_id"].get("foretold", ""), each["_id"]["status"]): each["count"] for each in found}

        return self._asked(read)

    def count_taken_back(self, after: int) -> int:
        """Returns how many sales with a number after `after` were taken back. Raises LedgerError."""
        wanted = {"taken_back.number": {"$gte": 1}, "seq": {"$gt": after}}
        return self._asked(lambda: self._requests.count_documents(wanted))

    # -- elections ---------------------------------------------------------------------------------------------

    def elections(self, after: int = 0) -> tuple[ElectionRecord, ...]:
        """Returns the elections of the terms after `after`, by term. Raises LedgerError."""

        def read() -> tuple[ElectionRecord, ...]:
            return tuple(map(election_from, self._elections.find({"term": {"$gt": after}}).sort("term", 1)))

        return self._asked(read)

    # -- ranks -------------------------------------------------------------------------------------------------

    def draw_ranks(self, n: int) -> range:
        """Takes the next `n` ranks, which nobody else gets, now or later. Raises LedgerError."""

        def draw() -> range:
            after: Document = self._counters.find_one_and_update(  # type: ignore[assignment]
                {"_id": RANKS}, {"$inc": {"next": n}}, upsert=True, return_document=ReturnDocument.AFTER
            )
            used: int = after["next"]
            return range(used - n, used)

        return self._asked(draw)

    def town(self, otherwise: str | None = None) -> str:
        """Returns which town these books are of, a word that no other books have: those of an area have that of their
        town, which is theirs from now on if they had none (`otherwise`). Raises LedgerError."""

        def claim() -> str:
            fresh = {"$setOnInsert": {"town": otherwise or uuid.uuid4().hex}}
            found: Document = self._counters.find_one_and_update(  # type: ignore[assignment]
                {"_id": TOWN}, fresh, upsert=True, return_document=ReturnDocument.AFTER
            )
            return str(found["town"])

        return self._asked(claim)

    def _asked(self, question: Callable[[], _T]) -> _T:
        try:
            return question()
        except PyMongoError as error:
            raise LedgerError(what_to_do(error, self.uri)) from error


def _dealings(group: Document) -> Dealings:
    key = group["_id"]
    return Dealings(
        sold=key["status"] == "sold",
        buyer=key["buyer"],
        seller=key.get("seller"),
        trader=key["trader"],
        count=group["count"],
        earned=_decimal(group["earned"]),
        commission=_decimal(group["commission"]),
        first_ms=ms_from(group["first"]),
        last_ms=ms_from(group["last"]),
    )


def _decimal(value: Any) -> Decimal:
    """Returns a sum as a Decimal; the sum of nothing comes as a whole number, whatever was to be summed up."""
    return value.to_decimal() if isinstance(value, Decimal128) else Decimal(str(value))
