"""The time of a chaos run: it goes on at its pace, whatever happens to the clock on the wall meanwhile."""

from __future__ import annotations

import time

import pytest

from peers.chaos.history import History


@pytest.mark.parametrize("step_s", [-3600, 3600])
def test_a_step_of_the_wall_clock_moves_no_fault(monkeypatch: pytest.MonkeyPatch, step_s: int) -> None:
    history = History()
    history.begin()
    wall_ns = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: wall_ns() + step_s * 10**9)
    assert 0 <= history.now_s() < 60
