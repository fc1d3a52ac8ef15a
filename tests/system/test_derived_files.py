"""What a town writes for people and other programs may be removed, or be refused by the disk: the town lives on, ends
in order, and its audit is what its exit code says."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from db.mongod.process import MongodProcess
from tests.helpers.processes import words_of
from tests.helpers.waiting import wait_until
from tests.system.helpers.towns import RunningTown, stub_town

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

RUN = (sys.executable, "-m", "peers.cli", "run", "localhost")
Start = Callable[..., RunningTown]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    towns = []

    def start_one(**options: object) -> RunningTown:
        towns.append(stub_town(tmp_path / "town", **options))  # type: ignore[arg-type]
        return towns[-1]

    yield start_one
    for town in towns:
        town.kill()


def take_away(folder: Path, place: Path) -> None:
    """Removes it from a town, whatever is just written there; `place` is for what is thrown away."""
    gone = place / f"{folder.name}-gone"
    folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def ends_well(town: RunningTown) -> None:
    town.interrupt()
    assert town.wait() == 0, town.text
    assert "audit: holds" in town.text
    assert "Traceback" not in town.text
    town.left_nothing()


def test_folders_that_are_removed_while_it_runs_are_made_anew(start: Start, tmp_path: Path) -> None:
    town = start()
    town.says("I am the new coordinator")

    def all_have_told() -> bool:
        # An edge is in the graph as soon as either end has told of it.
        return len(town.network()) == 4 and all(peer["neighbours"] for peer in town.peers().values())

    wait_until(all_have_told, "the graph is written, and by each peer what it knows of it")
    before = town.peers()
    for folder in ("peers", "logs"):
        take_away(town.directory / folder, tmp_path)
    server = next(each for each in town.note_family() if "nameserver" in words_of(each.pid))
    server.kill()
    town.says("the name server is back")
    wait_until(lambda: town.peers() == before, "the peers' files are back")
    assert (town.directory / "logs" / "nameserver.log").exists()
    ends_well(town)


@pytest.mark.long
def test_the_folder_of_an_area_that_is_removed_while_it_runs_ends_no_town(tmp_path: Path) -> None:
    directory = tmp_path / "town"
    command = [*RUN, "8", "--dir", str(directory), "--areas", "north,south"]
    town = RunningTown(command, directory, tmp_path / "said.txt")
    try:
        north = directory / "areas" / "north"
        town.says("north: buyer")
        wait_until(lambda: len(list(north.glob("peers/*.json"))) == 4, "the peers of the north are written down")
        take_away(north, tmp_path)
        wait_until(lambda: len(list(north.glob("peers/*.json"))) == 4, "they are again")
        wait_until(lambda: len(json.loads((north / "network.json").read_text())) == 4, "their graph is again")
        ends_well(town)
    finally:
        town.kill()


def _mount(*words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["mount", *words], capture_output=True, check=False)


@pytest.fixture
def make_read_only() -> Iterator[Callable[[Path], None]]:
    """Has nothing be written below a folder any more, by whoever opens it from then on."""
    mounted: list[Path] = []

    def make(folder: Path) -> None:
        bind = _mount("--bind", str(folder), str(folder))
        if bind.returncode:
            pytest.skip(f"no file system can be mounted here: {bind.stderr.decode().strip()}")
        mounted.append(folder)
        # It is refused in a moment in which somebody has a file open there to write to.
        read_only = ("-o", "remount,bind,ro", str(folder))
        wait_until(lambda: _mount(*read_only).returncode == 0, "nothing is just being written")

    yield make
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_disk_that_is_read_only_at_the_end_keeps_nothing_running_and_overrules_no_audit(
    start: Start, tmp_path: Path, make_read_only: Callable[[Path], None]
) -> None:
    with MongodProcess(tmp_path / "books") as mongod:
        town = start(mongo=mongod.uri)
        town.says("I am the new coordinator")
        wait_until(lambda: len(town.network()) == 4, "the graph is written")
        make_read_only(town.directory)
        ends_well(town)
        assert town.text.count("cannot be removed (Read-only file system), nor can 3 more") == 1, town.text
