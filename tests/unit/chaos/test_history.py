"""The time of a chaos run: it goes on at its pace, whatever happens to the clock on the wall meanwhile."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from peers.chaos.history import History, first_told_s
from peers.runtime.journal import Journal

STEPS_S = [-3600, 3600]


def set_the_clock(monkeypatch: pytest.MonkeyPatch, step_s: int) -> None:
    wall_ns = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: wall_ns() + step_s * 10**9)


@pytest.mark.parametrize("step_s", STEPS_S)
def test_a_step_of_the_wall_clock_moves_no_fault(monkeypatch: pytest.MonkeyPatch, step_s: int) -> None:
    history = History()
    history.begin()
    set_the_clock(monkeypatch, step_s)
    assert 0 <= history.now_s() < 60


@pytest.mark.parametrize("step_s", STEPS_S)
def test_a_step_of_the_wall_clock_moves_no_sale(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, step_s: int) -> None:
    """Whoever was told first says when it counts from, though its clock on the wall was set before."""
    history = History()
    history.begin()
    journals = [Journal(tmp_path, name) for name in ("buyer0", "seller0")]
    for number, (journal, kind) in enumerate(zip(journals, ("told", "earned"), strict=True)):
        record = {"request_id": "r", "status": "sold", "seq": 1, "term": 1}
        journal.write(time.time_ns() // 1_000_000, kind, **{"outcome" if kind == "told" else "sale": record})
        journal.close()
        if not number:
            first_s = time.monotonic()
            set_the_clock(monkeypatch, step_s)
    told_s = first_told_s(tmp_path)
    assert set(told_s) == {"r"}
    assert 0 <= history.at_s(told_s["r"]) <= history.at_s(first_s)
