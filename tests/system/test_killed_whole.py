"""A town that was killed whole leaves books amid their work: an audit finds no fault with that, the next run none."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from tests.system.helpers.towns import RunningTown, bazaar

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]


def start(place: Path, name: str, *options: str) -> RunningTown:
    directory = place / "town"
    command = [sys.executable, "-m", "peers.cli", "run", "localhost", "6", "--dir", str(directory), *options]
    return RunningTown(command, directory, place / f"{name}.txt")


def start_and_end(place: Path, name: str, *options: str) -> RunningTown:
    """Has one trade for a little; its own audit holds."""
    town = start(place, name, "--purchases", "6", *options)
    try:
        assert town.wait() == 0, town.text
    finally:
        town.kill()
    return town


def test_the_audit_of_a_town_that_was_killed_holds(tmp_path: Path) -> None:
    town = start(tmp_path, "killed", "--seed", "1")
    try:
        town.says(" bought ")
        town.note_family()
        town.process.kill()
        town.wait()
        town.left_nothing()
        audited = bazaar("audit", "--dir", str(town.directory))
        assert audited.returncode == 0, audited.stdout
        assert "violated" not in audited.stdout
    finally:
        town.kill()
    again = start(tmp_path, "again", "--purchases", "12")
    try:
        assert again.wait() == 0, again.text
        assert again.state()["at_rest"], "from now on, nothing may be left to decide"
        assert bazaar("audit", "--dir", str(town.directory)).returncode == 0
    finally:
        again.kill()


@pytest.mark.long
def test_a_town_that_was_killed_before_anybody_was_told_anything_starts_again(tmp_path: Path) -> None:
    """Its journals say what was asked for, and its books are empty: that is no fault of theirs."""
    town = start_and_end(tmp_path, "town")
    shutil.rmtree(town.directory / "mongo")
    for journal in (town.directory / "journals").glob("*.jsonl"):
        lines = [line for line in journal.read_text().splitlines() if json.loads(line)["kind"] == "asked"]
        journal.write_text("".join(f"{line}\n" for line in lines))
    start_and_end(tmp_path, "again")


def test_a_town_whose_books_were_removed_says_so(tmp_path: Path) -> None:
    town = start_and_end(tmp_path, "town")
    shutil.rmtree(town.directory / "mongo")
    again = start(tmp_path, "again")
    try:
        assert again.wait() == 2, again.text
        assert "the books are empty, and the journals" in " ".join(again.text.split())
        assert "--fresh" in again.text
    finally:
        again.kill()
    start_and_end(tmp_path, "fresh", "--fresh")
