"""The end of a terminal: whatever a step of it fails with, the others are done and nothing is raised."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from peers.errors import TownError
from peers.town.ending import StepOfEnd, done_anyway


@pytest.mark.parametrize("error", [OSError(30, "Read-only file system"), TownError("why"), RuntimeError("no thread")])
def test_what_fails_is_said_in_one_line_and_not_raised(error: Exception) -> None:
    said: list[str] = []

    async def fail() -> None:
        raise error

    async def succeed() -> None:
        """There is nothing to do."""

    assert not asyncio.run(done_anyway("forgetting", said.append, fail()))
    assert said == [f"forgetting failed ({error}); the rest is done all the same"]
    assert asyncio.run(done_anyway("remembering", said.append, succeed()))
    assert len(said) == 1


def test_a_fault_of_ours_is_said_to_be_one_and_its_trace_is_kept() -> None:
    said: list[str] = []
    with StepOfEnd("counting", said.append):
        raise KeyError("buyer1")
    assert "counting failed (there is a fault in this program: KeyError: 'buyer1'; please send us " in said[0]
    kept = Path(said[0].partition("please send us ")[2].partition(")")[0])
    assert "test_ending.py" in kept.read_text()
    kept.unlink()


def test_whoever_tells_the_program_to_end_is_heard() -> None:
    said: list[str] = []
    with pytest.raises(KeyboardInterrupt), StepOfEnd("counting", said.append):
        raise KeyboardInterrupt
    assert not said
