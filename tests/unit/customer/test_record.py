"""What was asked for and not answered survives a death at any byte; what cannot be understood is refused."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from peers.customer.record import FORMAT, MOST_KEPT, AskedFor, AskedRecord, Told, record_in
from peers.errors import TownError
from tests.helpers.room import no_room_beyond


def purchase(number: int) -> AskedFor:
    argument = {"request_id": f"me-{number}", "buyer": "me", "item": "fish", "quantity": 1, "clock": {"lamport": 1}}
    return AskedFor(method="buy", argument=argument, at_ms=1000 + number, town="here", area="north")


def opened(path: Path) -> AskedRecord:
    return AskedRecord(path, "me")


def ids_in(path: Path) -> list[str]:
    with opened(path) as record:
        return ids_of(record)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "customers" / "me.jsonl"


def test_what_is_unanswered_is_there_the_next_time_with_all_that_was_in_it(path: Path) -> None:
    with opened(path) as record:
        for number in (1, 2, 3):
            record.asked(purchase(number))
        record.settled("me-2", {"request_id": "me-2", "status": "sold"})
    with opened(path) as record:
        assert record.unanswered == [purchase(1), purchase(3)]
        assert record.told == [Told(outcome={"request_id": "me-2", "status": "sold"}, town="here", area="north")]
        assert record.warnings == []


def test_of_a_purchase_of_an_earlier_version_nobody_knows_where_it_was(path: Path) -> None:
    path.parent.mkdir()
    lines = (b'{"format":%d,"customer":"me"}' % FORMAT, b'{"settled":"me-1","outcome":{"request_id":"me-1"}}', b"")
    path.write_bytes(b"\n".join(lines))
    with opened(path) as record:
        assert record.told == [Told(outcome={"request_id": "me-1"})]


def test_it_is_on_disk_before_the_request_could_be_sent(path: Path) -> None:
    with opened(path) as record:
        record.asked(purchase(1))
        assert path.read_bytes().endswith(b"\n")
        assert b"me-1" in path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_second_one_at_the_same_time_is_refused(path: Path) -> None:
    with opened(path), pytest.raises(TownError, match="choose another --name"):
        opened(path)
    assert ids_in(path) == []


def test_torn_at_any_byte_it_has_all_that_was_whole(path: Path) -> None:
    with opened(path) as record:
        record.asked(purchase(1))
        record.asked(purchase(2))
    whole = path.read_bytes()
    second = whole.index(b'{"asked":{"method":"buy","argument":{"request_id":"me-2"')
    for end in range(second, len(whole)):
        path.write_bytes(whole[:end])
        with opened(path) as record:
            assert [asked.id for asked in record.unanswered] == ["me-1"], end
            assert bool(record.warnings) is (end > second)
            record.asked(purchase(3))
        assert ids_in(path) == ["me-1", "me-3"]


@pytest.mark.parametrize("content", [b"", b'{"form'])
def test_an_empty_one_and_one_torn_in_its_first_line_are_new(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    assert ids_in(path) == []
    assert path.read_bytes().startswith(b'{"format":')


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"format":%d,"customer":"me"}\n' % (FORMAT + 1), "another version"),
        (b'{"format":%d,"customer":"you"}\n' % FORMAT, "it is that of you"),
        (b"what is this\n", "line 1"),
        (b"\xff\xfe\n", "line 1"),
        (b'{"format":%d,"customer":"me"}\n{"asked": 7}\n' % FORMAT, "line 2"),
        (b'{"format":%d,"customer":"me"}\n\x00\x00\n{}\n' % FORMAT, "line 2"),
        (b'{"format":%d,"customer":"me"}\n{"asked":{"method":"buy","argument":{},"at_ms":1}}\n' % FORMAT, "line 2"),
    ],
)
def test_what_cannot_be_understood_is_refused_and_left_as_it_is(path: Path, content: bytes, says: str) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(TownError, match=says):
        opened(path)
    assert path.read_bytes() == content


def test_customers_whose_names_look_alike_have_a_record_each(tmp_path: Path) -> None:
    with record_in(tmp_path, "a:b") as one, record_in(tmp_path, "a_b") as other:
        one.asked(purchase(1))
        other.asked(purchase(2))
    with record_in(tmp_path, "a_b") as other, record_in(tmp_path, "a:b") as one:
        assert (ids_of(one), ids_of(other)) == (["me-1"], ["me-2"])


@pytest.mark.parametrize("first", ["a:b", "a_b"])
def test_a_record_that_earlier_versions_had_where_anothers_is_stays_its_owners(tmp_path: Path, first: str) -> None:
    shared = tmp_path / "customers" / "a_b.jsonl"
    with AskedRecord(shared, "a:b") as record:
        record.asked(purchase(1))
        with pytest.raises(TownError, match="another shop of the customer a_b is open here"):
            record_in(tmp_path, "a_b")
        assert ids_of(record) == ["me-1"]
    with record_in(tmp_path, first) as record:
        assert ids_of(record) == (["me-1"] if first == "a:b" else [])
    with record_in(tmp_path, "a:b") as one, record_in(tmp_path, "a_b") as other:
        assert (ids_of(one), ids_of(other)) == (["me-1"], [])


def test_it_does_not_grow_for_ever(path: Path) -> None:
    with opened(path) as record:
        record.asked(purchase(0))
        for number in range(1, MOST_KEPT + 50):
            record.asked(purchase(number))
            record.settled(f"me-{number}", {"request_id": f"me-{number}"})
    with opened(path) as record:
        assert len(record.told) == MOST_KEPT
        assert [asked.id for asked in record.unanswered] == ["me-0"]
    assert path.read_bytes().count(b"\n") == MOST_KEPT + 2


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "customers").write_text("a file")
    with pytest.raises(TownError, match="choose another --dir"):
        record_in(tmp_path, "me")


@pytest.mark.parametrize("room", [0, 1, 30])
def test_what_found_no_room_is_not_asked_now_nor_after_a_restart(path: Path, room: int) -> None:
    with opened(path) as record:
        record.asked(purchase(1))
        with no_room_beyond(path.stat().st_size + room), pytest.raises(TownError, match="cannot be written"):
            record.asked(purchase(2))
        assert ids_of(record) == ["me-1"]
        assert path.read_bytes().endswith(b"\n")
        assert b"me-2" not in path.read_bytes()
        record.asked(purchase(3))
        record.settled("me-1")
    assert ids_in(path) == ["me-3"]


def test_after_a_sync_that_failed_all_is_written_anew(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the kernel could not write it may have dropped, and the next sync would not say so."""

    def fails(_file: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with opened(path) as record:
        record.asked(purchase(1))
        before = path.stat().st_ino
        with monkeypatch.context() as bad:
            bad.setattr(os, "fsync", fails)
            with pytest.raises(TownError, match="Input/output"):
                record.asked(purchase(2))
        assert b"me-2" not in path.read_bytes()
        record.asked(purchase(3))
        assert path.stat().st_ino != before
    assert ids_in(path) == ["me-1", "me-3"]


@pytest.mark.parametrize("room", [0, 30])
def test_what_was_answered_is_known_though_it_found_no_room_and_is_noted_later(path: Path, room: int) -> None:
    """The line of the request went into the last block of the disk, and that of the outcome did not."""
    outcome = {"request_id": "me-1", "status": "sold", "seller": "olga", "amount": "9.00"}
    with opened(path) as record:
        record.asked(purchase(1))
        with no_room_beyond(path.stat().st_size + room):
            record.settled("me-1", outcome)
            assert ids_of(record) == []
            assert [told.outcome for told in record.told] == [outcome]
            with no_room_beyond(0):
                assert "cannot be written" in record.catch_up()
            kept = path.with_name("kept")
            kept.write_bytes(path.read_bytes())  # So would the file be after a kill.
        record.asked(purchase(2))
        assert record.catch_up() == ""
    assert ids_in(kept) == ["me-1"]
    with opened(path) as record:
        assert ids_of(record) == ["me-2"]
        assert [told.outcome for told in record.told] == [outcome]


def test_on_a_full_disk_what_is_in_it_can_be_looked_for_and_nothing_is_asked(path: Path) -> None:
    with opened(path) as record:
        record.asked(purchase(1))
        record.asked(purchase(2))
    with no_room_beyond(0), opened(path) as record:
        assert ids_of(record) == ["me-1", "me-2"]
        record.asked(purchase(1))  # That is on the disk, and may be sent again.
        with pytest.raises(TownError, match="nothing is asked"):
            record.asked(purchase(3))
        assert record.catch_up() == ""  # Nothing is untold.
        record.settled("me-1")
        assert ids_of(record) == ["me-2"]
        assert "cannot be written" in record.catch_up()
    with opened(path) as record:
        assert ids_of(record) == ["me-1", "me-2"]
        record.settled("me-1")
    assert ids_in(path) == ["me-2"]


def test_nobody_is_sent_elsewhere_from_what_may_have_been_bought(path: Path) -> None:
    """In another place the same words would have another id, and be bought anew."""
    with no_room_beyond(0), pytest.raises(TownError, match="choose another --dir"):
        opened(path)
    with opened(path) as record:
        record.asked(purchase(1))
    lock = path.with_suffix(".lock")
    lock.unlink()
    lock.mkdir()
    with pytest.raises(TownError, match="see to it that it can") as refused:
        opened(path)
    assert "another --dir" not in str(refused.value)


def test_what_found_no_room_is_noted_at_the_end(path: Path) -> None:
    with opened(path) as record:
        record.asked(purchase(1))
        with no_room_beyond(path.stat().st_size):
            record.settled("me-1")
    assert ids_in(path) == []


def test_what_cannot_be_noted_at_all_is_unanswered_the_next_time(path: Path) -> None:
    record = opened(path)
    record.asked(purchase(1))
    with no_room_beyond(path.stat().st_size):
        record.settled("me-1", {"request_id": "me-1"})
    with no_room_beyond(0):
        record.close()
    assert ids_in(path) == ["me-1"]


def interrupted(_file: int) -> None:
    raise KeyboardInterrupt


def test_after_a_ctrl_c_while_it_is_written_nothing_else_is_lost(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written and not counted would have the next line cut in two where that finds no room."""
    with opened(path) as record:
        with monkeypatch.context() as bad:
            bad.setattr(os, "fsync", interrupted)
            with pytest.raises(KeyboardInterrupt):
                record.asked(purchase(1))
        assert ids_of(record) == ["me-1"]
        record.asked(purchase(2))
        with no_room_beyond(path.stat().st_size), pytest.raises(TownError, match="nothing is asked"):
            record.asked(purchase(3))
        kept = path.with_name("kept")
        kept.write_bytes(path.read_bytes())
    assert ids_in(kept) == ["me-1", "me-2"]


def test_what_a_ctrl_c_kept_from_the_disk_is_there_before_it_is_asked_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(path) as record:
        with monkeypatch.context() as bad:
            bad.setattr(os, "write", lambda _file, _whole: interrupted(0))
            with pytest.raises(KeyboardInterrupt):
                record.asked(purchase(1))
        assert b"me-1" not in path.read_bytes()
        (asked,) = record.unanswered
        record.asked(asked)
        assert b"me-1" in path.read_bytes()


def test_a_file_that_is_taken_away_is_made_anew_before_anything_is_asked(path: Path) -> None:
    with opened(path) as record:
        record.asked(purchase(1))
        path.unlink()
        record.asked(purchase(2))
        assert path.read_bytes().count(b"asked") == 2
    assert ids_in(path) == ["me-1", "me-2"]


def test_where_all_was_taken_away_another_may_have_begun_and_is_left_alone(path: Path) -> None:
    with opened(path) as first:
        first.asked(purchase(1))
        for each in path.parent.iterdir():
            each.unlink()
        with opened(path) as second:
            second.asked(purchase(2))
            with pytest.raises(TownError, match="was removed"):
                first.asked(purchase(3))
            assert ids_of(first) == ["me-1"]
            first.settled("me-1")
            assert "was removed" in first.catch_up()
        assert ids_in(path) == ["me-2"]
    assert ids_in(path) == ["me-2"]


def test_a_process_that_was_forked_off_writes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(path) as record:
        record.asked(purchase(1))
        before = path.read_bytes()
        with monkeypatch.context() as forked:
            forked.setattr(os, "getpid", lambda: 0)
            with pytest.raises(TownError, match="open another record here"):
                record.asked(purchase(2))
            record.settled("me-1")
            assert "open another record here" in record.catch_up()
        assert path.read_bytes() == before


def ids_of(record: AskedRecord) -> list[str]:
    return [asked.id for asked in record.unanswered]
