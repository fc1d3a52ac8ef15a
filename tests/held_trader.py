"""A trader that stops with its transaction open, in a process of its own, to be killed or frozen there.

`python -m tests.held_trader URI DATABASE commit|enqueue pipelined|driver` takes office, carries out one operation
until only the commit is missing, says so, and goes on when a line comes in; then it says what the ledger answered.
"""

from __future__ import annotations

import sys

from pymongo.errors import PyMongoError

from db.lane import Lane
from db.mongo import MongoLedger
from tests.deals import commit, enqueue, entry, sold, stock, take_office

_commit = Lane._commit


def held_commit(lane: Lane) -> PyMongoError | None:
    """Waits for a line before it commits, once."""
    Lane._commit = _commit  # type: ignore[method-assign]
    print("open", flush=True)
    sys.stdin.readline()
    return lane._commit()


def main() -> None:
    uri, database, what, way = sys.argv[1:]
    ledger = MongoLedger(uri, database, pipelined=way == "pipelined")
    take_office(ledger)
    Lane._commit = held_commit  # type: ignore[method-assign, assignment]
    fish = stock("d1", 9)
    operation = enqueue(entry(1)) if what == "enqueue" else commit(sold(entry(1), 1, fish), deposits=(fish,))
    print(type(ledger.perform(operation)).__name__, flush=True)
    ledger.close()


if __name__ == "__main__":
    main()
