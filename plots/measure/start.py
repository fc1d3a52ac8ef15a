"""How long it takes from the command to the first sale: interpreter, database, peers, election and all."""

from __future__ import annotations

import time
from pathlib import Path

from db.queries import Queries
from plots.measure.apparatus.steady_clock import steady_clock
from plots.measure.apparatus.towns import TradingTown, wait_for
from plots.measure.plan import Plan
from plots.results.latency import summarize
from plots.results.life import Start

_MS = 1000.0


def measure(out: Path, peers: int, plan: Plan) -> tuple[Start, list[int | None]]:
    """Starts so many towns; returns what their audits said as well."""
    seconds: list[float] = []
    codes: list[int | None] = []
    for number in range(plan.starts):
        town = TradingTown(out / f"town-start-{peers}", peers, plan.seed + number)
        with steady_clock():
            began_s = time.time()
            with town:
                first = wait_for(lambda town=town: town.look(Queries.first_sale_ms), "a first sale")  # type: ignore[misc]
                seconds.append(first / _MS - began_s)
        codes.append(town.audit_code)
    summary = summarize([each * _MS for each in seconds])
    return Start(peers=peers, seconds=[round(each, 3) for each in seconds], summary_ms=summary), codes
