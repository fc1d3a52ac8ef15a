"""The members of a town's own books: one that cannot be started for a while is said once, and started then."""

from __future__ import annotations

import asyncio
from pathlib import Path

from peers.town.database.replicas import Replicas, all_here
from peers.town.database.replication import Replication
from tests.helpers.waiting import wait_until


class Lines:
    """Takes down what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, line: str, style: str = "") -> None:
        del style
        self.said.append(line)

    def warn(self, line: str) -> None:
        self.said.append(line)

    def count(self, words: str) -> int:
        return sum(words in line for line in self.said)


def test_a_further_member_that_has_no_room_at_first_is_started_once_it_has(tmp_path: Path) -> None:
    home, lines, record = tmp_path / "mongo", Lines(), Replication(wanted=2)
    replicas = Replicas(home, lines, all_here(home, record), record)
    in_the_way = home / "2" / "mongod.owner"
    in_the_way.mkdir(parents=True)

    async def keep_until_it_is_there() -> None:
        keeping = asyncio.create_task(replicas.keep())
        try:
            await asyncio.to_thread(wait_until, lambda: lines.count("trade stops if") >= 1, "the set is looked at")
            await asyncio.to_thread(wait_until, lambda: lines.count("cannot be started") >= 1, "it is said")
            in_the_way.rmdir()
            await asyncio.to_thread(wait_until, replicas.processes[1].alive, "the second runs")
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)

    try:
        replicas.open()
        asyncio.run(keep_until_it_is_there())
        assert lines.count("cannot be started") == 1, lines.said
    finally:
        replicas.close()
