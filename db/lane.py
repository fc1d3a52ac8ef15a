"""One lane of transactions to MongoDB: one session, one transaction at a time, and an honest word on how it ended.

What is known of a transaction's end depends on where it failed. Before the commit was sent, it certainly did not
happen: nothing commits by itself. Once it was sent, only the server's word counts, and where that word is lost we ask
again (a commit may be repeated) until the deadline, and then say that we do not know.

A lane keeps its session for life, because the session's id is what a successor ends it by.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pymongo
from bson.binary import Binary
from pymongo import MongoClient
from pymongo.client_session import ClientSession
from pymongo.errors import BulkWriteError, ConnectionFailure, OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from peers.core.ledger import Done, LedgerAway, Unknown
from peers.errors import LedgerError

Document = dict[str, Any]
Session = ClientSession
Body = Callable[[Session], None]

DURABLE = WriteConcern("majority", j=True)
SETTLED = ReadConcern("majority")
_SNAPSHOT = ReadConcern("snapshot")

PATIENCE_S = 2.0
"""How long a transaction may take to reach its commit, tries again included."""

COMMIT_PATIENCE_S = 2.0
"""How long to ask for a commit whose answer does not come."""

_ABORT_PATIENCE_S = 0.5
_FIRST_PAUSE_S = 0.001
_LONGEST_PAUSE_S = 0.05

_DUPLICATE_KEY = 11000
_TRANSIENT = "TransientTransactionError"


class Refused(Exception):
    """Raised in the body of a transaction that finds the books not as it takes them to be. It is rolled back."""


class Lane:
    """A session and its transactions. Hold `lock` around whatever uses `session`."""

    def __init__(self, client: MongoClient[Document]) -> None:
        self.lock = threading.Lock()
        self.session: Session = client.start_session(causal_consistency=True)
        self.doubtful = False
        """Whether something this lane left behind may still commit."""
        self.left_open = False
        """Whether a transaction this lane gave up may still be open in the server, and stand in others' way there."""

    @property
    def session_id(self) -> Binary:
        session_id: Binary = self.session.session_id["id"]
        return session_id

    def transact(self, body: Body) -> Done | LedgerAway | Unknown:
        """Runs `body` in a transaction and commits it; raises Refused if the body does, or if an id was taken.

        The body may run several times: another's write to the same document makes the server throw ours back.
        """
        deadline = time.monotonic() + PATIENCE_S
        pause_s = _FIRST_PAUSE_S
        while True:
            failure = self._attempt(body, deadline)
            if failure is None:
                failure = self._commit()
                if failure is None:
                    self.doubtful = False
                    return Done()
                if not failure.has_error_label(_TRANSIENT):
                    self.doubtful = True
                    return Unknown(why=f"no answer to a commit: {failure}")
            if time.monotonic() + pause_s >= deadline:
                return LedgerAway(why=str(failure))
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _attempt(self, body: Body, deadline: float) -> PyMongoError | None:
        """Runs the body up to the commit; returns a failure that is worth another try."""
        self.session.start_transaction(read_concern=_SNAPSHOT, write_concern=DURABLE)
        try:
            with pymongo.timeout(max(deadline - time.monotonic(), 0.05)):
                body(self.session)
        except PyMongoError as error:
            self._abort()
            # Whoever is not reached now was not told to abort either.
            self.left_open = self.left_open or error.timeout or isinstance(error, ConnectionFailure)
            if is_duplicate(error):
                raise Refused from error
            if not is_passing(error):
                raise unusable(error) from error
            return error
        except BaseException:
            self._abort()
            raise
        self.left_open = False  # a new transaction of the session has ended what it had left
        return None

    def _abort(self) -> None:
        # On a budget of its own: the body's may be spent, and an abort that does not arrive leaves locks behind
        # until the next transaction of this session, or until a successor ends it.
        with pymongo.timeout(_ABORT_PATIENCE_S):
            self.session.abort_transaction()

    def _commit(self) -> PyMongoError | None:
        """Asks for the commit until it is answered; returns how it failed, with the server's label if it is sure."""
        deadline = time.monotonic() + COMMIT_PATIENCE_S
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                with pymongo.timeout(max(deadline - time.monotonic(), 0.05)):
                    self.session.commit_transaction()
            except PyMongoError as error:
                if error.has_error_label(_TRANSIENT) or time.monotonic() + pause_s >= deadline:
                    return error
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            else:
                return None


def is_duplicate(error: PyMongoError) -> bool:
    """Whether the server refused a write because its id, or its seq, is taken."""
    if isinstance(error, BulkWriteError):
        return any(failed["code"] == _DUPLICATE_KEY for failed in error.details["writeErrors"])
    return isinstance(error, OperationFailure) and error.code == _DUPLICATE_KEY


def is_passing(error: PyMongoError) -> bool:
    """Whether the same thing may well succeed later: the server is away or busy, or another was in the way."""
    return error.timeout or isinstance(error, ConnectionFailure) or error.has_error_label(_TRANSIENT)


def unusable(error: PyMongoError) -> LedgerError:
    """What to raise for an error that trying again does not mend."""
    return LedgerError(f"the database refused what it should take: {error}")
