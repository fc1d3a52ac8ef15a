"""`algorithms`: how long trade stands still and what an election costs, by algorithm, as peers are added.

Real towns whose trader is killed, and beside them the same core in virtual time, where any number of peers fits and
nothing but the algorithm takes time.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from plots.results.experiments.kind import Beside, Findings, Kind, Options, Step, Table
from plots.results.experiments.record import read_plan
from plots.results.latency import shown, summarize
from plots.results.rows import read_rows

PAUSES, ELECTIONS = "pauses.csv", "elections.csv"
NAMES = ("bully", "ring", "echo", "lease")
SIZES = (6, 12, 30, 60, 100)
THEIR_FAILOVER_S = (5.0, 10.0)
"""From a failure to trade, as the authors of the market `replicated` measured it."""

Where = Literal["real", "virtual"]


class AlgorithmsPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes. In real towns of `real_sizes` so many traders are killed (`kills`); in virtual time, one a seed."""

    names: tuple[str, ...]
    real_sizes: tuple[int, ...]
    kills: int
    virtual_sizes: tuple[int, ...]
    seeds: int

    def title(self, name: str, peers: int) -> str:
        """What a real town is called."""
        return f"{name}, {peers} peers"

    def virtual_title(self, peers: int) -> str:
        """What the elections in virtual time are called."""
        return f"virtual time, {peers} peers"

    def steps(self) -> tuple[Step, ...]:
        towns = [
            Step(title=self.title(name, peers), seconds=6 + peers * 0.08 + 1.5 * self.kills)
            for peers in self.real_sizes
            for name in self.names
        ]
        virtual = [
            Step(title=self.virtual_title(peers), seconds=0.1 + 0.005 * peers * self.seeds * len(self.names))
            for peers in self.virtual_sizes
        ]
        return (*towns, *virtual)


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """How long trade stood still in a real town: from the trader's death to its successor's first sale."""

    algorithm: str
    peers: int
    number: int
    pause_ms: float


class Election(msgspec.Struct, frozen=True, kw_only=True):
    """One election after a death: from the empty post to the new trader, and all messages, announcements included."""

    algorithm: str
    peers: int
    where: Where
    number: int  # In virtual time the seed.
    took_ms: float
    messages: int


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What one algorithm cost in towns of one size; None where that was not measured."""

    algorithm: str
    peers: int
    pause_ms: float | None = None  # The median.
    pauses: int = 0
    worst_ms: float | None = None
    messages: float | None = None  # The mean, in real towns.
    virtual_ms: float | None = None  # The median.
    virtual_messages: float | None = None  # The mean.


def plan(options: Options) -> AlgorithmsPlan:
    """The plan for these options; SettingsError for what cannot be measured."""
    options.only("algorithms", "peers")
    # With three peers, one is left to buy and one to sell once the trader is dead.
    return AlgorithmsPlan(
        names=NAMES,
        real_sizes=options.sizes((6, 12) if options.quick else SIZES, 4),
        kills=2 if options.quick else 6,
        virtual_sizes=options.sizes(SIZES, 4),
        seeds=3 if options.quick else 10,
    )


def read_costs(folder: Path) -> list[Cost]:
    """The data in `folder`, by algorithm and size; SettingsError if there are none."""
    made = read_plan(folder, AlgorithmsPlan)
    pauses, elections = read_rows(folder / PAUSES, Pause), read_rows(folder / ELECTIONS, Election)
    sizes = sorted({*made.real_sizes, *made.virtual_sizes})
    return [_cost(name, peers, pauses, elections) for name in made.names for peers in sizes]


def _cost(name: str, peers: int, pauses: Iterable[Pause], elections: Iterable[Election]) -> Cost:
    waited = [each.pause_ms for each in pauses if (each.algorithm, each.peers) == (name, peers)]
    here = [each for each in elections if (each.algorithm, each.peers) == (name, peers)]
    real = [each.messages for each in here if each.where == "real"]
    virtual = [each for each in here if each.where == "virtual"]
    return Cost(
        algorithm=name,
        peers=peers,
        pauses=len(waited),
        pause_ms=summarize(waited).p50 if waited else None,
        worst_ms=max(waited, default=None),
        messages=_mean(real),
        virtual_ms=summarize([each.took_ms for each in virtual]).p50 if virtual else None,
        virtual_messages=_mean([each.messages for each in virtual]),
    )


def _mean(numbers: list[int]) -> float | None:
    return sum(numbers) / len(numbers) if numbers else None


def find(folder: Path) -> Findings:
    """Sums up the data in `folder`; SettingsError if there are none."""
    made, costs = read_plan(folder, AlgorithmsPlan), read_costs(folder)
    few, many = made.real_sizes[0], made.real_sizes[-1]
    largest = made.virtual_sizes[-1]
    sentences = (
        f"From the trader's death to the next sale, medians at {few} peers: {_named(costs, few, 'pause_ms')} ms"
        + (f"; at {many} peers: {_named(costs, many, 'pause_ms')} ms." if many > few else "."),
        f"Messages an election in virtual time, at {largest} peers: {_named(costs, largest, 'virtual_messages')}; "
        f"it took {_named(costs, largest, 'virtual_ms')} ms there once the loss was noticed.",
        "The lease asks nobody, so its messages are announcements only: it is the yardstick.",
    )
    shortest, longest = THEIR_FAILOVER_S
    worst = max((cost.worst_ms for cost in costs if cost.worst_ms is not None), default=0.0)
    beside = Beside(
        what="from the death of who leads to trade again (replicated)",
        theirs=f"{shortest:g} to {longest:g} s",
        ours=f"{shown(worst)} ms, the worst of all",
    )
    return Findings(sentences=sentences, tables=(_table(costs),), beside=(beside,))


def _named(costs: list[Cost], peers: int, part: str) -> str:
    found = {cost.algorithm: getattr(cost, part) for cost in costs if cost.peers == peers}
    return ", ".join(f"{name} {shown(value)}" for name, value in found.items() if value is not None)


def _table(costs: list[Cost]) -> Table:
    return Table(
        title="By algorithm and number of peers",
        columns=(
            "algorithm",
            "peers",
            "killed",
            "no sale for, median ms",
            "worst ms",
            "messages",
            "virtual: election, median ms",
            "virtual: messages",
        ),
        rows=tuple(
            (
                cost.algorithm,
                f"{cost.peers}",
                f"{cost.pauses or ''}",
                _text(cost.pause_ms),
                _text(cost.worst_ms),
                _text(cost.messages),
                _text(cost.virtual_ms),
                _text(cost.virtual_messages),
            )
            for cost in costs
        ),
    )


def _text(value: float | None) -> str:
    return "" if value is None else shown(value)


KIND = Kind(
    name="algorithms",
    about="How long trade stands still when the trader is killed, and messages per election, as peers are added.",
    beside="5 to 10 s, the failover that the authors of `replicated` measured",
    plan=plan,
    find=find,
)
