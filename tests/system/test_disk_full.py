"""A disk that is full for a while: a file system of its own, filled to the last byte, under a real town."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from db.audit.journals import FOLDER
from tests.helpers.waiting import wait_until
from tests.system.helpers.town import Town, running_town

pytestmark = pytest.mark.system


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(filler: Path) -> None:
    """Takes all there is, the last bytes one by one."""
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 64, 1):
            while True:
                try:
                    file.write(bytes(size))
                except OSError:
                    break
    assert not os.statvfs(filler.parent).f_bavail


def nobody_asks(town: Town, buyers: list[str]) -> bool:
    return all(f"{name} cannot write its journal (No space left on device)" in town.output() for name in buyers)


def test_a_disk_that_is_full_for_a_while_ends_nobody_and_nothing_is_told_that_is_not_noted(disk: Path) -> None:
    place = disk / "town"
    place.mkdir()
    said = disk.parent / "said.txt"
    (place / "output.txt").symlink_to(said)  # What it says is read while there is no room.
    with running_town(place, 6, "--think-s", "0.01", "--resign-after", 0, "--set", "market.stock=1000") as town:
        town.wait_for_sales(20)
        peers = town.peers()
        buyers = [name for name, peer in peers.items() if peer["role"] == "buyer" and name != town.post()["trader"]]
        fill(disk / "filler")
        wait_until(lambda: nobody_asks(town, buyers), what=f"{buyers} ask for nothing")
        for journal in (place / FOLDER).glob("*.jsonl"):
            assert journal.read_bytes()[-1:] in (b"\n", b""), f"half a line in {journal.name}"
        town.child("mongod").kill()  # So it ends by itself where it finds no room.
        wait_until(lambda: "mongod cannot be started" in town.output(), what="mongod finds no room")
        (disk / "filler").unlink()
        town.wait_for_sales(20)
        assert "mongod is back" in town.output()
        assert town.output().count("mongod cannot be started") == 1, "more than once"
        assert town.peers().keys() == peers.keys()
        wait_until(lambda: town.output().count("can write its journal again") >= len(buyers), what="all go on")
        assert town.stop() == 0, town.output()[-6000:]
        assert "audit: holds" in town.output()
        assert "Traceback" not in town.output()
