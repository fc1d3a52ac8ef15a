"""All that one run of the bench found: the report, the latencies themselves, and the files both are kept in."""

from __future__ import annotations

from pathlib import Path

import msgspec

from peers.errors import SettingsError
from peers.files import write_whole
from plots.results.against import Against
from plots.results.life import Elections, Failover, Footprint, LongRun, Start
from plots.results.posts import PostsRate
from plots.results.speed import Course, Lag, Latency, Load, Sized, Sweep, Throughput

REPORT = "bench.json"
_SAMPLES = "samples.json"


class Report(msgspec.Struct, kw_only=True):
    """One run. Sections that were not asked for are empty."""

    machine: str
    seed: int
    seconds: float = 0.0
    latency: list[Latency] = []
    throughput: Throughput | None = None
    lag: Lag | None = None
    open_loop: list[Load] = []
    size: list[Sized] = []
    long_run: LongRun | None = None
    failover: list[Failover] = []
    start: list[Start] = []
    footprint: list[Footprint] = []
    elections: list[Elections] = []
    posts: list[PostsRate] = []
    against: Against | None = None
    audit_codes: dict[str, int | None] = {}
    figures: list[str] = []

    @property
    def exit_code(self) -> int:
        """The worst of the audits: 1 violated, else 2 could not tell, else 0."""
        codes = set(self.audit_codes.values())
        return 1 if 1 in codes else 0 if codes <= {0} else 2


class Samples(msgspec.Struct, kw_only=True):
    """The latencies that a summary does not hold, for figures of how they are distributed."""

    courses: list[Course] = []
    sweeps: list[Sweep] = []


def to_json(report: Report) -> str:
    """The report as it is printed and kept."""
    values = {**msgspec.to_builtins(report), "exit_code": report.exit_code}
    return msgspec.json.format(msgspec.json.encode(values), indent=2).decode()


def write_bench(folder: Path, report: Report, samples: Samples) -> None:
    """Keeps both in `folder`."""
    write_whole(folder / _SAMPLES, msgspec.json.encode(samples))
    write_whole(folder / REPORT, f"{to_json(report)}\n".encode())


def read_bench(folder: Path) -> tuple[Report, Samples]:
    """Reads what `write_bench` kept; SettingsError if it is not there, or something else."""
    try:
        report = msgspec.json.decode((folder / REPORT).read_bytes(), type=Report)
        return report, msgspec.json.decode((folder / _SAMPLES).read_bytes(), type=Samples)
    except (OSError, msgspec.MsgspecError) as error:
        raise SettingsError(f"{folder} holds no bench to draw ({error}): run `bazaar bench` first") from error
