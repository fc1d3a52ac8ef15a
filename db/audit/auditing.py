"""The audit: reads a town's log, books and journals and judges them by the twelve invariants.

It stands apart from the ledger and reads MongoDB by itself. Log and books are read in one snapshot, so that a town
may go on trading meanwhile, and in a stream, so that their length does not matter. The log is what is judged, by a
fold of the audit's own (`db.audit.folding`), and the books are held against it. Journals are held against log and
books (`db.audit.log_tail`) *after* their lines were read: what was told must have been recorded before, so a line may
never be newer than what it is held against.

Where something stands in the way of an answer (no database, no books, a journal that cannot be read, a machine whose
journals cannot be had), the answer is *could not tell*, never *holds*; what could not be seen is never *violated*.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient, ReadPreference
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.cursor import Cursor
from pymongo.database import Database
from pymongo.errors import (
    AutoReconnect,
    ConnectionFailure,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)
from pymongo.read_concern import ReadConcern

from db.audit.checkers.graph import Graph
from db.audit.checkers.together import Checkers
from db.audit.findings import Verdict
from db.audit.folding.fold import Fold, StoredBooks
from db.audit.history.operations import Operations
from db.audit.journals import Witness, journal_files, read_journal
from db.audit.log_tail import DEPOSIT_FIELDS, REQUEST_FIELDS, LogTail
from db.audit.report import HERE, AuditReport, JournalsRead
from db.audit.rows import (
    MAIN_POST,
    JournalEntry,
    PostRow,
    read_deposit,
    read_election,
    read_post,
    read_request,
    whole,
)
from db.audit.stored import RAW, StoredDocument
from db.audit.testimony import hear
from db.refusals import first_words
from peers.books_address import without_secrets
from peers.errors import LedgerError
from peers.waiting import wait_until

Documents = dict[str, Any]
Fields = dict[str, int]
_Kind = TypeVar("_Kind", bound=Mapping[str, Any])
# None of these is a setting: the audit finds the same by any of them; they weigh its memory against its time.
_BATCH = 1000
_LOG_BATCH = 200
"""The entries read at a time; those of a busy town hold dozens of sales each."""

_POLL_S = 0.1
_SNAPSHOT_TRIES = 3
_TOO_OLD = 239
"""The code of SnapshotTooOld, after which another snapshot may succeed: the first took too long to be read."""
_NOT_YET = 246
"""The code of SnapshotUnavailable: a server that has only just started has nothing yet that a majority has."""
_NOT_YET_FOR_S = 10.0

_SEQ = {"$gt": 0}
"""The condition for a sensible `seq`, written so that the partial index on `seq` can serve it."""

_OURS = {"log", "posts"}
"""Collections that a prepared database has, even if nothing was written yet."""

_Seen = tuple[int | None, PostRow | None]
"""The last place of the log, and the post, as they were when the audit read them."""


def audit(
    uri: str,
    database: str = "bazaar",
    directory: Path | None = None,
    *,
    witnesses: Iterable[Witness] = (),
    graph: Graph | Sequence[Graph] | None = None,
    graph_kind: str = "random",
    calm: bool | None = None,
    commission_rate: Decimal | None = None,
    timeout_s: float = 5.0,
    patience_s: float = 3.0,
) -> AuditReport:
    """Judges log and books in `database`, and journals under the town's `directory`; never raises for their state.

    `witnesses` are the journals of other machines, which are waited for first.
    `calm` says whether the town is at rest, so that nothing may be queued any more, and the books are made to the end
    of the log. None finds out: if that is not so, log and post are watched for `patience_s`, and if neither moves in
    that time, things are calm.
    """
    started = time.monotonic()
    here = () if directory is None else (Witness(machine=HERE, paths=tuple(journal_files(directory))),)
    auditing = _Audit(chain(here, witnesses), graph, graph_kind, calm, commission_rate, patience_s)
    try:
        verdict = auditing.run(uri, database, timeout_s)
    except LedgerError as error:
        why = without_secrets(str(error))
        return AuditReport(database=database, seconds=time.monotonic() - started, why=why)
    return AuditReport(
        database=database, seconds=time.monotonic() - started, verdict=verdict, journals=tuple(auditing.journals)
    )


class _Audit:
    """One audit under way."""

    def __init__(
        self,
        witnesses: Iterable[Witness],
        graph: Graph | Sequence[Graph] | None,
        graph_kind: str,
        calm: bool | None,
        commission_rate: Decimal | None,
        patience_s: float,
    ) -> None:
        self._witnesses = witnesses
        self.journals: list[JournalsRead] = []
        self._graph = graph
        self._graph_kind = graph_kind
        self._calm = calm
        self._commission_rate = commission_rate
        self._patience_s = patience_s
        self._history: Operations | None = None

    def run(self, uri: str, name: str, timeout_s: float) -> Verdict:
        """Reads and judges; LedgerError if the books cannot be read."""
        try:
            with _connect(uri, timeout_s) as client:
                database = client.get_database(
                    name, read_preference=ReadPreference.PRIMARY, read_concern=ReadConcern("majority")
                )
                # All journals are here, and read, before the log: so the log has all that anybody saw in it.
                witnesses = list(self._witnesses)
                self._history = read_history(witnesses)
                checkers, seen = self._read_books(client, database)
                unfinished = checkers.queued > 0 or checkers.follow.behind
                if self._calm is False:
                    checkers.excuse("the town is at work, or did not end in order")
                elif self._calm is None and unfinished and _moves(database, seen, self._patience_s):
                    checkers.excuse("the town is at work: decisions went on during the audit")
                self.journals.extend(hear(witnesses, LogTail(database), checkers))
                return checkers.finish()
        except ConnectionFailure as error:
            raise LedgerError(f"no database answers: {first_words(error)}; is the town's mongod running?") from error
        except (PyMongoError, BSONError) as error:
            raise LedgerError(f"the database cannot be read: {first_words(error)}") from error

    def _read_books(self, client: MongoClient[Documents], database: Database[Documents]) -> tuple[Checkers, _Seen]:
        if "setName" not in client.admin.command("hello"):
            if self._calm is None:
                raise LedgerError("only a replica set gives a snapshot of books in use; stop the town and say so")
            return self._pass(database, None)
        tries, deadline_s = 0, time.monotonic() + _NOT_YET_FOR_S
        while True:
            try:
                with client.start_session(snapshot=True) as session:
                    return self._pass(database, session)
            except OperationFailure as error:
                tries += error.code == _TOO_OLD
                waits = error.code == _NOT_YET and time.monotonic() < deadline_s
                if not waits and (error.code != _TOO_OLD or tries == _SNAPSHOT_TRIES):
                    raise
            except AutoReconnect as error:
                # A member ends its connections as its state changes, and another may be primary now. The patience of
                # these two is used up already.
                given_up = isinstance(error, ServerSelectionTimeoutError | NetworkTimeout)
                if given_up or time.monotonic() > deadline_s:
                    raise
            time.sleep(_POLL_S)

    def _pass(self, database: Database[Documents], session: ClientSession | None) -> tuple[Checkers, _Seen]:
        """One pass over everything, in the order the checkers want it."""
        checkers = Checkers(
            graph=self._graph,
            graph_kind=self._graph_kind,
            commission_rate=self._commission_rate,
            log_given=None,
            history=self._history,
        )
        posts = list(database.posts.find(session=session))
        log = map(StoredDocument, _raw(database.log).find({}, batch_size=_LOG_BATCH, session=session).sort("_id", 1))
        first = next(log, None)
        if first is None:
            end = -1
            _feed_books(database, session, posts, checkers)
        else:
            end = _play_log(database, session, posts, chain((first,), log), checkers)
        if checkers.empty and not _OURS & set(database.list_collection_names()):
            raise LedgerError(f"there are no books in the database {database.name!r}; is it the right one?")
        return checkers, (end, _main_of(posts))


def _feed_books(
    database: Database[Documents], session: ClientSession | None, posts: list[Documents], checkers: Checkers
) -> None:
    """Feeds the checkers with books that have no log."""
    for post in map(read_post, posts):
        checkers.post(post)
        checkers.follow.book_post(post)
    for election in map(read_election, database.elections.find(session=session)):
        checkers.election(election)
    for deposit in map(read_deposit, database.deposits.find({}, DEPOSIT_FIELDS, batch_size=_BATCH, session=session)):
        checkers.deposit(deposit)
        checkers.follow.unfolded(deposit.id, deposit.at)
    for find in (_undecided, _decided):
        for request in map(read_request, find(database.requests, session, REQUEST_FIELDS)):
            checkers.request(request)
            checkers.follow.unfolded(request.id, request.at)


def _play_log(
    database: Database[Documents],
    session: ClientSession | None,
    posts: list[Documents],
    log: Iterable[StoredDocument],
    checkers: Checkers,
) -> int:
    """Plays the log, and holds the books against it; returns its last place."""
    for election in map(read_election, database.elections.find(session=session)):
        checkers.election(election)
    requests = _raw(database.requests)
    books = StoredBooks(
        posts=posts,
        deposits=map(StoredDocument, _raw(database.deposits).find({}, batch_size=_BATCH, session=session)),
        undecided=map(StoredDocument, _undecided(requests, session, None)),
        decided=map(StoredDocument, _decided(requests, session, None)),
    )
    fold = Fold(checkers, checkers.follow, books)
    for document in log:
        fold.entry(document.fields)
    fold.finish()
    return fold.end


def _connect(uri: str, timeout_s: float) -> MongoClient[Documents]:
    """Connects so that dates beyond Python's calendar and broken texts can be read, and judged as wrong entries."""
    timeout_ms = round(timeout_s * 1000)
    try:
        return MongoClient(
            uri,
            appname="bazaar audit",
            serverSelectionTimeoutMS=timeout_ms,
            connectTimeoutMS=timeout_ms,
            socketTimeoutMS=max(timeout_ms, 30_000),
            datetime_conversion="DATETIME_AUTO",
            unicode_decode_error_handler="replace",
        )
    except (PyMongoError, ValueError) as error:
        raise LedgerError(f"the database's address is unusable: {error}") from error


def _undecided(requests: Collection[_Kind], session: ClientSession | None, fields: Fields | None) -> Cursor[_Kind]:
    """Returns the requests without a sensible `seq`."""
    return requests.find({"seq": {"$not": _SEQ}}, fields, batch_size=_BATCH, session=session)


def _decided(requests: Collection[_Kind], session: ClientSession | None, fields: Fields | None) -> Cursor[_Kind]:
    """Returns the requests with a sensible `seq`, by rising `seq`."""
    found = requests.find({"seq": _SEQ}, fields, batch_size=_BATCH, session=session)
    return found.sort("seq", 1).allow_disk_use(True)


def _raw(collection: Collection[Documents]) -> Collection[RawBSONDocument]:
    return collection.with_options(codec_options=RAW)


def _main_of(posts: Iterable[Documents]) -> PostRow | None:
    return next((post for post in map(read_post, posts) if post.id == MAIN_POST), None)


def _moves(database: Database[Documents], seen: _Seen, patience_s: float) -> bool:
    """Whether the log or the post goes on from what was seen of it, within `patience_s`."""

    def has_moved() -> bool:
        last = next(database.log.find({}, {"_id": 1}).sort("_id", -1).limit(1), {"_id": -1})
        return (whole(last["_id"]), _main_of(database.posts.find({"_id": MAIN_POST}))) != seen

    return wait_until(has_moved, patience_s, look_s=_POLL_S)


def read_history(witnesses: Iterable[Witness]) -> Operations | None:
    """Returns what customers asked and were told by the journals of witnesses; None where there are none."""
    history: Operations | None = None
    for path in chain.from_iterable(witness.paths for witness in witnesses):
        history = history or Operations()
        history.journal()
        for line in read_journal(path):
            if isinstance(line, JournalEntry):
                history.line(line)
    return history
