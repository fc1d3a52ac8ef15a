"""The trading post beside etcd, in one run: writes a second, their latency, and how long a killed leader is missed.

Both are asked by as many processes of the same kind, in turns, from loopback; both keep their data below the same
directory, so on the same disk. They do not promise the same, which `promises` says: the figures belong with it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from db.queries import Queries
from plots.measure import failover
from plots.measure.apparatus.customers import Crowd, Spec
from plots.measure.apparatus.stats import Turn, rate_of
from plots.measure.apparatus.towns import BenchTown
from plots.measure.etcd import failover as etcd_failover
from plots.measure.etcd.cluster import DEFAULTS, MEMBERS, TUNED, EtcdCluster, Setup
from plots.measure.plan import Plan
from plots.measure.throughput import crowd_of
from plots.results.against import Against, Promise, Standstill
from plots.results.latency import summarize


def measure(town: BenchTown, parent: Path, plan: Plan) -> Against:
    """Purchases in `town` and puts into a cluster with its data below `parent`, in turns."""
    bought: dict[int, list[Turn]] = {n: [] for n in plan.against_customers}
    put: dict[int, list[Turn]] = {n: [] for n in plan.against_customers}
    most = max(plan.against_customers)
    with EtcdCluster(parent) as cluster, crowd_of(town, most) as customers:
        # Clients ask the leader, which need not pass their puts on: that is the fastest way into etcd.
        addresses = cluster.addresses()
        with Crowd([Spec(name=f"p{i}", etcd=addresses) for i in range(most)]) as putters:
            term = cluster.term()
            sides = ((customers, bought), (putters, put))
            for turn in range(plan.crowd_turns):
                for clients in plan.against_customers[:: 1 if turn % 2 == 0 else -1]:
                    for crowd, turns in sides[:: 1 if turn % 2 == 0 else -1]:
                        turns[clients].append(crowd.closed(clients, plan.crowd_turn_s))
            terms = 1 + cluster.term() - term
        version = cluster.version
    replicas = town.look(Queries.replicas)
    return Against(
        version=version,
        replicas=replicas,
        terms=terms,
        puts=tuple(rate_of(n, turns) for n, turns in put.items()),
        purchases=tuple(rate_of(n, turns) for n, turns in bought.items()),
        promises=promises(replicas),
    )


def measure_standstills(
    open_town: Callable[[int], BenchTown], parent: Path, plan: Plan
) -> tuple[list[Standstill], list[int | None]]:
    """Kills the trader and the leaders of two clusters, in turns; returns what the audits of the towns said as well.

    Each is alone on the machine meanwhile: a new town, and a new cluster, for every few kills.
    """
    killed: tuple[list[float], list[float], list[float]] = ([], [], [])
    trader, default, tuned = killed
    codes: list[int | None] = []
    while len(trader) < plan.failovers:
        few = min(max(1, plan.peers // 3), plan.failovers - len(trader))
        found, more = failover.measure_killed(open_town, plan.peers, msgspec.structs.replace(plan, failovers=few))
        trader += found.pauses_ms
        codes += more
        for setup, pauses in ((DEFAULTS, default), (TUNED, tuned)):
            with EtcdCluster(parent, setup) as cluster:
                pauses.extend(etcd_failover.measure_killed(cluster, few))
    sides = (("trading post", f"{plan.peers} peers"), ("etcd", _said(DEFAULTS)), ("etcd", _said(TUNED)))
    return [_stood_still(*side, pauses) for side, pauses in zip(sides, killed, strict=True)], codes


def _said(setup: Setup) -> str:
    return f"{setup.name}: heartbeat {setup.heartbeat_ms} ms, election timeout {setup.election_ms} ms"


def _stood_still(whose: str, setup: str, pauses_ms: list[float]) -> Standstill:
    rounded = [round(pause, 3) for pause in pauses_ms]
    return Standstill(whose=whose, setup=setup, pauses_ms=rounded, summary=summarize(pauses_ms))


def promises(replicas: int) -> list[Promise]:
    """Returns what each of the two promises, where the books of the trading post have so many members."""
    majority = replicas // 2 + 1
    of_books = "the one member it runs on" if replicas == 1 else f"{majority} of its {replicas} members"
    spare = replicas - majority
    survives = (
        f"{spare} of {replicas} members" if spare else "nothing: one disk has them, unless `--mongo` names a set"
    )
    return [
        Promise(
            about="a write",
            etcd="a linearizable put of one key",
            trading_post="a purchase, decided in the order of the clocks: goods, money and outcome change together",
        ),
        Promise(
            about="durable before the answer",
            etcd=f"in a majority of {MEMBERS} members, in a log synced to disk (here all on one disk)",
            trading_post=f"in a majority of its replica set, here {of_books}, in a journal synced to disk",
        ),
        Promise(
            about="asked for again",
            etcd="written again; exactly once takes a transaction that compares, of the client's own making",
            trading_post="exactly once: the same id gets the one recorded outcome",
        ),
        Promise(
            about="may be lost for good",
            etcd=f"{(MEMBERS - 1) // 2} of {MEMBERS} members, disk included",
            trading_post=f"any peer, the trader included; of its books {survives}",
        ),
    ]
