"""A customer whose journal finds no room: what it is told it says, and asks for nothing that it cannot note."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from peers.customer import Customer
from peers.customer.record import AskedFor, AskedRecord, record_in
from peers.errors import TownError
from peers.rpc.forms.public_form import Document
from tests.helpers.room import no_room_beyond


class Served(Customer):
    """A customer whose trader sells whatever is asked for; `sent` counts what it was asked."""

    def __init__(self, directory: Path, record: AskedRecord | None = None) -> None:
        super().__init__("127.0.0.1", 9, name="anna", clock="lamport", directory=directory, record=record)
        self.sent = 0

    def ask(self, method: str, *arguments: Any, within_s: float | None = None, area: str | None = None) -> Any:
        del within_s, area
        if method == "outcome":
            return {"status": "sold", "seq": 1, "term": 1, "request_id": arguments[0]}
        assert method == "buy"
        self.sent += 1
        request: Document = arguments[0]
        return {"status": "sold", "seq": self.sent, "term": 1, **request}


def journal(directory: Path) -> Path:
    return directory / "journals" / "anna.jsonl"


def kinds(directory: Path) -> list[tuple[str, str]]:
    lines = [json.loads(line) for line in journal(directory).read_text().splitlines()]
    return [
        (each["kind"], (each.get("request") or each.get("outcome") or {}).get("request_id", "")) for each in lines
    ]


def room_for_one_request(directory: Path) -> int:
    """How large the journal is once a request more is noted, by that of an equal one before."""
    lines = journal(directory).read_bytes().splitlines(keepends=True)
    return journal(directory).stat().st_size + len(lines[1])


def test_an_answer_is_given_though_it_finds_no_room_and_noted_before_the_next_request(tmp_path: Path) -> None:
    with Served(tmp_path) as anna:
        anna.buy("fish", request_id="a-1")
        with no_room_beyond(room_for_one_request(tmp_path)):
            assert anna.buy("fish", request_id="a-2")["status"] == "sold"
            assert kinds(tmp_path)[-1] == ("asked", "a-2")
            with pytest.raises(TownError, match="journal of anna cannot be written"):
                anna.buy("fish", request_id="a-3")
            assert anna.sent == 2
        anna.buy("fish", request_id="a-4")
    asked_and_told = [(kind, f"a-{number}") for number in (1, 2, 4) for kind in ("asked", "told")]
    assert kinds(tmp_path) == [("opened", ""), *asked_and_told]


def test_what_found_no_room_is_noted_at_the_end(tmp_path: Path) -> None:
    with Served(tmp_path) as anna:
        anna.buy("fish", request_id="a-1")
        with no_room_beyond(room_for_one_request(tmp_path)):
            anna.buy("fish", request_id="a-2")
    assert kinds(tmp_path)[-1] == ("told", "a-2")


def test_what_cannot_be_noted_in_the_journal_was_never_sent_and_is_not_kept(tmp_path: Path) -> None:
    with record_in(tmp_path / "elsewhere", "anna") as record, Served(tmp_path, record) as anna:
        journal(tmp_path).mkdir(parents=True)  # Nothing can be written into a folder.
        with pytest.raises(TownError, match="journal of anna cannot be opened"):
            anna.buy("fish")
        assert (anna.sent, record.unanswered) == (0, [])


def test_a_journal_is_begun_as_a_whole_or_not(tmp_path: Path) -> None:
    """Else what an earlier life was told would be held against what this one is shown."""
    with Served(tmp_path) as anna:
        with no_room_beyond(5), pytest.raises(TownError, match="cannot be written"):
            anna.buy("fish", request_id="a-1")
        anna.buy("fish", request_id="a-2")
    assert kinds(tmp_path) == [("opened", ""), ("asked", "a-2"), ("told", "a-2")]


def test_what_became_of_a_request_is_said_though_no_journal_can_be_begun(tmp_path: Path) -> None:
    with record_in(tmp_path / "elsewhere", "anna") as record:
        with Served(tmp_path / "first", record) as anna:
            anna.buy("fish", request_id="a-1")
        argument = {**record.told[0].outcome, "request_id": "a-2"}
        asked = AskedFor(method="buy", argument=argument, at_ms=1)
        record.asked(asked)
        journal(tmp_path).mkdir(parents=True)
        with Served(tmp_path, record) as anna:
            found = anna.look_up(asked)
            assert found is not None
            assert found["status"] == "sold"
            assert record.unanswered == []
