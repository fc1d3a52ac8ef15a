"""A journal whose disk is full: nothing follows from what is not noted, and no part of a line stays behind."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest

from peers.core.market.records import PurchaseRequest
from peers.core.membership.clocks import LamportStamp
from peers.core.reports import Asked, JournalBack, JournalTrouble, Report
from peers.errors import TownError
from peers.runtime.journal import Journal, NotedFirst
from peers.runtime.logs import open_log
from tests.helpers.room import no_room_beyond


def asked(number: int) -> Asked:
    clock = LamportStamp(lamport=number)
    request = PurchaseRequest(request_id=f"r{number}", buyer="buyer0", item="fish", quantity=1, clock=clock)
    return Asked(peer="buyer0", request=request)


def lines(directory: Path) -> list[str]:
    text = (directory / "journals" / "buyer0.jsonl").read_text()
    assert text.endswith("\n")
    return [json.loads(line)["request"]["request_id"] for line in text.splitlines()]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path


def test_what_is_not_noted_holds_back_what_follows_from_it(directory: Path) -> None:
    clock, said, done = Clock(), list[Report](), list[str]()
    journal = Journal(directory, "buyer0")
    gate = NotedFirst(journal, "buyer0", said.append, clock)
    gate.publish(asked(1), 1)
    gate.then(lambda: done.append("asked for 1"))
    size = (directory / "journals" / "buyer0.jsonl").stat().st_size
    with no_room_beyond(size + 20):
        gate.publish(asked(2), 2)
        gate.then(lambda: done.append("asked for 2"))
        clock.now += 1
        gate.look()
        gate.publish(asked(3), 3)
        assert lines(directory) == ["r1"], "half a line would hide all after it"
        assert done == ["asked for 1"]
        assert [type(report) for report in said] == [Asked, JournalTrouble]
    gate.look()
    assert gate.is_behind, "it is not tried at every turn"
    clock.now += 1
    gate.look()
    assert lines(directory) == ["r1", "r2", "r3"]
    assert done == ["asked for 1", "asked for 2"]
    assert [type(report) for report in said] == [Asked, JournalTrouble, JournalBack, Asked, Asked]
    journal.close()


def test_the_next_line_that_finds_room_takes_the_earlier_ones_with_it(directory: Path) -> None:
    said = list[Report]()
    journal = Journal(directory, "buyer0")
    gate = NotedFirst(journal, "buyer0", said.append)
    with no_room_beyond(0):
        gate.publish(asked(1), 1)
    gate.publish(asked(2), 2)
    assert lines(directory) == ["r1", "r2"]
    assert [type(report) for report in said] == [JournalTrouble, JournalBack, Asked, Asked]
    journal.close()


def test_a_customer_from_outside_is_told_that_it_cannot_be_noted(directory: Path) -> None:
    journal = Journal(directory, "buyer0")
    with no_room_beyond(10), pytest.raises(TownError, match="journal of buyer0 cannot be written"):
        journal.write(1, "asked", request={"request_id": "r1"})
    journal.write(2, "asked", request={"request_id": "r2"})
    assert lines(directory) == ["r2"]
    journal.close()


def test_a_log_without_room_leaves_lines_out_and_says_how_many(directory: Path) -> None:
    log = open_log(directory, "buyer0")
    log.info("first")
    path = directory / "logs" / "buyer0.log"
    with no_room_beyond(path.stat().st_size + 5):
        log.info("second")
        log.info("third")
    log.info("fourth")
    log.info("fifth")
    whole = []
    for line in path.read_text().splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            whole.append(json.loads(line))
    assert [each["event"] for each in whole] == ["first", "left out for want of room", "fourth", "fifth"]
    assert whole[1]["lines"] == 2
