"""How many purchases a second many customers reach together, beside as many echoes; then open loops."""

from __future__ import annotations

from plots.measure.apparatus.customers import Crowd, Spec
from plots.measure.apparatus.floor import EchoServer
from plots.measure.apparatus.schedule import arrivals, deal
from plots.measure.apparatus.stats import Turn, rate_of
from plots.measure.apparatus.towns import BenchTown
from plots.measure.plan import Plan
from plots.results.latency import summarize
from plots.results.speed import Load, Rate, Throughput


def crowd_of(town: BenchTown, size: int) -> Crowd:
    """Customers of the town, connected and warm."""
    directory = str(town.directory.path)
    return Crowd(
        [Spec(name=f"c{i}", nameserver=town.nameserver, directory=directory, clock=town.clock) for i in range(size)]
    )


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
