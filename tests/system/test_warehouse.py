"""A real town of two areas over one stock: both sell out of it, and one takes over for another that is frozen."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from tests.helpers.waiting import wait_until
from tests.system.helpers.town import BAZAAR
from tests.system.helpers.towns import RunningTown, bazaar

Document = dict[str, Any]
NORTH, SOUTH = "north", "south"


class Warehouse:
    """A running town with one warehouse, its books, and what it says."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.said = directory.parent / "out.txt"
        options = ("--market", "warehouse", "--set", "market.cache=push", "--resign-after", "0")
        command = [*BAZAAR, "run", "localhost", "8", "--dir", str(directory), *options]
        self.town = RunningTown(command, directory, self.said)
        self.town.says("the markets open")
        self._client: MongoClient[Document] = MongoClient(self.status()["mongo_uri"], serverSelectionTimeoutMS=5000)
        self.books = self._client["bazaar"]

    def close(self) -> None:
        self._client.close()

    def status(self) -> Document:
        status: Document = json.loads(bazaar("status", "--json", "--dir", str(self.directory)).stdout)
        return status

    def holder(self, area: str) -> Document:
        post = self.books.posts.find_one({"_id": "main"}) or {}
        holder: Document = post.get("areas", {}).get(area, {})
        return holder

    def sells(self, area: str, more: int = 5) -> None:
        """Waits until so many more sales are recorded at the post of an area."""
        before = self._sales(area)
        wait_until(lambda: self._sales(area) >= before + more, f"{more} more sales in {area}")

    def _sales(self, area: str) -> int:
        return int(self.books.requests.count_documents({"status": "sold", "area": area}))

    def pids(self, area: str) -> list[int]:
        return [int(peer["pid"]) for peer in self.status()["peers"] if peer["area"] == area]


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    running = Warehouse(tmp_path / "town")
    yield running
    running.close()
    running.town.kill()


def test_two_traders_sell_out_of_one_warehouse_and_one_stands_in_for_the_other(warehouse: Warehouse) -> None:
    for area in (NORTH, SOUTH):
        warehouse.sells(area)
    listed = {area["name"]: area["trader"] for area in warehouse.status()["areas"]}
    assert listed == {area: warehouse.holder(area)["trader"] for area in (NORTH, SOUTH)}
    across = {"status": "sold", "area": NORTH, "foretold": "promised"}
    wait_until(lambda: warehouse.books.requests.count_documents(across), "a promise was kept")
    before = warehouse.holder(SOUTH)
    frozen = warehouse.pids(SOUTH)
    for pid in frozen:  # All of them, so that nobody there can elect another first.
        os.kill(pid, signal.SIGSTOP)
    try:
        fellow = warehouse.holder(NORTH)["trader"]
        warehouse.town.says(f"{NORTH}: {fellow}: I have taken over {SOUTH}")
        wait_until(lambda: warehouse.holder(SOUTH)["trader"] == fellow, "the books say so")
        warehouse.sells(NORTH)
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
    wait_until(lambda: warehouse.holder(SOUTH)["term"] > before["term"] + 1, "the south has elected its own again")
    warehouse.town.says(f"{fellow} gives {SOUTH} back")
    for area in (NORTH, SOUTH):
        warehouse.sells(area)
    warehouse.town.interrupt()
    assert warehouse.town.wait() == 0, "the audit holds"
