"""What is asked for besides a verdict: a place that will not do is refused, and a full disk changes no verdict."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from peers.cli.main import invoke
from peers.simulator.faults import FaultOptions
from peers.simulator.mixture.showing import show_mixture
from tests.helpers.room import no_room_beyond
from tests.simulation.planted import MISTAKES

FULL = 10
"""So many bytes find room."""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--mixture", "--tally"],
        ["--mixture", "--save"],
        ["--save"],
        ["--trace"],
        ["--replay", "1", "--shiviz"],
        ["--mixture", "--replay", "1", "--shiviz"],
    ],
)
def test_a_place_that_cannot_be_written_to_is_refused_before_anything_is_played(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    (tmp_path / "file").write_text("no folder")
    place = tmp_path / "file" / "besides"
    assert invoke(["simulate", *arguments, str(place)]) == 2
    said = capsys.readouterr()
    assert f"{arguments[-1]} {place} cannot be written to (" in said.err.replace("\n", " ")
    assert said.out == ""


@pytest.mark.parametrize("option", ["--trace", "--shiviz"])
def test_a_folder_that_is_missing_is_made(tmp_path: Path, option: str) -> None:
    place = tmp_path / "not" / "yet"
    which = ["--seeds", "1"] if option == "--trace" else ["--replay", "1"]
    assert invoke(["simulate", *which, option, str(place)]) == 0
    assert place.stat().st_size


@pytest.mark.parametrize("arguments", [["--seeds", "1-2", "--trace"], ["--replay", "1", "--shiviz"]])
def test_on_a_full_disk_what_holds_still_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    with no_room_beyond(FULL):
        assert invoke(["simulate", *arguments, str(tmp_path / "besides")]) == 0
    assert "cannot be written" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [], "and no part of it is left"


def test_on_a_full_disk_what_is_violated_is_violated_and_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planted = next(mistake for mistake in MISTAKES if mistake.name == "successor_counts_from_one")
    seed = str(planted.seeds[0])
    with planted.plant(), no_room_beyond(FULL):
        assert invoke(["simulate", "--seeds", seed, "--jobs", "1", "--save", str(tmp_path / "saved")]) == 1
    said = capsys.readouterr().out
    assert "cannot be written" in said
    assert f"see it again: bazaar simulate --replay {seed}" in said, "by its seed, for there is no file"


def test_a_tally_that_finds_no_room_ends_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("peers.simulator.mixture.showing._SAVE_EVERY_S", 0.0)
    out, tally = io.StringIO(), tmp_path / "tally.json"
    console = Console(file=out, soft_wrap=True)
    with no_room_beyond(FULL):
        assert show_mixture(console, range(1, 3), FaultOptions(), jobs=1, to=None, tally_at=tally) == 0
    assert f"--tally {tally} cannot be written" in out.getvalue()
    assert not tally.exists()
