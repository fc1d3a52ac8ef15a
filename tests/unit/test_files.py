"""Files that are whole or not there."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from peers.files import PRIVATE, write_json, write_whole, written_whole
from tests.helpers.waiting import wait_until


def test_what_is_written_is_there_and_nothing_beside_it(tmp_path: Path) -> None:
    write_whole(tmp_path / "a", b"one")
    write_whole(tmp_path / "a", b"two")
    write_json(tmp_path / "b.json", {"fish": [1, None]})
    assert (tmp_path / "a").read_bytes() == b"two"
    assert (tmp_path / "b.json").read_text() == '{\n  "fish": [\n    1,\n    null\n  ]\n}\n'
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b.json"]


def test_one_who_fails_half_way_leaves_what_was_there(tmp_path: Path) -> None:
    write_whole(tmp_path / "a", b"before")

    def fail() -> None:
        with written_whole(tmp_path / "a") as out:
            out.write(b"half of ")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"before"]


def test_one_who_is_killed_half_way_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_whole(path, b"before")
    program = (
        "import sys, time; from pathlib import Path; from peers.files import written_whole\n"
        "with written_whole(Path(sys.argv[1])) as out:\n"
        " out.write(b'half of '); out.flush(); print(flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
    assert path.read_bytes() == b"before"
    write_whole(path, b"after")
    assert path.read_bytes() == b"after"


def test_what_is_private_is_so_from_the_start(tmp_path: Path) -> None:
    write_whole(tmp_path / "a", b"was public")
    with written_whole(tmp_path / "a", mode=PRIVATE) as out:
        assert stat.S_IMODE(os.fstat(out.fileno()).st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600


def test_it_is_on_the_disk_before_it_has_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a loss of power would show it, so this looks at the order of calls."""
    calls: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def note_sync(handle: int) -> None:
        calls.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    def note_move(self: Path, to: Path) -> Path:
        calls.append("move")
        return replace(self, to)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(Path, "replace", note_move)
    write_whole(tmp_path / "a", b"one")
    assert calls == ["file", "move", "folder"]


def test_a_reader_never_meets_half_a_file_however_many_write(tmp_path: Path) -> None:
    path = tmp_path / "a"
    contents = [letter * 100_000 for letter in (b"a", b"b", b"c")]
    write_whole(path, contents[0])
    ended = threading.Event()

    def write(content: bytes) -> None:
        while not ended.is_set():
            write_whole(path, content, durable=False)

    writers = [threading.Thread(target=write, args=(content,)) for content in contents]
    for writer in writers:
        writer.start()
    seen: set[bytes] = set()

    def look() -> bool:
        content = path.read_bytes()
        assert content in contents
        seen.add(content[:1])
        return len(seen) == len(contents)

    try:
        wait_until(look)
    finally:
        ended.set()
        for writer in writers:
            writer.join()
    assert [each.name for each in tmp_path.iterdir()] == ["a"]
