"""`buyers`: purchases a second and their latency, as buyers are added."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from peers.errors import SettingsError
from plots.results.experiments.kind import Findings, Kind, Options, Step, Table
from plots.results.experiments.record import read_plan
from plots.results.latency import Summary, shown, summarize
from plots.results.rows import read_rows

TURNS, LATENCIES = "turns.csv", "latencies.csv"


class BuyersPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes. Each number of buyers has `turns` of `turn_s`, the numbers in turns."""

    buyers: tuple[int, ...]
    turns: int
    turn_s: float
    peers: int
    market: str

    def steps(self) -> tuple[Step, ...]:
        seconds = 6 + 0.2 * max(self.buyers) + self.turns * (self.turn_s + 0.3) * len(self.buyers)
        return (Step(title=f"{self.buyers[0]} to {self.buyers[-1]} buyers", seconds=seconds),)


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One turn: how many were answered in how long."""

    buyers: int
    turn: int
    answered: int
    took_s: float


class Waited(msgspec.Struct, frozen=True, kw_only=True):
    """One purchase of a turn."""

    buyers: int
    turn: int
    latency_ms: float


class Crowd(msgspec.Struct, frozen=True, kw_only=True):
    """What so many buyers reached together; the rates are those of all turns, the worst and the best."""

    buyers: int
    per_s: float
    worst_per_s: float
    best_per_s: float
    latency_ms: Summary


def plan(options: Options) -> BuyersPlan:
    """The plan for these options; SettingsError for what cannot be measured."""
    options.only("buyers", "peers", "market")
    return BuyersPlan(
        buyers=(1, 2, 4, 8, 16) if options.quick else (1, 2, 4, 8, 16, 32, 64),
        turns=2 if options.quick else 4,
        turn_s=0.6 if options.quick else 2.0,
        peers=options.one_size(6),
        market=options.one_market("lamport"),
    )


def read_crowds(folder: Path) -> list[Crowd]:
    """The data in `folder`, fewest buyers first; SettingsError if there are none."""
    waited: dict[int, list[float]] = {}
    for row in read_rows(folder / LATENCIES, Waited):
        waited.setdefault(row.buyers, []).append(row.latency_ms)
    turns: dict[int, list[Turn]] = {}
    for turn in read_rows(folder / TURNS, Turn):
        turns.setdefault(turn.buyers, []).append(turn)
    if waited.keys() != turns.keys():
        raise SettingsError(f"{folder / TURNS} and {LATENCIES} are of different runs: run the experiment again")
    return [_crowd(buyers, turns[buyers], waited[buyers]) for buyers in sorted(turns)]


def _crowd(buyers: int, turns: list[Turn], latencies_ms: list[float]) -> Crowd:
    rates = [turn.answered / turn.took_s for turn in turns]
    return Crowd(
        buyers=buyers,
        per_s=sum(turn.answered for turn in turns) / sum(turn.took_s for turn in turns),
        worst_per_s=min(rates),
        best_per_s=max(rates),
        latency_ms=summarize(np.asarray(latencies_ms)),
    )


def find(folder: Path) -> Findings:
    """Sums up the data in `folder`; SettingsError if there are none."""
    made, crowds = read_plan(folder, BuyersPlan), read_crowds(folder)
    fewest, best = crowds[0], max(crowds, key=lambda crowd: crowd.per_s)
    sentences = (
        f"{_buyers(fewest.buyers)} reached {fewest.per_s:,.0f} purchases a second; {best.buyers} reached the most, "
        f"{best.per_s:,.0f}, which is {best.per_s / fewest.per_s:.1f} times as many.",
        f"The median latency went from {shown(fewest.latency_ms.p50)} to {shown(crowds[-1].latency_ms.p50)} ms with "
        f"{crowds[-1].buyers} buyers.",
        f"Each buyer is a process and asks again once it is answered; {made.peers} peers, market {made.market}.",
    )
    table = Table(
        title="As buyers are added",
        columns=("buyers", "purchases a second", "worst and best turn", "mean ms", "median ms", "p99 ms", "max ms"),
        rows=tuple(
            (
                f"{each.buyers}",
                f"{each.per_s:,.0f}",
                f"{each.worst_per_s:,.0f} to {each.best_per_s:,.0f}",
                *(shown(getattr(each.latency_ms, part)) for part in ("mean", "p50", "p99", "max")),
            )
            for each in crowds
        ),
    )
    return Findings(sentences=sentences, tables=(table,))


def _buyers(number: int) -> str:
    return "One buyer" if number == 1 else f"{number} buyers"


KIND = Kind(
    name="buyers",
    about="Purchases a second and their latency, as buyers are added.",
    beside="",
    plan=plan,
    find=find,
)
