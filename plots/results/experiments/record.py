"""What a run of an experiment was like: kept beside its data, once all of them are there."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from peers.errors import SettingsError
from peers.files import write_json

RECORD = "experiment.json"

P = TypeVar("P")


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One run. `load` is how many processes wanted to run in the minute before it began, as the machine says."""

    experiment: str
    plan: dict[str, Any]
    quick: bool
    machine: str
    cores: int
    load: float
    began: str  # The time of day in UTC, as in ISO 8601.
    seconds: float
    audit_codes: dict[str, int | None]

    @property
    def exit_code(self) -> int:
        """The worst of the audits: 1 violated, else 2 could not tell, else 0."""
        return worst(self.audit_codes.values())

    @property
    def is_disturbed(self) -> bool:
        """Whether others used the machine when it began."""
        return self.load > self.cores

    @property
    def conditions(self) -> str:
        """Where and when, in a sentence, and whether others used the machine."""
        sentence = f"{self.machine}; {self.seconds:.0f} s from {self.began[:16].replace('T', ' ')} UTC"
        if self.quick:
            sentence += "; a short run (--quick)"
        if self.is_disturbed:
            sentence += f"; measured under load: {self.load:.0f} other processes wanted these cores"
        return f"{sentence}."


def worst(codes: Iterable[int | None]) -> int:
    """The exit code of several audits: 1 violated, else 2 could not tell (or there was none), else 0."""
    found = set(codes)
    return 1 if 1 in found else 0 if found <= {0} else 2


def write_record(folder: Path, record: Record) -> None:
    """Keeps it in `folder`."""
    write_json(folder / RECORD, record)


def read_record(folder: Path) -> Record:
    """Returns what `write_record` kept; SettingsError if it is not there, or something else."""
    path = folder / RECORD
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record)
    except (OSError, msgspec.MsgspecError) as error:
        raise SettingsError(f"{path} cannot be read ({error}): run the experiment first") from error


def read_plan(folder: Path, kind: type[P]) -> P:
    """Returns the plan of the run in `folder`; SettingsError if there is none of that kind."""
    record = read_record(folder)
    try:
        return msgspec.convert(record.plan, kind)
    except msgspec.ValidationError as error:
        raise SettingsError(
            f"{folder} holds another experiment ({record.experiment}: {error}): choose its folder"
        ) from error
