"""What is on offer, read at the nearest member of the set: for peers that are asked and are not in office.

How stale that may be is bounded, and not by comparing clocks. Now and then the primary is asked how far the log goes
(a linearizable read: it answers only if it still is the primary when it does). Such a mark says: at that moment, by
this peer's own clock, all that a majority had stood at this place or before it. An answer of a member that has got
as far as a mark of at most `max_staleness_s` ago misses nothing older than that. Where the member has not, or there
is no such mark, nothing is answered here, and the trader is asked, who misses nothing.

A mark takes the primary up to a tenth of a second where nothing else is written, so it is set beside the searches:
the first search after a pause goes to the trader, and the next ones to the nearest member.

What such a search shows is a majority's, so no fail-over takes it back. Where the caller was told more than the
member has, the trader is asked as well.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pymongo
from pymongo import ReadPreference
from pymongo.database import Database
from pymongo.errors import PyMongoError

from db.ledger.connection import PATIENCE_S, REACH_WITHIN_S, Document, connect
from db.ledger.reading import read_stock
from peers.core.calls import AsOf, OnOffer
from peers.core.ledger.post_state import UnsoundLog
from peers.errors import LedgerError

_MARKS_IN_BOUND = 4
"""A mark is set so many times in the bound, so that a member need not be closer than three quarters of it."""

_NEARER_S = 0.005
"""Another member is asked once it is nearer than the one asked last by more than this; otherwise they would take
turns, and what is read from two is no more up to date than the slower."""

Address = tuple[str, int]


class NearestStock:
    """Searches in the books at `uri`, for the post of `area`. Connects at the first search; may be used from any
    thread.

    `choose` picks the member to ask from the descriptions of those that could be; the nearest, unless given. `asked`
    and `answered` count the searches, and those of them that were answered here.
    """

    def __init__(
        self,
        uri: str,
        database: str,
        max_staleness_s: float,
        *,
        area: str = "",
        choose: Callable[[Sequence[Any]], Any] | None = None,
    ) -> None:
        self._uri = uri
        self._area = area
        self._name = database
        self._max_staleness_s = max_staleness_s
        self._choose = choose or self._nearest
        self._last: Address | None = None
        self._lock = threading.Lock()
        self._database: Database[Document] | None = None
        # When the primary was asked, in monotonic seconds, and how far the log went then; oldest first.
        self._marks: deque[tuple[float, int]] = deque()
        self._marker = ThreadPoolExecutor(1, "marks")
        self._is_marking = False
        self._closed = False
        self.asked = 0
        self.answered = 0

    def search(self, item: str | None, since: AsOf | None = None) -> OnOffer | None:
        """Returns what can be bought of `item`, or of all items, no less far than `since`; None where nobody near can
        say that within the bound."""
        with self._lock:
            self.asked += 1
            database = self._connected()
            wanted = self._wanted(time.monotonic())
        if database is None or wanted is None:
            return None
        try:
            with pymongo.timeout(REACH_WITHIN_S):
                near = database.with_options(read_preference=ReadPreference.NEAREST)
                found = read_stock(near, item, self._area)
        except (PyMongoError, LedgerError, UnsoundLog):
            return None  # Whoever is near is away, or in the midst of being made anew; the trader says what is wrong.
        # Answered is what was so when the reading began at the latest, and the bound is for when it ends.
        with self._lock:
            wanted = self._wanted(time.monotonic())
            if wanted is None or found.as_of.place < wanted:
                return None
            if since is not None and not found.as_of.reaches(since, shared=bool(self._area)):
                return None
            self.answered += 1
        return found

    def close(self) -> None:
        """Lets go of all connections."""
        with self._lock:
            self._closed = True
            database, self._database = self._database, None
        self._marker.shutdown(wait=False, cancel_futures=True)
        if database is not None:
            database.client.close()

    def _connected(self) -> Database[Document] | None:
        if self._closed:
            return None
        if self._database is None:
            self._database = connect(self._uri, self._name, server_selector=self._select)
        return self._database

    # -- how far a member has to be ------------------------------------------------------------------------

    def _wanted(self, now_s: float) -> int | None:
        """The place that an answer of now must have got to; None if nobody knows. The lock must be held."""
        while self._marks and now_s - self._marks[0][0] > self._max_staleness_s:
            self._marks.popleft()
        is_due = not self._marks or now_s - self._marks[-1][0] > self._max_staleness_s / _MARKS_IN_BOUND
        if is_due and not self._is_marking and not self._closed:
            self._is_marking = True
            self._marker.submit(self._mark)
        return self._marks[0][1] if self._marks else None

    def _mark(self) -> None:
        database, at_s, place = self._database, time.monotonic(), None
        with suppress(PyMongoError):  # There is no mark then, and the next search asks for one.
            place = None if database is None else _end_of_log(database)
        with self._lock:
            self._is_marking = False
            if place is not None:
                self._marks.append((at_s, place))

    # -- whom to ask ---------------------------------------------------------------------------------------

    def _select(self, servers: Sequence[Any]) -> Sequence[Any]:
        return servers if len(servers) <= 1 else [self._choose(servers)]

    def _nearest(self, servers: Sequence[Any]) -> Any:
        nearest = min(servers, key=_distance_s)
        last = next((each for each in servers if each.address == self._last), None)
        if last is not None and _distance_s(last) <= _distance_s(nearest) + _NEARER_S:
            return last
        self._last = nearest.address
        return nearest


def _distance_s(server: Any) -> float:
    """How long a question to it and its answer took lately."""
    return float("inf") if server.round_trip_time is None else float(server.round_trip_time)


def _end_of_log(database: Database[Document]) -> int:
    """The last place of the log, of which the primary made sure that it is primary still. Raises PyMongoError."""
    with pymongo.timeout(PATIENCE_S):
        answer = database.command(
            {
                "find": "log",
                "sort": {"_id": -1},
                "limit": 1,
                "projection": {"_id": 1},
                "readConcern": {"level": "linearizable"},
            },
            read_preference=ReadPreference.PRIMARY,
        )
    found = answer["cursor"]["firstBatch"]
    return int(found[0]["_id"]) if found else -1
