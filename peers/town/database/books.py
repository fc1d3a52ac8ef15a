"""The books as a town uses them: brought up to the log before they are asked, and summed up when a run is over.

The town only reads the books (and has them made where a trader left that undone); deciding is the trader's alone.
"""

from __future__ import annotations

import time
from decimal import Decimal

import msgspec

from db.ledger.connection import connect
from db.ledger.maker import catch_up
from db.queries import Dealings, Queries
from db.schema.prepare import prepare
from peers.core.market.records import Post

# None of these is a setting. The way to the books is measured so often that machine and network are at rest for one
# of the times, where that takes no longer than people notice.
_PINGS_MIN, _PINGS_MAX = 3, 20
_PINGS_S = 0.2


class PeerTally(msgspec.Struct):
    """What one peer did in this run."""

    bought: int = 0
    sold: int = 0
    earned: Decimal = Decimal(0)
    commission: Decimal = Decimal(0)


class RunTally(msgspec.Struct):
    """What all peers did in this run."""

    purchases: int
    unavailable: int
    first_ms: int | None
    last_ms: int | None
    peers: dict[str, PeerTally]
    # How many terms began in this run; there was one election for each.
    terms: int
    # By term, the trader and how long its election took in milliseconds, for those elections that are on record.
    elections: dict[int, tuple[str, float]]
    # How many sales were taken back; they are not among the purchases.
    taken_back: int = 0


class Books(Queries):
    """The books of one town. Methods block and may be called from any thread; what fails is a LedgerError."""

    def __init__(self, uri: str, database: str, timeout_s: float = 5.0) -> None:
        super().__init__(uri, database, timeout_s=timeout_s, who="town")
        self._settled = connect(uri, database)
        self._counted_to = 0
        self._counted = 0
        self.distance_s = 0.0
        """How long a question and its answer are on their way, in seconds; 0 until it was measured."""

    def close(self) -> None:
        """Lets go of all connections."""
        super().close()
        self._settled.client.close()

    def open(self) -> Post:
        """Makes and checks the schema, and brings the books up to the log; returns the post as it is.

        Raises LedgerError, also for a database that is not fit to be a ledger."""
        prepare(self.uri, self.database)
        self.catch_up()
        return self.post()

    def catch_up(self) -> None:
        """Makes what is still to be made of the books: the last trader may have gone before it could.

        Raises LedgerError."""
        self._asked(lambda: catch_up(self._settled))

    def measure_distance(self) -> None:
        """Finds out `distance_s`: the shortest of several times, for a busy machine only ever adds to it.

        Raises LedgerError."""
        self._asked(self._ping)  # The first one makes the connection.
        took_s: list[float] = []
        while len(took_s) < _PINGS_MIN or (len(took_s) < _PINGS_MAX and sum(took_s) < _PINGS_S):
            took_s.append(self._asked(self._ping))
        self.distance_s = min(took_s)

    def _ping(self) -> float:
        began_s = time.perf_counter()
        self._client.admin.command("ping")
        return time.perf_counter() - began_s

    def sold_after(self, seq: int) -> int:
        """Returns how many requests with a higher number were sold. Counts on from where it last was.

        Raises LedgerError."""
        start = max(seq, self._counted_to)
        now = self.post().seq
        if now > start:
            self._counted += self.count_sold(start, now)
            self._counted_to = now
        return self._counted

    def queued(self) -> int:
        """Returns how many requests wait. Raises LedgerError."""
        self.catch_up()
        return self.count_queued()

    def tally(self, since: Post) -> RunTally:
        """Sums up what happened after `since`. Raises LedgerError."""
        self.catch_up()
        decided = self.dealings(since.seq)
        terms = terms_between(since, self.post())
        tally = RunTally(purchases=0, unavailable=0, first_ms=None, last_ms=None, peers={}, terms=terms, elections={})
        tally.taken_back = self.count_taken_back(since.seq)
        for dealings in decided:
            _add(tally, dealings)
        for record in self.elections(since.term):
            if record.term > since.of(record.area).term:
                tally.elections[record.term] = (record.trader, record.took_ms)
        return tally


def terms_between(since: Post, now: Post) -> int:
    """Returns how many terms began since then, of all areas that share these books."""
    return now.term - since.term + sum(holder.term - since.of(holder.area).term for holder in now.areas)


def _add(tally: RunTally, dealings: Dealings) -> None:
    if not dealings.sold or dealings.seller is None:
        tally.unavailable += dealings.count
        return
    tally.purchases += dealings.count
    tally.first_ms = dealings.first_ms if tally.first_ms is None else min(dealings.first_ms, tally.first_ms)
    tally.last_ms = dealings.last_ms if tally.last_ms is None else max(dealings.last_ms, tally.last_ms)
    who = (dealings.buyer, dealings.seller, dealings.trader)
    buyer, seller, trader = (tally.peers.setdefault(name, PeerTally()) for name in who)
    buyer.bought += dealings.count
    seller.sold += dealings.count
    seller.earned += dealings.earned
    trader.commission += dealings.commission
