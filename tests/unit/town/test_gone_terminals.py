"""Peers of a terminal that was killed count as gone, though their files say nothing; all others are as they were."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from peers.process_identity import has_ended, identity_of
from peers.town.files.directory import Directory
from peers.town.files.peer_states import TERMINAL_ENDED, PeerState, live_graph
from tests.helpers.waiting import wait_until

Process = subprocess.Popen[bytes]


@pytest.fixture
def process() -> Iterator[Process]:
    """One that is a terminal, as far as anybody can see."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as started:
        yield started
        started.kill()


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    made = Directory(tmp_path / "town")
    made.make()
    return made


def peer(rank: int, pid: int, process: str | None = None, *neighbours: str) -> PeerState:
    return PeerState(
        name=f"buyer{rank}",
        rank=rank,
        role="buyer",
        pid=pid,
        uri="",
        neighbours=neighbours,
        town_pid=pid,
        town_process=identity_of(pid) if process is None else process,
    )


def gone(directory: Directory) -> list[str]:
    return [state.name for state in directory.read_peers() if state.ended is not None]


def test_peers_of_a_killed_terminal_are_gone_and_that_is_written_down(directory: Directory, process: Process) -> None:
    directory.write_peer(peer(0, os.getpid(), None, "buyer1"))
    directory.write_peer(peer(1, process.pid, None, "buyer0"))
    reader = Directory(directory.path)
    assert gone(directory) == gone(reader) == []
    assert live_graph(directory.read_peers()) == {"buyer0": ["buyer1"], "buyer1": ["buyer0"]}
    process.kill()
    # It has not been waited for, so its number is still taken.
    wait_until(lambda: gone(reader) == ["buyer1"], "who was killed is gone")
    assert live_graph(reader.read_peers()) == {"buyer0": []}
    process.wait()
    assert gone(reader) == ["buyer1"]
    before_ns = directory.peers_changed_ns()
    directory.note_gone()
    assert directory.peers_changed_ns() != before_ns, "whoever draws the graph must notice"
    written = msgspec.json.decode((directory.path / "peers" / "buyer1.json").read_bytes(), type=PeerState)
    assert (written.ended, written.ended_at_ms is not None) == (TERMINAL_ENDED, True)
    directory.note_gone()
    assert written == directory.read_peers()[1], "it is said once"


def test_whoever_has_its_number_now_is_another(directory: Directory, process: Process) -> None:
    place, _, began = identity_of(process.pid).rpartition("/")
    before = f"{place}/{int(began) - 1}" if place else repr(float(began) - 1)
    directory.write_peer(peer(0, process.pid, before))
    directory.write_peer(peer(1, process.pid))
    assert gone(directory) == ["buyer0"]


def test_who_says_nothing_of_its_terminal_is_gone_with_its_number(directory: Directory, process: Process) -> None:
    """As an earlier version writes it."""
    directory.write_peer(peer(0, process.pid, ""))
    assert gone(directory) == []
    process.kill()
    process.wait()
    assert gone(directory) == ["buyer0"]


def test_of_another_machine_or_container_nothing_is_known_here(directory: Directory, process: Process) -> None:
    process.kill()
    process.wait()
    directory.write_peer(peer(0, process.pid, "0badc0de/pid:[4026531836]/77"))
    directory.write_peer(peer(1, process.pid, "0badc0de//77"))
    assert gone(directory) == []
    directory.note_gone()
    assert gone(directory) == []


def test_how_a_peer_ended_is_not_said_again(directory: Directory, process: Process) -> None:
    ended = msgspec.structs.replace(peer(0, process.pid), ended="killed by SIGKILL", ended_at_ms=7)
    directory.write_peer(ended)
    process.kill()
    process.wait()
    assert directory.read_peers() == [ended]


def test_an_identity_is_the_same_at_each_look_and_of_one_process_only(process: Process) -> None:
    assert identity_of(process.pid) == identity_of(process.pid) != ""
    assert identity_of(os.getpid()) != identity_of(process.pid)
    assert not has_ended(process.pid, identity_of(process.pid))
    process.kill()
    process.wait()
    assert identity_of(process.pid) == ""
