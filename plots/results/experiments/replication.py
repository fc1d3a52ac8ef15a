"""`replication`: what each write level costs, how long trade stands still when a primary falls, and what is lost."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from peers.core.names import WriteLevel
from plots.results.experiments.kind import Findings, Kind, Options, Step, Table
from plots.results.experiments.record import read_plan
from plots.results.latency import Summary, shown, summarize
from plots.results.rows import read_rows

PURCHASES = "purchases.csv"
RATES = "rates.csv"
STRIKES = "strikes.csv"

LEVELS: tuple[WriteLevel, ...] = ("majority", "two", "one")
Blow = Literal["killed", "frozen", "cut off", "split"]
"""What befalls a primary. `split`: cut off from the other members, while the trader still reaches it."""

BLOWS: tuple[Blow, ...] = ("killed", "frozen", "cut off", "split")

SPEED = "speed at all levels"
"""The title of the step in which speed is measured."""

_STRIKE_S = 9.0


class Blows(msgspec.Struct, frozen=True, kw_only=True):
    """At this level, that befalls the primary so many times."""

    level: WriteLevel
    blow: Blow
    times: int


class ReplicationPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Towns of `peers`, one a level: first their speed in three members, then one primary after another falls.

    Many customers together have `turns` of `turn_s` in each town."""

    levels: tuple[WriteLevel, ...]
    peers: int
    purchases: int
    customers: int
    turns: int
    turn_s: float
    blows: tuple[Blows, ...]

    def blows_title(self, level: WriteLevel) -> str:
        """What the step is called in which primaries fall."""
        return f"primaries fall at level {level}"

    def times(self, level: WriteLevel) -> int:
        """How many primaries fall at that level."""
        return sum(each.times for each in self.blows if each.level == level)

    def steps(self) -> tuple[Step, ...]:
        speed = 20 + len(self.levels) * (self.turns * self.turn_s + 0.005 * self.purchases)
        falls = (
            Step(title=self.blows_title(level), seconds=8 + _STRIKE_S * self.times(level)) for level in self.levels
        )
        return (Step(title=SPEED, seconds=speed), *falls)


class Purchase(msgspec.Struct, frozen=True, kw_only=True):
    """One of several purchases one after another, of one customer."""

    level: str
    number: int
    latency_ms: float


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """How many purchases a second so many customers made together."""

    level: str
    customers: int
    per_s: float


class Strike(msgspec.Struct, frozen=True, kw_only=True):
    """One fall of a primary: how long nobody was told anything, how many purchases were told from the blow until
    trade went on, and how many of all that were told before that are not in the log."""

    level: str
    blow: str
    number: int
    pause_ms: float
    told: int
    lost: int


class Falls(msgspec.Struct, frozen=True, kw_only=True):
    """All falls of one kind at one level. `losing`: how many of them lost something."""

    level: str
    blow: str
    pause_ms: Summary
    lost: int
    losing: int


def plan(options: Options) -> ReplicationPlan:
    """The plan for these options; SettingsError for what cannot be measured."""
    options.only("replication", "peers", "purchases")
    few: tuple[tuple[WriteLevel, Blow, int], ...] = (
        ("majority", "killed", 1),
        ("two", "killed", 1),
        ("one", "split", 1),
    )
    many: tuple[tuple[WriteLevel, Blow, int], ...] = (
        *(("majority", blow, 20) for blow in BLOWS),
        ("two", "killed", 20),
        *(("one", blow, 20) for blow in BLOWS if blow in ("killed", "split")),
    )
    return ReplicationPlan(
        levels=LEVELS,
        peers=options.one_size(4),
        purchases=options.purchases or (200 if options.quick else 1000),
        customers=16,
        turns=1 if options.quick else 8,
        turn_s=1.0,
        blows=tuple(
            Blows(level=level, blow=blow, times=times) for level, blow, times in (few if options.quick else many)
        ),
    )


def read_falls(folder: Path) -> list[Falls]:
    """The falls in `folder`, by level and blow; SettingsError if there are none."""
    found: dict[tuple[str, str], list[Strike]] = {}
    for row in read_rows(folder / STRIKES, Strike):
        found.setdefault((row.level, row.blow), []).append(row)
    return [
        Falls(
            level=level,
            blow=blow,
            pause_ms=summarize([row.pause_ms for row in rows]),
            lost=sum(row.lost for row in rows),
            losing=sum(row.lost > 0 for row in rows),
        )
        for (level, blow), rows in found.items()
    ]


def read_latencies(folder: Path) -> dict[str, Summary]:
    """The latency of a purchase by level; SettingsError if there is none in `folder`."""
    return {
        level: summarize([row.latency_ms for row in rows])
        for level, rows in _by_level(read_rows(folder / PURCHASES, Purchase)).items()
    }


def read_rates(folder: Path) -> dict[str, Rate]:
    """The purchases a second by level; SettingsError if there are none in `folder`."""
    return {row.level: row for row in read_rows(folder / RATES, Rate)}


def _by_level(rows: Iterable[Purchase]) -> dict[str, list[Purchase]]:
    found: dict[str, list[Purchase]] = {}
    for row in rows:
        found.setdefault(row.level, []).append(row)
    return found


def find(folder: Path) -> Findings:
    """Sums up the data in `folder`; SettingsError if there are none."""
    made = read_plan(folder, ReplicationPlan)
    latencies, rates, falls = read_latencies(folder), read_rates(folder), read_falls(folder)
    sentences = [
        "A purchase took "
        + ", ".join(f"{shown(latencies[level].p50)} ms at level {level}" for level in made.levels)
        + " in the median, in three members on one machine.",
    ]
    for level in made.levels:
        ours = [each for each in falls if each.level == level]
        count, lost = sum(each.pause_ms.count for each in ours), sum(each.lost for each in ours)
        longest = float(np.median([each.pause_ms.p50 for each in ours])) / 1000 if ours else 0.0
        what = "no purchase that was told" if not lost else f"{lost:,} purchases that were told"
        times = "1 fall" if count == 1 else f"{count} falls"
        sentences.append(f"At level {level} {times} lost {what}; trade went on after {longest:.1f} s.")
    speed = Table(
        title="Speed by level, three members",
        columns=("level", "mean ms", "median ms", "p99 ms", f"a second, {made.customers} customers"),
        rows=tuple(
            (
                level,
                *(shown(getattr(latencies[level], part)) for part in ("mean", "p50", "p99")),
                f"{rates[level].per_s:,.0f}",
            )
            for level in made.levels
        ),
    )
    strikes = Table(
        title="What the fall of a primary costs",
        columns=("level", "primary", "times", "no trade, median s", "worst s", "lost purchases", "times with a loss"),
        rows=tuple(
            (
                each.level,
                each.blow,
                f"{each.pause_ms.count}",
                f"{each.pause_ms.p50 / 1000:.2f}",
                f"{each.pause_ms.max / 1000:.2f}",
                f"{each.lost:,}",
                f"{each.losing}",
            )
            for each in falls
        ),
    )
    return Findings(sentences=tuple(sentences), tables=(speed, strikes))


KIND = Kind(
    name="replication",
    about="What each write level costs, how long trade stands still when a primary falls, and what is lost then.",
    beside="",
    plan=plan,
    find=find,
)
