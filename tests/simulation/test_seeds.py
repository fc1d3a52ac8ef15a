"""Schedules that once found a defect, kept and played again."""

from __future__ import annotations

from pathlib import Path

import pytest

from peers.simulator.runs.play import play
from peers.simulator.scenario import load

SEEDS = sorted((Path(__file__).parent.parent / "seeds").glob("*.json"))


@pytest.mark.parametrize("path", SEEDS, ids=lambda path: path.stem)
def test_what_was_mended_stays_mended(path: Path) -> None:
    scenario = load(path)
    assert scenario.note, "it says what it found"
    assert [str(breach) for breach in play(scenario).breaches] == []


def test_there_are_some() -> None:
    assert SEEDS
