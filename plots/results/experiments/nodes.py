"""`nodes`: 1200 requests at 5 and 6 peers, as the authors of the market `ring` measured them, and at more."""

from __future__ import annotations

from pathlib import Path

import msgspec

from plots.results.experiments.kind import Beside, Findings, Kind, Options, Step, Table
from plots.results.experiments.record import read_plan
from plots.results.latency import Summary, shown, summarize
from plots.results.rows import read_rows

DATA = "requests.csv"
THEIRS_MS = {5: 850.05, 6: 1190.08}
"""By number of peers, the mean of 1200 requests that the authors of the market `ring` measured."""


class NodesPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes."""

    sizes: tuple[int, ...]
    requests: int
    market: str

    def title(self, peers: int) -> str:
        """What the town of that size is called."""
        return f"{peers} peers"

    def steps(self) -> tuple[Step, ...]:
        return tuple(
            Step(title=self.title(peers), seconds=5 + peers * 0.06 + 0.003 * self.requests) for peers in self.sizes
        )


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """One request in a town of `peers`."""

    peers: int
    number: int  # Counts from 1 in each town.
    latency_ms: float


def plan(options: Options) -> NodesPlan:
    """The plan for these options; SettingsError for what cannot be measured."""
    options.only("nodes", "peers", "purchases", "market")
    return NodesPlan(
        sizes=options.sizes((5, 6, 12) if options.quick else (5, 6, 12, 30, 60, 100)),
        requests=options.purchases or (400 if options.quick else 1200),
        market=options.one_market("ring"),
    )


def read_sizes(folder: Path) -> dict[int, list[float]]:
    """Latencies in ms, in their order, by number of peers; SettingsError if there are none."""
    found: dict[int, list[float]] = {}
    for row in read_rows(folder / DATA, Answered):
        found.setdefault(row.peers, []).append(row.latency_ms)
    return dict(sorted(found.items()))


def find(folder: Path) -> Findings:
    """Sums up the data in `folder`; SettingsError if there are none."""
    made = read_plan(folder, NodesPlan)
    found = {peers: summarize(values) for peers, values in read_sizes(folder).items()}
    few, many = min(found), max(found)
    sentences = (
        f"{made.requests:,} requests one after another, in the market {made.market}: {shown(found[few].mean)} ms a "
        f"request at {few} peers and {shown(found[many].mean)} ms at {many}.",
        _compared(found) or "The earlier system was measured at 5 and 6 peers only.",
    )
    table = Table(
        title="Milliseconds a request",
        columns=("peers", "requests", "mean", "median", "p95", "p99", "max", "theirs, mean"),
        rows=tuple(
            (
                f"{peers}",
                f"{each.count:,}",
                *(shown(getattr(each, part)) for part in ("mean", "p50", "p95", "p99", "max")),
                f"{THEIRS_MS[peers]:.2f}" if peers in THEIRS_MS else "",
            )
            for peers, each in found.items()
        ),
    )
    beside = tuple(
        Beside(
            what=f"mean of a request at {peers} peers (ring)",
            theirs=f"{theirs:.2f} ms (1200 requests)",
            ours=f"{shown(found[peers].mean)} ms",
        )
        for peers, theirs in THEIRS_MS.items()
        if peers in found
    )
    return Findings(sentences=sentences, tables=(table,), beside=beside)


def _compared(found: dict[int, Summary]) -> str:
    parts = [
        f"{theirs:.2f} ms at {peers} peers, {theirs / found[peers].mean:,.0f} times as much"
        for peers, theirs in THEIRS_MS.items()
        if peers in found
    ]
    return f"The earlier system took {'; '.join(parts)}." if parts else ""


KIND = Kind(
    name="nodes",
    about="1200 requests one after another at 5 and 6 peers, and at more.",
    beside="850.05 ms at 5 peers and 1190.08 ms at 6, the means that the authors of `ring` measured",
    plan=plan,
    find=find,
)
