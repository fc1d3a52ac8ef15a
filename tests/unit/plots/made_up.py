"""Made-up runs of every experiment on disk, small ones, with figures that are known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from plots.results.experiments import (
    algorithms,
    buyers,
    caches,
    clocks,
    elections,
    nodes,
    posts,
    replication,
    response,
    sequential,
)
from plots.results.experiments.kind import Options
from plots.results.experiments.record import Record, write_record
from plots.results.posts import PostsTurn
from plots.results.rows import write_rows
from plots.results.samples import Sample, stamp, write_samples

QUICK = Options(quick=True)


def keep(out: Path, name: str, plan: Any, **other: Any) -> None:
    """Writes the record of a run."""
    values: dict[str, Any] = {
        "experiment": name,
        "plan": msgspec.to_builtins(plan),
        "quick": False,
        "machine": "2 cores, made up",
        "cores": 2,
        "load": 0.5,
        "began": "2026-01-02T03:04:05+00:00",
        "seconds": 12.5,
        "audit_codes": {"a town": 0},
    }
    out.mkdir(parents=True, exist_ok=True)
    write_record(out, Record(**(values | other)))


def samples(every: int, purchases: int = 60) -> list[Sample]:
    """Purchases of 2 ms and a bit, those that meet an election of 80."""
    made = []
    for number in range(1, purchases + 1):
        election = every > 0 and number > 1 and number % every == 1
        term = 1 + (number - 1) // every if every else 1
        made.append(
            Sample(
                iteration=number,
                latency_ms=80.0 if election else 2.0 + number % 7 / 10,
                term=term,
                trader=f"seller{4 + term % 2}",
                seq=20 + number,
                election=election,
                started_at=stamp(1_700_000_000.25 + number),
            )
        )
    return made


def sequential_run(out: Path, *, markets: tuple[str, ...] = sequential.MARKETS, purchases: int = 60) -> None:
    plan = sequential.SequentialPlan(purchases=purchases, every=20, peers=6, markets=markets)
    keep(out, "sequential", plan)
    for condition in plan.conditions():
        write_samples(out / condition.csv, samples(condition.resign_after, purchases))


def elections_run(out: Path) -> None:
    plan = elections.plan(QUICK)
    keep(out, "elections", plan, quick=True)
    rows = [
        elections.Bought(
            elections=held,
            purchases=count,
            buyer=f"buyer{buyer}",
            number=number,
            due_s=number / 10,
            latency_ms=42.0 if held and number % 10 == 5 else 2.0,
        )
        for held in (False, True)
        for count in plan.counts
        for buyer in range(plan.buyers)
        for number in range(1, count + 1)
    ]
    write_rows(out / elections.DATA, elections.Bought, rows)


def response_run(out: Path) -> None:
    """The post is empty twice, for 50 ms each; of each buyer one request begins in it, and one is cut off by it."""
    keep(out, "response", response.plan(QUICK))
    requests = [
        response.Answered(buyer=f"buyer{buyer}", number=number, due_s=number / 50, latency_ms=2.0)
        for buyer in range(3)
        for number in range(1, 100)
        if number not in (50, 51, 52)
    ]
    requests += [response.Answered(buyer=f"buyer{b}", number=50, due_s=0.99, latency_ms=70.0) for b in range(3)]
    requests += [response.Answered(buyer=f"buyer{b}", number=51, due_s=1.04, latency_ms=20.0) for b in range(3)]
    changes = [response.Change(at_s=at_s, took_ms=50.0, trader="seller5") for at_s in (1.0, 3.0)]
    write_rows(out / response.REQUESTS, response.Answered, requests)
    write_rows(out / response.CHANGES, response.Change, changes)


def buyers_run(out: Path) -> None:
    plan = buyers.plan(QUICK)
    keep(out, "buyers", plan)
    turns, waited = [], []
    for crowd in plan.buyers:
        for turn in range(plan.turns):
            turns.append(buyers.Turn(buyers=crowd, turn=turn, answered=100 * crowd, took_s=0.5 * (1 + turn)))
            waited += [buyers.Waited(buyers=crowd, turn=turn, latency_ms=1.0 + n % 5) for n in range(20)]
    write_rows(out / buyers.TURNS, buyers.Turn, turns)
    write_rows(out / buyers.LATENCIES, buyers.Waited, waited)


def nodes_run(out: Path, *, sizes: tuple[int, ...] = (5, 6, 12)) -> None:
    plan = nodes.NodesPlan(sizes=sizes, requests=50, market="ring")
    keep(out, "nodes", plan)
    rows = [
        nodes.Answered(peers=peers, number=number, latency_ms=peers / 2) for peers in sizes for number in range(1, 51)
    ]
    write_rows(out / nodes.DATA, nodes.Answered, rows)


def algorithms_run(out: Path) -> None:
    plan = algorithms.plan(QUICK)
    keep(out, "algorithms", plan)
    pauses = [
        algorithms.Pause(algorithm=name, peers=peers, number=number, pause_ms=40.0 + 10 * number)
        for name in plan.names
        for peers in plan.real_sizes
        for number in (1, 2, 3)
    ]
    where: algorithms.Where
    found = []
    for name in plan.names:
        for where, sizes in (("real", plan.real_sizes[:1]), ("virtual", plan.virtual_sizes)):
            found += [
                algorithms.Election(
                    algorithm=name, peers=peers, where=where, number=1, took_ms=peers, messages=2 * peers
                )
                for peers in sizes
            ]
    write_rows(out / algorithms.PAUSES, algorithms.Pause, pauses)
    write_rows(out / algorithms.ELECTIONS, algorithms.Election, found)


def clocks_run(out: Path) -> None:
    plan = clocks.plan(QUICK)
    keep(out, "clocks", plan)
    rows = [
        clocks.Stamped(
            clock=clock,
            peers=peers,
            number=number,
            latency_ms=2.0 + number % 3,
            clock_bytes=12 if clock == "lamport" else 10 * peers,
            entries=1 if clock == "lamport" else peers,
        )
        for peers in plan.sizes
        for clock in plan.clocks
        for number in range(1, 21)
    ]
    write_rows(out / clocks.DATA, clocks.Stamped, rows)


def caches_run(out: Path) -> None:
    """Of each cache's promises one in twenty is broken; a promise takes 1 ms, its confirmation 4."""
    plan = caches.plan(QUICK)
    keep(out, "caches", plan)
    requests: list[caches.Request] = []
    towns: list[caches.TownRun] = []
    for policy in plan.policies:
        for ratio in plan.ratios:
            dies = ratio == plan.ratios[-1]
            requests += [
                caches.Request(
                    policy=policy,
                    ratio=ratio,
                    asked_s=number / 10,
                    promised_ms=caches.NEVER if policy == "none" else 1.0,
                    told_ms=4.0,
                    sold=number % 20 > 0,
                )
                for number in range(40)
            ]
            died_s = 2.0 if dies else caches.NEVER
            foretold = 0 if policy == "none" else 36
            towns.append(
                caches.TownRun(
                    policy=policy,
                    ratio=ratio,
                    steady_s=2.0 if dies else 4.0,
                    died_s=died_s,
                    decided=40,
                    foretold=foretold,
                    refused=foretold // 9,
                )
            )
    write_rows(out / caches.REQUESTS, caches.Request, requests)
    write_rows(out / caches.TOWNS, caches.TownRun, towns)


def posts_run(out: Path) -> None:
    """Two posts sell 1.5 times as much as one, and 1.6 times with a mongod each."""
    plan = posts.plan(QUICK)
    keep(out, "posts", plan)
    rows = []
    for _, number, own in plan.towns():
        for turn in range(plan.turns):
            rate = 1000 if number == 1 else 1600 if own else 1500
            rows.append(
                PostsTurn(
                    posts=number,
                    own=own,
                    turn=turn,
                    customers=plan.customers,
                    answered=rate,
                    took_s=1.0,
                    p50_ms=5.0,
                    p99_ms=20.0,
                    mongod_s=0.5,
                    traders_s=0.3 * number,
                    customers_s=0.6,
                    others_s=0.1,
                )
            )
    write_rows(out / posts.TURNS, PostsTurn, rows)


def replication_run(out: Path) -> None:
    """At level one every fall loses three purchases; elsewhere none does."""
    plan = replication.plan(QUICK)
    keep(out, "replication", plan)
    waits = {"majority": 3.0, "two": 2.5, "one": 1.5}
    purchases = [
        replication.Purchase(level=level, number=number, latency_ms=waits[level] + number % 3)
        for level in plan.levels
        for number in range(1, 21)
    ]
    rates = [replication.Rate(level=level, customers=16, per_s=1000.0 / waits[level]) for level in plan.levels]
    strikes = [
        replication.Strike(
            level=each.level,
            blow=each.blow,
            number=number,
            pause_ms=1900.0 + 100 * number,
            told=40,
            lost=3 if each.level == "one" else 0,
        )
        for each in plan.blows
        for number in range(1, 4)
    ]
    write_rows(out / replication.PURCHASES, replication.Purchase, purchases)
    write_rows(out / replication.RATES, replication.Rate, rates)
    write_rows(out / replication.STRIKES, replication.Strike, strikes)


RUNS: dict[str, Callable[[Path], None]] = {
    "sequential": sequential_run,
    "elections": elections_run,
    "response": response_run,
    "buyers": buyers_run,
    "nodes": nodes_run,
    "algorithms": algorithms_run,
    "clocks": clocks_run,
    "posts": posts_run,
    "replication": replication_run,
    "caches": caches_run,
}
"""Each writes a run of that experiment into a folder."""
