"""Callers that ask for more before they have read what they asked for: they wait, and nobody else does."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from Pyro5.server import expose

from peers.rpc.rpc_connection import RpcConnection
from peers.rpc.serving.served_connection import CallAnswer, ServedConnection
from peers.rpc.serving.server import Server, served_on_thread
from peers.rpc.transport import MSGPACK
from tests.helpers.raw_caller import MSGPACK as IN_MSGPACK
from tests.helpers.raw_caller import RawCaller, call
from tests.helpers.waiting import wait_until

LARGE = 7_000_000
"""More than the kernel takes for somebody who does not read."""

SOON_S = 10.0
"""Far less than a caller may take to read its answer."""


def _list(answer: CallAnswer, _arguments: object, _named: object) -> None:
    answer.give("y" * LARGE)


@expose
class Goods:
    def browse(self) -> str:
        return "x" * LARGE

    def list(self, *arguments: object) -> object:
        return served_on_thread(_list, arguments, {})


class Shop:
    """Who buys here is answered when the test says so, and who browses at once, by a thread."""

    def __init__(self) -> None:
        self.buyers: list[CallAnswer] = []
        self.server = Server("127.0.0.1", Goods(), "shop", handlers={"buy": self._buy, "list": _list})
        self.server.start()
        host, _, port = self.server.uri.rpartition("@")[2].rpartition(":")
        self.address = (host, int(port))

    def _buy(self, answer: CallAnswer, _arguments: object, _named: object) -> None:
        self.buyers.append(answer)

    def sell(self) -> None:
        """Answers all who wait to buy, one after the other on one thread, as a trader does after a commit."""
        for each in self.buyers:
            each.give("sold")


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop()
    yield shop
    shop.server.close()


@pytest.fixture
def reads_nothing(shop: Shop) -> Iterator[RawCaller]:
    """A caller that is owed an outcome, and to which a thread is sending what it also asked for."""
    with RawCaller(shop.address).greet("shop") as caller:
        caller.sock.sendall(_asks("buy") + _asks("browse"))
        assert caller.sock.recv(1, socket.MSG_PEEK), "its goods begin to come"
        assert len(shop.buyers) == 1
        yield caller


def _asks(method: str) -> bytes:
    return call("shop", method, serializer=IN_MSGPACK)


def _answers(caller: RawCaller, many: int) -> list[object]:
    """The next answers, the shortest first."""
    found = [caller.answer() for _ in range(many)]
    return sorted((MSGPACK.loads(each[2]) for each in found if each is not None), key=len)


@pytest.mark.usefixtures("reads_nothing")
def test_one_that_does_not_read_keeps_no_other_from_its_outcome(shop: Shop) -> None:
    outcomes: list[object] = []
    honest = RpcConnection(shop.server.uri, 60.0)
    buyer = threading.Thread(target=lambda: outcomes.append(honest.call("buy")))
    buyer.start()
    wait_until(lambda: len(shop.buyers) == 2, what="both wait")
    seller = threading.Thread(target=shop.sell)
    seller.start()
    wait_until(lambda: outcomes, what="the other has its outcome", deadline_s=SOON_S)
    for each in (buyer, seller):
        each.join(SOON_S)
    honest.close()
    assert outcomes == ["sold"]


def test_one_that_reads_in_the_end_gets_all_it_was_owed(shop: Shop, reads_nothing: RawCaller) -> None:
    seller = threading.Thread(target=shop.sell)
    seller.start()
    seller.join(SOON_S)
    assert not seller.is_alive(), "whoever tells of outcomes waits for nobody"
    assert _answers(reads_nothing, 2) == ["sold", "x" * LARGE]
    reads_nothing.sock.sendall(_asks("buy"))
    wait_until(lambda: len(shop.buyers) == 2, what="its next call")
    shop.buyers[1].give("sold again")
    assert _answers(reads_nothing, 1) == ["sold again"]


def test_nor_does_one_that_asks_for_more_behind_what_no_thread_was_needed_for(shop: Shop) -> None:
    with RawCaller(shop.address).greet("shop") as caller:
        for _ in range(3):
            caller.sock.sendall(_asks("list"))
        assert caller.sock.recv(1, socket.MSG_PEEK)
        other = RpcConnection(shop.server.uri, SOON_S)
        assert other.call("list") == "y" * LARGE
        other.close()
        assert _answers(caller, 3) == ["y" * LARGE] * 3


def test_answers_of_several_threads_never_mix() -> None:
    here, there = socket.socketpair()
    there.settimeout(SOON_S)
    with here, there:
        connection = ServedConnection(here)
        connection.greeted = True
        rest: list[Callable[[], None]] = []
        connection.send_at_once(b"a" * LARGE, rest.append)
        assert rest, "it does not go out at once"
        second = threading.Thread(target=connection.send, args=(b"b" * 1000,))
        second.start()
        read = bytearray()
        while len(read) < 500_000:
            read += there.recv(65536)
        third = threading.Thread(target=rest[0])
        third.start()
        while len(read) < LARGE + 1000:
            read += there.recv(65536)
        for each in (second, third):
            each.join(SOON_S)
        assert read == b"a" * LARGE + b"b" * 1000
