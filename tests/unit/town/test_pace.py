"""Many peers on few processors go slower than usual, unless who opens the town sets a timing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from peers.core.settings import Settings
from peers.town.plan.options import RunOptions, parse_settings
from peers.town.plan.pace import PEERS_A_PROCESSOR, pace_line, slowdown
from peers.town.plan.room import processors


def at(slower: float, *pairs: str) -> Settings:
    return parse_settings(pairs=pairs, shortcuts={}, slow_peer=False, slower=slower)


def test_a_town_that_the_processors_carry_goes_at_the_usual_pace() -> None:
    assert slowdown(2 * PEERS_A_PROCESSOR, 2) == 1
    assert at(1) == Settings()


def test_three_times_as_many_beat_three_times_further_apart_and_wait_three_times_as_long() -> None:
    assert slowdown(300, 2) == 3
    timing, usual = at(slowdown(300, 2)).timing, Settings().timing
    assert timing.heartbeat_interval_s == 3 * usual.heartbeat_interval_s
    assert timing.suspect_s == 3 * usual.suspect_s
    assert timing.call_timeout_s == 3 * usual.call_timeout_s
    assert timing.group_commit_delay_s == usual.group_commit_delay_s
    assert "heartbeats are 0.75 s apart" in pace_line(300, at(3))


@pytest.mark.parametrize("peers", [2, 101, 300, 1000])
def test_whatever_the_pace_the_settings_go_together(peers: int) -> None:
    assert at(slowdown(peers, 0.25)).timing.suspect_s >= 1


def test_who_sets_a_timing_sets_all_of_them() -> None:
    assert at(3, "timing.suspect_s=1") == at(1, "timing.suspect_s=1")
    assert at(3, "market.stock=7").timing == at(3).timing


def test_only_who_opens_the_town_goes_slower() -> None:
    joining = RunOptions(host="localhost", n=300, slower=at(3))
    assert joining.settings == Settings(), "who joins takes over the settings of the town"
    assert joining.as_first().settings == at(3)


@pytest.mark.parametrize(
    ("files", "allowed"),
    [
        pytest.param({}, 4, id="no container"),
        pytest.param({"cpu.max": "max 100000\n"}, 4, id="no limit"),
        pytest.param({"cpu.max": "150000 100000\n"}, 1.5, id="a limit"),
        pytest.param({"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"}, 0.5, id="version 1"),
        pytest.param({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 4, id="version 1, no limit"),
    ],
)
def test_a_container_may_be_allowed_a_part_of_a_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], allowed: float
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: set(range(4)), raising=False)
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert processors(tmp_path) == allowed
