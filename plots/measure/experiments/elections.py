"""Round trips of several buyers, each with a schedule of its own: without elections, and with one every period."""

from __future__ import annotations

import numpy as np

from plots.measure.apparatus.customers import Crowd
from plots.measure.apparatus.resignations import Resignations
from plots.measure.experiments.workshop import Workshop
from plots.measure.throughput import crowd_of
from plots.results.experiments.elections import DATA, Bought, ElectionsPlan
from plots.results.latency import Values
from plots.results.rows import write_rows


def measure(plan: ElectionsPlan, shop: Workshop) -> None:
    """Measures both conditions in one town, in turns, so that a drifting machine hits both alike."""
    rows: list[Bought] = []
    (step,) = plan.steps()
    with (
        shop.step(step.title),
        shop.town(step.title, plan.peers, market=plan.market) as town,
        crowd_of(town, plan.buyers) as crowd,
    ):
        for done, count in enumerate(plan.counts):
            shop.done(sum(plan.counts[:done]) / sum(plan.counts))
            rows += _round(crowd, plan, count, held=False)
            with Resignations(town.nameserver, plan.period_s):
                rows += _round(crowd, plan, count, held=True)
    write_rows(shop.out / DATA, Bought, rows)


def _round(crowd: Crowd, plan: ElectionsPlan, count: int, *, held: bool) -> list[Bought]:
    """Each buyer makes so many purchases."""
    schedules = staggered(plan.buyers, count, plan.pace_s)
    _, found = crowd.open_each(schedules)
    return [
        Bought(
            elections=held,
            purchases=count,
            buyer=f"buyer{buyer}",
            number=number,
            due_s=float(due_s),
            latency_ms=float(latency_s) * 1000,
        )
        for buyer, (schedule, rows) in enumerate(zip(schedules, found, strict=True))
        for number, (due_s, (_, latency_s)) in enumerate(zip(schedule, rows, strict=True), start=1)
    ]


def staggered(buyers: int, count: int, pace_s: float) -> list[Values]:
    """Returns for each buyer when its purchases are due, in seconds: one each `pace_s`, all buyers spread over it."""
    return [(np.arange(count, dtype=np.float64) + buyer / buyers) * pace_s for buyer in range(buyers)]
