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

import msgspec

from peers.customer import Customer
from peers.errors import SettingsError, TownError
from peers.files import write_json
from plots.experiments.private_town import PrivateTown
from plots.latency import Summary
from plots.samples import Sample, read_samples, stamp, write_samples
from plots.sequential import Condition, draw

NAME = "sequential"
FIGURE = "sequential.png"
_SETUP = "setup.json"
_ITEM = "fish"
_WARM_UP = 20  # purchases that open connections and fill caches, and are not recorded


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """What a run was like; kept beside its data."""

    purchases: int = 1000
    peers: int = 6
    every: int = 100
    seed: int = 1

    def check(self) -> None:
        """Raises SettingsError for what cannot be measured."""
        if self.purchases < 1:
            raise SettingsError("--purchases: 1 or more")
        if self.peers < 2:
            raise SettingsError("--peers: 2 or more")
        if self.every < 1:
            raise SettingsError("--every: 1 or more purchases between two elections")


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One condition as measured. `audit_code` is None where the data were only drawn again."""

    name: str
    title: str
    csv: str
    latency_ms: Summary
    elections: int
    audit_code: int | None = None


class Result(msgspec.Struct, frozen=True, kw_only=True):
    setup: Setup
    figure: str
    runs: tuple[Run, ...]

    @property
    def exit_code(self) -> int:
        """The worst of the audits: 1 violated, else 2 could not tell, else 0."""
        codes = {run.audit_code for run in self.runs}
        return 1 if 1 in codes else 2 if 2 in codes else 0


class _Plan(msgspec.Struct, frozen=True):
    name: str
    title: str
    resign_after: int


Progress = Callable[[str, int], None]
"""Told after each purchase: the condition's title, and how many are done in it."""


def plans(setup: Setup) -> tuple[_Plan, _Plan]:
    """Returns the two conditions."""
    return (
        _Plan("no-elections", "No elections", 0),
        _Plan("elections", f"An election every {setup.every:,} purchases", setup.every),
    )


def measure(setup: Setup, out: Path, progress: Progress) -> Result:
    """Measures both conditions, each in a town of its own, and draws them."""
    setup.check()
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / _SETUP, setup)
    except OSError as error:
        raise SettingsError(f"--out {out} cannot be written to ({error.strerror}): choose another") from error
    codes = [_measure_one(setup, plan, out, progress) for plan in plans(setup)]
    return redraw(out, codes)


def _measure_one(setup: Setup, plan: _Plan, out: Path, progress: Progress) -> int | None:
    options = ("--resign-after", str(plan.resign_after))
    town = PrivateTown(out / f"town-{plan.name}", setup.peers, options, seed=setup.seed)
    with town:
        town.stock_up(_ITEM)
        with town.customer("customer") as customer:
            samples = _buy(customer, setup.purchases, lambda done: progress(plan.title, done))
    write_samples(out / f"{plan.name}.csv", samples)
    if town.audit_code == 0:
        # Hundreds of megabytes, of which the audit had nothing to say; books that do not balance are kept.
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


def redraw(out: Path, audit_codes: list[int | None] | None = None) -> Result:
    """Draws the figure from the data in `out`."""
    setup = _read_setup(out / _SETUP)
    chosen = plans(setup)
    conditions = [Condition(title=plan.title, samples=read_samples(out / f"{plan.name}.csv")) for plan in chosen]
    summaries = draw(conditions, out / FIGURE, _note(setup))
    codes = audit_codes or [None] * len(chosen)
    runs = tuple(
        Run(
            name=plan.name,
            title=plan.title,
            csv=str(out / f"{plan.name}.csv"),
            latency_ms=summary,
            elections=sum(sample.election for sample in condition.samples),
            audit_code=code,
        )
        for plan, condition, summary, code in zip(chosen, conditions, summaries, codes, strict=True)
    )
    return Result(setup=setup, figure=str(out / FIGURE), runs=runs)


def _read_setup(path: Path) -> Setup:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Setup)
    except (OSError, msgspec.MsgspecError) as error:
        raise SettingsError(f"{path} cannot be read ({error}): run the experiment first") from error


def _note(setup: Setup) -> str:
    return (
        f"{setup.purchases:,} purchases in each row, one after another, by one customer; {setup.peers} peers on a "
        "random graph, all on one machine.\nEach purchase is a durable entry. Both rows have the same axes."
    )
