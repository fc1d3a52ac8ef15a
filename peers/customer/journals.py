"""The journals of a customer, one at each post it trades at: each post is audited by those of its own area."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from peers.runtime.journal import Journal


class Journals:
    """The journals of customer `name`. `directories`: of each area the directory that its journals are in, None where
    none are kept. Each is opened when first needed; TownError if it cannot be written."""

    def __init__(self, name: str, directories: Mapping[str, Path | None]) -> None:
        self._name = name
        self._directories = directories
        self._open: dict[str, Journal] = {}

    def note(self, area: str, kind: str, **payload: Any) -> None:
        """Writes down what was asked of the post of `area`, or told by it."""
        directory = self._directories.get(area)
        if directory is None:
            return
        if area not in self._open:
            self._open[area] = Journal(directory, self._name)
        self._open[area].write(time.time_ns() // 1_000_000, kind, **payload)

    def close(self) -> None:
        """Closes them all."""
        for journal in self._open.values():
            journal.close()
