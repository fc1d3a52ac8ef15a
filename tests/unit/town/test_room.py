"""A town that this machine has no room for is refused before anything is started, with what to do."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from peers.errors import SettingsError
from peers.town.plan.room import _allowed_threads, check_room
from peers.town.terminals.run import _raise_file_limit


@pytest.fixture
def cgroup(tmp_path: Path) -> Path:
    """A container without limits."""
    for name in ("memory.max", "pids.max"):
        (tmp_path / name).write_text("max\n")
    return tmp_path


def test_there_is_room_for_a_few(cgroup: Path) -> None:
    check_room(6, cgroup)
    check_room(6, cgroup / "of no version")


def test_memory_of_the_machine(cgroup: Path) -> None:
    with pytest.raises(SettingsError, match="MB of memory"):
        check_room(10_000_000, cgroup)


@pytest.mark.parametrize(
    ("limit", "used"),
    [("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes")],
)
def test_memory_of_a_container(cgroup: Path, limit: str, used: str) -> None:
    (cgroup / "memory").mkdir()
    (cgroup / limit).write_text("1000000000")
    (cgroup / used).write_text("700000000")
    (cgroup / used).with_name("memory.stat").write_text("anon 5\ninactive_file 100000000\nfile 7\n")
    check_room(40, cgroup)
    with pytest.raises(SettingsError, match="50 peers need about 450 MB of memory, and 400 MB are free: start fewer"):
        check_room(50, cgroup)


def test_threads_of_a_container(cgroup: Path) -> None:
    (cgroup / "pids.max").write_text("1000\n")
    (cgroup / "pids.current").write_text("400\n")
    check_room(40, cgroup)
    with pytest.raises(SettingsError, match="about 750 threads, and 600 are allowed here: start fewer, or raise"):
        check_room(50, cgroup)


def test_open_files(cgroup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        resource, "getrlimit", lambda what: (256, 256) if what == resource.RLIMIT_NOFILE else (-1, -1)
    )
    check_room(28, cgroup)
    with pytest.raises(SettingsError, match="up to 400 files open, and 256 are allowed here"):
        check_room(100, cgroup)


def test_a_machine_that_does_not_say_has_no_limit(cgroup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _what: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    check_room(100, cgroup)


def test_where_a_limit_of_processes_does_not_count_threads_it_is_none_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _what: (2666, 4000))
    (tmp_path / "threads-max").write_text("100000\n")
    assert _allowed_threads(tmp_path / "no cgroup", tmp_path) == 2666
    assert _allowed_threads(tmp_path / "no cgroup", tmp_path / "no such kernel") > 1_000_000


@pytest.mark.parametrize(
    ("limits", "grants", "then"),
    [
        ((1024, 524_288), 1 << 20, [65_536]),
        ((1024, 4096), 1 << 20, [4096]),
        ((256, resource.RLIM_INFINITY), 1 << 20, [65_536]),
        ((256, resource.RLIM_INFINITY), 61_440, [65_536, 10_240]),  # as macOS has it
        ((4096, 4096), 4096, []),
        ((100_000, 524_288), 1 << 20, []),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), 1 << 20, []),
    ],
)
def test_as_many_files_as_are_granted(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], grants: int, then: list[int]
) -> None:
    asked = []

    def setrlimit(_what: int, wanted: tuple[int, int]) -> None:
        asked.append(wanted[0])
        assert wanted[1] == limits[1], "what may be asked for later stays as it is"
        if wanted[0] > grants:
            raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _what: limits)
    monkeypatch.setattr(resource, "setrlimit", setrlimit)
    _raise_file_limit()
    assert asked == then
