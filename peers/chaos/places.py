"""Where a chaos run keeps what it finds, and where its town lives.

A town must begin with an empty directory, so one that is not empty is emptied: never one that others made. What
says that a chaos run made it is a file that nobody else makes, by its name and by what is in it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from peers.chaos.events import HISTORY
from peers.chaos.plan import PLAN
from peers.chaos.verdict import VERDICT, VERDICT_TEXT
from peers.errors import SettingsError, TownError
from peers.files import check_place, write_whole
from peers.town.files.directory import Directory

_MARK = ".made-by-bazaar-chaos"
_MARK_SAYS = b"bazaar chaos made this directory for a town, and empties it before the next.\n"
_FINDINGS = (PLAN, HISTORY, VERDICT, VERDICT_TEXT, "figure.png")
"""What a run leaves in `out`. All of it is of one run, so what an earlier one left goes when another begins."""

_LOCK = "lock"  # The file by which a directory is claimed must stay what it is.


def make_places(out: Path, town: Path, *, option: str) -> Directory:
    """Makes the folder `out` for what is found, with nothing of an earlier run in it, and an empty directory for the
    town, claimed. `option` is the one that says where that is.

    SettingsError or TownError where these are not to be used: nothing was deleted then."""
    _check_ours(town, option)
    if town.resolve() in (out.resolve(), *out.resolve().parents):
        raise SettingsError(f"--out {out} is in {town}, which is emptied for each town: choose another {option}")
    directory = Directory(town)
    try:
        _claim(directory, option)
        check_place("--out", out, is_folder=True)
        with _usable(out, "--out"):
            for name in _FINDINGS:
                (out / name).unlink(missing_ok=True)
        with _usable(town, option):
            for path in town.iterdir():
                if path.name not in (_MARK, _LOCK):
                    _remove(path)
        directory.make()
    except BaseException:
        directory.let_go()
        raise
    return directory


def _claim(directory: Directory, option: str) -> None:
    town = directory.path
    with _usable(town, option):
        town.mkdir(parents=True, exist_ok=True)
    if not directory.claim():
        raise TownError(f"a town runs in {town}: end it, or choose another {option}")
    _check_ours(town, option)  # Once more, for another town may have been here since.
    with _usable(town, option):
        write_whole(town / _MARK, _MARK_SAYS)


def _check_ours(town: Path, option: str) -> None:
    """Raises TownError if anything is there that no chaos run has made."""
    with _usable(town, option):
        has_more = town.exists() and any(path.name != _LOCK for path in town.iterdir())
        if has_more and not _is_ours(town):
            raise TownError(f"{town} is not empty and not of a chaos run: choose another {option}")


def _is_ours(town: Path) -> bool:
    mark = town / _MARK
    return mark.is_file() and not mark.is_symlink() and mark.read_bytes() == _MARK_SAYS


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


@contextmanager
def _usable(place: Path, option: str) -> Iterator[None]:
    """Whatever the system refuses within is said to be for the place that `option` chose."""
    try:
        yield
    except OSError as error:
        raise TownError(f"{place} cannot be used ({error.strerror or error}): choose another {option}") from error
