"""`elections`: the mean round trip of 10 to 100 purchases a buyer, without elections and with one every period."""

from __future__ import annotations

from pathlib import Path

import msgspec

from plots.results.experiments.kind import Findings, Kind, Options, Step, Table
from plots.results.experiments.record import read_plan
from plots.results.latency import Summary, shown, summarize
from plots.results.rows import read_rows

DATA = "requests.csv"
COUNTS = (10, 20, 30, 40, 100)
"""Purchases a buyer, as the authors of the market `vector` had them."""

FULL_PERIOD_S, QUICK_PERIOD_S = 10.0, 1.0
PURCHASES_A_PERIOD = 10
"""A buyer buys so often between two elections, however short the period is, so that ten purchases meet one."""


class ElectionsPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes. `period_s` lies between two elections; each buyer has a purchase due every `pace_s`."""

    counts: tuple[int, ...]
    buyers: int
    period_s: float
    pace_s: float
    peers: int
    market: str

    def titles(self) -> tuple[str, str]:
        """The two conditions."""
        return "no elections", f"an election every {self.period_s:g} s"

    def steps(self) -> tuple[Step, ...]:
        return (Step(title=" and ".join(self.titles()), seconds=6 + 2 * self.pace_s * sum(self.counts)),)


class Bought(msgspec.Struct, frozen=True, kw_only=True):
    """One purchase of one buyer. `latency_ms` counts from when it was due, `due_s` after the round began."""

    elections: bool  # Whether elections were held in this condition.
    purchases: int  # How many each buyer makes in this round.
    buyer: str
    number: int  # Counts from 1 for each buyer.
    due_s: float
    latency_ms: float


def plan(options: Options) -> ElectionsPlan:
    """The plan for these options; SettingsError for what cannot be measured."""
    options.only("elections", "peers", "purchases", "market")
    period_s = QUICK_PERIOD_S if options.quick else FULL_PERIOD_S
    return ElectionsPlan(
        counts=(options.purchases,) if options.purchases else COUNTS,
        buyers=3,
        period_s=period_s,
        pace_s=period_s / PURCHASES_A_PERIOD,
        peers=options.one_size(6, 4),
        market=options.one_market("vector"),
    )


def read_rounds(folder: Path) -> dict[bool, dict[int, Summary]]:
    """Latencies by condition (with elections?) and purchases a buyer; SettingsError if there are none."""
    latencies: dict[bool, dict[int, list[float]]] = {False: {}, True: {}}
    for row in read_rows(folder / DATA, Bought):
        latencies[row.elections].setdefault(row.purchases, []).append(row.latency_ms)
    return {
        held: {count: summarize(values) for count, values in rounds.items()} for held, rounds in latencies.items()
    }


def find(folder: Path) -> Findings:
    """Sums up the data in `folder`; SettingsError if there are none."""
    made = read_plan(folder, ElectionsPlan)
    rounds = read_rounds(folder)
    last = made.counts[-1]
    sentences = [
        f"With {last} purchases a buyer the mean round trip was {shown(rounds[False][last].mean)} ms without "
        f"elections and {shown(rounds[True][last].mean)} ms with one every {made.period_s:g} s; the medians were "
        f"{shown(rounds[False][last].p50)} and {shown(rounds[True][last].p50)} ms.",
        f"{made.buyers} buyers, {made.peers} peers, market {made.market}; each buyer has a purchase due every "
        f"{made.pace_s:g} s, and a round trip counts from when it was due.",
    ]
    if made.period_s != FULL_PERIOD_S:
        sentences.append(
            f"This was a short run: an election every {made.period_s:g} s instead of {FULL_PERIOD_S:g}, and "
            "purchases as much faster, so that as many of them lie between two elections."
        )
    return Findings(sentences=tuple(sentences), tables=(_table(made, rounds),))


def _table(made: ElectionsPlan, rounds: dict[bool, dict[int, Summary]]) -> Table:
    return Table(
        title="Round trip in milliseconds",
        columns=("purchases a buyer", "condition", "mean", "median", "p99", "max"),
        rows=tuple(
            (
                f"{count}",
                made.titles()[held],
                *(shown(getattr(rounds[held][count], part)) for part in ("mean", "p50", "p99", "max")),
            )
            for count in made.counts
            for held in (False, True)
        ),
    )


KIND = Kind(
    name="elections",
    about="The mean round trip of 10 to 100 purchases a buyer, without elections and with one every 10 s.",
    beside="",
    plan=plan,
    find=find,
)
