"""1000 purchases one after another by one customer: without elections, and with one every 100 sales.

The elections are real ones: the trader resigns after so many sales, and the purchase that meets the empty post waits
until there is a successor. A latency runs from the first try to the answer, whatever came between.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from peers.customer import Customer
from peers.errors import SettingsError, TownError
from peers.files import write_json
from plots.measure.apparatus.private_town import PrivateTown
from plots.results.samples import Sample, stamp, write_samples
from plots.results.sequential import SETUP, Condition, Setup, plans

_ITEM = "fish"
_WARM_UP = 20  # Purchases that open connections and fill caches, and are not recorded.


Progress = Callable[[str, int], None]
"""Told after each purchase: the condition's title, and how many are done in it."""


def measure(setup: Setup, out: Path, progress: Progress) -> list[int | None]:
    """Measures both conditions, each in a town of its own, and keeps the data in `out`; returns the audits' codes.

    SettingsError for what cannot be measured, or kept there.
    """
    setup.check()
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / SETUP, setup)
    except OSError as error:
        raise SettingsError(f"--out {out} cannot be written to ({error.strerror}): choose another") from error
    return [_measure_one(setup, plan, out, progress) for plan in plans(setup)]


def _measure_one(setup: Setup, plan: Condition, out: Path, progress: Progress) -> int | None:
    options = ("--resign-after", str(plan.resign_after))
    town = PrivateTown(out / f"town-{plan.name}", setup.peers, options, seed=setup.seed)
    with town:
        town.stock_up(_ITEM)
        with town.customer("customer") as customer:
            samples = _buy(customer, setup.purchases, lambda done: progress(plan.title, done))
    write_samples(out / plan.csv, samples)
    if town.audit_code == 0:
        # The audit had nothing to say about these hundreds of megabytes. Books that do not balance are kept.
        shutil.rmtree(town.directory.mongo, ignore_errors=True)
    return town.audit_code


def _buy(customer: Customer, purchases: int, progress: Callable[[int], None]) -> list[Sample]:
    """Buys one after another; the first few are not recorded."""
    samples: list[Sample] = []
    term = 0
    for number in range(1 - _WARM_UP, purchases + 1):
        started_at = time.time()
        began = time.perf_counter_ns()
        outcome = customer.buy(_ITEM)
        latency_ms = (time.perf_counter_ns() - began) / 1e6
        if number >= 1:
            samples.append(_sample(number, latency_ms, started_at, outcome, term))
            progress(number)
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
