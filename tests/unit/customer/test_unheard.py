"""What may have been done is never forgotten; to say it again, with its id, is to ask for the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from peers.customer import CircuitOpen, Customer, NoAnswer, RefusedLater
from peers.customer.breaker import CircuitBreaker
from peers.customer.record import AskedFor, AskedRecord, record_in
from peers.errors import BadRequest, PostClosed
from peers.rpc.forms.public_form import Document

NOBODY = 9  # The port called discard, where nothing listens on any machine of ours.

Answer = Callable[[Document], Document]


def lost(_argument: Document) -> Document:
    raise NoAnswer("buy", 1.0, "the connection broke")


def circuit_open(_argument: Document) -> Document:
    raise CircuitOpen("127.0.0.1:9", 0.5)


def refused(_argument: Document) -> Document:
    raise BadRequest(field="clock", why="must be another")


def sold(argument: Document) -> Document:
    return {"status": "sold", "seq": 1, "term": 1, **argument}


class Asking(Customer):
    """A customer whose trader does as the test says, one thing for each request; `sent` is what it was asked."""

    def __init__(self, *answers: Answer, record: AskedRecord | None = None, **options: Any) -> None:
        super().__init__("127.0.0.1", NOBODY, name="anna", clock="lamport", record=record, **options)
        self.answers = list(answers)
        self.sent: list[Document] = []

    def ask(self, method: str, *arguments: Any, within_s: float | None = None, area: str | None = None) -> Any:
        del within_s, area
        assert method in ("buy", "deposit")
        self.sent.append(arguments[0])
        return self.answers.pop(0)(arguments[0])


def ids(record: AskedRecord) -> list[str]:
    return [each.id for each in record.unanswered]


def test_what_was_sent_is_kept_when_nobody_is_there_to_ask_again(tmp_path: Path) -> None:
    """The circuit opens between the first time and the second: that nothing is sent now says nothing of the first."""
    breaker = CircuitBreaker(failures=2, silence_s=0.1, open_s=30.0)
    with record_in(tmp_path, "anna") as record:
        with Customer("127.0.0.1", NOBODY, name="anna", clock="lamport", record=record, breaker=breaker) as anna:
            with pytest.raises(NoAnswer):
                anna.buy("fish", 2, request_id="a-1", within_s=1.0)
            with pytest.raises(CircuitOpen):
                anna.buy("fish", 2, request_id="a-1")
            with pytest.raises(CircuitOpen):
                anna.ask_again(anna.unanswered[0])
            with pytest.raises(CircuitOpen):
                anna.buy("salt")  # This was certainly never sent.
        assert ids(record) == ["a-1"]
    with record_in(tmp_path, "anna") as record:
        assert ids(record) == ["a-1"]


def test_that_nobody_answers_is_said_with_what_to_do() -> None:
    """Who only looked has no id to ask again with, and need not fear that something was done."""
    with Customer("127.0.0.1", NOBODY, name="anna", clock="lamport") as anna:
        looks: tuple[Callable[[], object], ...] = (
            lambda: anna.search(within_s=0.1),
            lambda: anna.trader(within_s=0.1),
            lambda: anna.outcome("a-1", within_s=0.1),
        )
        for look in looks:
            with pytest.raises(NoAnswer, match="nothing was bought or sold by that, so ask again as you like"):
                look()
        with pytest.raises(NoAnswer, match="not known, so ask again with the same id"):
            anna.buy("fish", request_id="a-1", within_s=0.1)
    assert "id" not in str(NoAnswer("browse in north", 1.0, PostClosed(why="too many"))).split()


@pytest.mark.parametrize("is_kept", [False, True])
def test_the_same_id_again_is_the_same_request_to_the_last_bit(tmp_path: Path, is_kept: bool) -> None:
    """A trader refuses an id with other contents, and the time of a request is of its contents."""
    with record_in(tmp_path, "anna") as kept, Asking(lost, lost, sold, record=kept if is_kept else None) as anna:
        for _ in range(2):
            with pytest.raises(NoAnswer):
                anna.buy("fish", 2, request_id="a-1")
        assert anna.buy("fish", 2, request_id="a-1")["status"] == "sold"
        assert anna.sent[0] == anna.sent[1] == anna.sent[2]
        assert anna.unanswered == []


def test_the_same_deposit_again_is_the_same_too() -> None:
    with Asking(lost, sold) as anna:
        with pytest.raises(NoAnswer):
            anna.deposit("fish", 2, "7.2", deposit_id="d-1")
        anna.deposit("fish", 2, "7.20", deposit_id="d-1")
        assert anna.sent[0] == anna.sent[1]


def test_an_id_that_stands_for_something_is_nothing_elses(tmp_path: Path) -> None:
    with record_in(tmp_path, "anna") as record:
        with Asking(lost, record=record, town="here") as anna:
            with pytest.raises(NoAnswer):
                anna.buy("fish", 2, request_id="a-1")
            with pytest.raises(BadRequest, match="other contents"):
                anna.buy("fish", 3, request_id="a-1")
            with pytest.raises(BadRequest, match="something else"):
                anna.deposit("fish", 2, "1.00", deposit_id="a-1")
            assert len(anna.sent) == 1
        with Asking(record=record, town="elsewhere") as anna, pytest.raises(BadRequest, match="something else"):
            anna.buy("fish", 2, request_id="a-1")
        assert ids(record) == ["a-1"]


def test_a_refusal_of_what_was_sent_before_does_not_say_what_became_of_it(tmp_path: Path) -> None:
    with record_in(tmp_path, "anna") as record, Asking(lost, refused, refused, sold, record=record) as anna:
        with pytest.raises(NoAnswer):
            anna.buy("fish", request_id="a-1")
        with pytest.raises(RefusedLater, match="must be another"):
            anna.buy("fish", request_id="a-1")
        with pytest.raises(RefusedLater, match="must be another"):
            anna.ask_again(anna.unanswered[0])
        assert ids(record) == ["a-1"]
        assert anna.buy("fish", request_id="a-1")["status"] == "sold"
        assert ids(record) == []


def test_what_is_refused_at_once_is_not_kept(tmp_path: Path) -> None:
    with record_in(tmp_path, "anna") as record, Asking(refused, circuit_open, record=record) as anna:
        with pytest.raises(BadRequest, match="must be another"):
            anna.buy("fish")
        with pytest.raises(CircuitOpen):
            anna.buy("fish")
        assert ids(record) == []


def test_what_is_refused_after_a_try_that_was_lost_is_kept(tmp_path: Path) -> None:
    """The first try of the same call went out, and nobody knows what became of it."""

    def refused_in_the_end(argument: Document) -> Document:
        anna._calls.may_have_run = True
        return refused(argument)

    with record_in(tmp_path, "anna") as record, Asking(refused_in_the_end, record=record) as anna:
        with pytest.raises(RefusedLater):
            anna.buy("fish", request_id="a-1")
        assert ids(record) == ["a-1"]


def test_an_item_whose_name_is_no_text_is_refused_before_anything_is_kept(tmp_path: Path) -> None:
    with record_in(tmp_path, "anna") as record, Asking(record=record) as anna:
        for call in (
            lambda: anna.buy("fi\udcffsh"),
            lambda: anna.deposit("fi\udcffsh", 1, "1.00"),
            lambda: anna.search("fi\udcffsh"),
            lambda: anna.search_areas("fi\udcffsh"),
        ):
            with pytest.raises(BadRequest, match="item: must be the name of one"):
                call()
        assert (anna.sent, ids(record)) == ([], [])


def test_it_is_let_go_by_hand(tmp_path: Path) -> None:
    with record_in(tmp_path, "anna") as record, Asking(lost, record=record) as anna:
        with pytest.raises(NoAnswer):
            anna.buy("fish")
        asked: AskedFor = anna.unanswered[0]
        anna.forget(asked)
        assert ids(record) == []
