"""What the transport is tried with: a server, and an object behind it that fails in every way."""

from __future__ import annotations

import socket
import threading

from Pyro5 import errors
from Pyro5.server import expose

from peers.errors import BadRequest, NotTrader, PostClosed, WireError
from peers.rpc.serving.served_connection import ServedConnection
from peers.rpc.serving.server import Server, caller
from tests.helpers.raw_caller import RawCaller

ERRORS: list[WireError] = [
    NotTrader(trader="buyer3", term=7, trader_uri="PYRO:buyer3@127.0.0.1:4711"),
    NotTrader(trader=None, term=0),
    BadRequest(field="price", why="is wrong"),
    PostClosed(why="an election is on"),
    PostClosed(why="too many wait already", retry_after_ms=20),
]


@expose
class Target:
    def __init__(self) -> None:
        self.calls = 0
        self.filled = 0
        self.release = threading.Event()

    def echo(self, value: object) -> object:
        self.calls += 1
        return value

    def fill(self, size: int) -> str:
        self.filled += 1
        return "x" * size

    def fail(self, number: int) -> None:
        raise ERRORS[number]

    def crash(self) -> None:
        raise OSError("a secret")

    def lose(self) -> None:
        raise errors.ConnectionClosedError("a secret at /var/run/1")

    def fail_inside(self) -> None:
        raise AttributeError("a secret of ours")

    def give_what_cannot_be_sent(self) -> object:
        return object()

    def hang(self) -> None:
        self.release.wait(10)

    def mark(self, rank: int) -> bool:
        connection = caller()
        assert connection is not None
        connection.rank = rank
        return True


class Served:
    def __init__(self) -> None:
        self.target = Target()
        self.hangups: list[ServedConnection] = []
        self.server = Server("127.0.0.1", self.target, "target", on_hangup=self.hangups.append)
        self.server.start()
        self.uri = self.server.uri
        host, _, port = self.uri.rpartition("@")[2].rpartition(":")
        self.address = (host, int(port))

    def greeted(self) -> socket.socket:
        """Returns a connection that the server has greeted, to be closed by the caller."""
        return RawCaller(self.address).greet("target").sock
