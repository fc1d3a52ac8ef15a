"""`response`: each request of each buyer through several elections, with the peaks where the trader changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from plots.results.experiments.kind import Findings, Kind, Options, Step, Table, steps
from plots.results.experiments.record import read_plan
from plots.results.latency import shown, summarize
from plots.results.rows import read_rows

REQUESTS, CHANGES = "requests.csv", "elections.csv"


class ResponsePlan(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes. `period_s` lies between two elections; each buyer has so many purchases, one due every `pace_s`."""

    buyers: int
    purchases: int
    pace_s: float
    period_s: float
    peers: int
    market: str

    def steps(self) -> tuple[Step, ...]:
        return steps((f"an election every {self.period_s:g} s",), 6 + self.purchases * self.pace_s)


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """One request. `due_s` is after the beginning, and the latency counts from there."""

    buyer: str
    number: int  # Counts from 1 for each buyer.
    due_s: float
    latency_ms: float


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A change of trader: when the post fell empty, after the beginning, and how long until the next took office."""

    at_s: float
    took_ms: float
    trader: str


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """The data of one run."""

    requests: list[Answered]
    changes: list[Change]

    def met(self, request: Answered) -> bool:
        """Whether the post was empty at any time while this request waited."""
        until_s = request.due_s + request.latency_ms / 1000
        return any(
            request.due_s < change.at_s + change.took_ms / 1000 and until_s > change.at_s for change in self.changes
        )


def plan(options: Options) -> ResponsePlan:
    """The plan for these options; SettingsError for what cannot be measured."""
    options.only("response", "peers", "purchases", "market")
    period_s, pace_s, purchases = (2.0, 0.04, 250) if options.quick else (10.0, 0.1, 600)
    return ResponsePlan(
        buyers=3,
        purchases=options.purchases or purchases,
        pace_s=pace_s,
        period_s=period_s,
        peers=options.one_size(6, 4),
        market=options.one_market("vector"),
    )


def read_course(folder: Path) -> Course:
    """The data in `folder`; SettingsError if there are none."""
    return Course(requests=read_rows(folder / REQUESTS, Answered), changes=read_rows(folder / CHANGES, Change))


def find(folder: Path) -> Findings:
    """Sums up the data in `folder`; SettingsError if there are none."""
    made, course = read_plan(folder, ResponsePlan), read_course(folder)
    met = [each.latency_ms for each in course.requests if course.met(each)]
    others = [each.latency_ms for each in course.requests if not course.met(each)]
    sentences = [
        f"{made.buyers} buyers with a request due every {made.pace_s * 1000:g} ms each, through "
        f"{len(course.changes)} changes of trader; {len(met)} of {len(course.requests):,} requests met one.",
    ]
    if met and others:
        sentences.append(
            f"Those took {shown(summarize(met).p50)} ms in the median and {shown(max(met))} ms at worst, "
            f"all others {shown(summarize(others).p50)} ms in the median."
        )
    empty = [change.took_ms for change in course.changes]
    sentences.append(f"The post was empty for {shown(summarize(empty).p50)} ms in the median.")
    rows = _rows("met an election", met) + _rows("met none", others)
    columns = ("requests that", "count", "mean", "median", "p99", "max")
    return Findings(
        sentences=tuple(sentences),
        tables=(Table(title="Milliseconds a request", columns=columns, rows=tuple(rows)),),
    )


def _rows(title: str, values: Sequence[float]) -> list[tuple[str, ...]]:
    if not values:
        return []
    found = summarize(values)
    return [(title, f"{found.count:,}", *map(shown, (found.mean, found.p50, found.p99, found.max)))]


KIND = Kind(
    name="response",
    about="Each request of each buyer through elections, with the peaks where the trader changes.",
    beside="",
    plan=plan,
    find=find,
)
