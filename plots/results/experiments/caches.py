"""`caches`: two traders over one warehouse, with each cache: what is promised in vain, and what that buys."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from peers.core.caches.policies import POLICIES
from plots.results.experiments.kind import Findings, Kind, Options, Step, Table, steps
from plots.results.experiments.record import read_plan
from plots.results.latency import shown, summarize
from plots.results.rows import read_rows

REQUESTS, TOWNS = "requests.csv", "towns.csv"
NEVER = -1.0
"""Stands for the time of a promise that was not made."""

AROUND_S = 2.0
"""So long before and after a trader's death count as around it. No setting: it is some times a failover."""


class CachesPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes. Each policy has a town for each ratio of sellers to buyers, all with as many `buyers`, for `run_s`; in
    the last one a trader is killed after that, and it goes on for as long again."""

    policies: tuple[str, ...]
    ratios: tuple[float, ...]
    buyers: int
    run_s: float

    def title(self, policy: str, ratio: float) -> str:
        return f"cache {policy}, {ratio:g} sellers a buyer"

    def steps(self) -> tuple[Step, ...]:
        titles = [self.title(policy, ratio) for policy in self.policies for ratio in self.ratios]
        return steps(titles, 3.5 + self.run_s * (1 + 1 / len(self.ratios)))


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One purchase by a peer. `asked_s` is after the beginning; a promise that was not made is `NEVER`."""

    policy: str
    ratio: float
    asked_s: float
    promised_ms: float
    told_ms: float
    sold: bool


class TownRun(msgspec.Struct, frozen=True, kw_only=True):
    """One town: how long it was watched before a death (all of it where there is none), when that was (`NEVER`), and
    of how many decisions the cache had said something before, refusals among them."""

    policy: str
    ratio: float
    steady_s: float
    died_s: float
    decided: int
    foretold: int
    refused: int


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What one town came to while nothing was wrong, and around a death (`NEVER` where there was none)."""

    policy: str
    ratio: float
    per_s: float
    hit_rate: float
    refusal_rate: float
    overselling_rate: float
    promised_ms: float
    told_ms: float
    told_p99_ms: float
    overselling_around_death: float
    longest_ms_around_death: float


def plan(options: Options) -> CachesPlan:
    """The plan for these options; SettingsError for what cannot be measured."""
    options.only("caches")
    return CachesPlan(
        policies=tuple(POLICIES),
        ratios=(0.5, 1.0) if options.quick else (0.5, 1.5, 1.0),
        buyers=6,
        run_s=1.5 if options.quick else 12.0,
    )


def read_figures(folder: Path) -> list[Figures]:
    """The data in `folder`, by policy and ratio; SettingsError if there are none."""
    requests: dict[tuple[str, float], list[Request]] = {}
    for row in read_rows(folder / REQUESTS, Request):
        requests.setdefault((row.policy, row.ratio), []).append(row)
    towns = read_rows(folder / TOWNS, TownRun)
    order = list(POLICIES)
    towns.sort(key=lambda town: (order.index(town.policy), town.ratio))
    return [_figures(town, requests.get((town.policy, town.ratio), [])) for town in towns]


def _figures(town: TownRun, requests: list[Request]) -> Figures:
    steady = [each for each in requests if each.asked_s < town.steady_s]
    around = [each for each in requests if town.died_s != NEVER and abs(each.asked_s - town.died_s) < AROUND_S]
    told = [each.told_ms for each in steady]
    promised = [each.promised_ms for each in steady if each.promised_ms != NEVER]
    summed = summarize(told or [0.0])
    return Figures(
        policy=town.policy,
        ratio=town.ratio,
        per_s=sum(each.sold for each in steady) / town.steady_s,
        hit_rate=town.foretold / max(1, town.decided),
        refusal_rate=town.refused / max(1, town.decided),
        overselling_rate=overselling(steady),
        promised_ms=summarize(promised).p50 if promised else NEVER,
        told_ms=summed.p50,
        told_p99_ms=summed.p99,
        overselling_around_death=overselling(around) if around else NEVER,
        longest_ms_around_death=max((each.told_ms for each in around), default=NEVER),
    )


def overselling(requests: Iterable[Request]) -> float:
    """The over-selling rate: which part of what was promised was not sold; 0 where nothing was promised."""
    promised = [each for each in requests if each.promised_ms != NEVER]
    return sum(not each.sold for each in promised) / len(promised) if promised else 0.0


def find(folder: Path) -> Findings:
    """Sums up the data in `folder`; SettingsError if there are none."""
    made, figures = read_plan(folder, CachesPlan), read_figures(folder)
    promising = [each for each in figures if each.promised_ms != NEVER]
    worst = max(promising, key=lambda each: each.overselling_rate, default=figures[0])
    best = min(promising, key=lambda each: each.overselling_rate, default=figures[0])
    fast = min(promising, key=lambda each: each.promised_ms, default=figures[0])
    sentences = (
        f"The most was promised in vain with {worst.policy} at {worst.ratio:g} sellers a buyer, "
        f"{worst.overselling_rate:.1%} of all promises, the least with {best.policy} at {best.ratio:g}, "
        f"{best.overselling_rate:.1%}; what was sold is what the warehouse recorded, with each.",
        f"A promise took {shown(max(fast.promised_ms, 0.0))} ms at best (median, {fast.policy}), and the outcome "
        f"{shown(fast.told_ms)} ms.",
        f"Two areas over one log, {made.buyers} buyers that ask again once they are answered.",
    )
    steady = Table(
        title="While nothing is wrong",
        columns=(
            "cache", "sellers a buyer", "sales a second", "hit rate", "refused early", "over-selling rate",
            "promise, median ms", "confirmation, median ms", "p99 ms",
        ),
        rows=tuple(
            (
                each.policy,
                f"{each.ratio:g}",
                f"{each.per_s:,.0f}",
                f"{each.hit_rate:.0%}",
                f"{each.refusal_rate:.1%}",
                f"{each.overselling_rate:.2%}",
                "none" if each.promised_ms == NEVER else shown(each.promised_ms),
                shown(each.told_ms),
                shown(each.told_p99_ms),
            )
            for each in figures
        ),
    )  # fmt: skip
    death = Table(
        title=f"Within {AROUND_S:g} s of a trader's death",
        columns=("cache", "over-selling rate", "longest wait, ms"),
        rows=tuple(
            (each.policy, f"{each.overselling_around_death:.2%}", shown(each.longest_ms_around_death))
            for each in figures
            if each.longest_ms_around_death != NEVER
        ),
    )
    return Findings(sentences=sentences, tables=(steady, death))


KIND = Kind(
    name="caches",
    about="Two traders over one warehouse: what each cache promises in vain, and what it saves.",
    beside="",
    plan=plan,
    find=find,
)
