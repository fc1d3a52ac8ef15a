"""The scenario of a seed in the mixture: every town there can be, with timings out of wide ranges.

The seed goes round all combinations of peers, market, clock and election, so each comes up as often as any other.
All else is drawn: graph, roles, stock, what the market is like, and the timings, after FoundationDB's "buggify"
(Zhou, 2021): what only goes wrong where one wait is longer than another comes up when the waits are mixed anew.
"""

from __future__ import annotations

import itertools
from random import Random
from typing import Any, NamedTuple

from peers.core.membership.clocks import CLOCKS
from peers.core.membership.graph_kinds import first_graph
from peers.core.membership.members import Edge
from peers.core.membership.roles import draw_roles
from peers.core.names import Role
from peers.core.settings import Settings, make_settings
from peers.simulator.faults import FaultOptions, draw_plan
from peers.simulator.scenario import Scenario

FEWEST, MOST = 3, 9
"""So many peers a town has, in all its areas together."""

ONE_POST = "one post"
CACHES = ("none", "write-through", "push", "ttl", "lease")
ELECTIONS = ("bully", "ring", "echo", "lease")
AREAS = ("north", "south")

_CHAOS_S = (1.5, 9.0)
"""Faults happen for so long, at the least and at the most: as many as elsewhere, so they meet more often."""

_FULL_CALM = 1 / 16
"""In so many schedules all is watched for the whole calm: what has come to rest is to stay there."""

_LEAST_IN_AREA = 2
"""An area has a trader, and somebody who trades."""


class Combination(NamedTuple):
    """What a town is. `market` is ONE_POST, or the cache of the traders of two areas that share one stock."""

    peers: int
    market: str
    clock: str
    election: str

    def __str__(self) -> str:
        market = ONE_POST if self.market == ONE_POST else f"areas with cache {self.market}"
        return f"{self.peers} peers, {market}, {self.clock} clocks, election {self.election}"


COMBINATIONS = tuple(
    Combination(peers, market, clock, election)
    for market, clock, election, peers in itertools.product(
        (ONE_POST, *CACHES), CLOCKS, ELECTIONS, range(FEWEST, MOST + 1)
    )
    if market == ONE_POST or peers >= len(AREAS) * _LEAST_IN_AREA
)


def combination_of(seed: int) -> Combination:
    """Returns what the town of a seed is; the seed after the last combination begins with the first again."""
    return COMBINATIONS[seed % len(COMBINATIONS)]


def draw_mixed(seed: int, options: FaultOptions) -> Scenario:
    """Returns the scenario of a seed in the mixture, with faults as often as `options` say."""
    town, rng = combination_of(seed), Random(f"mixture {seed}")
    areas = () if town.market == ONE_POST else AREAS
    graph = rng.choice(("random", "random", "complete", "ring"))
    settings: dict[str, Any] = {
        "clock": town.clock,
        "election": town.election,
        "graph": graph,
        "market": _draw_market(rng),
        "timing": _draw_timing(rng),
        "ledger": {"max_staleness_s": rng.choice((0.0, 0.2, 0.5, 2.0))},
    }
    if areas:
        settings["market"] |= {
            "one_stock": True,
            "cache": town.market,
            "cache_ttl_s": _even(rng, 0.1, 5.0),
            "cache_lease": rng.choice((1, 3, 6, 20)),
        }
    roles, edges = _draw_people(rng, town.peers, len(areas) or 1)
    chaos_s = round(_even(rng, *_CHAOS_S), 3)
    return Scenario(
        seed=seed,
        roles=roles,
        edges=edges if graph == "random" else (),
        settings=settings,
        plan=draw_plan(rng, options, peers=town.peers, chaos_s=chaos_s),
        chaos_s=chaos_s,
        calm_s=calm_for(make_settings(settings)),
        areas=areas,
        readers=rng.randrange(3),
        ends_at_rest=rng.random() >= _FULL_CALM,
    )


def _draw_people(rng: Random, peers: int, areas: int) -> tuple[tuple[Role, ...], tuple[Edge, ...]]:
    """Returns the roles by rank, and the edges; the peer of rank r lives in the area r modulo their number."""
    roles: list[Role] = ["buyer"] * peers
    edges: list[Edge] = []
    for area in range(areas):
        ranks = range(area, peers, areas)
        for rank, role in zip(ranks, draw_roles(len(ranks), rng, merchants=rng.random() < 0.5), strict=True):
            roles[rank] = role
        edges += [(ranks[low], ranks[high]) for low, high in first_graph("random", len(ranks), rng)]
    return tuple(roles), tuple(sorted(edges))


def _draw_market(rng: Random) -> dict[str, Any]:
    stock = rng.choice((1, 2, 4, 8, 20))
    return {
        "stock": stock,
        "stock_min": rng.choice((0, 0, 1)),
        "quantity_max": rng.choice((1, 2, 3, 5)),
        "commission_rate": rng.choice(("0.20", "0.125", "0.3333", "0", "1")),
        "think_s": rng.choice((0.05, 0.2, 0.5, 1.0)),
        "buy_probability": rng.choice((1.0, 1.0, 0.7)),
        "period_s": rng.choice((0.5, 2.0, 4.0)),
        "restock_probability": rng.choice((0.1, 0.3, 1.0)),
        "resign_probability": rng.choice((0.0, 0.0, 0.2)),
        "resign_after_sales": rng.choice((0, 1, 3, 8, 20)),
        "barred_elections": rng.choice((0, 1, 2)),
        "crash_probability": rng.choice((0.0, 0.0, 0.3)),
        "return_after_s": rng.choice((0.0, 1.5)),
        "return_probability": rng.choice((1.0, 0.5)),
        "demotion": rng.choice(("own", "drawn")),
        "first_trader": rng.choice(("elected", "lowest")),
        "loss_probability": rng.choice((0.0, 0.0, 0.2)),
        "loss_after_crash": rng.random() < 0.2,
    }


def _draw_timing(rng: Random) -> dict[str, Any]:
    """Timings that fit together (`TimingSettings`): each is drawn by itself, as far as others leave it free."""
    heartbeat_s, retry_s, call_s = _even(rng, 0.08, 0.6), _even(rng, 0.02, 0.5), _even(rng, 0.3, 4.0)
    return {
        "heartbeat_interval_s": heartbeat_s,
        "suspect_s": heartbeat_s * _even(rng, 2.0, 8.0),
        "election_s": _even(rng, 0.02, 0.5),
        "clock_gap_s": _even(rng, 0.02, 1.5),
        "retry_s": retry_s,
        "retry_max_s": retry_s * _even(rng, 1.0, 8.0),
        "call_timeout_s": call_s,
        "queue_after_s": rng.choice((0.0, 0.001, 0.01, 0.1, 0.5)),
        "group_commit_delay_s": rng.choice((0.0, 0.0, 0.002, 0.05, 0.15)),
        "ledger_patience_s": _even(rng, 0.3, 3.0),
        "books_near_s": rng.choice((0.001, 0.005, 0.1)),
        "max_batch": rng.choice((1, 2, 5, 256)),
        "max_pending": rng.choice((2, 20, 2000)),
    }


def calm_for(settings: Settings) -> float:
    """Returns for how long all is to be well at the end of a schedule, in seconds, so that a town with these settings
    must have come to rest: what is lost is found out, and, in its second half too, an election held in which not
    everybody knows who is barred, so that only the third attempt succeeds. Who was late is patient for longer."""
    timing = settings.timing
    waits_s = timing.suspect_s + timing.call_timeout_s + timing.retry_max_s
    return round(3.0 + 1.75 * waits_s + 6 * timing.suspect_s + 20 * timing.election_s, 3)


def _even(rng: Random, low: float, high: float) -> float:
    """Draws so that small and large ones come up as often."""
    return float(f"{low * (high / low) ** rng.random():.4g}")
