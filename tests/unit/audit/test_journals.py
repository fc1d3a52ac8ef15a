"""Journals are read as they are: whole, torn, broken or being written."""

from __future__ import annotations

from pathlib import Path

import pytest

from db.audit.journals import Torn, Unreadable, journal_files, read_journal, trim_torn_tail
from db.audit.rows import JournalEntry

ENTRY = b'{"at_ms": 7, "peer": "buyer0", "kind": "told", "outcome": {"_id": "r1", "status": "sold", "seq": 1}}\n'


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    (tmp_path / "journals").mkdir()
    return tmp_path / "journals" / "buyer0.jsonl"


def test_whole_lines_are_entries(journal: Path) -> None:
    journal.write_bytes(ENTRY + b"\n" + ENTRY)
    one, two = read_journal(journal)
    assert one == two
    assert isinstance(one, JournalEntry)
    assert one.outcome == {"_id": "r1", "status": "sold", "seq": 1}


@pytest.mark.parametrize("cut", range(1, len(ENTRY) - 1))
def test_a_last_line_without_an_end_is_torn_wherever_it_was_cut(journal: Path, cut: int) -> None:
    journal.write_bytes(ENTRY + ENTRY[:cut])
    entry, last = read_journal(journal)
    assert isinstance(entry, JournalEntry)
    assert last == Torn(path=journal)


def test_a_line_that_is_being_written_is_not_read_in_two_parts(journal: Path) -> None:
    journal.write_bytes(ENTRY + ENTRY[:30])
    reading = read_journal(journal)
    assert isinstance(next(reading), JournalEntry)
    assert next(reading) == Torn(path=journal)
    with journal.open("ab") as file:
        file.write(ENTRY[30:] + ENTRY)
    assert list(reading) == []
    assert sum(isinstance(line, JournalEntry) for line in read_journal(journal)) == 3


def test_a_whole_last_entry_needs_no_end(journal: Path) -> None:
    journal.write_bytes(ENTRY.rstrip())
    assert all(isinstance(line, JournalEntry) for line in read_journal(journal))


@pytest.mark.parametrize(
    "line", [b"nonsense\n", b"[]\n", b'{"kind": "told"}\n', b'{"peer": 1, "kind": "told"}\n', b"\xff\n"]
)
def test_a_whole_line_that_is_no_entry_is_unreadable(journal: Path, line: bytes) -> None:
    journal.write_bytes(ENTRY + line + ENTRY)
    _, middle, last = read_journal(journal)
    assert isinstance(middle, Unreadable)
    assert middle.why.startswith("buyer0.jsonl, line 2: ")
    assert isinstance(last, JournalEntry)


def test_a_journal_that_cannot_be_opened_is_unreadable(journal: Path) -> None:
    journal.mkdir()
    (only,) = read_journal(journal)
    assert isinstance(only, Unreadable)
    assert "buyer0.jsonl cannot be read" in only.why


def test_a_town_without_journals_has_none(tmp_path: Path, journal: Path) -> None:
    assert journal_files(tmp_path) == []
    journal.write_bytes(ENTRY)
    (journal.parent / "notes.txt").write_text("no journal")
    assert journal_files(tmp_path) == [journal]
    assert journal_files(tmp_path / "nowhere") == []


@pytest.mark.parametrize("whole", [b"", ENTRY, ENTRY * 3, ENTRY * 2000])
@pytest.mark.parametrize("tail", [b"", ENTRY[:20], b"x" * 200_000])
def test_a_torn_tail_is_cut_off_and_nothing_else(journal: Path, whole: bytes, tail: bytes) -> None:
    journal.write_bytes(whole + tail)
    assert trim_torn_tail(journal) == len(tail)
    assert journal.read_bytes() == whole


def test_a_journal_yet_to_be_written_has_no_torn_tail(journal: Path) -> None:
    assert trim_torn_tail(journal) == 0
    assert not journal.exists()
