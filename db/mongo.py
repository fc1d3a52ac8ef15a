"""The ledger in MongoDB: every operation one transaction, fenced by the term.

Two documents fence. The post (`posts`, `main`) is touched by every commit, the queue's fence (`fences`, `queue`) by
every enqueueing, and both by taking office. They are touched *last*, so that they are held for the shortest time, and
always really changed: an update that changes nothing is no write to MongoDB, and would let a deposed trader through.

A trader killed or frozen with a transaction open would hold its successor up until the server loses patience. So it
leaves the ids of its sessions in the post, and the successor ends them before it raises the term.

Two lanes with a session each, since a trader's queueing goes on while a commit is under way.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

import pymongo
from bson.binary import Binary
from bson.codec_options import CodecOptions
from pymongo import MongoClient, ReturnDocument
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError, ConfigurationError, PyMongoError, ServerSelectionTimeoutError

from db.documents import (
    accepted_from,
    date,
    deposit_document,
    deposit_from,
    election_document,
    outcome_document,
    outcome_from,
    post_from,
    queued_document,
)
from db.lane import DURABLE, SETTLED, Document, Lane, Refused, Session, is_passing, unusable
from db.plan import plan
from db.prepare import ensure_schema
from db.schema import DATABASE, POST, QUEUE_FENCE
from peers.core.ledger import (
    AlreadyRecorded,
    Commit,
    Deposed,
    Done,
    Enqueue,
    FindSales,
    Found,
    LedgerAway,
    LookUp,
    OfficeRefused,
    OfficeTaken,
    Operation,
    RecordElection,
    Result,
    TakeOffice,
    Unknown,
)
from peers.core.records import Post
from peers.errors import LedgerError

READ_PATIENCE_S = 2.0

_CLIENT_OPTIONS: dict[str, Any] = {
    # What a cut-off or frozen primary costs is decided here; the driver's own limits are half a minute and more.
    "connectTimeoutMS": 1000,
    "serverSelectionTimeoutMS": 1500,
    "heartbeatFrequencyMS": 500,
    "socketTimeoutMS": 2000,
    "appname": "bazaar",
}


class MongoLedger:
    """The books in the database at `uri`. Connects at the first operation; see `peers.core.ledger.Ledger`."""

    def __init__(self, uri: str, database: str = DATABASE) -> None:
        self._uri = uri
        self._database = database
        self._connecting = threading.Lock()
        self._books: _Books | None = None
        self._closed = False

    def perform(self, operation: Operation) -> Result:
        """Carries out one operation. Raises LedgerError only for a database that is not fit to hold the books."""
        books = self._connected()
        if books is None:
            return LedgerAway(why="the ledger is closed")
        try:
            return books.perform(operation)
        except PyMongoError as error:
            # What writes knows by itself what became of it; so this was a read, and changed nothing.
            if self._closed or is_passing(error):
                return LedgerAway(why=str(error))
            raise unusable(error) from error

    def close(self) -> None:
        """Waits for what is under way, then lets go of the connections."""
        with self._connecting:
            self._closed = True
            books, self._books = self._books, None
        if books is not None:
            books.close()

    def _connected(self) -> _Books | None:
        with self._connecting:
            if self._books is None and not self._closed:
                try:
                    self._books = _Books(self._uri, self._database)
                except (ConfigurationError, ValueError) as error:
                    raise LedgerError(f"{self._uri} is no address of a database: {error}; mend --mongo") from error
            return self._books


class _Books:
    """An open connection, its two lanes, and what is done with them."""

    def __init__(self, uri: str, database: str) -> None:
        self._client = MongoClient[Document](uri, connect=False, **_CLIENT_OPTIONS)
        self._database = self._client.get_database(
            database,
            codec_options=CodecOptions(tz_aware=True),
            write_concern=DURABLE,
            read_concern=SETTLED,
        )
        self._requests = self._database["requests"]
        self._deposits = self._database["deposits"]
        self._posts = self._database["posts"]
        self._fences = self._database["fences"]
        self._elections = self._database["elections"]
        self._main = Lane(self._client)
        self._queueing = Lane(self._client)
        # Nobody ends this one, so what it reads after ending another is all that the other left behind.
        self._reader = self._client.start_session(causal_consistency=True)

    def perform(self, operation: Operation) -> Result:
        if isinstance(operation, Enqueue):
            with self._queueing.lock:
                return self._enqueue(operation)
        with self._main.lock:
            match operation:
                case Commit():
                    return self._commit(operation)
                case TakeOffice():
                    return self._take_office(operation)
                case LookUp():
                    return self._look_up(operation)
                case FindSales():
                    return self._find_sales(operation)
                case RecordElection():
                    return self._record_election(operation)

    def close(self) -> None:
        with self._main.lock, self._queueing.lock:
            for session in (self._main.session, self._queueing.session, self._reader):
                session.end_session()
            self._client.close()

    # Writing under a term.

    def _enqueue(self, operation: Enqueue) -> Result:
        documents = [queued_document(entry) for entry in operation.entries]
        fence = {"q": {"_id": QUEUE_FENCE, "term": operation.term}, "u": {"$inc": {"touched": 1}}}

        def body(session: Session) -> None:
            if documents:
                self._insert("requests", documents, session)
            self._touch("fences", fence, session)

        return self._fenced(self._queueing, operation.term, body)

    def _commit(self, operation: Commit) -> Result:
        planned = plan(operation)
        if planned is None:
            return self._refusal(self._main, operation.term)
        queued_ids, new_seq = planned.queued_ids, planned.new_seq
        decided = [outcome_document(decision.outcome) for decision in operation.decisions]
        deposits = [deposit_document(deposit) for deposit in planned.deposits]
        draws = [
            {"q": {"_id": deposit, "remaining": {"$gte": units}}, "u": {"$inc": {"remaining": -units}}}
            for deposit, units in planned.draws.items()
        ]

        fence = {
            "q": {"_id": POST, "term": operation.term, "seq": operation.seq},
            "u": {"$set": {"seq": new_seq}, "$inc": {"commits": 1}},
        }

        def body(session: Session) -> None:
            if queued_ids:
                # Out and in again is half the time of updating them one by one, and counts them all the same.
                queued = {"_id": {"$in": queued_ids}, "status": "queued"}
                gone = self._requests.delete_many(queued, hint="_id_", session=session)
                _demand(gone.deleted_count == len(queued_ids))
            if decided:
                self._insert("requests", decided, session)
            if deposits:
                self._insert("deposits", deposits, session)
            if draws:
                self._update("deposits", draws, session)
            self._touch("posts", fence, session)

        return self._fenced(self._main, operation.term, body)

    # As plain commands: the driver's own ways of writing take trouble to retry, and to split what is too large, which
    # is not done inside a transaction of ours, and shows in the time of a small one.

    def _insert(self, collection: str, documents: list[Document], session: Session) -> None:
        self._write({"insert": collection, "documents": documents}, session)

    def _update(self, collection: str, updates: list[Document], session: Session) -> None:
        """Rolls the transaction back unless each of the updates finds its document."""
        _demand(self._write({"update": collection, "updates": updates}, session)["n"] == len(updates))

    def _touch(self, collection: str, fence: Document, session: Session) -> None:
        """Touches a fence, if it still stands at the term, and rolls the transaction back if it does not."""
        self._update(collection, [fence], session)

    def _write(self, command: Document, session: Session) -> Document:
        answer = self._database.command(command, session=session)
        if "writeErrors" in answer:
            raise BulkWriteError(answer)
        return answer

    def _fenced(self, lane: Lane, term: int, body: Callable[[Session], None]) -> Result:
        self._clear_way(lane)
        try:
            return lane.transact(body)
        except Refused:
            return self._refusal(lane, term)

    def _clear_way(self, lane: Lane) -> None:
        """Ends what the other lane left open: the same ids may be in it, and the server keeps it for seconds."""
        other = self._queueing if lane is self._main else self._main
        # One that is busy is about to end it by itself.
        if other.left_open and other.lock.acquire(blocking=False):
            try:
                self._end([other.session_id])
                other.left_open = False
            finally:
                other.lock.release()

    def _refusal(self, lane: Lane, term: int) -> Deposed | AlreadyRecorded:
        """Says why: a deposed trader hears that it is deposed, whatever else it had wrong.

        Read in the lane's own session, for that has seen whatever the transaction failed on.
        """
        post = self._read_post(lane.session)
        return AlreadyRecorded() if post.term == term else Deposed(post=post)

    # Taking office.

    def _take_office(self, operation: TakeOffice) -> Result:
        with pymongo.timeout(READ_PATIENCE_S):
            document = self._posts.find_one({"_id": POST}, session=self._reader)
            if document is None:
                ensure_schema(self._database)
                document = self._posts.find_one({"_id": POST}, session=self._reader)
        if document is None or document["term"] != operation.expected_term:
            return OfficeRefused(post=_post_in(document))
        try:
            return self._raise_term(operation, document["sessions"])
        except Refused:
            return OfficeRefused(post=self._read_post(self._main.session))

    def _raise_term(self, operation: TakeOffice, predecessors: Iterable[Binary]) -> Result:
        """Moves both fences to the next term, then reads what stands behind them.

        What the predecessor left open is ended first: the raise would have to wait for it.
        """
        term = operation.expected_term + 1
        raised = {
            "term": term,
            "trader": operation.trader,
            "since": date(operation.now_ms),
            "sessions": [self._main.session_id, self._queueing.session_id],
        }
        found: list[Document | None] = []

        def body(session: Session) -> None:
            self._end(predecessors)
            post = self._posts.find_one_and_update(
                {"_id": POST, "term": operation.expected_term},
                {"$set": raised, "$inc": {"commits": 1}},
                return_document=ReturnDocument.AFTER,
                session=session,
            )
            _demand(post is not None)
            found[:] = [post]
            fence = {"$set": {"term": term}, "$inc": {"touched": 1}}
            self._fences.update_one({"_id": QUEUE_FENCE}, fence, upsert=True, session=session)

        ended = self._main.transact(body)
        if not isinstance(ended, Done):
            return ended
        try:
            return self._survey(_post_in(found[0]))
        except PyMongoError as error:
            return Unknown(why=f"in office, but the books could not be read: {error}")

    def _survey(self, post: Post) -> OfficeTaken:
        """Reads all that a new trader needs; after the raise nobody else can change it."""
        session = self._main.session
        with pymongo.timeout(READ_PATIENCE_S):
            last = self._requests.find_one({}, {"_id": 0, "arrival": 1}, sort=[("arrival", -1)], session=session)
            queue = self._requests.find({"status": "queued"}, session=session).sort("order", 1).hint("queue")
            stock = self._deposits.find({"remaining": {"$gt": 0}}, session=session).sort("order", 1).hint("stock")
            return OfficeTaken(
                post=post,
                arrival=last["arrival"] if last else 0,
                queue=tuple(map(accepted_from, queue)),
                stock=tuple(map(deposit_from, stock)),
            )

    # Reading.

    def _look_up(self, operation: LookUp) -> Found:
        self._settle()
        with pymongo.timeout(READ_PATIENCE_S):
            requests = self._by_id(self._requests, operation.request_ids)
            deposits = self._by_id(self._deposits, operation.deposit_ids)
            return Found(
                post=self._read_post(self._reader),
                outcomes=tuple(outcome_from(found) for found in requests if found["status"] != "queued"),
                queued=tuple(accepted_from(found) for found in requests if found["status"] == "queued"),
                deposits=tuple(map(deposit_from, deposits)),
            )

    def _settle(self) -> None:
        """Sees to it that nothing of ours whose end is unknown can still commit, and that the reader sees its end.

        The server answers once the session's transaction is over, one way or the other; from then on it refuses a
        commit that was still on its way.
        """
        if self._main.doubtful:
            self._end([self._main.session_id])
            self._main.doubtful = False
        if self._queueing.doubtful:
            with self._queueing.lock:
                self._end([self._queueing.session_id])
                self._queueing.doubtful = False

    def _end(self, session_ids: Iterable[Binary]) -> None:
        sessions = [{"id": session_id} for session_id in session_ids]
        if sessions:  # for an empty list means everybody's
            with pymongo.timeout(READ_PATIENCE_S):
                self._client.admin.command("killSessions", sessions, session=self._reader)

    def _find_sales(self, operation: FindSales) -> Found:
        sold = {"seller": operation.seller, "seq": {"$gt": operation.after_seq}}
        held = {"seller": operation.seller, "remaining": {"$gt": 0}}
        session = self._reader
        with pymongo.timeout(READ_PATIENCE_S):
            sales = self._requests.find(sold, limit=operation.limit, session=session).sort("seq", 1).hint("sales")
            deposits = self._deposits.find(held, session=session).sort("order", 1).hint("stock_of")
            return Found(
                outcomes=tuple(map(outcome_from, sales)),
                deposits=tuple(map(deposit_from, deposits)),
                post=self._read_post(session),
            )

    def _by_id(self, collection: Collection[Document], ids: Iterable[str]) -> list[Document]:
        """Returns what there is under these ids, in their order."""
        wanted = list(dict.fromkeys(ids))
        if not wanted:
            return []
        found = {each["_id"]: each for each in collection.find({"_id": {"$in": wanted}}, session=self._reader)}
        return [found[record_id] for record_id in wanted if record_id in found]

    def _read_post(self, session: Session) -> Post:
        with pymongo.timeout(READ_PATIENCE_S):
            return _post_in(self._posts.find_one({"_id": POST}, session=session))

    # Elections.

    def _record_election(self, operation: RecordElection) -> Done | Unknown | LedgerAway:
        document = election_document(operation.record)
        try:
            with pymongo.timeout(READ_PATIENCE_S):
                self._elections.replace_one({"_id": document["_id"]}, document, upsert=True)
        except PyMongoError as error:
            if not is_passing(error):
                raise
            if isinstance(error, ServerSelectionTimeoutError):
                return LedgerAway(why=str(error))  # it was never sent
            return Unknown(why=str(error))
        return Done()


def _demand(as_expected: bool) -> None:
    """Rolls the transaction back unless the books are what they were taken to be."""
    if not as_expected:
        raise Refused


def _post_in(document: Document | None) -> Post:
    if document is None:
        raise LedgerError("the post is missing from the books: the database was never prepared, or was emptied")
    return post_from(document)
