"""A long run in one town: whether purchases become slower, or the trader larger, the more have been decided.

In tenths, with a look at the memory between them. A machine whose speed drifts makes any tenth look slow or fast, and
what a purchase takes of its processors too; so in the end the town buys in turns with a fresh one.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import psutil

from plots.measure.apparatus.customers import Crowd, shares
from plots.measure.apparatus.stats import Turn, rate_of
from plots.measure.apparatus.towns import BenchTown, cpu_s, pss_mb, wait_for
from plots.measure.plan import Plan
from plots.measure.throughput import crowd_of
from plots.results.life import LongRun, Look, Tenth
from plots.results.speed import Rate

TENTHS = 10
BOUND_MB = 12.0
"""How much the trader's USS may grow by, however long it trades. Measured: 8 to 9 MB, 6.5 of them in the first tenth.
What it holds, 4096 outcomes and three caches above all, is full by then: from 80,000 purchases to 200,000 tracemalloc
counted 4.7 MB, 5 kB more. The rest is what the allocators keep in gaps, ever less a tenth."""

# Purchases that each customer makes first: a trader that has sold nothing yet holds half as much.
_WARM_UP = 5
_MB = 1e6
_MS = 1e3


def measure(town: BenchTown, make_fresh: Callable[[], BenchTown], plan: Plan) -> tuple[LongRun, BenchTown]:
    """Buys so much, by as many customers, in one town; then in turns with a fresh one, which is returned too."""
    n = plan.long_customers
    with crowd_of(town, n) as crowd:
        crowd.counted(n, _WARM_UP * n)
        looks = [_look(town)]
        tenths = []
        for count in shares(plan.long_purchases, TENTHS):
            bought = rate_of(n, [crowd.counted(n, count)])
            looks.append(_look(town))
            tenths.append(note(bought, *looks[-2:]))
        with make_fresh() as fresh, crowd_of(fresh, n) as others:
            turns = _in_turns(crowd, others, plan)
    return sum_up(town.peers, plan, looks[0], tenths, turns), fresh


def _in_turns(old: Crowd, fresh: Crowd, plan: Plan) -> list[tuple[Turn, Turn]]:
    """Pairs of turns of both, now one first and now the other."""
    n, turn_s = plan.long_customers, plan.crowd_turn_s
    fresh.counted(n, _WARM_UP * n)
    pairs = []
    for number in range(plan.long_pairs):
        if number % 2 == 0:
            first = old.closed(n, turn_s)
            pairs.append((first, fresh.closed(n, turn_s)))
        else:
            first = fresh.closed(n, turn_s)
            pairs.append((old.closed(n, turn_s), first))
    return pairs


def note(bought: Rate, before: Look, after: Look) -> Tenth:
    """Notes a tenth down, by how things were before and after it."""
    purchases = bought.latency_ms.count
    return Tenth(
        purchases=purchases,
        per_s=bought.per_s,
        latency_ms=bought.latency_ms,
        trader_cpu_ms=(after.trader_cpu_s - before.trader_cpu_s) * _MS / purchases,
        mongod_cpu_ms=(after.mongod_cpu_s - before.mongod_cpu_s) * _MS / purchases,
        after=after,
    )


def sum_up(peers: int, plan: Plan, before: Look, tenths: list[Tenth], pairs: list[tuple[Turn, Turn]]) -> LongRun:
    """Compares the last tenth with the first, and the old town with the fresh one, in `pairs` of turns."""
    first, last = tenths[0], tenths[-1]
    old, fresh = (rate_of(plan.long_customers, list(turns)) for turns in zip(*pairs, strict=True))
    peak = max(tenth.after.uss_mb for tenth in tenths)
    return LongRun(
        peers=peers,
        customers=plan.long_customers,
        purchases=sum(tenth.purchases for tenth in tenths),
        before=before,
        tenths=tenths,
        last_over_first=last.per_s / first.per_s,
        last_over_first_cpu=last.cpu_ms / first.cpu_ms,
        peak_uss_mb=peak,
        growth_mb=last.after.uss_mb - first.after.uss_mb,
        peak_growth_mb=peak - before.uss_mb,
        bound_mb=BOUND_MB,
        traders=len({look.trader for look in (before, *(tenth.after for tenth in tenths))}),
        old_per_s=old.per_s,
        fresh_per_s=fresh.per_s,
        old_over_fresh=median(one.per_s / other.per_s for one, other in pairs),
    )


def _look(town: BenchTown) -> Look:
    name = str(wait_for(lambda: town.look(lambda books: books.post().trader), "there is a trader"))
    trader = psutil.Process(town.residents()[name].pid)
    mongod_pid = town.state.mongod_pid
    assert mongod_pid is not None  # A bench's town has a database of its own.
    mongod = psutil.Process(mongod_pid)
    memory = trader.memory_full_info()
    return Look(
        trader=name,
        uss_mb=memory.uss / _MB,
        pss_mb=pss_mb(memory),
        mongod_mb=mongod.memory_info().rss / _MB,
        trader_cpu_s=cpu_s(trader),
        mongod_cpu_s=cpu_s(mongod),
    )
