"""What comes of commands when the town answers some of what is asked and not the rest: what was answered is said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from peers.customer import CircuitOpen, Customer, NoAnswer, RefusedLater
from peers.customer.record import AskedFor, AskedRecord, record_in
from peers.errors import BadRequest, TownError
from peers.rpc.forms.public_form import Document
from peers.shop.commands import parse
from peers.shop.counter import DONE, NOT_DONE, NOT_KNOWN, Counter, Reply
from tests.helpers.room import no_room_beyond


def purchase(number: int, item: str = "fish") -> AskedFor:
    argument = {"request_id": f"me-{number}", "buyer": "me", "item": item, "quantity": 1, "clock": {"lamport": 1}}
    return AskedFor(method="buy", argument=argument, at_ms=1000 + number)


def sold(request: Document) -> Document:
    sale = {"seller": "olga", "price": "7.20", "amount": "7.20", "deposit": "d-1"}
    return {"status": "sold", "seq": 1, "term": 1, **request, **sale}


class Visiting(Customer):
    """A customer whose trader answers as `answers` say, an outcome or an error for each id."""

    def __init__(self, record: AskedRecord) -> None:
        super().__init__("127.0.0.1", 9, name="me", clock="lamport", record=record)
        self.answers: dict[str, BaseException | Document | None] = {}
        self.asked: list[str] = []

    def ask(self, method: str, *arguments: Any, within_s: float | None = None, area: str | None = None) -> Any:
        del within_s, area
        request_id = arguments[0] if method == "outcome" else arguments[0]["request_id"]
        self.asked.append(request_id)
        answer = self.answers.get(request_id, self.answers.get("*"))
        if isinstance(answer, BaseException):
            raise answer
        return answer


Say = Callable[[str], Reply]


@pytest.fixture
def record(tmp_path: Path) -> Iterator[AskedRecord]:
    with record_in(tmp_path, "me") as record:
        yield record


@pytest.fixture
def customer(record: AskedRecord) -> Iterator[Visiting]:
    with Visiting(record) as customer:
        yield customer


@pytest.fixture
def counter(customer: Visiting) -> Counter:
    return Counter(customer, "")


@pytest.fixture
def say(counter: Counter) -> Say:
    def said(line: str) -> Reply:
        command = parse(line)
        assert command is not None
        return counter.run(command)

    return said


SILENT: list[TownError] = [NoAnswer("buy", 1.0, "an election is on"), CircuitOpen("127.0.0.1:9", 0.5)]


@pytest.mark.parametrize("error", SILENT)
@pytest.mark.parametrize("line", ["pending", "again"])
def test_what_was_answered_is_said_though_the_next_is_not(
    record: AskedRecord, customer: Visiting, say: Say, line: str, error: TownError
) -> None:
    for number in (1, 2, 3):
        record.asked(purchase(number))
    customer.answers = {"me-1": sold(purchase(1).argument), "*": error}
    reply = say(line)
    assert "you bought 1 fish from olga" in "\n".join(reply.lines)
    assert reply.code == NOT_KNOWN
    assert "7.20" in str(reply.data)
    assert customer.asked == ["me-1", "me-2"]  # Where nobody answers, nobody is asked for the third.
    assert [each.id for each in record.unanswered] == ["me-2", "me-3"]


@pytest.mark.parametrize("line", ["pending", "again"])
def test_what_was_answered_before_a_ctrl_c_is_said(
    record: AskedRecord, customer: Visiting, say: Say, counter: Counter, line: str
) -> None:
    for number in (1, 2):
        record.asked(purchase(number))
    customer.answers = {"me-1": sold(purchase(1).argument), "*": KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt):
        say(line)
    reply = counter.cut_short
    assert reply is not None
    assert "you bought 1 fish from olga" in "\n".join(reply.lines)
    with pytest.raises(KeyboardInterrupt):
        say(line)
    assert counter.cut_short is None  # Nothing more was answered.


def test_a_program_that_says_again_what_it_did_not_hear_of_buys_nothing_more(
    record: AskedRecord, customer: Visiting, say: Say, counter: Counter
) -> None:
    """It was killed before it heard. What became of it is found when the visit begins."""
    record.asked(purchase(1))
    customer.answers = {"me-1": sold(purchase(1).argument)}
    assert "you bought 1 fish from olga" in counter.recall().lines[0]
    reply = say("buy fish")
    assert reply.code == DONE
    assert "asked again, with the same id" in reply.lines[0]
    assert customer.asked == ["me-1", "me-1"]
    assert record.unanswered == []
    assert {told.outcome["request_id"] for told in record.told} == {"me-1"}
    customer.answers = {"*": sold({**purchase(1).argument, "request_id": "another"})}
    say("buy fish")
    assert customer.asked[-1] != "me-1"  # Once it has heard, it wants more.


def test_what_cannot_be_looked_for_hides_nothing_else(record: AskedRecord, customer: Visiting, say: Say) -> None:
    for number in (1, 2):
        record.asked(purchase(number))
    refused = BadRequest(field="request_id", why="is not one of me, who asks")
    customer.answers = {"me-1": refused, "me-2": sold(purchase(2).argument)}
    reply = say("pending")
    assert "cannot be looked for (request_id: is not one of me" in reply.lines[0]
    assert "you bought 1 fish from olga" in reply.lines[1]
    assert reply.code == NOT_KNOWN


@pytest.mark.parametrize("error", [*SILENT, RefusedLater("buy", "clock: must be another")])
def test_to_say_it_again_in_vain_says_that_it_is_kept(
    record: AskedRecord, customer: Visiting, say: Say, error: TownError
) -> None:
    record.asked(purchase(1))
    customer.answers = {"*": error}
    for line in ("buy fish", "again"):
        reply = say(line)
        assert reply.code == NOT_KNOWN
        assert "your request is kept" in reply.lines[-1]
        assert ("`forget`" in reply.lines[-1]) is isinstance(error, RefusedLater)
        assert customer.asked.pop() == "me-1"
    assert [each.id for each in record.unanswered] == ["me-1"]


def test_what_was_never_sent_was_not_done(record: AskedRecord, customer: Visiting, say: Say) -> None:
    customer.answers = {"*": CircuitOpen("127.0.0.1:9", 0.5)}
    reply = say("buy fish")
    assert reply.code == NOT_DONE
    assert "nothing was sent" in reply.lines[0]
    assert record.unanswered == []


def test_what_is_answered_is_done(record: AskedRecord, customer: Visiting, say: Say) -> None:
    record.asked(purchase(1))
    customer.answers = {"*": sold(purchase(1).argument)}
    assert say("buy fish").code == DONE
    assert record.unanswered == []


@pytest.mark.parametrize("line", ["buy fish", "again", "pending"])
def test_what_was_bought_is_said_though_it_cannot_be_noted(
    tmp_path: Path, record: AskedRecord, customer: Visiting, say: Say, line: str
) -> None:
    """The disk is full of something else by the time the answer comes."""
    record.asked(purchase(1))
    customer.answers = {"*": sold(purchase(1).argument)}
    with no_room_beyond(record.path.stat().st_size):
        reply = say(line)
        assert "you bought 1 fish from olga" in "\n".join(reply.lines)
        assert reply.code == DONE
    assert say("pending").lines == ["all that you asked for was answered"]
    assert record.catch_up() == ""
    (tmp_path / "later" / "customers").mkdir(parents=True)
    (tmp_path / "later" / "customers" / "me.jsonl").write_bytes(record.path.read_bytes())
    with record_in(tmp_path / "later", "me") as later:
        assert [told.outcome["request_id"] for told in later.told] == ["me-1"]
        assert later.unanswered == []
