"""A figure that was measured by the clock on the wall is given only if nobody set that meanwhile."""

from __future__ import annotations

import time

import pytest

from peers.errors import TownError
from plots.measure.apparatus.steady_clock import steady_clock


def test_a_clock_that_goes_on_is_steady() -> None:
    with steady_clock():
        time.monotonic()


@pytest.mark.parametrize("step_s", [-3600.0, -0.05, 0.05, 3600.0])
def test_a_clock_that_was_set_gives_no_figure(step_s: float) -> None:
    ahead_s = 0.0
    with (
        pytest.raises(TownError, match=r"clock was set by .* measure again"),
        steady_clock(lambda: time.time() + ahead_s),
    ):
        ahead_s = step_s


def test_what_failed_within_is_said_first() -> None:
    wall = iter([*[0.0] * 5, *[9.0] * 5])
    with pytest.raises(ValueError, match="first"), steady_clock(lambda: next(wall)):
        raise ValueError("first")
