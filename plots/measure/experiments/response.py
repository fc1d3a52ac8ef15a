"""Each request of several buyers while traders resign, beside when the post was empty by the books."""

from __future__ import annotations

import time

from db.queries import Queries
from plots.measure.apparatus.resignations import Resignations
from plots.measure.apparatus.steady_clock import steady_clock
from plots.measure.experiments.elections import staggered
from plots.measure.experiments.workshop import Workshop
from plots.measure.throughput import crowd_of
from plots.results.experiments.response import CHANGES, REQUESTS, Answered, Change, ResponsePlan
from plots.results.rows import write_rows


def measure(plan: ResponsePlan, shop: Workshop) -> None:
    """Measures one town."""
    title = plan.steps()[0].title
    schedules = staggered(plan.buyers, plan.purchases, plan.pace_s)
    with shop.step(title), shop.town(title, plan.peers, market=plan.market) as town:
        with steady_clock(), crowd_of(town, plan.buyers) as crowd:
            term = town.look(Queries.post).term
            with Resignations(town.nameserver, plan.period_s):
                start_s, found = crowd.open_each(schedules)
            began_ms = time.time() * 1000 - (time.monotonic() - start_s) * 1000
        changes = town.look(lambda books: books.elections(term))
    requests = [
        Answered(buyer=f"buyer{buyer}", number=number, due_s=float(due_s), latency_ms=float(latency_s) * 1000)
        for buyer, (schedule, rows) in enumerate(zip(schedules, found, strict=True))
        for number, (due_s, (_, latency_s)) in enumerate(zip(schedule, rows, strict=True), start=1)
    ]
    write_rows(shop.out / REQUESTS, Answered, requests)
    write_rows(
        shop.out / CHANGES,
        Change,
        [
            Change(at_s=(each.started_at_ms - began_ms) / 1000, took_ms=each.took_ms, trader=each.trader)
            for each in changes
        ],
    )
