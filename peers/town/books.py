"""What the town itself asks of the database: who holds the post, the next rank, and how this run went.

The town only reads the books (and draws ranks from a counter, which is no part of them); deciding is the
trader's alone.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any, TypeVar

import msgspec
from bson.decimal128 import Decimal128
from pymongo import MongoClient, ReturnDocument
from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

from db.ledger.connection import connect
from db.ledger.maker import catch_up
from db.schema.collections import DATABASE
from db.schema.prepare import prepare
from peers.books_address import without_secrets
from peers.core.market.records import Post
from peers.errors import LedgerError

Document = dict[str, Any]
_T = TypeVar("_T")
_RANKS = "rank"  # the document of `counters` that newcomers draw their ranks from


class PeerTally(msgspec.Struct):
    """What one peer did in this run."""

    bought: int = 0
    sold: int = 0
    earned: Decimal = Decimal(0)
    commission: Decimal = Decimal(0)


class RunTally(msgspec.Struct):
    """What all peers did in this run."""

    purchases: int
    unavailable: int
    first_ms: int | None
    last_ms: int | None
    peers: dict[str, PeerTally]
    terms: int  # begun in this run; of each there was an election
    elections: dict[int, tuple[str, float]]  # trader and took_ms by term, as far as they are on record


class Books:
    """One database. Methods block and may be called from any thread; what fails is a LedgerError."""

    def __init__(self, uri: str, database: str, timeout_s: float = 5.0) -> None:
        self.uri = uri
        self.database = database
        self._client: MongoClient[Document] = MongoClient(
            uri, serverSelectionTimeoutMS=round(timeout_s * 1000), connect=False, appname="town", tz_aware=True
        )
        self._db = self._client[database]
        self._settled = connect(uri, database)
        self._counted_to = 0
        self._counted = 0

    def close(self) -> None:
        self._client.close()
        self._settled.client.close()

    def open(self) -> Post:
        """Makes and checks the schema, and brings the books up to the log; returns the post as it is."""
        prepare(self.uri, self.database)
        self.catch_up()
        return self.post()

    def catch_up(self) -> None:
        """Makes what is still to be made of the books: the last trader may have gone before it could."""
        self._asked(lambda: catch_up(self._settled))

    def post(self) -> Post:
        def read() -> Post:
            found = self._db["posts"].find_one({"_id": "main"}) or {}
            return Post(term=found.get("term", 0), trader=found.get("trader"), seq=found.get("seq", 0))

        return self._asked(read)

    def set_ranks(self, used: int) -> None:
        """Has the next newcomer get rank `used`."""
        self._asked(lambda: self._db["counters"].update_one({"_id": _RANKS}, {"$set": {"next": used}}, upsert=True))

    def draw_ranks(self, n: int) -> range:
        """Takes the next `n` ranks, which nobody else gets."""

        def draw() -> range:
            after = self._db["counters"].find_one_and_update(
                {"_id": _RANKS}, {"$inc": {"next": n}}, return_document=ReturnDocument.AFTER
            )
            if after is None:
                raise LedgerError("the town's counter of ranks is missing from the books; start the town anew")
            return range(after["next"] - n, after["next"])

        return self._asked(draw)

    def sold_after(self, seq: int) -> int:
        """Returns how many requests with a higher number were sold. Counts on from where it last was."""

        def count() -> int:
            start = max(seq, self._counted_to)
            now = self.post().seq
            if now > start:
                wanted = {"seq": {"$gt": start, "$lte": now}, "status": "sold"}
                self._counted += self._db["requests"].count_documents(wanted)
                self._counted_to = now
            return self._counted

        return self._asked(count)

    def queued(self) -> int:
        """Returns how many requests wait."""
        self.catch_up()
        return self._asked(lambda: self._db["requests"].count_documents({"status": "queued"}))

    def tally(self, since: Post) -> RunTally:
        """Sums up what happened after `since`."""
        self.catch_up()
        return self._asked(lambda: self._tally(since))

    def _tally(self, since: Post) -> RunTally:
        decided = self._db["requests"].aggregate(
            [
                {"$match": {"seq": {"$gt": since.seq}}},
                {
                    "$group": {
                        "_id": {"status": "$status", "buyer": "$buyer", "seller": "$seller", "trader": "$trader"},
                        "count": {"$sum": 1},
                        "earned": {"$sum": "$earned"},
                        "commission": {"$sum": "$commission"},
                        "first": {"$min": "$decided_at"},
                        "last": {"$max": "$decided_at"},
                    }
                },
            ]
        )
        terms = self.post().term - since.term
        tally = RunTally(purchases=0, unavailable=0, first_ms=None, last_ms=None, peers={}, terms=terms, elections={})
        for group in decided:
            _add(tally, group)
        for row in self._db["elections"].find({"term": {"$gt": since.term}}):
            tally.elections[row["term"]] = (row["trader"], float(row["took_ms"]))
        return tally

    def _asked(self, question: Callable[[], _T]) -> _T:
        try:
            return question()
        except PyMongoError as error:
            raise LedgerError(without_secrets(f"the books at {self.uri} cannot be read: {error}")) from error


def _add(tally: RunTally, group: Document) -> None:
    key, count = group["_id"], group["count"]
    if key["status"] != "sold":
        tally.unavailable += count
        return
    tally.purchases += count
    first, last = (int(group[end].timestamp() * 1000) for end in ("first", "last"))
    tally.first_ms = first if tally.first_ms is None else min(first, tally.first_ms)
    tally.last_ms = last if tally.last_ms is None else max(last, tally.last_ms)
    buyer, seller, trader = (tally.peers.setdefault(key[part], PeerTally()) for part in ("buyer", "seller", "trader"))
    buyer.bought += count
    seller.sold += count
    seller.earned += _decimal(group["earned"])
    trader.commission += _decimal(group["commission"])


def _decimal(value: object) -> Decimal:
    return value.to_decimal() if isinstance(value, Decimal128) else Decimal(str(value))


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
    """What the driver makes of an address; LedgerError if it makes nothing of it.

    Nothing of what was given is shown then: where it is not as it should be, any part may be that of a password."""
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
