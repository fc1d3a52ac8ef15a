"""An id that was answered in one life of a program is answered alike in the next, which knows nothing of it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from peers.core.calls import ReversalsReply, StandingReply
from peers.core.market.records import Deposit, Offer
from peers.core.membership.clocks import LamportStamp
from peers.customer import CircuitOpen, Customer, RefusedLater
from peers.customer.record import record_in
from peers.errors import BadRequest, NotAllowed
from peers.rpc import wire
from peers.rpc.forms.public_form import Document, deposit_dict


class Town:
    """What a trader and its books do with ids: another time makes another request, and is refused. A request is
    decided when its outcome was asked for `undecided` times."""

    def __init__(self) -> None:
        self.requests: dict[str, Document] = {}
        self.deposits: dict[str, Deposit] = {}
        self.undecided = 0
        self.time = 0

    def buy(self, request: Document) -> Document:
        known = self.requests.setdefault(request["request_id"], request)
        if known != request:
            raise BadRequest(field="request_id", why="was used before with other contents")
        return sold(known)

    def deposit(self, given: Document) -> Document:
        offer = Offer(
            **{**given, "price": Decimal(given["price"]), "clock": LamportStamp(lamport=given["clock"]["lamport"])}
        )
        new = Deposit(offer=offer, remaining=offer.quantity, deposited_at_ms=0, term=1)
        known = self.deposits.setdefault(offer.deposit_id, new)
        if known.offer != offer:
            raise BadRequest(field="deposit_id", why="was used before with other contents")
        return deposit_dict(known)

    def outcome(self, request_id: str, _since: object) -> Document | None:
        if self.undecided > 0:
            self.undecided -= 1
            return None
        return sold(self.requests[request_id])

    def standing(self, seller: str, _after: int) -> bytes:
        held = tuple(each for each in self.deposits.values() if each.offer.seller == seller and each.remaining)
        return wire.pack(StandingReply(sales=(), deposits=held))

    def reversals(self, _customer: str, after: int) -> bytes:
        return wire.pack(ReversalsReply(reversals=(), upto=after))

    def status(self) -> Document:
        self.time += 10
        return {"clock": {"lamport": self.time}}


class Life(Customer):
    """One life of a program that knows its ids by heart, and nothing else. `denied`: what is answered to a method."""

    def __init__(
        self, town: Town, name: str = "anna", denied: Mapping[str, Exception] = MappingProxyType({}), **kept: Any
    ) -> None:
        super().__init__("127.0.0.1", 9, name=name, **kept)
        self.peer = town
        self.denied = denied

    def ask(self, method: str, *arguments: Any, within_s: float | None = None, area: str | None = None) -> Any:
        del within_s, area
        if method in self.denied:
            raise self.denied[method]
        answer = getattr(self.peer, method)(*arguments)
        if method == "status":
            self._follow(answer)
        return answer


def sold(request: Document) -> Document:
    return {"status": "sold", "seq": 1, "term": 1, **request}


@pytest.fixture
def town() -> Town:
    return Town()


@pytest.mark.parametrize("undecided", [0, 3])
def test_what_was_bought_in_an_earlier_life_is_told_again(town: Town, tmp_path: Path, undecided: int) -> None:
    with Life(town) as anna:
        outcome = anna.buy("fish", 2, request_id="a-1")
    town.undecided = undecided
    with record_in(tmp_path, "anna") as record, Life(town, record=record) as anna:
        assert anna.buy("fish", 2, request_id="a-1") == outcome
        assert anna.buy("fish", 2, request_id="a-1") == outcome  # Now it knows, and is told all the same.
        assert anna.unanswered == []
        assert anna.purchases() == [outcome]
    assert len(town.requests) == 1


def test_what_was_deposited_in_an_earlier_life_is_told_again(town: Town) -> None:
    with Life(town) as anna:
        deposit = anna.deposit("fish", 2, "7.2", deposit_id="d-1")
    with Life(town) as anna:
        assert anna.deposit("fish", 2, "7.20", deposit_id="d-1") == deposit
    assert len(town.deposits) == 1


def test_an_id_that_stands_for_something_else_is_refused_and_not_kept(town: Town, tmp_path: Path) -> None:
    with Life(town) as anna:
        anna.buy("fish", 2, request_id="a-1")
        anna.deposit("fish", 2, "7.20", deposit_id="d-1")
    with record_in(tmp_path, "anna") as record, Life(town, record=record) as anna:
        with pytest.raises(BadRequest, match="request_id: was used before"):
            anna.buy("fish", 3, request_id="a-1")
        with pytest.raises(BadRequest, match="deposit_id: was used before"):
            anna.deposit("fish", 2, "7.30", deposit_id="d-1")
        assert record.unanswered == []
    with Life(town, "bert") as bert, pytest.raises(BadRequest, match="request_id: was used before"):
        bert.buy("fish", 2, request_id="a-1")
    theirs = {"outcome": NotAllowed(field="request_id", why="is not one of bert, who asks")}
    with Life(town, "bert", theirs) as bert, pytest.raises(BadRequest, match="request_id: was used before"):
        bert.buy("fish", 2, request_id="a-1")


def test_where_it_cannot_be_found_out_it_is_not_said_that_nothing_was_done(town: Town, tmp_path: Path) -> None:
    with Life(town) as anna:
        anna.buy("fish", 2, request_id="a-1")
        anna.deposit("fish", 2, "7.20", deposit_id="d-1")
    silent = {
        "outcome": CircuitOpen("127.0.0.1:9", 0.5),
        "standing": NotAllowed(field="method", why="standing is for the machines of the town"),
    }
    with record_in(tmp_path, "anna") as record, Life(town, denied=silent, record=record) as anna:
        with pytest.raises(RefusedLater, match="was used before"):
            anna.buy("fish", 2, request_id="a-1")
        with pytest.raises(RefusedLater, match="was used before"):
            anna.deposit("fish", 2, "7.20", deposit_id="d-1")
        assert [each.id for each in record.unanswered] == ["a-1", "d-1"]
        anna.denied = {}
        assert anna.buy("fish", 2, request_id="a-1")["status"] == "sold"
        assert anna.deposit("fish", 2, "7.20", deposit_id="d-1")["remaining"] == 2
        assert record.unanswered == []
    town.undecided = 1000
    with Life(town) as anna, pytest.raises(RefusedLater):
        anna.buy("fish", 2, request_id="a-1", within_s=0.2)
