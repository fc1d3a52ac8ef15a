"""How far the books are behind the log, under full load.

An entry is late from the moment its trader drew it up (as it says itself) until `posts` says that the books are made
up to there, as somebody sees who looks every few milliseconds. Trader and onlooker share the machine's clock.
"""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Any

import numpy as np
from pymongo import MongoClient

from peers.errors import TownError
from plots.measure.apparatus.customers import Crowd
from plots.measure.apparatus.towns import BenchTown
from plots.measure.plan import Plan
from plots.results.latency import summarize
from plots.results.speed import Lag

_LOOK_S = 0.004  # between two looks: a tenth of what is measured


class _Onlooker:
    """Looks at `posts` on a thread of its own."""

    def __init__(self, uri: str, database: str) -> None:
        self._client: MongoClient[dict[str, Any]] = MongoClient(uri, tz_aware=True)
        self._database = self._client[database]
        self._seen: list[tuple[float, int, int]] = []  # when (ms since 1970), made, seq
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
            post = self._database["posts"].find_one({"_id": "main"}, {"made": 1, "seq": 1})
            if post is not None and (not self._seen or post["made"] > self._seen[-1][1]):
                self._seen.append((time.time() * 1000, post["made"], post["seq"]))

    def sum_up(self, customers: int) -> Lag:
        """What was seen; to be asked for once the looking is over."""
        if len(self._seen) < 2:
            raise TownError("the books did not move in a whole turn")
        first, last = self._seen[0], self._seen[-1]
        entries = self._database["log"].find({"_id": {"$gt": first[1], "$lte": last[1]}}, {"written_at": 1})
        written = sorted((each["_id"], each["written_at"].timestamp() * 1000) for each in entries)
        self._client.close()
        places = np.asarray([made for _, made, _ in self._seen])
        seen_ms = np.asarray([at_ms for at_ms, _, _ in self._seen])
        behind = [float(seen_ms[np.searchsorted(places, place)] - at_ms) for place, at_ms in written]
        return Lag(
            customers=customers,
            behind_ms=summarize(behind),
            decisions_an_entry=(last[2] - first[2]) / (last[1] - first[1]),
        )


def measure(town: BenchTown, crowd: Crowd, plan: Plan) -> Lag:
    """As many customers as there are, one thing after another each, while somebody looks at the books."""
    customers = max(plan.customers)
    state = town.state
    with _Onlooker(state.mongo_uri, state.database) as onlooker:
        crowd.closed(customers, 2 * plan.crowd_turn_s)
    return onlooker.sum_up(customers)
