"""Write levels: how many members have an entry before anybody is told of it, and what keeps the log whole below that.

At `majority` an entry that was acknowledged stays, so whoever wrote it may write the next one without another look.
Below that, the end of the log can be lost with a primary: the next primary's log ends earlier, and its writer knows
more than stands. Written blindly, its next entry would leave a gap. So below a majority an entry is inserted only
where the place before still holds an entry of the same term, in one command of one server: it reads the place before
and inserts behind it, and nothing can be rolled back in between, for a server that rolls back ends its commands
first. Entries reach other members in their order, so whoever has this one has the one before as well.

Taking office is a majority's at every level. So the terms of a log never fork, every term begins behind a log that
stays, and what can be lost is the end of a term.
"""

from __future__ import annotations

from collections.abc import Mapping

from pymongo.database import Database
from pymongo.errors import OperationFailure
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from db.ledger.connection import DURABLE, Document
from peers.core.names import WriteLevel

CONCERNS: Mapping[WriteLevel, WriteConcern] = {
    "majority": DURABLE,
    "two": WriteConcern(2, j=True),
    "one": WriteConcern(1, j=True),
}
"""What the server is asked for. On disk in each of them, or a member that starts again would have forgotten it."""

_NO_OBJECT = 40228
"""The error code for a document that is to be put in another's place, and is none."""


class EndMissing(Exception):
    """The place before holds no entry of this term: nothing was inserted."""


def insert_behind(database: Database[Document], document: Document, level: WriteLevel) -> None:
    """Inserts an entry if the place before holds one of its term; returns once so many members have it.

    Raises EndMissing, or PyMongoError as a plain insert does; DuplicateKeyError among them.
    """
    before = {"_id": document["_id"] - 1, "term": document["term"]}
    pipeline: list[Document] = [
        {"$match": before},
        # Where nothing matches, there is still one document after this, and it has an empty list.
        {"$facet": {"before": [{"$limit": 1}, {"$project": {"_id": 1}}]}},
        {"$replaceWith": {"$cond": [{"$size": "$before"}, {"$literal": document}, "$before"]}},
        {"$merge": {"into": "log", "on": "_id", "whenMatched": "fail", "whenNotMatched": "insert"}},
    ]
    log = database.get_collection("log", read_concern=ReadConcern("local"), write_concern=CONCERNS[level])
    try:
        log.aggregate(pipeline).close()
    except OperationFailure as error:
        if error.code == _NO_OBJECT:
            raise EndMissing from error
        raise
