"""The database's shape: collections with their validators, indexes, and the views for people.

This module is the list; `db.schema.prepare` makes it so. The validators are strict and name every field, so that a
mistake (money in a float, a sale without its seller) is refused where it would otherwise be kept for good.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bson.decimal128 import Decimal128

DATABASE = "bazaar"
POST = "main"
"""The id of the post's document in `posts`: there is one post."""

COUNTERS = "counters"
"""The collection of running numbers that a town draws from; it is no part of the books, and has no validator."""

RANKS = "rank"
"""The id of the counter that newcomers draw their ranks from."""

LOOKS = "looks"
"""Its document that is written to by whoever has to know how far the log goes: only a write shows who is primary."""

TOWN = "town"
"""Its document that says which town the books are of."""

Json = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Index:
    """An index. With `partial` it holds only the documents that match, and costs nothing for the others."""

    name: str
    keys: Sequence[tuple[str, int]]
    unique: bool = False
    sparse: bool = False
    partial: Json | None = None


@dataclass(frozen=True, kw_only=True)
class Collection:
    """A collection, what its documents must look like, and its indexes besides `_id`."""

    name: str
    schema: Json
    indexes: Sequence[Index] = ()
    # Whether it is compressed as well as the server can, for what is kept for long and seldom read.
    compressed: bool = False

    @property
    def validator(self) -> dict[str, Any]:
        return {"$jsonSchema": self.schema}


@dataclass(frozen=True, kw_only=True)
class View:
    """A view for people at the Mongo shell; the program itself never reads it."""

    name: str
    source: str
    pipeline: Sequence[Json]
    collation: Json | None = None


_TEXT: Json = {"bsonType": "string"}
_FLAG: Json = {"bsonType": "bool"}
_DATE: Json = {"bsonType": "date"}
_MONEY: Json = {"bsonType": "decimal", "minimum": Decimal128("0"), "multipleOf": Decimal128("0.01")}


def _whole(minimum: int) -> Json:
    return {"bsonType": ["int", "long"], "minimum": minimum}


def _exactly(fields: Json, optional: Sequence[str] = ()) -> dict[str, Any]:
    """An object with these fields and no others."""
    return {
        "bsonType": "object",
        "required": [name for name in fields if name not in optional],
        "properties": dict(fields),
        "additionalProperties": False,
    }


# The common case comes first, and of an `anyOf` the server stops there; of a `oneOf` it has to try every branch.
_CLOCK: Json = {
    "anyOf": [
        _exactly({"lamport": _whole(0)}),
        _exactly({"vector": {"bsonType": "object", "additionalProperties": _whole(0)}}),
    ]
}

_REQUEST: Json = {
    "_id": _TEXT,
    "buyer": _TEXT,
    "item": _TEXT,
    "quantity": _whole(1),
    "clock": _CLOCK,
    "order": _TEXT,
    "queued_at": _DATE,
    "queued_term": _whole(1),
    "arrival": _whole(0),
    "at": _whole(0),
    "area": _TEXT,
}
"""`at` is the place in the log of the entry that put the document there; `area` is there where several share the log,
and then `queued_term` and `term` are terms of that area."""
_DECIDED: Json = {
    "seq": _whole(1),
    "term": _whole(1),
    "trader": _TEXT,
    "decided_at": _DATE,
    "concurrent": _FLAG,
    "foretold": {"enum": ["promised", "refused"]},
}
"""`concurrent` is there where clocks are vectors, `foretold` where a cache of the stock said something before."""
_SOLD: Json = {
    "seller": _TEXT,
    "deposit": _TEXT,
    "price": _MONEY,
    "amount": _MONEY,
    "commission": _MONEY,
    "earned": _MONEY,
}

_TAKEN_BACK: Json = _exactly(
    {
        "number": _whole(1),
        "amount": _MONEY,
        "commission": _MONEY,
        "earned": _MONEY,
        "term": _whole(1),
        "trader": _TEXT,
        "taken_back_at": _DATE,
        "reason": _TEXT,
    }
)
"""What undid a sale. Books of before it existed have none, and are as good without."""

REQUESTS = Collection(
    name="requests",
    schema={
        "anyOf": [
            _exactly(
                {**_REQUEST, "status": {"enum": ["sold"]}, **_DECIDED, **_SOLD, "taken_back": _TAKEN_BACK},
                optional=["area", "concurrent", "foretold", "taken_back"],
            ),
            _exactly({**_REQUEST, "status": {"enum": ["queued"]}}, optional=["area"]),
            _exactly(
                {**_REQUEST, "status": {"enum": ["unavailable"]}, **_DECIDED, "reason": _TEXT},
                optional=["area", "reason", "concurrent", "foretold"],
            ),
        ]
    },
    indexes=[
        Index(name="queue", keys=[("order", 1)], partial={"status": "queued"}),
        Index(name="seq", keys=[("seq", 1)], unique=True, partial={"seq": {"$exists": True}}),
        Index(name="sales", keys=[("seller", 1), ("seq", 1)], partial={"seller": {"$exists": True}}),
        Index(
            name="reversals",
            keys=[("taken_back.number", 1)],
            unique=True,
            partial={"taken_back.number": {"$exists": True}},
        ),
    ],
)

_DEPOSIT: Json = _exactly(
    {
        "_id": _TEXT,
        "seller": _TEXT,
        "item": _TEXT,
        "price": _MONEY,
        "quantity": _whole(1),
        "remaining": _whole(0),
        "clock": _CLOCK,
        "order": _TEXT,
        "deposited_at": _DATE,
        "term": _whole(1),
        "at": _whole(0),
        # So many units turned out not to be there.
        "written_off": _whole(1),
        "area": _TEXT,
        # By area, the units that are set aside for its trader.
        "leases": {"bsonType": "object", "additionalProperties": _whole(1)},
    },
    optional=["written_off", "area", "leases"],
)

DEPOSITS = Collection(
    name="deposits",
    schema=_DEPOSIT,
    indexes=[
        Index(name="stock", keys=[("order", 1)], partial={"remaining": {"$gt": 0}}),
        Index(name="stock_of", keys=[("seller", 1), ("order", 1)], partial={"remaining": {"$gt": 0}}),
    ],
)

_HOLDER: Json = _exactly(
    {"term": _whole(1), "trader": _TEXT, "since": _DATE, "uri": _TEXT, "written_at": _DATE},
)
"""Who holds the post of an area: since when, where it is called, and when it wrote to the log last."""

POSTS = Collection(
    name="posts",
    schema=_exactly(
        {
            "_id": _TEXT,
            "term": _whole(0),
            "trader": {"bsonType": ["string", "null"]},
            "since": {"bsonType": ["date", "null"]},
            # Where the trader is called.
            "uri": _TEXT,
            "seq": _whole(0),
            "arrival": _whole(0),
            # The books are made up to this entry of the log, and a majority has every document up to there.
            "made": _whole(-1),
            # The number of the last sale that was taken back.
            "reversals": _whole(1),
            # Who is trader of each area, by its name, where several share the log.
            "areas": {"bsonType": "object", "additionalProperties": _HOLDER},
        },
        optional=["uri", "reversals", "areas"],
    ),
)

_IDS: Json = {"bsonType": "array", "minItems": 1, "items": _TEXT}
_DOCUMENTS: Json = {"bsonType": "array", "minItems": 1, "items": {"bsonType": "object"}}
_ENTRY: Json = {
    "_id": _whole(0),
    "entry": _TEXT,
    "term": _whole(1),
    "trader": _TEXT,
    "written_at": _DATE,
    "area": _TEXT,
}
_LEVEL: Json = {"enum": ["two", "one"]}  # A majority goes without saying.
_NEW: Json = {"new_requests": _IDS, "new_deposits": _IDS, "new_reversals": _IDS}

LOG = Collection(
    name="log",
    schema={
        "anyOf": [
            _exactly(
                {
                    **_ENTRY,
                    "kind": {"enum": ["decide", "queue"]},
                    **_NEW,
                    # Their contents are checked when they come into the books; here that would slow every purchase.
                    "deposits": _DOCUMENTS,
                    "decided": _DOCUMENTS,
                    "queued": _DOCUMENTS,
                    "reversals": _DOCUMENTS,
                    "recounts": _DOCUMENTS,
                    "leases": _DOCUMENTS,
                },
                optional=["area", *_NEW, "deposits", "decided", "queued", "reversals", "recounts", "leases"],
            ),
            _exactly(
                {**_ENTRY, "kind": {"enum": ["office"]}, "reason": _TEXT, "uri": _TEXT, "write_level": _LEVEL},
                optional=["area", "uri", "write_level"],
            ),
            # The body was cut away behind the books. The place stays taken, and so do the ids; and what says that
            # something of the term could be lost.
            _exactly(
                {"_id": _whole(0), "cut": {"enum": [True]}, **_NEW, "term": _whole(1), "write_level": _LEVEL},
                optional=[*_NEW, "term", "write_level"],
            ),
        ]
    },
    indexes=[
        # An id comes into the log once, however long ago and under whichever trader that was.
        Index(name="new_requests", keys=[("new_requests", 1)], unique=True, sparse=True),
        Index(name="new_deposits", keys=[("new_deposits", 1)], unique=True, sparse=True),
        # And so does the request whose sale is taken back: that is done once.
        Index(name="new_reversals", keys=[("new_reversals", 1)], unique=True, sparse=True),
    ],
    compressed=True,
)

ELECTIONS = Collection(
    name="elections",
    schema=_exactly(
        {
            # The term; where several areas share the log, the name of the area comes before it.
            "_id": {"bsonType": ["int", "long", "string"], "minimum": 0},
            "term": _whole(0),
            "algorithm": _TEXT,
            "reason": _TEXT,
            "started_by": _TEXT,
            "trader": _TEXT,
            "messages": _whole(0),
            "complete": _FLAG,
            "started_at": _DATE,
            "took_ms": {"bsonType": "double", "minimum": 0},
            "area": _TEXT,
        },
        optional=["area"],
    ),
)

COLLECTIONS = (LOG, REQUESTS, DEPOSITS, POSTS, ELECTIONS)

_NOTHING = Decimal128("0.00")
_BY_NUMBER: Json = {"locale": "en", "numericOrdering": True}
"""The collation that sorts `buyer2` before `buyer10`."""


def _part(peer: str, **shares: object) -> dict[str, Any]:
    """Returns what one sale means to `peer`, which is its buyer, its seller or its trader."""
    return {
        "peer": peer,
        "sold": 0,
        "bought": 0,
        "spent": _NOTHING,
        "earned": _NOTHING,
        "commission": _NOTHING,
        **shares,
    }


_SHARES = ("sold", "bought", "spent", "earned", "commission")

VIEWS = (
    View(name="queue", source="requests", pipeline=[{"$match": {"status": "queued"}}, {"$sort": {"order": 1}}]),
    View(
        name="sales",
        source="requests",
        pipeline=[
            {"$match": {"status": "sold", "seq": {"$gte": 1}, "taken_back": {"$exists": False}}},
            {"$sort": {"seq": 1}},
        ],
    ),
    View(
        name="reversals",
        source="requests",
        pipeline=[{"$match": {"taken_back.number": {"$gte": 1}}}, {"$sort": {"taken_back.number": 1}}],
    ),
    View(
        name="market",
        source="deposits",
        collation=_BY_NUMBER,
        pipeline=[
            {"$match": {"remaining": {"$gt": 0}}},
            {
                "$group": {
                    "_id": {"item": "$item", "seller": "$seller"},
                    "stock": {"$sum": "$remaining"},
                    "lowest_price": {"$min": "$price"},
                }
            },
            {"$sort": {"_id.item": 1, "_id.seller": 1}},
            {
                "$group": {
                    "_id": "$_id.item",
                    "item": {"$first": "$_id.item"},
                    "stock": {"$sum": "$stock"},
                    "sellers": {"$push": "$_id.seller"},
                    "lowest_price": {"$min": "$lowest_price"},
                }
            },
            {"$sort": {"_id": 1}},
        ],
    ),
    View(
        name="earnings",
        source="requests",
        collation=_BY_NUMBER,
        pipeline=[
            {"$match": {"status": "sold", "taken_back": {"$exists": False}}},
            {
                "$project": {
                    "part": [
                        _part("$buyer", bought="$quantity", spent="$amount"),
                        _part("$seller", sold="$quantity", earned="$earned"),
                        _part("$trader", commission="$commission"),
                    ]
                }
            },
            {"$unwind": "$part"},
            {
                "$group": {
                    "_id": "$part.peer",
                    "peer": {"$first": "$part.peer"},
                    **{share: {"$sum": f"$part.{share}"} for share in _SHARES},
                }
            },
            {"$sort": {"_id": 1}},
        ],
    ),
)
