"""The ledger in MongoDB: the log is the collection `log`, one document an entry, and its `_id` is the place.

Inserting one document is atomic by itself, `_id` is unique, and an insert that a majority has (journaled) stays. That
is all it takes: whoever inserts place *k* first has it. Ids come into the log once as well: `new_requests`,
`new_deposits` and `new_reversals` are unique over the whole log. So a request that was decided long ago, under
another trader, is refused by the same insert, and nobody has to look first. (Which of them the server complains of
says little: it checks `_id` first where the collection was created, and last in a member that copied it. So where it
complains of an id, the place is looked at; if it is free, what holds the id stands at a lower place, which a majority
has.)

An insert whose answer was lost is tried again by whoever asked. It finds its own entry (done, once a majority has
it), another's (deposed), or an empty place. What belongs to the books is in `maker` and `reading`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import pymongo
from bson.raw_bson import RawBSONDocument
from pymongo import ReadPreference
from pymongo.database import Database
from pymongo.errors import DocumentTooLarge, DuplicateKeyError, PyMongoError, ServerSelectionTimeoutError
from pymongo.read_concern import ReadConcern

from db.ledger.backlog import encode_request
from db.ledger.connection import PATIENCE_S, REACH_WITHIN_S, Document, connect, is_passing, is_too_large, unusable
from db.ledger.levels import EndMissing, insert_behind
from db.ledger.maker import BooksMaker, catch_up
from db.ledger.reading import (
    read_end,
    read_found,
    read_holders,
    read_loaded,
    read_on,
    read_place,
    read_reversals,
    read_sales,
)
from db.refusals import first_words
from db.schema.collections import DATABASE
from db.schema.documents import election_document, entry_document, entry_from
from db.schema.prepare import ensure_schema, has_all_books
from peers.core.ledger.log import TradeEntry
from peers.core.ledger.port import (
    AlreadyRecorded,
    Append,
    Appended,
    Done,
    EndLost,
    FindEnd,
    FindReversals,
    FindSales,
    Found,
    LedgerAway,
    Load,
    Loaded,
    LookUp,
    MakeBooks,
    Operation,
    PostRead,
    Reach,
    ReadEntries,
    ReadOn,
    ReadPost,
    RecordElection,
    Result,
    Taken,
    TooLarge,
    Unknown,
)
from peers.core.market.records import Accepted, Outcome
from peers.core.names import WriteLevel
from peers.waiting import wait_until

# None of these is a setting: they bound what happens when somebody takes office or goes, not how fast trade is.
FAR_BEHIND = 500
"""When somebody takes office, the books may be behind by fewer entries than this; otherwise they are made first."""

CLOSE_WITHIN_S = 2.0
"""How long a ledger that is closed goes on making the books."""

_POLL_S = 0.002
"""The time between two looks at a place that a majority does not have yet; it will after about one write."""

_KEPT = 4
"""The encoded requests of so many entries are kept at most, for the books to use."""


def _ignore(why: str) -> None:
    del why


class MongoLedger:
    """The ledger in the database at `uri`. Connects at the first operation; see `peers.core.ledger.port.Ledger`.

    `warn` is told of trouble with the books that does not pass by itself, from a thread of their own.
    `keep_entries` is how many entries of the log stay whole behind the books; older ones are cut, and 0 keeps all.
    `write_level` is how many members have a trade entry before it counts as appended (see `levels`).
    """

    def __init__(
        self,
        uri: str,
        database: str = DATABASE,
        *,
        warn: Callable[[str], None] = _ignore,
        keep_entries: int = 0,
        write_level: WriteLevel = "majority",
    ) -> None:
        self._uri = uri
        self._name = database
        self._warn = warn
        self._keep_entries = keep_entries
        self._write_level: WriteLevel = write_level
        self._connecting = threading.Lock()
        self._database: Database[Document] | None = None
        self._maker: BooksMaker | None = None
        self._closed = False
        # By place and id, the encoded requests of the last entries; several threads add to it and take from it.
        self._encoded: dict[int, dict[str, RawBSONDocument]] = {}

    def perform(self, operation: Operation) -> Result:
        """Carries out one operation. Raises LedgerError only for a database that is not fit to hold the ledger."""
        connected = self._connected()
        if connected is None:
            return LedgerAway(why="the ledger is closed")
        database, maker = connected
        try:
            match operation:
                case Append():
                    return self._append(database, maker, operation)
                case MakeBooks():
                    return self._make(maker, operation)
                case RecordElection():
                    return _record_election(database, operation)
                case Reach():
                    return _reach(database)
                case _:
                    with pymongo.timeout(PATIENCE_S):
                        return _read(database, operation)
        except PyMongoError as error:
            # Writes handle their errors themselves, so this was a read, and nothing was changed.
            if self._closed or is_passing(error):
                return LedgerAway(why=first_words(error))
            raise unusable(error) from error

    def close(self) -> None:
        """Makes what is still to be made of the books, within two seconds, then lets go of the connections."""
        with self._connecting:
            self._closed = True
            database, self._database = self._database, None
            maker, self._maker = self._maker, None
        if maker is not None:
            maker.close(CLOSE_WITHIN_S)
        if database is not None:
            database.client.close()

    def _connected(self) -> tuple[Database[Document], BooksMaker] | None:
        with self._connecting:
            if self._closed:
                return None
            if self._database is None or self._maker is None:
                self._database = connect(self._uri, self._name)
                self._maker = BooksMaker(
                    self._database,
                    self._warn,
                    self._keep_entries,
                    waits_for_majority=self._write_level != "majority",
                )
            return self._database, self._maker

    # -- the log -------------------------------------------------------------------------------------------

    def _append(self, database: Database[Document], maker: BooksMaker, operation: Append) -> Result:
        if not maker.wait_for_room(PATIENCE_S):
            return LedgerAway(why="the books are too far behind the log")
        document = self._encode(operation)
        try:
            if self._write_level == "majority" or not isinstance(operation.entry, TradeEntry):
                database["log"].insert_one(document)
            else:
                insert_behind(database, document, self._write_level)
        except EndMissing:
            self._encoded.clear()  # Of entries that may not stand; those that do are encoded again for the books.
            return EndLost()
        except DuplicateKeyError as error:
            refusal = _refusal(database, operation, error.details or {})
            if isinstance(refusal, Taken | AlreadyRecorded):
                self._encoded.pop(operation.place, None)  # Something else stands, or will stand, at that place.
            return refusal
        except ServerSelectionTimeoutError as error:
            return LedgerAway(why=first_words(error))  # It was never sent.
        except DocumentTooLarge as error:
            return self._too_large(operation, error)
        except PyMongoError as error:
            if is_too_large(error):
                return self._too_large(operation, error)
            if not is_passing(error):
                raise unusable(error) from error
            return Unknown(why=str(error))
        return Appended()

    def _too_large(self, operation: Append, error: Exception) -> TooLarge:
        self._encoded.pop(operation.place, None)
        self._warn(f"an entry of the log is too large, and what it holds is written in parts: {first_words(error)}")
        return TooLarge(why=first_words(error))

    def _encode(self, operation: Append) -> Document:
        """The entry as a document. Its requests are encoded once, and used again for the books."""
        place, entry = operation.place, operation.entry
        if not isinstance(entry, TradeEntry):
            return entry_document(place, entry)
        records: list[Accepted | Outcome] = [*entry.outcomes, *entry.queued, *entry.reversals]
        requests = {each.request.request_id: encode_request(each, place) for each in records}
        self._encoded[place] = requests
        for stale in [each for each in tuple(self._encoded) if each <= place - _KEPT]:
            self._encoded.pop(stale, None)  # Another thread may have taken it meanwhile.
        document: Document = entry_document(place, entry, with_requests=False)
        if entry.outcomes:
            document["decided"] = [requests[each.request.request_id] for each in entry.outcomes]
        if entry.queued:
            document["queued"] = [requests[each.request.request_id] for each in entry.queued]
        if entry.reversals:
            document["reversals"] = [requests[each.request.request_id] for each in entry.reversals]
        return document

    # -- the books -----------------------------------------------------------------------------------------

    def _make(self, maker: BooksMaker, operation: MakeBooks) -> Done:
        encoded = self._encoded.pop(operation.place, {})
        ids = [each.request.request_id for each in operation.requests]
        if all(each in encoded for each in ids):
            maker.add(operation, tuple(encoded[each] for each in ids))
        else:  # A new trader found the entry in the log, where another had written it.
            maker.add(operation)
        return Done()


def _refusal(database: Database[Document], operation: Append, details: Mapping[str, Any]) -> Result:
    """Returns what stands in the way of an entry; Unknown as long as a majority does not have it."""
    try:
        if details.get("keyPattern") == {"_id": 1} or _is_taken(database, operation.place):
            return _standing(database, operation)
        entry = operation.entry
        assert isinstance(entry, TradeEntry)
        with pymongo.timeout(PATIENCE_S):
            found = read_found(database, (*entry.new_requests, *entry.new_reversals), entry.new_deposits)
        if not (found.outcomes or found.deposits or _has_an_id_of(database, entry)):
            return Unknown(why="what holds an id of the entry was with a primary that has fallen")
        new, reversed_here = set(entry.new_requests), set(entry.new_reversals)
        return AlreadyRecorded(
            outcomes=tuple(each for each in found.outcomes if each.request.request_id in new),
            deposits=found.deposits,
            reversals=tuple(
                each for each in found.outcomes if each.request.request_id in reversed_here and each.taken_back
            ),
        )
    except PyMongoError as error:
        if not is_passing(error):
            raise unusable(error) from error
        return Unknown(why=str(error))


def _has_an_id_of(database: Database[Document], entry: TradeEntry) -> bool:
    """Whether the log of a majority has one of the ids that an entry brings. Raises PyMongoError."""
    brought = {
        "new_requests": entry.new_requests,
        "new_deposits": entry.new_deposits,
        "new_reversals": entry.new_reversals,
    }
    any_of = [{name: {"$in": list(ids)}} for name, ids in brought.items() if ids]
    with pymongo.timeout(PATIENCE_S):
        return bool(any_of) and database["log"].find_one({"$or": any_of}, {"_id": 1}) is not None


def _is_taken(database: Database[Document], place: int) -> bool:
    """Whether anything stands at the place, be it only with the primary, which has just refused an entry there.

    Raises PyMongoError."""
    with pymongo.timeout(PATIENCE_S):
        log = database.get_collection("log", read_concern=ReadConcern("local"))
        return log.find_one({"_id": place}, {"_id": 1}) is not None


def _standing(database: Database[Document], operation: Append) -> Result:
    """Returns whose entry stands at the place, which is taken; Unknown as long as a majority does not have it."""

    def look() -> Document | None:
        with pymongo.timeout(PATIENCE_S):
            return read_place(database, operation.place)

    document = wait_until(look, PATIENCE_S, look_s=_POLL_S)
    if document is None:  # Only the primary has it so far, and it may still be lost with the primary.
        return Unknown(why=f"place {operation.place} is taken, and a majority does not have it yet")
    return Appended() if document.get("entry") == operation.entry.entry_id else Taken(entry=entry_from(document))


def _read(
    database: Database[Document], operation: Load | ReadPost | ReadOn | FindEnd | LookUp | FindSales | FindReversals
) -> Loaded | PostRead | ReadEntries | Found:
    if isinstance(operation, ReadPost):
        return PostRead(post=read_holders(database))
    if isinstance(operation, ReadOn):
        return read_on(database, operation.place, operation.limit)
    if isinstance(operation, FindEnd):
        return read_end(database)
    if isinstance(operation, LookUp):
        return read_found(database, operation.request_ids, operation.deposit_ids)
    if isinstance(operation, FindReversals):
        return read_reversals(database, operation.customer, operation.after, operation.limit)
    if isinstance(operation, FindSales):
        return read_sales(database, operation.seller, operation.after_seq, operation.limit)
    if not has_all_books(database):
        ensure_schema(database)  # It also has the books made again from the log.
    loaded = read_loaded(database, most_entries=FAR_BEHIND)
    if len(loaded.entries) < FAR_BEHIND:
        return loaded
    catch_up(database)
    return read_loaded(database)


def _reach(database: Database[Document]) -> Done:
    """Asks the primary for a sign of life: what a purchase needs, less the write."""
    with pymongo.timeout(REACH_WITHIN_S):
        database.command("ping", read_preference=ReadPreference.PRIMARY)
    return Done()


def _record_election(database: Database[Document], operation: RecordElection) -> Done | Unknown | LedgerAway:
    document = election_document(operation.record)
    try:
        with pymongo.timeout(PATIENCE_S):
            database["elections"].replace_one({"_id": document["_id"]}, document, upsert=True)
    except ServerSelectionTimeoutError as error:
        return LedgerAway(why=first_words(error))  # It was never sent.
    except PyMongoError as error:
        if not is_passing(error):
            raise
        return Unknown(why=str(error))
    return Done()
