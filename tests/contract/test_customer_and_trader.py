"""What a customer makes of a trader that is there, and yet does not serve it as it should."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from Pyro5.server import expose

from nameserver.client import NameServerClient
from nameserver.process import NameServerProcess
from peers.core.membership.members import Member
from peers.customer import Customer, NoAnswer
from peers.customer.answers import News, TraderFaulted, TraderFound
from peers.customer.breaker import CircuitBreaker, CircuitState
from peers.endpoints import split_endpoint
from peers.rpc.serving.server import Server

TERM = 3


@expose
class Trader:
    """It fails at the first purchases, as many as `faults` says."""

    def __init__(self) -> None:
        self.faults = 0

    def status(self) -> dict[str, Any]:
        return {"name": "seller0", "term": TERM, "in_office": True, "clock": {"lamport": 5}}

    def outcome(self, request_id: str) -> dict[str, Any]:
        return {"request_id": request_id}

    def buy(self, request: dict[str, Any]) -> dict[str, Any]:
        if self.faults:
            self.faults -= 1
            raise KeyError("a bug")
        return {"status": "sold", "seq": 1, "term": TERM, **request}


class Post:
    """A name server that says where the trader is."""

    def __init__(self, log: Path, stack: ExitStack) -> None:
        self.trader = Trader()
        self.server = Server("127.0.0.1", self.trader, "seller0")
        self.server.start()
        stack.callback(self.server.close)
        self.names = NameServerProcess(log=log)
        self.names.start()
        stack.callback(self.names.stop)
        self.lists(self.server.uri)

    def lists(self, uri: str) -> None:
        """Has the name server say that the trader is there."""
        seller = Member(rank=0, name="seller0", role="seller", uri=uri, incarnation=1)
        with NameServerClient(self.names.host, self.names.port) as names:
            names.register(seller)
            names.register_trader(seller, TERM)


class SlowWire:
    """Leads to a server; once it `drips`, what comes back comes a byte at a time."""

    PAUSE_S = 0.1

    def __init__(self, uri: str, stack: ExitStack) -> None:
        served, _, where = uri.rpartition("@")
        self._where = split_endpoint(where)
        self._listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.uri = f"{served}@127.0.0.1:{self._listener.getsockname()[1]}"
        self.drips = threading.Event()
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        with suppress(OSError):
            while True:
                caller, _ = self._listener.accept()
                server = socket.create_connection(self._where)
                for ends in ((caller, server, False), (server, caller, True)):
                    threading.Thread(target=self._pass, args=ends, daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, is_slow: bool) -> None:
        with source, sink, suppress(OSError):
            while data := source.recv(65536):
                pieces = [bytes([each]) for each in data] if is_slow and self.drips.is_set() else [data]
                for piece in pieces:
                    sink.sendall(piece)
                    if len(pieces) > 1:
                        time.sleep(self.PAUSE_S)


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    with ExitStack() as stack:
        yield Post(tmp_path / "nameserver.log", stack)


def test_one_that_fails_is_there_and_is_asked_again_without_a_pause_of_the_circuit(post: Post) -> None:
    told: list[News] = []
    breaker = CircuitBreaker(failures=2, silence_s=0.0, open_s=300.0)
    post.trader.faults = 4
    with Customer(post.names.host, post.names.port, name="anna", breaker=breaker, on_news=told.append) as anna:
        assert anna.buy("fish")["status"] == "sold"
        assert told == [TraderFound(trader="seller0", term=TERM, after=""), *[TraderFaulted(trader="seller0")] * 4]
        post.trader.faults = 1_000_000
        with pytest.raises(NoAnswer, match="failed at buy"):
            anna.buy("fish", within_s=0.5)
        assert breaker.state is CircuitState.CLOSED


@pytest.mark.parametrize("is_connected", [True, False])
def test_the_deadline_holds_on_a_wire_that_brings_a_byte_at_a_time(post: Post, is_connected: bool) -> None:
    with ExitStack() as stack:
        wire = SlowWire(post.server.uri, stack)
        post.lists(wire.uri)
        anna = stack.enter_context(Customer(post.names.host, post.names.port, name="anna", timeout_s=1.0))
        if is_connected:
            anna.ask("status")
        wire.drips.set()
        began_s = time.monotonic()
        with pytest.raises(NoAnswer):
            anna.ask("outcome", "x" * 300, within_s=1.0)
        assert time.monotonic() - began_s < 300 * wire.PAUSE_S / 3
