"""A prompt whose history cannot be kept says so once, and is a prompt all the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from peers.shop.prompt import make_reader
from tests.helpers.room import no_room_beyond

pytestmark = pytest.mark.timeout(30)

UP = "\x1b[A"


def typed(history: Path, *keys: str, before: Callable[[], None] = lambda: None) -> tuple[list[str], list[str]]:
    """Types something for each prompt; returns the lines that were read, and what was warned of."""
    warned: list[str] = []
    with create_pipe_input() as terminal, create_app_session(input=terminal, output=DummyOutput()):
        read = make_reader(history, lambda: ["fish"], warned.append)
        before()
        lines = []
        for each in keys:
            terminal.send_text(each)
            lines.append(read("> "))
    return lines, warned


@pytest.fixture
def history(tmp_path: Path) -> Path:
    return tmp_path / "anna.history"


def test_what_was_typed_is_there_the_next_time(history: Path) -> None:
    assert typed(history, "buy fish\r", "look\r") == (["buy fish", "look"], [])
    assert history.stat().st_mode & 0o777 == 0o600
    assert typed(history, f"{UP}{UP}\r") == (["buy fish"], [])


def test_a_full_disk_is_said_once_and_stops_nobody(history: Path) -> None:
    with no_room_beyond(0):
        lines, warned = typed(history, "buy fish\r", "look\r", f"{UP}{UP}\r")
    assert lines == ["buy fish", "look", "buy fish"]  # Within the visit it is known.
    (said,) = warned
    assert "what you type is not kept for the next visit" in said
    assert "File too large" in said


def test_a_place_where_no_file_can_be_is_said_once(history: Path) -> None:
    history.mkdir()
    lines, warned = typed(history, "buy fish\r", "look\r")
    assert lines == ["buy fish", "look"]
    assert len(warned) == 1
    assert "Is a directory" in warned[0]


def test_a_folder_that_is_taken_away_is_said_once(tmp_path: Path) -> None:
    folder = tmp_path / "customers"
    folder.mkdir()

    def take_away() -> None:
        (folder / "anna.history").unlink()
        folder.rmdir()

    lines, warned = typed(folder / "anna.history", "buy fish\r", "look\r", before=take_away)
    assert lines == ["buy fish", "look"]
    assert len(warned) == 1
    assert "No such file" in warned[0]


def test_what_is_no_text_is_read_and_not_kept(history: Path) -> None:
    """So a terminal gives a byte that is no UTF-8."""
    lines, warned = typed(history, "look\r")
    assert warned == []
    history_before = history.read_bytes()
    with create_pipe_input() as terminal, create_app_session(input=terminal, output=DummyOutput()):
        read = make_reader(history, lambda: ["fish"], warned.append)
        terminal.send_bytes(b"buy fi\xffsh\r")
        lines.append(read("> "))
    assert lines == ["look", "buy fi\udcffsh"]
    assert warned == []
    assert history.read_bytes() == history_before
