"""Cuts the log behind the books: of old entries only the places are kept, and the ids that came in with them.

A place stays taken: in a place that is free again, a deposed trader's late entry would stand and be acknowledged. An
id stays taken, for each comes in once. Only the body goes, which the books hold as well by then. An entry is cut only
if a majority has the books made of it, and the oldest first. So the cut entries are the beginning of the log, and
where it ends is found by halving; nothing has to be written down about it.
"""

from __future__ import annotations

import pymongo
from pymongo.database import Database

from db.ledger.connection import PATIENCE_S, Document
from db.schema.collections import POST
from peers.core.ledger.log import NOWHERE

BATCH = 200
"""So many entries are cut at a time, no more: each is written anew, and the books wait for that."""

_BODILESS: list[Document] = [
    {
        "$replaceWith": {
            "_id": "$_id",
            "cut": {"$literal": True},
            # A field that an entry does not have is left out.
            "new_requests": "$new_requests",
            "new_deposits": "$new_deposits",
            "new_reversals": "$new_reversals",
            "write_level": "$write_level",
            "term": {"$cond": [{"$ifNull": ["$write_level", False]}, "$term", "$$REMOVE"]},
        }
    }
]


class LogCutter:
    """Cuts the log in `database` now and then, so that `keep_entries` (1 or more) are whole behind the books.

    `database` reads as a majority has it. The newest entry of the books must stay whole: its writer may not know yet
    that it stands.
    """

    def __init__(self, database: Database[Document], keep_entries: int) -> None:
        if keep_entries < 1:
            raise ValueError(f"keep_entries is {keep_entries}: at least the newest entry stays whole")
        self._database = database
        self._keep_entries = keep_entries
        # The first place that is whole, None until it has been looked for.
        self._next: int | None = None

    def step(self, made: int) -> bool:
        """Cuts the next batch, if there is a whole one behind entry `made`; returns whether there was.

        Raises PyMongoError.
        """
        if self._next is not None and made - self._keep_entries - self._next + 1 < BATCH:
            return False
        with pymongo.timeout(PATIENCE_S):
            return self._cut(at_least=BATCH)

    def cut_all(self) -> int:
        """Cuts all there is to cut; returns the first place that is whole. Raises PyMongoError."""
        while self._cut(at_least=1):
            pass
        assert self._next is not None
        return self._next

    def _cut(self, *, at_least: int) -> bool:
        """Cuts a batch, if there are `at_least` so many entries to be cut; returns whether there were."""
        post = self._database["posts"].find_one({"_id": POST}, {"made": 1})
        made = NOWHERE if post is None else post["made"]
        if self._next is None:
            self._next = _first_whole(self._database, made + 1)
        end = min(made + 1 - self._keep_entries, self._next + BATCH)
        if end - self._next < at_least:
            return False
        whole = {"_id": {"$gte": self._next, "$lt": end}, "cut": {"$exists": False}}
        self._database["log"].update_many(whole, _BODILESS)
        self._next = end
        return True


def cut(database: Database[Document], keep_entries: int) -> int:
    """Cuts the log behind the books, so that `keep_entries` (1 or more) stay whole; returns the first whole place.

    This is for a single time; a ledger that writes cuts by itself. Raises PyMongoError where the database does not
    answer.
    """
    return LogCutter(database, keep_entries).cut_all()


def _first_whole(database: Database[Document], end: int) -> int:
    """The first place before `end` that is whole, else `end`."""
    first, beyond = 0, end
    while first < beyond:
        middle = (first + beyond) // 2
        if database["log"].find_one({"_id": middle, "cut": True}, {"_id": 1}) is None:
            beyond = middle
        else:
            first = middle + 1
    return first
