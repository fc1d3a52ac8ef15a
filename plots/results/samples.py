"""The raw data of a latency experiment: one CSV per condition, kept so that a figure can be drawn again.

The columns are the contract with whoever analyses the data elsewhere; `read_samples` refuses a file that has others.
"""

from __future__ import annotations

import csv
import datetime
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from peers.errors import SettingsError
from peers.files import written_whole


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
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as file:
        out = io.TextIOWrapper(file, encoding="utf-8", newline="")
        writer = csv.writer(out)
        writer.writerow(COLUMNS)
        for sample in samples:
            row = msgspec.structs.asdict(sample)
            row["latency_ms"] = f"{sample.latency_ms:.4f}"
            row["election"] = int(sample.election)
            writer.writerow(row.values())
        out.detach()  # Everything is written out by this, and the file stays open.


def read_samples(path: Path) -> list[Sample]:
    """Returns what `write_samples` wrote; SettingsError if it is not there, or something else."""
    try:
        with path.open(newline="") as lines:
            reader = csv.DictReader(lines)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise SettingsError(f"{path} has other columns than {', '.join(COLUMNS)}: run the experiment again")
            samples = [msgspec.convert(row, Sample, strict=False) for row in reader]
    except (OSError, UnicodeError, msgspec.ValidationError) as error:
        raise SettingsError(f"{path} cannot be read ({error}): run the experiment first") from error
    if not samples:
        raise SettingsError(f"{path} has no purchases in it: run the experiment again")
    return samples


def latencies(samples: Sequence[Sample]) -> list[float]:
    return [sample.latency_ms for sample in samples]
