"""A clock on the wall for all processes of a town, which a test sets while they run.

Python reads a `sitecustomize` before any program, so whatever is started with this place in its path asks this clock.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_CUSTOM = """
import os
import time

_time, _time_ns = time.time, time.time_ns


def _off_s():
    try:
        with open(os.environ["CLOCK_OFF_S"]) as file:
            return int(file.read() or 0)
    except (OSError, KeyError, ValueError):
        return 0


time.time = lambda: _time() + _off_s()
time.time_ns = lambda: _time_ns() + _off_s() * 1_000_000_000
"""


class ClockOnTheWall:
    """The clock that processes started from now on go by, off by `off_s` at first."""

    def __init__(self, place: Path, environment: pytest.MonkeyPatch, off_s: int = 0) -> None:
        place.mkdir()
        (place / "sitecustomize.py").write_text(_CUSTOM)
        self._file = place / "off_s"
        self.set(off_s)
        environment.setenv("CLOCK_OFF_S", str(self._file))
        environment.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(place), os.environ.get("PYTHONPATH")))))

    def set(self, off_s: int) -> None:
        """It is off by so much from now on; no process sees a part of it."""
        new = self._file.with_suffix(".new")
        new.write_text(str(off_s))
        new.replace(self._file)
