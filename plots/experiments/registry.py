"""All experiments by name. One that is added here can be chosen, is listed, and is in the report.

It is made of three modules of its name: what it is (`plots.results.experiments`), how it is measured
(`plots.measure.experiments`), and its figure (`plots.draw.experiments`, where it has to be registered too).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from peers.errors import SettingsError
from plots.draw.experiments.drawing import draw_saved
from plots.measure.experiments import (
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
from plots.measure.experiments.workshop import Workshop
from plots.results.experiments import algorithms as algorithms_found
from plots.results.experiments import buyers as buyers_found
from plots.results.experiments import caches as caches_found
from plots.results.experiments import clocks as clocks_found
from plots.results.experiments import elections as elections_found
from plots.results.experiments import nodes as nodes_found
from plots.results.experiments import posts as posts_found
from plots.results.experiments import replication as replication_found
from plots.results.experiments import response as response_found
from plots.results.experiments import sequential as sequential_found
from plots.results.experiments.kind import Findings, Kind, Options, Plan

ALL = "all"
"""The name that stands for every experiment."""


class Experiment(msgspec.Struct, frozen=True):
    """What there is to measure, and how."""

    kind: Kind
    _measure: Callable[[Any, Workshop], None]

    @property
    def name(self) -> str:
        return self.kind.name

    def plan(self, options: Options) -> Plan:
        """How much is measured with these options; SettingsError for what cannot be."""
        return self.kind.plan(options)

    def measure(self, plan: Plan, shop: Workshop) -> None:
        """Measures and audits, and leaves the data in the workshop's folder. TownError where that fails."""
        self._measure(plan, shop)

    def draw(self, folder: Path) -> Path:
        """Draws what is in `folder`; SettingsError if that is not this experiment."""
        return draw_saved(folder)[0]

    def find(self, folder: Path) -> Findings:
        """Sums up what is in `folder`; SettingsError if that is not this experiment."""
        return self.kind.find(folder)


EXPERIMENTS = {
    each.name: each
    for each in (
        Experiment(sequential_found.KIND, sequential.measure),
        Experiment(elections_found.KIND, elections.measure),
        Experiment(response_found.KIND, response.measure),
        Experiment(buyers_found.KIND, buyers.measure),
        Experiment(nodes_found.KIND, nodes.measure),
        Experiment(algorithms_found.KIND, algorithms.measure),
        Experiment(clocks_found.KIND, clocks.measure),
        Experiment(posts_found.KIND, posts.measure),
        Experiment(replication_found.KIND, replication.measure),
        Experiment(caches_found.KIND, caches.measure),
    )
}


def experiment(name: str) -> Experiment:
    """Returns the experiment of that name; SettingsError, which names all there are, if there is none."""
    if name not in EXPERIMENTS:
        raise SettingsError(f"{name} is no experiment: there is {', '.join(EXPERIMENTS)}, or {ALL}")
    return EXPERIMENTS[name]
