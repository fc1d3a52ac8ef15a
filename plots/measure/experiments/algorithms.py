"""Traders killed in real towns of each election algorithm, and elections of the same core in virtual time."""

from __future__ import annotations

from db.queries import Queries
from peers.core.leadership.reasons import VacancyReason
from peers.core.market.records import ElectionRecord
from peers.errors import TownError
from peers.simulator.runs.election_cost import measure_election
from plots.measure import elections, failover
from plots.measure.apparatus.towns import BenchTown
from plots.measure.experiments.workshop import Workshop
from plots.measure.plan import Plan
from plots.results.experiments.algorithms import ELECTIONS, PAUSES, AlgorithmsPlan, Election, Pause
from plots.results.rows import write_rows


def measure(plan: AlgorithmsPlan, shop: Workshop) -> None:
    """Measures all algorithms: each in towns of its own, then in virtual time. TownError if an election ended not."""
    pauses: list[Pause] = []
    found: list[Election] = []
    for peers in plan.real_sizes:
        for name in plan.names:
            with shop.step(plan.title(name, peers)):
                _measure_real(plan, name, peers, shop, pauses, found)
    for peers in plan.virtual_sizes:
        with shop.step(plan.virtual_title(peers)):
            found += [_virtual(name, peers, seed) for name in plan.names for seed in range(1, plan.seeds + 1)]
    write_rows(shop.out / PAUSES, Pause, pauses)
    write_rows(shop.out / ELECTIONS, Election, found)


def _measure_real(
    plan: AlgorithmsPlan, name: str, peers: int, shop: Workshop, pauses: list[Pause], found: list[Election]
) -> None:
    """Kills the traders of as many towns as it takes."""
    records: list[ElectionRecord] = []

    def look(town: BenchTown) -> None:
        elections.settle(town)
        records.extend(town.look(Queries.elections))

    title = plan.title(name, peers)
    towns = 0

    def open_town(size: int) -> BenchTown:
        nonlocal towns
        towns += 1
        folder = shop.out / f"town-{name}-{size}-{towns}"
        return BenchTown(folder, size, shop.seed, ("--election", name))

    killed, codes = failover.measure_killed(open_town, peers, Plan(failovers=plan.kills), look)
    for number, code in enumerate(codes, start=1):
        shop.note_audit(f"{title}, town {number}", code)
        shop.discard(shop.out / f"town-{name}-{peers}-{number}", code)
    pauses += [
        Pause(algorithm=name, peers=peers, number=number, pause_ms=ms)
        for number, ms in enumerate(killed.pauses_ms, start=1)
    ]
    # One whose messages were not all counted before the next is in no figure; the first of all had no trader before.
    counted = [each for each in records if each.complete and each.reason != VacancyReason.START]
    found += [
        Election(
            algorithm=name, peers=peers, where="real", number=number, took_ms=each.took_ms, messages=each.messages
        )
        for number, each in enumerate(counted, start=1)
    ]


def _virtual(name: str, peers: int, seed: int) -> Election:
    cost = measure_election(name, peers, seed)
    if cost.took_s is None:
        raise TownError(f"in virtual time {name} elected nobody among {peers} peers (seed {seed})")
    return Election(
        algorithm=name,
        peers=peers,
        where="virtual",
        number=seed,
        took_ms=cost.took_s * 1000,
        messages=cost.messages + cost.announcements,
    )
