"""How many purchases a second several posts reach together, on one mongod and on one each, and who used processors.

The same number of customers is dealt out to the posts. Every kind of town is alone on the machine, and the kinds take
turns, so that a drifting machine hits all of them alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import psutil

from db.queries import Queries
from plots.measure.apparatus.customers import Crowd, Spec
from plots.measure.apparatus.towns import BenchTown, cpu_s, wait_for
from plots.measure.plan import Plan
from plots.results.posts import USERS, PostsRate, PostsTurn, sum_up

PEERS_A_POST = 3
"""A trader, and two who could take over."""

Setup = tuple[int, bool]
"""How many posts, and whether each has a mongod of its own."""


def setups(posts: Iterable[int], own: Iterable[int]) -> list[Setup]:
    """Returns the towns with so many posts on one mongod, then those with a mongod each."""
    return [*((number, False) for number in posts), *((number, True) for number in own if number > 1)]


def areas_of(posts: int) -> tuple[str, ...]:
    """Returns the names of so many areas; one post has none."""
    return tuple(f"area{number}" for number in range(1, posts + 1)) if posts > 1 else ()


def options_of(setup: Setup) -> tuple[str, ...]:
    """Returns the options of `bazaar run` for such a town. The first of its posts always has the town's mongod."""
    areas = areas_of(setup[0])
    own = [part for area in areas[1:] if setup[1] for part in ("--area", f"{area}=own")]
    return ("--areas", ",".join(areas), *own) if areas else ()


def measure(
    open_town: Callable[[Setup], BenchTown], plan: Plan
) -> tuple[list[PostsRate], dict[Setup, list[int | None]]]:
    """All kinds of town in turns; returns what the audits said as well."""
    turns: list[PostsTurn] = []
    chosen = setups(plan.posts, plan.posts_own)
    audits: dict[Setup, list[int | None]] = {setup: [] for setup in chosen}
    for number in range(plan.posts_rounds):
        for setup in chosen if number % 2 == 0 else chosen[::-1]:
            with open_town(setup) as town, crowd_at(town, plan.posts_customers) as crowd:
                turns += take_turns(town, crowd, setup, plan.posts_turns, plan.posts_turn_s)
            audits[setup].append(town.audit_code)
    return sum_up(turns), audits


def crowd_at(town: BenchTown, size: int) -> Crowd:
    """Customers dealt out to the town's posts, connected and warm."""
    areas = town.areas or ("",)
    where = [(number, areas[number % len(areas)]) for number in range(size)]
    return Crowd(
        [
            Spec(
                name=f"c{number}",
                nameserver=town.nameserver,
                directory=str(town.directory.area(area).path),
                clock=town.clock,
                area=area,
            )
            for number, area in where
        ]
    )


def take_turns(town: BenchTown, crowd: Crowd, setup: Setup, turns: int, turn_s: float) -> list[PostsTurn]:
    """Has all customers buy for so many turns, and looks at the processor time that was used in each."""
    users = _users(town, crowd)
    taken = []
    for number in range(turns):
        before = _used(users)
        turn = crowd.closed(len(crowd), turn_s)
        used = {f"{user}_s": seconds - before[user] for user, seconds in _used(users).items()}
        p50_ms, p99_ms = np.quantile(turn.latencies_ms, [0.5, 0.99])
        taken.append(
            PostsTurn(
                posts=setup[0],
                own=setup[1],
                turn=number,
                customers=len(crowd),
                answered=int(turn.latencies_ms.size),
                took_s=turn.took_s,
                p50_ms=float(p50_ms),
                p99_ms=float(p99_ms),
                **used,
            )
        )
    return taken


def _users(town: BenchTown, crowd: Crowd) -> Mapping[str, Sequence[psutil.Process]]:
    """Who there is to use processors, by `USERS`. What runs for a moment only, as to draw the graph, is left out."""
    terminal = psutil.Process(town.state.pid)
    traders = {_trader_pid(town, area) for area in town.areas or ("",)}
    peers = {peer.pid for peer in town.everybody().values()}
    nameserver = town.state.nameserver_pid
    others = [*sorted(peers - traders), *([nameserver] if nameserver is not None else [])]
    return {
        "mongod": [child for child in terminal.children() if child.name() == "mongod"],
        "traders": [psutil.Process(pid) for pid in traders],
        "customers": [psutil.Process(pid) for pid in crowd.pids],
        "others": [terminal, *map(psutil.Process, others)],
    }


def _trader_pid(town: BenchTown, area: str) -> int:
    state = town.directory.area(area).read_town()
    assert state is not None
    with Queries(state.mongo_uri, state.database) as books:
        name = wait_for(lambda: books.post().trader, "a trader is in office")
    return town.everybody()[name].pid


def _used(users: Mapping[str, Sequence[psutil.Process]]) -> dict[str, float]:
    return {user: sum(map(cpu_s, users[user])) for user in USERS}
