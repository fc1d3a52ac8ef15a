"""What an exit code says does not depend on whether the output could be written, and no traceback reaches a user."""

from __future__ import annotations

import errno
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from peers.output import ForgivingStream, forgiving

REPLAY = ("simulate", "--replay", "3", "--peers", "5")
FULL = Path("/dev/full")


def program(then: str) -> list[str]:
    """The program, with a replay that ends in `then`."""
    stub = f"def stub(*_arguments, **_named):\n    print('line\\n' * 20_000)\n    {then}\n"
    patch = "from peers.simulator import terminal\nterminal.show_replay = stub\n"
    return [sys.executable, "-c", f"{stub}{patch}from peers.cli.main import main\nmain()", *REPLAY]


REAL = [sys.executable, "-m", "peers.cli", *REPLAY]
HOLDS, VIOLATED, CANNOT_TELL = (program(f"return {code}") for code in range(3))
PROGRAMS = [(REAL, 0), (HOLDS, 0), (VIOLATED, 1), (CANNOT_TELL, 2)]


def said(command: list[str], stdout: int, **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | environment,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(("command", "code"), PROGRAMS)
def test_a_reader_that_is_gone_changes_no_exit_code(command: list[str], code: int) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert said(command, writing) == (code, "")
    finally:
        os.close(writing)


@pytest.mark.skipif(not FULL.exists(), reason="no device here that is always full")
@pytest.mark.parametrize(("command", "code"), PROGRAMS)
def test_a_full_disk_changes_no_exit_code(command: list[str], code: int) -> None:
    with FULL.open("w") as full:
        ended, errors = said(command, full.fileno())
    assert ended == code
    assert errors == "bazaar: not all of the output could be written (No space left on device)\n"


@pytest.mark.skipif(not FULL.exists(), reason="no device here that is always full")
def test_even_where_errors_cannot_be_said_the_exit_code_is_right(tmp_path: Path) -> None:
    with FULL.open("w") as full:
        for command, code in (VIOLATED, 1), ([*REAL[:3], "status", "--dir", str(tmp_path)], 2):
            done = subprocess.run(command, stdout=full, stderr=full, timeout=60, check=False)
            assert done.returncode == code


@pytest.mark.parametrize(("command", "code"), PROGRAMS)
def test_a_closed_output_changes_no_exit_code(command: list[str], code: int) -> None:
    closing = ["sh", "-c", 'exec "$@" >&- 2>&-', "sh", *command]
    assert subprocess.run(closing, timeout=60, check=False).returncode == code


def test_a_character_that_is_unknown_there_is_spelled_out(tmp_path: Path) -> None:
    strange = program(r"print('\u2026 \udcff'); return 0")
    for encoding, expected in (("ascii", r"\u2026 \udcff"), ("utf-8", "\u2026 " + r"\udcff")):
        output = tmp_path / encoding
        with output.open("wb") as file:
            assert said(strange, file.fileno(), PYTHONIOENCODING=encoding) == (0, "")
        assert output.read_text(encoding="utf-8").endswith(f"{expected}\n")


def test_a_fault_of_the_program_is_one_line_and_a_code_of_its_own(tmp_path: Path) -> None:
    for how in ("raise KeyError('fish')", "raise BrokenPipeError(32, 'of a connection')"):
        code, errors = said(program(how), subprocess.DEVNULL, TMPDIR=str(tmp_path))
        assert code == 70
        assert errors.startswith("bazaar: ")
        assert errors.count("\n") == 1
        named = re.search(rf"{re.escape(str(tmp_path))}\S+", errors)
        assert named is not None, errors
        assert "Traceback" in Path(named.group()).read_text()


class _FullForAWhile(io.StringIO):
    is_full = False

    def write(self, text: str) -> int:
        if self.is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(text)


def test_output_goes_on_once_the_disk_has_room_again() -> None:
    disk = _FullForAWhile()
    out = ForgivingStream(disk)
    out.write("one\n")
    disk.is_full = True
    out.write("two\n")
    disk.is_full = False
    out.write("three\n")
    assert disk.getvalue() == "one\nthree\n"
    assert out.failure is not None
    assert not out.is_reader_gone


@pytest.mark.skipif(not FULL.exists(), reason="the system has no file that is always full")
def test_a_file_that_is_full_can_be_closed_once_it_is_settled() -> None:
    with FULL.open("w", encoding="utf-8") as out:
        stream = forgiving(out)
        stream.write("the last words")
        stream.settle()
        assert stream.failure is not None
