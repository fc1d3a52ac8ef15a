"""What a purchase costs in towns of several sizes at one offered load: an open loop of the same schedule in each.

At the highest rate, or in a closed loop, towns of different sizes would be asked for different amounts. Each town is
alone on the machine, and the sizes take turns, so that a drifting machine hits all of them alike.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np

from plots.bench.customers import Crowd
from plots.bench.plan import Plan
from plots.bench.schedule import arrivals, deal
from plots.bench.stats import Turn
from plots.bench.throughput import crowd_of
from plots.bench.towns import BenchTown
from plots.latency import Summary, Values, summarize

ALIKE = 1.25
"""A purchase costs the same in all sizes if it costs at most so many times as much as in the smallest."""

_WARM_UP_S = 2.0

Audits = dict[int, list[int | None]]


class Sized(msgspec.Struct, frozen=True, kw_only=True):
    """All turns in towns of `peers`. The ratios are to the smallest size; `turns_p50_ratio` to its same turn."""

    peers: int
    customers: int
    offered_per_s: float
    answered_per_s: float
    latency_ms: Summary
    turns_p50_ms: list[float]
    p50_ratio: float
    mean_ratio: float
    p99_ratio: float
    turns_p50_ratio: list[float]


class Sweep(msgspec.Struct, frozen=True, kw_only=True):
    """The latencies themselves by turn, for the figure."""

    peers: int
    turns_ms: list[Values]


def measure(open_town: Callable[[int], BenchTown], plan: Plan) -> tuple[list[Sized], list[Sweep], Audits]:
    """All sizes in turns; returns what the audits said as well."""
    turns: dict[int, list[Turn]] = {peers: [] for peers in plan.size_peers}
    audits: Audits = {peers: [] for peers in plan.size_peers}
    for number in range(plan.size_turns):
        for peers in plan.size_peers:
            with open_town(peers) as town, crowd_of(town, plan.size_customers) as crowd:
                _offer(crowd, plan, _WARM_UP_S, number)
                turns[peers].append(_offer(crowd, plan, plan.size_turn_s, number))
            audits[peers].append(town.audit_code)
    sweeps = [Sweep(peers=peers, turns_ms=[turn.latencies_ms for turn in each]) for peers, each in turns.items()]
    return compare(turns, plan), sweeps, audits


def _offer(crowd: Crowd, plan: Plan, duration_s: float, number: int) -> Turn:
    """The schedule is the same for all sizes, another one in each turn."""
    return crowd.open(deal(arrivals(plan.size_rate, duration_s, plan.seed + number), plan.size_customers))


def compare(turns: dict[int, list[Turn]], plan: Plan) -> list[Sized]:
    """Sums up the turns of each size, beside those of the smallest."""
    summaries = {p: summarize(np.concatenate([turn.latencies_ms for turn in each])) for p, each in turns.items()}
    medians = {p: [summarize(turn.latencies_ms).p50 for turn in each] for p, each in turns.items()}
    smallest = min(turns)
    least = summaries[smallest]
    return [
        Sized(
            peers=peers,
            customers=plan.size_customers,
            offered_per_s=plan.size_rate,
            answered_per_s=found.count / sum(max(turn.took_s, plan.size_turn_s) for turn in turns[peers]),
            latency_ms=found,
            turns_p50_ms=medians[peers],
            p50_ratio=found.p50 / least.p50,
            mean_ratio=found.mean / least.mean,
            p99_ratio=found.p99 / least.p99,
            turns_p50_ratio=[ours / theirs for ours, theirs in zip(medians[peers], medians[smallest], strict=True)],
        )
        for peers, found in summaries.items()
    ]
