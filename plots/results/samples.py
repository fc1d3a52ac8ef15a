"""The raw data of a sequential run: one CSV a condition, kept so that a figure can be drawn again."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from plots.results.rows import read_rows, write_rows


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One purchase, as its customer saw it. Outcome and latency are those of the whole request, retries included."""

    iteration: int  # Counts from 1.
    latency_ms: float  # Lasts from the first try to the answer.
    term: int  # The term of the trader that decided.
    trader: str
    seq: int  # The number of the decision in the books.
    # Whether this is the first purchase from another trader, so that an election lies between it and the one before.
    election: bool
    started_at: str  # The time of day in UTC, as in ISO 8601.


COLUMNS = Sample.__struct_fields__


def stamp(at_s: float) -> str:
    """A time of day as it is written down."""
    return datetime.datetime.fromtimestamp(at_s, datetime.UTC).isoformat(timespec="microseconds")


def write_samples(path: Path, samples: Iterable[Sample]) -> None:
    """Writes `path`, whole or not at all."""
    write_rows(path, Sample, samples)


def read_samples(path: Path) -> list[Sample]:
    """Returns what `write_samples` wrote; SettingsError if it is not there, or something else."""
    return read_rows(path, Sample)


def latencies(samples: Sequence[Sample]) -> list[float]:
    return [sample.latency_ms for sample in samples]
