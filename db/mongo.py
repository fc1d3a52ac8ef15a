"""The ledger in MongoDB: every operation one transaction, fenced by the term.

Two documents fence. The post (`posts`, `main`) is touched by every commit, the queue's fence (`fences`, `queue`) by
every enqueueing, and both by taking office. They are touched *last*, so that they are held for the shortest time, and
always really changed: an update that changes nothing is no write to MongoDB, and would let a deposed trader through.

A trader killed or frozen with a transaction open would hold its successor up until the server loses patience. So it
leaves the ids of its sessions in the post, and the successor ends them before it raises the term.

Commits and queueing have a lane each, with a session each, since a trader's queueing goes on while a commit is under
way; taking office has a third.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Any

import pymongo
from bson.binary import Binary
from bson.codec_options import CodecOptions
from pymongo import MongoClient, ReturnDocument
from pymongo.collection import Collection
from pymongo.errors import ConfigurationError, PyMongoError, ServerSelectionTimeoutError

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
from db.lane import DURABLE, SETTLED, DriverLane, Lane, Session
from db.pipeline import PipelinedLane, is_plain
from db.plan import plan
from db.prepare import ensure_schema
from db.schema import DATABASE, POST, QUEUE_FENCE
from db.writes import Document, Refused, Write, deleting, inserting, is_passing, unusable, updating
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
    Meanwhile,
    OfficeRefused,
    OfficeTaken,
    Operation,
    RecordElection,
    Result,
    TakeOffice,
    Unknown,
    work_off,
)
from peers.core.records import Post
from peers.errors import LedgerError

READ_PATIENCE_S = 2.0

_APPNAME = "bazaar"
_CLIENT_OPTIONS: dict[str, Any] = {
    # What a cut-off or frozen primary costs is decided here; the driver's own limits are half a minute and more.
    "connectTimeoutMS": 1000,
    "serverSelectionTimeoutMS": 1500,
    "heartbeatFrequencyMS": 500,
    "socketTimeoutMS": 2000,
    "appname": _APPNAME,
}


class MongoLedger:
    """The books in the database at `uri`. Connects at the first operation; see `peers.core.ledger.Ledger`.

    `pipelined`: sends what belongs to one transaction in one go, where the database is reached in plain.
    """

    def __init__(self, uri: str, database: str = DATABASE, *, pipelined: bool = True) -> None:
        self._uri = uri
        self._database = database
        self._pipelined = pipelined and is_plain(uri)
        self._connecting = threading.Lock()
        self._books: _Books | None = None
        self._closed = False

    def perform(self, operation: Operation, meanwhile: Meanwhile | None = None) -> Result:
        """Carries out one operation. Raises LedgerError only for a database that is not fit to hold the books."""
        books = self._connected()
        if books is None:
            return LedgerAway(why="the ledger is closed")
        try:
            return books.perform(operation, meanwhile)
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
                    self._books = _Books(self._uri, self._database, pipelined=self._pipelined)
                except (ConfigurationError, ValueError) as error:
                    raise LedgerError(f"{self._uri} is no address of a database: {error}; mend --mongo") from error
            return self._books


class _Books:
    """An open connection, its lanes, and what is done with them."""

    def __init__(self, uri: str, database: str, *, pipelined: bool) -> None:
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
        self._office = DriverLane(self._database)
        self._commits, self._queueing = self._lane(pipelined), self._lane(pipelined)
        # Nobody ends this one, so what it reads after ending another is all that the other left behind.
        self._reader = self._client.start_session(causal_consistency=True)

    def _lane(self, pipelined: bool) -> Lane:
        if pipelined:
            return PipelinedLane(self._client, self._database.name, appname=_APPNAME)
        return DriverLane(self._database)

    def perform(self, operation: Operation, meanwhile: Meanwhile | None) -> Result:
        if isinstance(operation, Enqueue):
            with self._queueing.lock:
                return self._enqueue(operation)
        with self._commits.lock:
            match operation:
                case Commit():
                    return self._commit(operation, meanwhile)
                case TakeOffice():
                    return self._take_office(operation)
                case LookUp():
                    return self._look_up(operation)
                case FindSales():
                    return self._find_sales(operation)
                case RecordElection():
                    return self._record_election(operation)

    def close(self) -> None:
        with self._commits.lock, self._queueing.lock:
            for lane in (self._office, self._commits, self._queueing):
                lane.close()
            self._reader.end_session()
            self._client.close()

    # Writing under a term.

    def _enqueue(self, operation: Enqueue) -> Result:
        documents = [queued_document(entry) for entry in operation.entries]
        fence = {"_id": QUEUE_FENCE, "term": operation.term}, {"$inc": {"touched": 1}}
        writes = [inserting("requests", documents)] if documents else []
        writes.append(updating("fences", [fence]))
        return self._fenced(self._queueing, operation.term, writes)

    def _commit(self, operation: Commit, meanwhile: Meanwhile | None) -> Result:
        planned = plan(operation)
        if planned is None:
            return self._refusal(operation.term)
        decided = [outcome_document(decision.outcome) for decision in operation.decisions]
        deposits = [deposit_document(deposit) for deposit in planned.deposits]
        draws = [
            ({"_id": deposit, "remaining": {"$gte": units}}, {"$inc": {"remaining": -units}})
            for deposit, units in planned.draws.items()
        ]
        fence = (
            {"_id": POST, "term": operation.term, "seq": operation.seq},
            {"$set": {"seq": planned.new_seq}, "$inc": {"commits": 1}},
        )
        writes = []
        if planned.queued_ids:
            # Out and in again is half the time of updating them one by one, and counts them all the same.
            queued = {"_id": {"$in": planned.queued_ids}, "status": "queued"}
            writes.append(deleting("requests", queued, len(planned.queued_ids)))
        if decided:
            writes.append(inserting("requests", decided))
        if deposits:
            writes.append(inserting("deposits", deposits))
        if draws:
            writes.append(updating("deposits", draws))
        writes.append(updating("posts", [fence]))
        return self._fenced(self._commits, operation.term, writes, meanwhile)

    def _fenced(self, lane: Lane, term: int, writes: Sequence[Write], meanwhile: Meanwhile | None = None) -> Result:
        """Carries out writes of which the last touches a fence."""
        self._clear_way(lane, meanwhile)
        try:
            return lane.write(writes, meanwhile)
        except Refused:
            return self._refusal(term)

    def _clear_way(self, lane: Lane, meanwhile: Meanwhile | None) -> None:
        """Ends what the other lane left open: the same ids may be in it, and the server keeps it for seconds."""
        other = self._queueing if lane is self._commits else self._commits
        # One that is busy is about to end it by itself.
        if other.left_open and other.lock.acquire(blocking=False):
            try:
                work_off(meanwhile)
                self._end([other.session_id], None)
                other.left_open = False
            finally:
                other.lock.release()

    def _refusal(self, term: int) -> Deposed | AlreadyRecorded:
        """Says why: a deposed trader hears that it is deposed, whatever else it had wrong."""
        with pymongo.timeout(READ_PATIENCE_S), self._client.start_session(causal_consistency=True) as session:
            # What a session reads is no older than what it was answered before; so this sees what was refused.
            self._client.admin.command("ping", session=session)
            post = self._read_post(session)
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
            return OfficeRefused(post=self._read_post(self._office.session))

    def _raise_term(self, operation: TakeOffice, predecessors: Iterable[Binary]) -> Result:
        """Moves both fences to the next term, then reads what stands behind them.

        What the predecessor left open is ended first: the raise would have to wait for it.
        """
        term = operation.expected_term + 1
        session = self._office.session
        own = [self._commits.session_id, self._queueing.session_id]
        raised = {
            "term": term,
            "trader": operation.trader,
            "since": date(operation.now_ms),
            "sessions": [self._office.session_id, *own],
        }
        found: list[Document | None] = []

        def body() -> None:
            self._end({*predecessors, *own}, self._reader)
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

        ended = self._office.transact(body)
        if not isinstance(ended, Done):
            return ended
        try:
            return self._survey(_post_in(found[0]))
        except PyMongoError as error:
            return Unknown(why=f"in office, but the books could not be read: {error}")

    def _survey(self, post: Post) -> OfficeTaken:
        """Reads all that a new trader needs; after the raise nobody else can change it."""
        session = self._office.session
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
        for lane in (self._office, self._commits):
            self._settle_lane(lane)
        if self._queueing.doubtful:
            with self._queueing.lock:
                self._settle_lane(self._queueing)

    def _settle_lane(self, lane: Lane) -> None:
        if lane.doubtful:
            self._end([lane.session_id], self._reader)
            lane.doubtful = False

    def _end(self, session_ids: Iterable[Binary], session: Session | None) -> None:
        """Ends whatever transactions these sessions have open. `session` sees all that they left behind."""
        ended = [{"id": session_id} for session_id in session_ids]
        with pymongo.timeout(READ_PATIENCE_S):
            self._client.admin.command("killSessions", ended, session=session)

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
