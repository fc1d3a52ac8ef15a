"""A long run in one town: whether purchases become slower, or the trader larger, the more have been decided.

In tenths. Each is cut into slices with an echo turn of as many callers after each, for a machine whose speed drifts
makes any tenth look slow: a rate divided by the echoes' has that taken out. What a purchase takes of processors, the
trader's and mongod's, hardly hears of others who keep the machine busy. Memory is looked at between tenths.
"""

from __future__ import annotations

from typing import Any

import msgspec
import psutil

from plots.bench.customers import Crowd, Spec, shares
from plots.bench.floor import EchoServer
from plots.bench.plan import Plan
from plots.bench.stats import Rate, Turn, rate_of
from plots.bench.throughput import crowd_of
from plots.bench.towns import BenchTown, wait_for
from plots.latency import Summary

TENTHS = 10
SLOWING = 0.1
"""The last tenth is no slower than the first if its rate is within this part of it."""

BOUND_MB = 12.0
"""How much the trader's USS may grow by, however long it trades. Measured: 8 to 9 MB, 6.5 of them in the first tenth.
What it holds, 4096 outcomes and three caches above all, is full by then: from 80,000 purchases to 200,000 tracemalloc
counted 4.7 MB, 5 kB more. The rest is what the allocators keep in gaps, ever less a tenth."""

_WARM_UP = 5  # purchases of each customer: a trader that has sold nothing yet holds half as much
_MB = 1e6
_MS = 1e3


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """The trader's memory, its own (USS) and with its share of what it shares (PSS); of mongod RSS, for information.
    The processor time that each has used so far."""

    trader: str
    uss_mb: float
    pss_mb: float
    mongod_mb: float
    trader_cpu_s: float
    mongod_cpu_s: float


class Tenth(msgspec.Struct, frozen=True, kw_only=True):
    """A tenth of the purchases, and the echoes in turns with it; the processor time is that of one purchase."""

    purchases: int
    per_s: float
    echoes_per_s: float
    latency_ms: Summary
    trader_cpu_ms: float
    mongod_cpu_ms: float
    after: Look

    @property
    def by_echo(self) -> float:
        """The rate, as a part of the echoes'."""
        return self.per_s / self.echoes_per_s

    @property
    def cpu_ms(self) -> float:
        """Processor time of a purchase, trader and mongod together."""
        return self.trader_cpu_ms + self.mongod_cpu_ms


class LongRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run. `before`: after the customers' first few purchases."""

    peers: int
    customers: int
    purchases: int
    before: Look
    tenths: list[Tenth]
    last_over_first: float  # rates
    last_over_first_by_echo: float  # rates, each as a part of the echoes' in the same tenth
    last_over_first_cpu: float  # processor time of a purchase, trader and mongod together
    peak_uss_mb: float
    growth_mb: float  # USS, from the end of the first tenth to the end of the last
    peak_growth_mb: float  # USS, from before the first tenth to the peak
    bound_mb: float
    traders: int  # more than one: memory is not of one process


def measure(town: BenchTown, echo: EchoServer, plan: Plan) -> LongRun:
    """Buys so much, by as many customers, in one town."""
    with (
        crowd_of(town, plan.long_customers) as crowd,
        Crowd([Spec(name=f"e{i}", uri=echo.uri) for i in range(plan.long_customers)]) as callers,
    ):
        crowd.counted(plan.long_customers, _WARM_UP * plan.long_customers)
        looks = [_look(town)]
        tenths = []
        for count in shares(plan.long_purchases, TENTHS):
            bought, echoed = _tenth(crowd, callers, count, plan)
            looks.append(_look(town))
            tenths.append(note(bought, echoed, *looks[-2:]))
    return sum_up(town.peers, plan, looks[0], tenths)


def _tenth(crowd: Crowd, callers: Crowd, count: int, plan: Plan) -> tuple[Rate, Rate]:
    """Purchases and echoes in turns."""
    bought: list[Turn] = []
    echoed: list[Turn] = []
    for share in shares(count, plan.long_slices):
        bought.append(crowd.counted(plan.long_customers, share))
        echoed.append(callers.closed(plan.long_customers, plan.long_echo_s))
    return rate_of(plan.long_customers, bought), rate_of(plan.long_customers, echoed)


def note(bought: Rate, echoed: Rate, before: Look, after: Look) -> Tenth:
    """Notes a tenth down, by how things were before and after it."""
    purchases = bought.latency_ms.count
    return Tenth(
        purchases=purchases,
        per_s=bought.per_s,
        echoes_per_s=echoed.per_s,
        latency_ms=bought.latency_ms,
        trader_cpu_ms=(after.trader_cpu_s - before.trader_cpu_s) * _MS / purchases,
        mongod_cpu_ms=(after.mongod_cpu_s - before.mongod_cpu_s) * _MS / purchases,
        after=after,
    )


def sum_up(peers: int, plan: Plan, before: Look, tenths: list[Tenth]) -> LongRun:
    """Compares the last tenth with the first."""
    first, last = tenths[0], tenths[-1]
    peak = max(tenth.after.uss_mb for tenth in tenths)
    return LongRun(
        peers=peers,
        customers=plan.long_customers,
        purchases=sum(tenth.purchases for tenth in tenths),
        before=before,
        tenths=tenths,
        last_over_first=last.per_s / first.per_s,
        last_over_first_by_echo=last.by_echo / first.by_echo,
        last_over_first_cpu=last.cpu_ms / first.cpu_ms,
        peak_uss_mb=peak,
        growth_mb=last.after.uss_mb - first.after.uss_mb,
        peak_growth_mb=peak - before.uss_mb,
        bound_mb=BOUND_MB,
        traders=len({look.trader for look in (before, *(tenth.after for tenth in tenths))}),
    )


def _look(town: BenchTown) -> Look:
    name = str(wait_for(lambda: town.look(_trader), "there is a trader"))
    trader = psutil.Process(town.residents()[name].pid)
    mongod_pid = town.state.mongod_pid
    assert mongod_pid is not None  # a bench's town has a database of its own
    mongod = psutil.Process(mongod_pid)
    memory = trader.memory_full_info()
    return Look(
        trader=name,
        uss_mb=memory.uss / _MB,
        pss_mb=memory.pss / _MB,
        mongod_mb=mongod.memory_info().rss / _MB,
        trader_cpu_s=_cpu_s(trader),
        mongod_cpu_s=_cpu_s(mongod),
    )


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _trader(database: Any) -> str | None:
    trader: str | None = database["posts"].find_one({"_id": "main"})["trader"]
    return trader
