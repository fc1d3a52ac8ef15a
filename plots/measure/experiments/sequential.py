"""Purchases one after another by one customer, in each market: without elections, and with one every so many sales.

The elections are real ones: the trader resigns after so many sales, and the purchase that meets the empty post waits
until there is a successor. A latency runs from the first try to the answer, whatever came between.
"""

from __future__ import annotations

import time
from typing import Any

from peers.customer import Customer
from peers.errors import TownError
from plots.measure.apparatus.customers import ITEM
from plots.measure.experiments.workshop import Workshop
from plots.results.experiments.sequential import SequentialPlan
from plots.results.samples import Sample, stamp, write_samples

_WARM_UP = 20  # Purchases that open connections and fill caches, and are not recorded.


def measure(plan: SequentialPlan, shop: Workshop) -> None:
    """Measures all conditions, each in a town of its own; TownError where something was not sold."""
    for condition in plan.conditions():
        resigns = ("--resign-after", str(condition.resign_after))
        with (
            shop.step(condition.step),
            shop.town(condition.step, plan.peers, market=condition.market, options=resigns) as town,
            town.customer("customer") as customer,
        ):
            write_samples(shop.out / condition.csv, _buy(customer, plan.purchases, shop))


def _buy(customer: Customer, purchases: int, shop: Workshop) -> list[Sample]:
    """Buys one after another; the first few are not recorded."""
    samples: list[Sample] = []
    term = 0
    for number in range(1 - _WARM_UP, purchases + 1):
        started_at = time.time()
        began = time.perf_counter_ns()
        outcome = customer.buy(ITEM)
        latency_ms = (time.perf_counter_ns() - began) / 1e6
        if number >= 1:
            samples.append(_sample(number, latency_ms, started_at, outcome, term))
            shop.done(number / purchases)
        term = outcome["term"]
    return samples


def _sample(number: int, latency_ms: float, started_at: float, outcome: dict[str, Any], term_before: int) -> Sample:
    if outcome["status"] != "sold":
        raise TownError(f"purchase {number} was not sold but {outcome['status']} ({outcome.get('reason')})")
    return Sample(
        iteration=number,
        latency_ms=latency_ms,
        term=outcome["term"],
        trader=outcome["trader"],
        seq=outcome["seq"],
        election=outcome["term"] != term_before,
        started_at=stamp(started_at),
    )
