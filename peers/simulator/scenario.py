"""A scenario: all that a schedule is made of before it begins. A seed gives one; a file can hold one.

Nothing else goes in: the same scenario on the same commit gives the same history, to the byte.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from peers.core.membership.graph_kinds import first_graph
from peers.core.membership.members import Edge
from peers.core.membership.roles import draw_roles
from peers.core.names import Role
from peers.core.settings import Settings, changed, make_settings
from peers.errors import SettingsError
from peers.files import write_whole
from peers.simulator.faults import Fault, FaultOptions, draw_plan

CHAOS_S = 14.0
CALM_S = 10.0
"""After the faults: time to heal, while customers only wait for what they have asked. Neither is an option of the
command, for a seed is to name one schedule; a scenario that is saved has them as values."""

READERS = 2
"""So many customers only look. No option, for a seed is to name one schedule."""

_OTHER_MARKETS = (0, 2, 5)
"""The seeds, modulo 7, whose markets behave otherwise. The rest are what they were when there was one market only."""


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """`settings` are nested values as for `make_settings`; customers stop and faults end at `chaos_s`. Then all is
    well for `calm_s`, or, with `ends_at_rest`, until all has come to rest, if that is sooner.

    `areas` are those that share one log, none for a single market. The peer of rank r belongs to the area r modulo
    their number, and `edges` link peers of one area only."""

    seed: int
    roles: tuple[Role, ...]
    edges: tuple[Edge, ...]
    settings: dict[str, Any]
    plan: tuple[Fault, ...]
    chaos_s: float = CHAOS_S
    calm_s: float = CALM_S
    note: str = ""
    areas: tuple[str, ...] = ()
    readers: int = READERS
    ends_at_rest: bool = False

    def area_of(self, rank: int) -> str:
        """Returns the area of a peer that is there from the beginning."""
        return self.areas[rank % len(self.areas)] if self.areas else ""

    @property
    def length_s(self) -> float:
        return self.chaos_s + self.calm_s


def draw_scenario(
    seed: int,
    peers: int,
    options: FaultOptions,
    *,
    changes: Iterable[str] = (),
    chaos_s: float = CHAOS_S,
    areas: tuple[str, ...] = (),
) -> Scenario:
    """The scenario of a seed. `changes` of its settings, such as `market.stock=3`, leave roles and faults the same.

    With `areas`, each of them has `peers` peers, and all share one log. SettingsError for a setting that there is
    not, or whose value it cannot have."""
    rng = Random(f"scenario {seed}")
    roles = draw_roles(peers, rng, merchants=rng.random() < 0.5)
    edges = first_graph("random", peers, rng)
    if areas:
        roles, edges = _draw_areas(len(areas), roles, edges, rng)
    # These two follow from the seed, so that nothing else that is drawn depends on them.
    settings = _draw_settings(
        rng, group_commit_delay_s=0.05 if seed % 10 == 7 else 0.0, loss_after_crash=seed % 5 == 4
    )
    if seed % 7 in _OTHER_MARKETS:
        _draw_other_market(settings, Random(f"market {seed}"))
    settings = changed(settings, changes)
    make_settings(settings)
    return Scenario(
        seed=seed,
        roles=roles,
        edges=edges if settings.get("graph", "random") == "random" else (),
        settings=settings,
        plan=draw_plan(rng, options, peers=len(roles), chaos_s=chaos_s),
        chaos_s=chaos_s,
        areas=areas,
    )


def _draw_areas(
    number: int, roles: tuple[Role, ...], edges: tuple[Edge, ...], rng: Random
) -> tuple[tuple[Role, ...], tuple[Edge, ...]]:
    """Returns the roles and edges of so many areas, of which the first one has these."""
    peers = len(roles)
    drawn = [(roles, edges)]
    while len(drawn) < number:
        drawn.append((draw_roles(peers, rng, merchants=rng.random() < 0.5), first_graph("random", peers, rng)))
    every_role = tuple(drawn[rank % number][0][rank // number] for rank in range(number * peers))
    every_edge = [
        (low * number + area, high * number + area) for area, (_, links) in enumerate(drawn) for low, high in links
    ]
    return every_role, tuple(sorted(every_edge))


def _draw_settings(rng: Random, *, group_commit_delay_s: float, loss_after_crash: bool) -> dict[str, Any]:
    """A small market in a hurry: little stock, and traders that resign after a few sales."""
    return {
        "clock": rng.choice(("lamport", "lamport", "vector")),
        "market": {
            "stock": rng.choice((2, 4, 8)),
            "quantity_max": rng.choice((1, 2, 3)),
            "commission_rate": rng.choice(("0.20", "0.125", "0.3333")),
            "think_s": rng.choice((0.2, 0.5, 1.0)),
            "period_s": 2.0,
            "resign_probability": rng.choice((0.0, 0.0, 0.2)),
            "resign_after_sales": rng.choice((0, 3, 8, 20)),
            "barred_elections": rng.choice((0, 1, 2)),
            "loss_after_crash": loss_after_crash,
        },
        "timing": {"max_batch": rng.choice((1, 2, 256)), "group_commit_delay_s": group_commit_delay_s},
    }


def _draw_other_market(settings: dict[str, Any], rng: Random) -> None:
    """Makes the market behave as not all do: other graphs, traders by rank, roles drawn anew, traders that crash."""
    settings["graph"] = rng.choice(("random", "complete", "ring"))
    settings["market"] |= {
        "stock_min": rng.choice((0, 1)),
        "crash_probability": rng.choice((0.0, 0.3)),
        "return_after_s": rng.choice((0.0, 1.5)),
        "return_probability": rng.choice((1.0, 0.5)),
        "demotion": rng.choice(("own", "drawn")),
        "first_trader": rng.choice(("elected", "lowest")),
    }


def settings_of(scenario: Scenario) -> Settings:
    """The checked settings of a scenario."""
    values = dict(scenario.settings)
    market = dict(values.get("market", {}))
    if "commission_rate" in market:
        market["commission_rate"] = Decimal(market["commission_rate"])
    # Scenarios saved before this setting existed do not have it, and must play as they did then.
    timing = {
        "group_commit_delay_s": 0.0,
        **values.get("timing", {}),
    }
    return make_settings({**values, "market": market, "timing": timing})


def save(scenario: Scenario, path: Path) -> None:
    """Writes a scenario down, to be replayed."""
    write_whole(path, msgspec.json.format(msgspec.json.encode(scenario), indent=1) + b"\n")


def load(path: Path) -> Scenario:
    """Reads a scenario that `save` wrote; SettingsError if there is none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Scenario)
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}; name a file that was saved") from error
    except msgspec.DecodeError as error:
        raise SettingsError(f"{path} is no saved scenario: {error}") from error
