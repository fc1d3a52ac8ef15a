"""How many purchases a second many customers reach together, beside as many echoes; then open loops."""

from __future__ import annotations

import msgspec

from plots.bench.customers import Crowd, Spec
from plots.bench.floor import EchoServer
from plots.bench.plan import Plan
from plots.bench.schedule import arrivals, deal
from plots.bench.stats import Rate, Turn, rate_of
from plots.bench.towns import BenchTown
from plots.latency import Summary, summarize


class Throughput(msgspec.Struct, frozen=True, kw_only=True):
    """Purchases and echoes with the same numbers of customers."""

    purchases: tuple[Rate, ...]
    echoes: tuple[Rate, ...]

    @property
    def highest(self) -> float:
        """The highest rate of purchases."""
        return max(rate.per_s for rate in self.purchases)


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """An open loop at a part of the highest rate; latency counts from when a request was due."""

    part: float
    offered_per_s: float
    answered_per_s: float
    customers: int
    latency_ms: Summary


def crowd_of(town: BenchTown, size: int) -> Crowd:
    """Customers of the town, connected and warm."""
    directory = str(town.directory.path)
    return Crowd([Spec(name=f"c{i}", nameserver=town.nameserver, directory=directory) for i in range(size)])


def measure(crowd: Crowd, echo: EchoServer, plan: Plan) -> Throughput:
    """Each number of customers in turns with as many echoes."""
    bought: dict[int, list[Turn]] = {n: [] for n in plan.customers}
    echoed: dict[int, list[Turn]] = {n: [] for n in plan.customers}
    with Crowd([Spec(name=f"e{i}", uri=echo.uri) for i in range(max(plan.customers))]) as callers:
        for turn in range(plan.crowd_turns):
            for customers in plan.customers if turn % 2 == 0 else plan.customers[::-1]:
                bought[customers].append(crowd.closed(customers, plan.crowd_turn_s))
                echoed[customers].append(callers.closed(customers, plan.crowd_turn_s))
    return Throughput(purchases=_rates(bought), echoes=_rates(echoed))


def _rates(turns: dict[int, list[Turn]]) -> tuple[Rate, ...]:
    return tuple(rate_of(customers, each) for customers, each in turns.items())


def measure_open(crowd: Crowd, highest: float, plan: Plan) -> tuple[Load, ...]:
    """Open loops at parts of the highest rate."""
    return tuple(_load(crowd, part, highest, plan) for part in plan.loads)


def _load(crowd: Crowd, part: float, highest: float, plan: Plan) -> Load:
    offered, customers = part * highest, max(plan.customers)
    schedules = deal(arrivals(offered, plan.load_s, plan.seed), customers)
    turn = crowd.open(schedules)
    return Load(
        part=part,
        offered_per_s=offered,
        answered_per_s=turn.latencies_ms.size / max(turn.took_s, plan.load_s),
        customers=customers,
        latency_ms=summarize(turn.latencies_ms),
    )
