"""`clocks`: what Lamport and vector clocks cost as peers are added: latency of a purchase, and bytes of a clock."""

from __future__ import annotations

from pathlib import Path

import msgspec

from plots.results.experiments.kind import Findings, Kind, Options, Step, Table
from plots.results.experiments.record import read_plan
from plots.results.latency import Summary, shown, summarize
from plots.results.rows import read_rows

DATA = "purchases.csv"
CLOCKS = ("lamport", "vector")


class ClocksPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes. Each clock and size has a town of its own, with so many purchases one after another."""

    clocks: tuple[str, ...]
    sizes: tuple[int, ...]
    purchases: int

    def title(self, peers: int) -> str:
        """What the towns of that size are called."""
        return f"{peers} peers"

    def steps(self) -> tuple[Step, ...]:
        return tuple(
            Step(title=self.title(peers), seconds=len(self.clocks) * (6 + peers * 0.08 + 0.003 * self.purchases))
            for peers in self.sizes
        )


class Stamped(msgspec.Struct, frozen=True, kw_only=True):
    """One purchase: how long it took, and how large the clock was that it was stamped with, packed as msgpack."""

    clock: str
    peers: int
    number: int  # Counts from 1 in each town.
    latency_ms: float
    clock_bytes: int
    entries: int  # Names in the clock; 1 for Lamport.


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What one clock cost in a town of one size; bytes and entries are the most that there were."""

    clock: str
    peers: int
    latency_ms: Summary
    clock_bytes: int
    entries: int


def plan(options: Options) -> ClocksPlan:
    """The plan for these options; SettingsError for what cannot be measured."""
    options.only("clocks", "peers", "purchases")
    return ClocksPlan(
        clocks=CLOCKS,
        sizes=options.sizes((6, 30) if options.quick else (6, 12, 30, 60, 100)),
        purchases=options.purchases or (200 if options.quick else 1000),
    )


def read_costs(folder: Path) -> list[Cost]:
    """The data in `folder`, by clock and size; SettingsError if there are none."""
    found: dict[tuple[str, int], list[Stamped]] = {}
    for row in read_rows(folder / DATA, Stamped):
        found.setdefault((row.clock, row.peers), []).append(row)
    return [
        Cost(
            clock=clock,
            peers=peers,
            latency_ms=summarize([row.latency_ms for row in rows]),
            clock_bytes=max(row.clock_bytes for row in rows),
            entries=max(row.entries for row in rows),
        )
        for (clock, peers), rows in sorted(found.items())
    ]


def find(folder: Path) -> Findings:
    """Sums up the data in `folder`; SettingsError if there are none."""
    made, costs = read_plan(folder, ClocksPlan), read_costs(folder)
    at = {(cost.clock, cost.peers): cost for cost in costs}
    few, many = made.sizes[0], made.sizes[-1]
    sentences = tuple(
        f"At {peers} peers a purchase took {shown(at['lamport', peers].latency_ms.p50)} ms in the median with "
        f"Lamport clocks and {shown(at['vector', peers].latency_ms.p50)} ms with vectors; a clock was "
        f"{at['lamport', peers].clock_bytes} and {at['vector', peers].clock_bytes} bytes."
        for peers in dict.fromkeys((few, many))
    )
    table = Table(
        title="By clock and number of peers",
        columns=("clock", "peers", "mean ms", "median ms", "p99 ms", "bytes of a clock", "names in it"),
        rows=tuple(
            (
                cost.clock,
                f"{cost.peers}",
                *(shown(getattr(cost.latency_ms, part)) for part in ("mean", "p50", "p99")),
                f"{cost.clock_bytes:,}",
                f"{cost.entries}",
            )
            for cost in costs
        ),
    )
    how = "All peers have dealt once before and are quiet meanwhile, so that a vector names them, and customers too."
    return Findings(sentences=(*sentences, how), tables=(table,))


KIND = Kind(
    name="clocks",
    about="What Lamport and vector clocks cost as peers are added: latency of a purchase, bytes of a clock.",
    beside="",
    plan=plan,
    find=find,
)
