"""The tally of a mixture: which seeds have held, and with which code, in as many sittings as it takes.

A seed has held once, with whatever code; one that failed has not, and is played again. Which code played it is known
by a checksum of all that takes part: the core, the simulator, the ledger and the audit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

import db
import peers
from peers.errors import SettingsError
from peers.files import write_json
from peers.simulator.runs.runner import Part

_TAKES_PART = ((peers, ("core", "simulator", "errors.py", "files.py")), (db, ("ledger", "audit", "schema")))

Range = tuple[int, int]
"""The first and the last seed of a range."""


class Sitting(msgspec.Struct, kw_only=True):
    """What one version of the code has played: ranges that held, seeds that failed and with what."""

    code: str
    held: list[Range] = msgspec.field(default_factory=list)
    failed: dict[int, list[str]] = msgspec.field(default_factory=dict)
    virtual_s: float = 0.0
    decisions: int = 0


class Tally(msgspec.Struct, kw_only=True):
    """All sittings, a version of the code each, in the order in which they began."""

    sittings: list[Sitting] = msgspec.field(default_factory=list)

    @property
    def held(self) -> list[Range]:
        """The seeds that have held with some version of the code."""
        return join(each for sitting in self.sittings for each in sitting.held)

    def sitting(self, code: str) -> Sitting:
        """Returns that of this version, a new one if there is none."""
        found = next((each for each in self.sittings if each.code == code), None)
        if found is None:
            found = Sitting(code=code)
            self.sittings.append(found)
        return found

    def missing(self, seeds: range) -> list[int]:
        """Returns which of the seeds have not held yet, in order."""
        missing: list[int] = []
        next_seed = seeds.start
        for first, last in self.held:
            missing += range(next_seed, min(first, seeds.stop))
            next_seed = max(next_seed, last + 1)
        return [*missing, *range(next_seed, seeds.stop)]


def take_in(sitting: Sitting, part: Part) -> None:
    """Adds what was played just now."""
    summary = part.summary
    failed = {failure.seed: [str(breach) for breach in failure.breaches] for failure in summary.failures}
    played = [seed for seed in part.seeds if seed not in failed]
    sitting.held = join([*sitting.held, *((seed, seed) for seed in played)])
    for seed in played:
        sitting.failed.pop(seed, None)
    sitting.failed |= failed
    sitting.virtual_s += summary.virtual_s
    sitting.decisions += summary.decisions


def join(ranges: Iterable[Range]) -> list[Range]:
    """Returns the same numbers in as few ranges as can be, in order."""
    joined: list[Range] = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return joined


def count(ranges: Sequence[Range]) -> int:
    """Returns how many numbers there are in ranges that do not overlap."""
    return sum(last - first + 1 for first, last in ranges)


def load_tally(path: Path) -> Tally:
    """Reads a tally, an empty one if there is no file yet. SettingsError for a file that is none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Tally)
    except FileNotFoundError:
        return Tally()
    except OSError as error:
        raise SettingsError(f"--tally {path} cannot be read: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise SettingsError(f"--tally {path} is no tally ({error}); name another file, or a new one") from error


def save_tally(tally: Tally, path: Path) -> None:
    """Writes a tally down. OSError if it cannot be written."""
    write_json(path, tally)


def code_checksum() -> str:
    """Returns 12 hexadecimal digits that change with any file that takes part in a schedule."""
    digest = hashlib.sha256()
    for file in _sources():
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _sources() -> Iterator[Path]:
    for package, names in _TAKES_PART:
        top = Path(str(package.__file__)).parent
        for name in names:
            yield from sorted((top / name).rglob("*.py")) if (top / name).is_dir() else [top / name]
