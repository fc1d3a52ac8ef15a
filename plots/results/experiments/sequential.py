"""`sequential`: purchases one after another in each market, without elections and with one every so many sales."""

from __future__ import annotations

from pathlib import Path

import msgspec

from plots.results.experiments.kind import Beside, Findings, Kind, Options, Step, Table, steps
from plots.results.experiments.record import read_plan
from plots.results.latency import Summary, shown, summarize
from plots.results.samples import Sample, latencies, read_samples

MARKETS = ("lamport", "vector", "ring")
THEIR_MARKET, THEIR_MEAN_MS = "lamport", 10.10
"""The mean that the authors of this market measured: 3 peers, 500 purchases one after another, no election."""


class Condition(msgspec.Struct, frozen=True):
    """One run in one market; `resign_after` is the number of sales between two elections, or 0."""

    name: str
    title: str
    market: str
    resign_after: int

    @property
    def csv(self) -> str:
        """The file of its data."""
        return f"{self.market}-{self.name}.csv"

    @property
    def step(self) -> str:
        """What it is called while it is measured."""
        return f"market {self.market}: {self.title[0].lower()}{self.title[1:]}"


class SequentialPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes."""

    purchases: int
    every: int
    peers: int
    markets: tuple[str, ...]

    def conditions(self) -> tuple[Condition, ...]:
        """All runs, market by market, each without elections and with."""
        every = f"An election every {self.every:,} purchases"
        return tuple(
            Condition(name, title, market, resign_after)
            for market in self.markets
            for name, title, resign_after in (("no-elections", "No elections", 0), ("elections", every, self.every))
        )

    def steps(self) -> tuple[Step, ...]:
        return steps((condition.step for condition in self.conditions()), 5 + 0.003 * self.purchases)


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """One run as measured."""

    condition: Condition
    samples: list[Sample]
    summary: Summary
    elections: int


def plan(options: Options) -> SequentialPlan:
    """The plan for these options; SettingsError for what cannot be measured."""
    options.only("sequential", "peers", "purchases", "every", "market")
    purchases, every = (200, 20) if options.quick else (1000, 100)
    return SequentialPlan(
        purchases=options.purchases or purchases,
        every=options.every or every,
        peers=options.one_size(6),
        markets=options.markets or MARKETS,
    )


def read_courses(folder: Path) -> list[Course]:
    """The data in `folder`; SettingsError if there are none."""
    courses = []
    for condition in read_plan(folder, SequentialPlan).conditions():
        samples = read_samples(folder / condition.csv)
        summary = summarize(latencies(samples))
        elections = sum(sample.election for sample in samples)
        courses.append(Course(condition=condition, samples=samples, summary=summary, elections=elections))
    return courses


def find(folder: Path) -> Findings:
    """Sums up the data in `folder`; SettingsError if there are none."""
    courses = read_courses(folder)
    means = {(each.condition.market, each.condition.resign_after > 0): each.summary.mean for each in courses}
    sentences = [
        f"{market}: a purchase took {shown(means[market, False])} ms in the mean without elections, and "
        f"{shown(means[market, True])} ms with them."
        for market in dict.fromkeys(each.condition.market for each in courses)
    ]
    return Findings(
        sentences=tuple(sentences),
        tables=(_table(courses),),
        beside=tuple(
            Beside(
                what=f"mean of purchases one after another, without elections ({THEIR_MARKET})",
                theirs=f"{THEIR_MEAN_MS:.2f} ms (3 peers, 500 purchases)",
                ours=f"{shown(means[THEIR_MARKET, False])} ms",
            )
            for market in (THEIR_MARKET,)
            if (market, False) in means
        ),
    )


def _table(courses: list[Course]) -> Table:
    return Table(
        title="Milliseconds a purchase",
        columns=("market", "condition", "purchases", "elections", "mean", "median", "p95", "p99", "max"),
        rows=tuple(
            (
                each.condition.market,
                each.condition.title,
                f"{each.summary.count:,}",
                f"{each.elections}",
                *(shown(getattr(each.summary, part)) for part in ("mean", "p50", "p95", "p99", "max")),
            )
            for each in courses
        ),
    )


KIND = Kind(
    name="sequential",
    about="Purchases one after another in each market, without elections and with one every so many sales.",
    beside=f"{THEIR_MEAN_MS:.2f} ms, the mean that the authors of `{THEIR_MARKET}` measured",
    plan=plan,
    find=find,
)
