"""Makes the database what `db.schema.collections` says, and refuses one that is somebody else's.

Idempotent, and safe to run from several processes at once: a town does it at every start. A collection of ours
with an older validator, index or view is brought up to date; documents that would not pass are a reason to stop.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any

from pymongo import IndexModel, MongoClient
from pymongo.database import Database
from pymongo.errors import ConfigurationError, ConnectionFailure, DuplicateKeyError, OperationFailure, PyMongoError
from pymongo.write_concern import WriteConcern

from db.refusals import what_to_do
from db.schema.collections import COLLECTIONS, DATABASE, POST, POSTS, VIEWS, Collection, Index, View
from db.schema.documents import post_document
from peers.books_address import without_secrets
from peers.core.ledger.log import NOWHERE
from peers.core.market.records import Post
from peers.errors import LedgerError

Document = dict[str, Any]

_PLAIN_OPTIONS = {"validator", "validationLevel", "validationAction", "storageEngine"}
_COMPRESSED = {"storageEngine": {"wiredTiger": {"configString": "block_compressor=zstd"}}}
_NAMESPACE_EXISTS = 48
_BOOKS = frozenset(("requests", "deposits", "posts"))


def prepare(uri: str, database: str = DATABASE, *, timeout_s: float = 5.0) -> None:
    """Makes and checks everything the ledger needs in the database at `uri`; LedgerError if that cannot be."""
    shown = without_secrets(uri)
    try:
        with MongoClient[Document](uri, serverSelectionTimeoutMS=round(timeout_s * 1000)) as client:
            check_replica_set(client)
            ensure_schema(client[database])
    except ConnectionFailure as error:
        raise LedgerError(what_to_do(error, uri)) from error
    except (ConfigurationError, ValueError) as error:
        raise LedgerError(f"{shown} is no address of a database: {error}; mend --mongo") from error
    except PyMongoError as error:
        raise LedgerError(what_to_do(error, uri)) from error


def check_replica_set(client: MongoClient[Document]) -> None:
    """Raises LedgerError unless `client` reaches a replica set: no other server says what a majority has.

    A single node can be a set of one.
    """
    hello = client.admin.command("hello")
    if "setName" not in hello:
        raise LedgerError("mongod is not a member of a replica set; start it with --replSet and run rs.initiate()")


def ensure_schema(database: Database[Document]) -> None:
    """Makes what is missing, mends what is of an older make, and lays out the post before its first trader."""
    database = database.with_options(write_concern=WriteConcern("majority", j=True))
    present = {info["name"]: info for info in database.list_collections()}
    _refuse_older_books(database, present)
    incomplete = bool(present.keys() & _BOOKS) and not _as_we_made_them(present.values()) >= _BOOKS
    for wanted in COLLECTIONS:
        _ensure_collection(database, wanted, present.get(wanted.name))
    for view in VIEWS:
        _ensure_view(database, view, present.get(view.name))
    if incomplete:  # Somebody dropped some of the books, so all are made again from the log.
        database[POSTS.name].delete_one({"_id": POST})
    _insert_if_missing(database, POSTS, post_document(Post(), NOWHERE))


def has_all_books(database: Database[Document]) -> bool:
    """Whether none of the books was dropped; to a query a dropped collection only looks empty."""
    return _as_we_made_them(database.list_collections(filter={"name": {"$in": sorted(_BOOKS)}})) == _BOOKS


def _as_we_made_them(present: Iterable[Mapping[str, Any]]) -> set[str]:
    """The names of those that check what they take in. One that was dropped is back, but without its checks, its
    indexes and whatever was in it, as soon as a trader in office writes to it again."""
    return {info["name"] for info in present if "validator" in info.get("options", {})}


def _refuse_older_books(database: Database[Document], present: Mapping[str, Any]) -> None:
    """Raises LedgerError for books of a version before 0.2, which had no log that they could be made from."""
    if POSTS.name in present and "fences" in present and "log" not in present:
        raise LedgerError(
            f"the books in {database.name} are of version 0.1, which kept no log; read them with that version, and "
            "begin new ones here: --fresh, or another --dir or database"
        )


def _ensure_collection(database: Database[Document], wanted: Collection, info: Mapping[str, Any] | None) -> None:
    if info is None:
        try:
            options: Document = dict(_COMPRESSED) if wanted.compressed else {}
            database.create_collection(wanted.name, validator=wanted.validator, check_exists=False, **options)
        except OperationFailure as error:
            if error.code != _NAMESPACE_EXISTS:
                raise
            return _ensure_collection(database, wanted, _info(database, wanted.name))
        if wanted.indexes:
            database[wanted.name].create_indexes([_model(index) for index in wanted.indexes])
        return None
    options = info.get("options", {})
    if info.get("type", "collection") != "collection" or set(options) - _PLAIN_OPTIONS:
        raise LedgerError(f"{database.name}.{wanted.name} exists and is not ours; choose another database")
    strict = options.get("validationLevel", "strict") == "strict"
    if (
        options.get("validator") != wanted.validator
        or not strict
        or options.get("validationAction", "error") != "error"
    ):
        _refuse_strangers(database, wanted)
        database.command(
            "collMod", wanted.name, validator=wanted.validator, validationLevel="strict", validationAction="error"
        )
    _ensure_indexes(database, wanted)
    return None


def _info(database: Database[Document], name: str) -> Mapping[str, Any]:
    for info in database.list_collections(filter={"name": name}):
        return info
    raise LedgerError(f"{database.name}.{name} was dropped while it was being prepared; try again")


def _refuse_strangers(database: Database[Document], wanted: Collection) -> None:
    stranger = database[wanted.name].find_one({"$nor": [wanted.validator]}, {"_id": 1})
    if stranger is not None:
        raise LedgerError(
            f"{database.name}.{wanted.name} holds documents that are not ours (_id {stranger['_id']!r}); "
            "choose another database"
        )


def _ensure_indexes(database: Database[Document], wanted: Collection) -> None:
    collection = database[wanted.name]
    present = {info["name"]: info for info in collection.list_indexes()}
    for index in wanted.indexes:
        model = _model(index)
        info = present.get(index.name)
        if info is None:
            collection.create_indexes([model])
        elif _spec(info) != _spec(model.document):
            collection.drop_index(index.name)
            collection.create_indexes([model])


def _model(index: Index) -> IndexModel:
    options: Document = {"name": index.name}
    if index.unique:
        options["unique"] = True
    if index.sparse:
        options["sparse"] = True
    if index.partial is not None:
        options["partialFilterExpression"] = dict(index.partial)
    return IndexModel(list(index.keys), **options)


def _spec(info: Mapping[str, Any]) -> tuple[object, ...]:
    return (
        list(info["key"].items()),
        bool(info.get("unique")),
        bool(info.get("sparse")),
        info.get("partialFilterExpression"),
    )


def _ensure_view(database: Database[Document], view: View, info: Mapping[str, Any] | None) -> None:
    options: Document = {"viewOn": view.source, "pipeline": [dict(stage) for stage in view.pipeline]}
    if view.collation is not None:
        options["collation"] = dict(view.collation)
    if info is not None:
        if info.get("type") != "view":
            raise LedgerError(f"{database.name}.{view.name} exists and is not ours; choose another database")
        present = info["options"]
        collation = present.get("collation", {})
        if all(present.get(name) == options[name] for name in ("viewOn", "pipeline")) and all(
            collation.get(name) == value for name, value in options.get("collation", {}).items()
        ):
            return
        database.drop_collection(view.name)  # A view holds no documents, so nothing is lost.
    try:
        database.command("create", view.name, **options)
    except OperationFailure as error:
        if error.code != _NAMESPACE_EXISTS:  # With this code, another process was faster.
            raise


def _insert_if_missing(database: Database[Document], collection: Collection, document: Document) -> None:
    if database[collection.name].find_one({"_id": document["_id"]}, {"_id": 1}) is None:
        with contextlib.suppress(DuplicateKeyError):  # Another process was faster.
            database[collection.name].insert_one(document)
