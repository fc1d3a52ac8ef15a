"""A trader that stops with its transaction open, in a process of its own, to be killed or frozen there.

`python -m tests.held_trader URI DATABASE commit|enqueue` takes office, carries out one operation until
only the commit is missing, says so, and goes on when a line comes in; then it says what the ledger answered.
"""

from __future__ import annotations

import sys

from pymongo.errors import PyMongoError

from db.lane import Lane
from db.mongo import MongoLedger
from tests.deals import commit, enqueue, entry, sold, stock, take_office


class HeldLane(Lane):
    """Waits for a line before it commits, once."""

    held = True

    def _commit(self) -> PyMongoError | None:
        if HeldLane.held:
            HeldLane.held = False
            print("open", flush=True)
            sys.stdin.readline()
        return super()._commit()


def main() -> None:
    uri, database, what = sys.argv[1:]
    ledger = MongoLedger(uri, database)
    take_office(ledger)
    for lane in (ledger._books._main, ledger._books._queueing):  # type: ignore[union-attr]
        lane.__class__ = HeldLane
    fish = stock("d1", 9)
    operation = enqueue(entry(1)) if what == "enqueue" else commit(sold(entry(1), 1, fish), deposits=(fish,))
    print(type(ledger.perform(operation)).__name__, flush=True)
    ledger.close()


if __name__ == "__main__":
    main()
