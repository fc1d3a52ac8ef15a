"""The sequential experiment on disk: what it was like, the data of both conditions, and what they come to."""

from __future__ import annotations

from pathlib import Path

import msgspec

from peers.errors import SettingsError
from plots.results.latency import Summary, summarize
from plots.results.samples import latencies, read_samples

FIGURE = "sequential.png"
SETUP = "setup.json"


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """What a run was like; kept beside its data."""

    purchases: int = 1000
    peers: int = 6
    every: int = 100
    seed: int = 1

    def check(self) -> None:
        """Raises SettingsError for what cannot be measured."""
        if self.purchases < 1:
            raise SettingsError("--purchases: 1 or more")
        if self.peers < 2:
            raise SettingsError("--peers: 2 or more")
        if self.every < 1:
            raise SettingsError("--every: 1 or more purchases between two elections")


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One condition as measured. `audit_code` is None where the data were only drawn again."""

    name: str
    title: str
    csv: str
    latency_ms: Summary
    elections: int
    audit_code: int | None = None


class Result(msgspec.Struct, frozen=True, kw_only=True):
    setup: Setup
    figure: str
    runs: tuple[Run, ...]

    @property
    def exit_code(self) -> int:
        """The worst of the audits: 1 violated, else 2 could not tell, else 0."""
        codes = {run.audit_code for run in self.runs}
        return 1 if 1 in codes else 2 if 2 in codes else 0


class Condition(msgspec.Struct, frozen=True):
    """One of the two runs, and what to call it; `resign_after` is the number of sales between two elections, or 0."""

    name: str
    title: str
    resign_after: int

    @property
    def csv(self) -> str:
        """The file of its data."""
        return f"{self.name}.csv"


def plans(setup: Setup) -> tuple[Condition, Condition]:
    """Returns the two conditions."""
    return (
        Condition("no-elections", "No elections", 0),
        Condition("elections", f"An election every {setup.every:,} purchases", setup.every),
    )


def sum_up(folder: Path, audit_codes: list[int | None] | None = None) -> Result:
    """Sums up the data in `folder`; SettingsError if there are none."""
    setup = read_setup(folder)
    conditions = plans(setup)
    runs = []
    for condition, code in zip(conditions, audit_codes or [None] * len(conditions), strict=True):
        samples = read_samples(folder / condition.csv)
        runs.append(
            Run(
                name=condition.name,
                title=condition.title,
                csv=str(folder / condition.csv),
                latency_ms=summarize(latencies(samples)),
                elections=sum(sample.election for sample in samples),
                audit_code=code,
            )
        )
    return Result(setup=setup, figure=str(folder / FIGURE), runs=tuple(runs))


def read_setup(folder: Path) -> Setup:
    """What the experiment in `folder` was like; SettingsError if there is none."""
    path = folder / SETUP
    try:
        return msgspec.json.decode(path.read_bytes(), type=Setup)
    except (OSError, msgspec.MsgspecError) as error:
        raise SettingsError(f"{path} cannot be read ({error}): run the experiment first") from error
