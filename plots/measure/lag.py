"""How far the books are behind the log, under full load.

An entry is late from the moment its trader drew it up (as it says itself) until `posts` says that the books are made
up to there, as somebody sees who looks every few milliseconds. Trader and onlooker share the machine's clock.
"""

from __future__ import annotations

import threading
import time
from types import TracebackType

import numpy as np

from db.queries import Progress, Queries
from peers.errors import TownError
from plots.measure.apparatus.customers import Crowd
from plots.measure.apparatus.steady_clock import steady_clock
from plots.measure.apparatus.towns import BenchTown
from plots.measure.plan import Plan
from plots.results.latency import summarize
from plots.results.speed import Lag

_LOOK_S = 0.004  # The time between two looks, a tenth of what is measured.


class _Onlooker:
    """Looks at `posts` on a thread of its own."""

    def __init__(self, uri: str, database: str) -> None:
        self._books = Queries(uri, database)
        # The time of each look (in ms since 1970), and how far the books were.
        self._seen: list[tuple[float, Progress]] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="onlooker", daemon=True)

    def __enter__(self) -> _Onlooker:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(_LOOK_S):
            progress = self._books.progress()
            if progress is not None and (not self._seen or progress.made > self._seen[-1][1].made):
                self._seen.append((time.time() * 1000, progress))

    def sum_up(self, customers: int) -> Lag:
        """What was seen; to be asked for once the looking is over."""
        if len(self._seen) < 2:
            raise TownError("the books did not move in a whole turn")
        (_, first), (_, last) = self._seen[0], self._seen[-1]
        entries = self._books.entries(first.made, last.made)
        self._books.close()
        places = np.asarray([progress.made for _, progress in self._seen])
        seen_ms = np.asarray([at_ms for at_ms, _ in self._seen])
        behind = [float(seen_ms[np.searchsorted(places, each.place)] - each.written_at_ms) for each in entries]
        return Lag(
            customers=customers,
            behind_ms=summarize(behind),
            decisions_an_entry=(last.seq - first.seq) / (last.made - first.made),
        )


def measure(town: BenchTown, crowd: Crowd, plan: Plan) -> Lag:
    """As many customers as there are, one thing after another each, while somebody looks at the books."""
    customers = max(plan.customers)
    state = town.state
    with steady_clock(), _Onlooker(state.mongo_uri, state.database) as onlooker:
        crowd.closed(customers, 2 * plan.crowd_turn_s)
    return onlooker.sum_up(customers)
