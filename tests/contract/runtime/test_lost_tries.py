"""A trader that fails at a request and refuses the next try of it, over real Pyro5: nobody knows what it has done."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from Pyro5.server import expose

from nameserver.client import NameServerClient
from nameserver.process import NameServerProcess
from peers.core.membership.members import Member
from peers.customer import Customer, RefusedLater
from peers.customer.record import record_in
from peers.errors import BadRequest, PostClosed
from peers.rpc.forms.public_form import Document
from peers.rpc.serving.server import Server

pytestmark = pytest.mark.timeout(60)


@expose
class Trader:
    """It ends the first calls of `buy` with `errors`, one after the other, and refuses the next."""

    def __init__(self) -> None:
        self.errors: list[Exception] = []

    def status(self) -> Document:
        return {"name": "seller1", "in_office": True, "term": 1, "clock": {"lamport": 5}}

    def buy(self, request: Document) -> Document:
        del request
        raise self.errors.pop(0) if self.errors else BadRequest(field="clock", why="must be another")


@pytest.fixture
def trader(nameserver: NameServerProcess) -> Iterator[Trader]:
    target = Trader()
    server = Server("127.0.0.1", target, "seller1")
    server.start()
    member = Member(name="seller1", rank=1, role="seller", uri=server.uri, incarnation=1)
    with NameServerClient(nameserver.host, nameserver.port) as names:
        names.register_trader(member, 1)
        yield target
        names.unregister_trader(member)
    server.close()


@pytest.mark.parametrize("error", [OSError("it broke down half way"), PostClosed(why="it is not decided yet")])
def test_what_is_refused_after_a_try_without_an_answer_is_kept(
    tmp_path: Path, nameserver: NameServerProcess, trader: Trader, error: Exception
) -> None:
    with (
        record_in(tmp_path, "anna") as record,
        Customer(nameserver.host, nameserver.port, name="anna", record=record) as anna,
    ):
        with pytest.raises(BadRequest, match="must be another"):
            anna.buy("fish")
        assert record.unanswered == []
        trader.errors = [error]
        with pytest.raises(RefusedLater, match="must be another"):
            anna.buy("fish")
        assert len(record.unanswered) == 1
