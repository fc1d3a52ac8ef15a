"""One lane of transactions to MongoDB: one session, one transaction at a time, and an honest word on how it ended.

What is known of a transaction's end depends on where it failed. Before the commit was sent, it certainly did not
happen: nothing commits by itself. Once it was sent, only the server's word counts, and where that word is lost we ask
again (a commit may be repeated) until the deadline, and then say that we do not know.

A lane keeps its session for life, because the session's id is what a successor ends it by.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import pymongo
from bson.binary import Binary
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import ConnectionFailure, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from db.writes import TRANSIENT, Document, Refused, Write, check, is_duplicate, is_passing, unusable
from peers.core.ledger import Done, LedgerAway, Meanwhile, Unknown, work_off

Session = ClientSession
Written = Done | LedgerAway | Unknown

DURABLE = WriteConcern("majority", j=True)
SETTLED = ReadConcern("majority")
SNAPSHOT = ReadConcern("snapshot")

PATIENCE_S = 2.0
"""How long a transaction may take to reach its commit, tries again included."""

COMMIT_PATIENCE_S = 2.0
"""How long to ask for a commit whose answer does not come."""

_ABORT_PATIENCE_S = 0.5
_FIRST_PAUSE_S = 0.001
_LONGEST_PAUSE_S = 0.05


class Lane(ABC):
    """Transactions one after another. Hold `lock` around whatever uses the session."""

    session_id: Binary

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.doubtful = False
        """Whether something this lane left behind may still commit."""
        self.left_open = False
        """Whether a transaction this lane gave up may still be open in the server, and stand in others' way there."""

    def write(self, writes: Sequence[Write], meanwhile: Meanwhile | None = None) -> Written:
        """Carries the writes out in one transaction; raises Refused if one of them does not find what it has to.

        `meanwhile`: see `Ledger`. A lane that cannot tell when it waits does all of it first.
        """
        work_off(meanwhile)
        return self.transact(lambda: self._carry_out(writes))

    def transact(self, body: Callable[[], None]) -> Written:
        """Runs `body` in a transaction and commits it; raises Refused if the body does, or if an id was taken.

        The body may run several times: another's write to the same document makes the server throw ours back.
        """
        deadline_s = time.monotonic() + PATIENCE_S
        pause_s = _FIRST_PAUSE_S
        while True:
            failure = self._attempt(body, deadline_s)
            if failure is None:
                failure = self._commit()
                if failure is None:
                    self.doubtful = False
                    return Done()
                if not failure.has_error_label(TRANSIENT):
                    self.doubtful = True
                    return Unknown(why=f"no answer to a commit: {failure}")
            if time.monotonic() + pause_s >= deadline_s:
                return LedgerAway(why=str(failure))
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _attempt(self, body: Callable[[], None], deadline_s: float) -> PyMongoError | None:
        """Runs the body up to the commit; returns a failure that is worth another try."""
        self._begin()
        try:
            with self._within(deadline_s - time.monotonic()):
                body()
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
        with self._within(_ABORT_PATIENCE_S):
            self._ask_abort()

    def _commit(self) -> PyMongoError | None:
        """Asks for the commit until it is answered; returns how it failed, with the server's label if it is sure."""
        deadline_s = time.monotonic() + COMMIT_PATIENCE_S
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                with self._within(deadline_s - time.monotonic()):
                    self._ask_commit()
            except PyMongoError as error:
                if error.has_error_label(TRANSIENT) or time.monotonic() + pause_s >= deadline_s:
                    return error
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            else:
                return None

    @abstractmethod
    def close(self) -> None:
        """Lets go of the session."""

    @abstractmethod
    def _within(self, patience_s: float) -> AbstractContextManager[None]:
        """Gives what is asked of the server inside only so long."""

    @abstractmethod
    def _begin(self) -> None: ...

    @abstractmethod
    def _carry_out(self, writes: Sequence[Write]) -> None:
        """Sends the writes and checks the answers; PyMongoError or Refused if they are not as they should be."""

    @abstractmethod
    def _ask_commit(self) -> None:
        """Sends the commit; PyMongoError unless it is answered, and durable."""

    @abstractmethod
    def _ask_abort(self) -> None:
        """Sends the abort; whether it arrives is not said."""


class DriverLane(Lane):
    """A lane by way of the driver, whatever it takes to reach the database."""

    def __init__(self, database: Database[Document]) -> None:
        super().__init__()
        self._database = database
        self.session: Session = database.client.start_session(causal_consistency=True)
        self.session_id: Binary = self.session.session_id["id"]

    def close(self) -> None:
        self.session.end_session()

    def _within(self, patience_s: float) -> AbstractContextManager[None]:
        return pymongo.timeout(max(patience_s, 0.05))

    def _begin(self) -> None:
        self.session.start_transaction(read_concern=SNAPSHOT, write_concern=DURABLE)

    def _carry_out(self, writes: Sequence[Write]) -> None:
        for write in writes:
            check(write, self._database.command(write.command, session=self.session))

    def _ask_commit(self) -> None:
        self.session.commit_transaction()

    def _ask_abort(self) -> None:
        self.session.abort_transaction()
