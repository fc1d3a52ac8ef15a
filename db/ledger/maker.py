"""Makes the books from the log, behind it: a thread writes what entries changed, many entries in one round.

Every document carries the place of the entry that put it there (`at`), and is only ever replaced by a later one. So a
round may be repeated, and a deposed trader that is late at it changes nothing. `posts` says up to which entry the
books are made, and says it only once a majority has every document up to there: otherwise a primary could fall with
the documents, and a successor that trusts `posts` would decide a request a second time.

Under load a round takes what came in some milliseconds, so that many entries share its writes, and a round stands in
the way of few of them; when nothing else comes the books follow at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pymongo
from bson.raw_bson import RawBSONDocument
from pymongo.database import Database
from pymongo.errors import BulkWriteError, PyMongoError, WriteError
from pymongo.read_concern import ReadConcern

from db.ledger.backlog import Backlog, Changes, Round, encode_requests
from db.ledger.connection import DURABLE, PATIENCE_S, Document, is_passing, unusable
from db.ledger.cutting import LogCutter
from db.ledger.reading import read_loaded, read_made
from db.schema.collections import POST
from db.schema.documents import deposit_document, post_document
from peers.core.ledger.log import NOWHERE
from peers.core.ledger.port import MakeBooks
from peers.core.ledger.post_state import PostState, UnsoundLog
from peers.errors import LedgerError

# None of these is a setting: they were measured together, and weigh the speed of purchases against how far the books
# are behind; one changed alone makes both worse.
STEADY_S = 0.05
"""Entries that follow each other within this time come steadily, and share rounds; a lone one has a round at once."""

GATHER_S = 0.03
"""While entries come steadily, a round begins so long after the first of them, for each round delays an entry …"""

GATHER_DOCUMENTS = 64
"""… or as soon as there are so many documents to write."""

MOST_DOCUMENTS = 2000
"""The most documents in a round, unless one entry has more."""

MOST_BEHIND = 50_000
"""The most documents that may wait. An entry that would add to them waits for the books first."""

MOST_BYTES_BEHIND = 256 * 2**20
"""The same in bytes, for vector clocks can be large, and all that waits is kept in memory."""

_COMMAND_DOCUMENTS = 1000
"""The most documents in one command. A message to the server may hold more, and as many bytes as a round has."""

_RETRY_S = (0.02, 0.05, 0.1, 0.25)
"""The pauses between tries while the server is away; the last one is repeated for ever."""

_DUPLICATE_KEY = 11000
_UNFORCED: Document = {"w": 1}
_FORCED: Document = DURABLE.document

Warn = Callable[[str], None]


class BooksMaker:
    """The thread that makes the books in `database`. `warn` is told once of trouble that does not pass by itself.

    It also cuts the log behind the books, so that `keep_entries` entries stay whole; 0 keeps all. With
    `waits_for_majority` entries may come that a majority does not have yet, and may be lost: books are made only of
    those that stand.
    """

    def __init__(
        self,
        database: Database[Document],
        warn: Warn,
        keep_entries: int = 0,
        *,
        waits_for_majority: bool = False,
    ) -> None:
        self._database = database
        self._warn = warn
        self._waits_for_majority = waits_for_majority
        self._cutter = LogCutter(database, keep_entries) if keep_entries else None
        self._changed = threading.Condition()
        self._backlog = Backlog(by_term=waits_for_majority)
        # When the newest and the oldest of what waits came, in monotonic seconds.
        self._newest_s = self._oldest_s = 0.0
        # Whether entries come steadily, so that a round waits for more of them.
        self._steady = False
        # Whether a round is being written.
        self._busy = False
        # What was warned of last, so that it is not repeated with every try; empty once all is well.
        self._warned = ""
        self._closing = False
        # When a ledger that is being closed gives up, in monotonic seconds.
        self._deadline_s: float | None = None
        self._thread: threading.Thread | None = None

    def add(self, made: MakeBooks, encoded: tuple[RawBSONDocument, ...] | None = None) -> None:
        """Has the books made one entry further, soon. `encoded` are its requests, if somebody has them already."""
        changes = Changes(made, encode_requests(made) if encoded is None else encoded)
        with self._changed:
            if self._closing:
                return  # The successor makes it from the log.
            now_s = time.monotonic()
            self._steady, self._newest_s = now_s - self._newest_s < STEADY_S, now_s
            if not self._backlog:
                self._oldest_s = now_s
            was_empty = not self._backlog and not self._busy
            self._backlog.add(changes)
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="books", daemon=True)
                thread.start()
                self._thread = thread
            elif was_empty or self._backlog.documents >= GATHER_DOCUMENTS:
                self._changed.notify_all()

    def wait_for_room(self, patience_s: float) -> bool:
        """Returns once not too much waits to be made; False if that takes longer than `patience_s`."""
        if self._has_room():
            return True
        with self._changed:
            return self._changed.wait_for(self._has_room, patience_s)

    def _has_room(self) -> bool:
        return self._backlog.documents < MOST_BEHIND and self._backlog.bytes < MOST_BYTES_BEHIND

    def close(self, patience_s: float) -> None:
        """Makes what is still to be made, within `patience_s`, and ends."""
        with self._changed:
            self._closing = True
            self._deadline_s = time.monotonic() + patience_s
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(patience_s + PATIENCE_S)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._backlog or self._closing)
                if not self._backlog:
                    return
                self._gather()
                gathered = self._backlog.take(MOST_DOCUMENTS)
                self._oldest_s = time.monotonic()
                self._busy = True
            made = self._make(gathered)
            with self._changed:
                self._busy = False
                self._changed.notify_all()
            if not made:
                return
            self._cut_behind(gathered.last)

    def _gather(self) -> None:
        """Waits for more changes that come soon. The lock must be held; it is let go of while waiting."""
        while not self._closing and self._backlog.documents < GATHER_DOCUMENTS:
            rest_s = self._oldest_s + GATHER_S - time.monotonic()
            if rest_s <= 0 or not self._steady:
                return
            self._changed.wait(rest_s)

    def _make(self, gathered: Round) -> bool:
        """Makes a round, and tries again until it is made; False if there is no time left."""
        tries = -1
        while True:
            tries += 1
            try:
                self._attempt(gathered)
            except _NotYet:
                tries = 0  # It is a matter of milliseconds, unless the majority is away.
            except (PyMongoError, LedgerError) as error:
                # What follows are the server's own words, at length, with its clock: another text each time.
                why = str(error).partition(", full error:")[0]
                if not isinstance(error, PyMongoError) or not is_passing(error):
                    self._warn_once(f"the books cannot be made: {why}")
            else:
                self._warned = ""
                return True
            pause_s = _RETRY_S[min(tries, len(_RETRY_S) - 1)]
            with self._changed:
                self._changed.wait_for(lambda: self._closing, pause_s)
                if self._deadline_s is not None and time.monotonic() >= self._deadline_s:
                    return False
            if self._closing:
                time.sleep(pause_s)

    def _cut_behind(self, made: int) -> None:
        """Cuts the log as far as enough has come together, unless there is something to make.

        What fails now may succeed behind a later round.
        """
        if self._cutter is None or self._closing:
            return
        try:
            while self._cutter.step(made) and not self._backlog and not self._closing:
                pass
        except PyMongoError as error:
            if not is_passing(error):
                self._cutter = None
                self._warn(f"the log cannot be cut, and is kept whole from here on: {error}")

    def _warn_once(self, why: str) -> None:
        if why != self._warned:
            self._warned = why
            self._warn(why)

    def _attempt(self, gathered: Round) -> None:
        with pymongo.timeout(PATIENCE_S):
            if self._waits_for_majority and not _stands(self._database, gathered):
                catch_up(self._database)  # Whatever stands at these places now.
                return
            write_documents(self._database, gathered)
            # Only what a majority knows to be made may be cut, and no later round may come that makes it so.
            if say_made(self._database, gathered, forced=self._cutter is not None):
                return
        catch_up(self._database)


class _NotYet(Exception):
    """A majority does not have the entry yet."""


def _stands(database: Database[Document], gathered: Round) -> bool:
    """Whether a majority has the round's last entry, and so all of them, for they are of one term; False if it was
    lost with a primary. Where it was cut the books are made beyond it, and nobody can say any more whose it was: so
    it counts as lost.

    Raises _NotYet as long as only the primary has it, PyMongoError where the database does not answer."""
    for concern in ("majority", "local"):
        log = database.get_collection("log", read_concern=ReadConcern(concern))
        found = log.find_one({"_id": gathered.last}, {"entry": 1})
        if found is not None:
            is_ours = found.get("entry") == gathered.entry_id
            if is_ours and concern == "local":
                raise _NotYet
            return is_ours
    return False


def write_documents(database: Database[Document], gathered: Round) -> None:
    """Writes a round's documents, and returns once a majority has them all.

    Raises PyMongoError where that is not certain, LedgerError for what trying again does not mend.
    """
    commands = [*_inserts(gathered.inserts), *_updates("requests", _replacements(gathered))]
    commands += _updates("deposits", _deposits(gathered))
    # The server replicates in order: a majority that has the last command has all, if one primary took them all.
    primaries = {_write(database, command, forced=command is commands[-1]) for command in commands}
    if len(primaries) > 1:
        for command in commands:
            _write(database, command, forced=True)


def say_made(database: Database[Document], gathered: Round, *, forced: bool = False) -> bool:
    """Has `posts` say that the books are made up to the round's last entry.

    With `forced` it returns once a majority has that. Returns False if they are not: something before the round's
    first entry is missing.
    """
    said = database.command(
        {
            "update": "posts",
            "updates": [
                {
                    "q": {"_id": POST, "made": {"$gte": gathered.first - 1, "$lt": gathered.last}},
                    "u": post_document(gathered.post, gathered.last),
                }
            ],
            "writeConcern": _FORCED if forced else _UNFORCED,
        }
    )
    _check(said)
    if said["n"]:
        return True
    made = read_made(database)
    return made is not None and made >= gathered.last


def catch_up(database: Database[Document]) -> int:
    """Makes the books from the log as far as it goes now, from wherever they are; returns the last place made.

    What comes meanwhile is not waited for: far from the database, one would never be done while the market goes on.
    For books that were left behind, deleted, or restored from an older state. Raises LedgerError where the log cannot
    say (it was cut, or is older than the books, or is not sound), PyMongoError where the database does not answer.
    """
    newest = database["log"].find_one({}, {"_id": 1}, sort=[("_id", -1)])
    while True:
        if read_made(database) is None:
            empty = post_document(PostState().post, NOWHERE)
            _write(database, {"insert": "posts", "documents": [empty]}, forced=True)
        with pymongo.timeout(10 * PATIENCE_S):
            loaded = read_loaded(database, most_entries=MOST_DOCUMENTS // 4)
        if not loaded.entries or newest is None or loaded.made >= newest["_id"]:
            return loaded.made
        state = PostState(place=loaded.made, post=loaded.post, queue=loaded.queue, stock=loaded.stock)
        backlog = Backlog()
        try:
            for entry in loaded.entries:
                made = state.take_in(entry, torn=True)
                backlog.add(Changes(made, encode_requests(made)))
        except UnsoundLog as error:
            raise LedgerError(f"the log is not sound: {error}; `bazaar audit` says more") from error
        while backlog:
            gathered = backlog.take(MOST_DOCUMENTS)
            write_documents(database, gathered)
            say_made(database, gathered)


def _inserts(documents: Sequence[RawBSONDocument]) -> Iterable[Document]:
    for start in range(0, len(documents), _COMMAND_DOCUMENTS):
        yield {"insert": "requests", "documents": documents[start : start + _COMMAND_DOCUMENTS], "ordered": False}


def _updates(collection: str, updates: Sequence[Document]) -> Iterable[Document]:
    for start in range(0, len(updates), _COMMAND_DOCUMENTS):
        yield {"update": collection, "updates": updates[start : start + _COMMAND_DOCUMENTS], "ordered": False}


def _replacements(gathered: Round) -> list[Document]:
    return [_replacing(request_id, at, document) for request_id, at, document in gathered.replacements]


def _deposits(gathered: Round) -> list[Document]:
    return [
        _replacing(deposit_id, at, deposit_document(deposit, at=at))
        for deposit_id, (at, deposit) in gathered.deposits.items()
    ]


def _replacing(record_id: str, at: int, document: Document | RawBSONDocument) -> Document:
    """Returns the update that replaces an older document or adds one; it meets a newer one as a duplicate key."""
    return {"q": {"_id": record_id, "at": {"$lt": at}}, "u": document, "upsert": True}


def _write(database: Database[Document], command: Document, *, forced: bool) -> Any:
    """Sends a command; a document that is newer already is no error. Returns the id of the term of the primary."""
    reply = database.command({**command, "writeConcern": _FORCED if forced else _UNFORCED})
    _check(reply, lambda failed: _is_there(database, command, failed))
    return reply.get("electionId")


def _is_there(database: Database[Document], command: Document, failed: Document) -> bool:
    """Whether the document that was refused is there already, or a newer one in its place.

    The server names the first of its unique keys that it meets twice. That is `_id` where the collection was created;
    in a member that copied it from another, `_id` comes last, and the error tells of `seq`.
    """
    if failed["code"] != _DUPLICATE_KEY:
        return False
    if failed.get("keyPattern", {"_id": 1}) == {"_id": 1}:
        return True
    if "insert" in command:
        document = command["documents"][failed["index"]]
        name, record_id, at = command["insert"], document["_id"], document["at"]
    else:
        guard = command["updates"][failed["index"]]["q"]
        name, record_id, at = command["update"], guard["_id"], guard["at"]["$lt"]
    collection = database.get_collection(name, read_concern=ReadConcern("local"))
    return collection.find_one({"_id": record_id, "at": {"$gte": at}}, {"_id": 1}) is not None


def _check(reply: Document, is_fine: Callable[[Document], bool] | None = None) -> None:
    """Raises the error that a reply tells of, unless `is_fine` says of each refused document that it is none."""
    for failed in reply.get("writeErrors", ()):
        if is_fine is None or not is_fine(failed):
            # A primary that steps down in the middle of a command says so of each document.
            error = WriteError(str(failed.get("errmsg")), failed["code"], failed)
            raise error if is_passing(error) else unusable(BulkWriteError(dict(reply)))
    concern = reply.get("writeConcernError")
    if concern is not None:
        raise pymongo.errors.WriteConcernError(str(concern.get("errmsg")), concern.get("code"), concern)
