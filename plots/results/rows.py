"""Values on disk as CSV, a row each: the columns are the fields of their type, and a file that has others is refused.

The columns are the contract with whoever analyses the data elsewhere.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import msgspec

from peers.errors import SettingsError
from peers.files import written_whole

Row = TypeVar("Row", bound=msgspec.Struct)


def write_rows(path: Path, kind: type[Row], rows: Iterable[Row]) -> None:
    """Writes `path`, whole or not at all; fractions have four digits, and what is true or false is 1 or 0."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as file:
        out = io.TextIOWrapper(file, encoding="utf-8", newline="")
        writer = csv.writer(out)
        writer.writerow(kind.__struct_fields__)
        for row in rows:
            writer.writerow([_text(value) for value in msgspec.structs.asdict(row).values()])
        out.detach()  # Everything is written out by this, and the file stays open.


def _text(value: object) -> object:
    if isinstance(value, bool):
        return int(value)
    return f"{value:.4f}" if isinstance(value, float) else value


def read_rows(path: Path, kind: type[Row]) -> list[Row]:
    """Returns what `write_rows` wrote, one row or more; SettingsError if it is not there, or something else."""
    columns = kind.__struct_fields__
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            reader = csv.DictReader(lines)
            if tuple(reader.fieldnames or ()) != columns:
                raise SettingsError(f"{path} has other columns than {', '.join(columns)}: run the experiment again")
            rows = [msgspec.convert(row, kind, strict=False) for row in reader]
    except (OSError, UnicodeError, msgspec.ValidationError) as error:
        raise SettingsError(f"{path} cannot be read ({error}): run the experiment first") from error
    if not rows:
        raise SettingsError(f"{path} has nothing in it but its columns: run the experiment again")
    return rows
