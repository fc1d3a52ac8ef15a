"""Files of a town that are derived: for people and other programs, from what the town knows without them.

A disk that is full, or read-only for a while, must not end a town for their sake, nor must whoever removes them while
it runs. Where one cannot be written it is left as it was, that is said once, and it is tried again until it succeeds.
A folder that is gone is made anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path


class DerivedFiles:
    """Writes and removes such files below `home`, the town's directory, which it never makes itself. `warn` is told,
    in one line, when writing begins to fail, and when all is written again."""

    def __init__(self, home: Path, warn: Callable[[str], None]) -> None:
        self._home = home
        self._warn = warn
        # What is still to be written, the latest for each file.
        self._waiting: dict[Path, Callable[[], None]] = {}
        # What could not be removed, and was said to be so.
        self._stays: set[Path] = set()

    def write(self, path: Path, write: Callable[[], None]) -> bool:
        """Calls `write`, which puts the whole file at `path`, or leaves that to `retry`. Whether it is there now."""
        was_well = not self._waiting
        try:
            self._write(path, write)
        except OSError as error:
            self._waiting[path] = write
            if was_well:
                why = error.strerror or error
                self._warn(f"{path} cannot be written ({why}): it is tried again, and trade does not wait for it")
            return False
        self._waiting.pop(path, None)
        if not was_well and not self._waiting:
            self._warn(f"the files in {path.parent} can be written again, and are up to date")
        return True

    def _write(self, path: Path, write: Callable[[], None]) -> None:
        try:
            write()
        except FileNotFoundError:
            make_anew(path.parent, self._home)
            write()

    def remove(self, paths: Iterable[Path]) -> None:
        """Removes these files, as far as that can be done; of those that have to stay, the first is said, once."""
        refused: list[str] = []
        for path in paths:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                if path not in self._stays:
                    refused.append(f"{path} cannot be removed ({error.strerror or error})")
                self._stays.add(path)
        if refused:
            others = f", nor can {len(refused) - 1} more" if len(refused) > 1 else ""
            self._warn(f"{refused[0]}{others}: the next town here does that")

    def retry(self) -> None:
        """Writes what could not be written; gives up at the first that still cannot."""
        for path, write in tuple(self._waiting.items()):
            if not self.write(path, write):
                return


def make_anew(folder: Path, home: Path) -> None:
    """Makes a folder below `home` if it is gone, but never `home` itself: that is lost with all that was in it.

    OSError if it cannot be made."""
    for each in reversed((folder, *folder.parents)):
        if home in each.parents:
            each.mkdir(exist_ok=True)


def found_in(folder: Path, pattern: str) -> list[Path]:
    """Returns what there is in a folder by names of this form; nothing where the folder is gone, or just goes."""
    try:
        return list(folder.glob(pattern))
    except OSError:
        return []
