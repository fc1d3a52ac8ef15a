"""Files of a town that are derived: for people and other programs, from what the town knows without them.

A disk that is full, or read-only for a while, must not end a town for their sake. Where one cannot be written it is
left as it was, that is said once, and it is tried again until it succeeds.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


class DerivedFiles:
    """Writes such files. `warn` is told, in one line, when writing begins to fail, and when all is written again."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        # What is still to be written, the latest for each file.
        self._waiting: dict[Path, Callable[[], None]] = {}

    def write(self, path: Path, write: Callable[[], None]) -> bool:
        """Calls `write`, which puts the whole file at `path`, or leaves that to `retry`. Whether it is there now."""
        was_well = not self._waiting
        try:
            write()
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

    def retry(self) -> None:
        """Writes what could not be written; gives up at the first that still cannot."""
        for path, write in tuple(self._waiting.items()):
            if not self.write(path, write):
                return
