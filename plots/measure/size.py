"""What a purchase costs in towns of several sizes at one offered load: an open loop of the same schedule in each.

At the highest rate, or in a closed loop, towns of different sizes would be asked for different amounts. Each town is
alone on the machine, and the sizes take turns, so that a drifting machine hits all of them alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median

import numpy as np

from plots.measure.apparatus.customers import Crowd
from plots.measure.apparatus.schedule import arrivals, deal
from plots.measure.apparatus.stats import Turn
from plots.measure.apparatus.towns import BenchTown
from plots.measure.plan import Plan
from plots.measure.throughput import crowd_of
from plots.results.latency import Summary, summarize
from plots.results.speed import Sized, Sweep, Typical

_WARM_UP_S = 2.0  # For so long, the same load comes before what is measured.

Audits = dict[int, list[int | None]]


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
    sweeps = [
        Sweep(peers=peers, turns_ms=[turn.latencies_ms.tolist() for turn in each]) for peers, each in turns.items()
    ]
    return compare(turns, plan), sweeps, audits


def _offer(crowd: Crowd, plan: Plan, duration_s: float, number: int) -> Turn:
    """The schedule is the same for all sizes, another one in each turn."""
    return crowd.open(deal(arrivals(plan.size_rate, duration_s, plan.seed + number), plan.size_customers))


def compare(turns: dict[int, list[Turn]], plan: Plan) -> list[Sized]:
    """Sums up the turns of each size, beside those of the smallest."""
    by_turn = {peers: [_typical([summarize(turn.latencies_ms)]) for turn in each] for peers, each in turns.items()}
    typical = {peers: _typical(each) for peers, each in by_turn.items()}
    smallest = min(turns)
    return [
        Sized(
            peers=peers,
            customers=plan.size_customers,
            offered_per_s=plan.size_rate,
            answered_per_s=sum(turn.latencies_ms.size for turn in each)
            / sum(max(turn.took_s, plan.size_turn_s) for turn in each),
            typical_ms=typical[peers],
            ratio=_ratio(typical[peers], typical[smallest]),
            turn_ratios=[_ratio(*pair) for pair in zip(by_turn[peers], by_turn[smallest], strict=True)],
            latency_ms=summarize(np.concatenate([turn.latencies_ms for turn in each])),
        )
        for peers, each in turns.items()
    ]


def _typical(turns: Sequence[Summary | Typical]) -> Typical:
    return Typical(
        p50=median(turn.p50 for turn in turns),
        mean=median(turn.mean for turn in turns),
        p99=median(turn.p99 for turn in turns),
    )


def _ratio(ours: Typical, theirs: Typical) -> Typical:
    return Typical(p50=ours.p50 / theirs.p50, mean=ours.mean / theirs.mean, p99=ours.p99 / theirs.p99)
