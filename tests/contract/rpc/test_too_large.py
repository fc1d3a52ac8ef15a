"""A call that is too large: a stock client is told so, at peers and at name servers; others are served meanwhile."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from Pyro5.api import Proxy, expose
from Pyro5.serializers import serializers

from nameserver.names import NAME_SERVER_OBJECT
from nameserver.process import NameServerProcess
from peers.rpc.serving.server import Server
from peers.rpc.transport import HEADER, MAGIC, MAX_CALL, message
from tests.helpers.raw_caller import MSGPACK, RawCaller, call

pytestmark = pytest.mark.timeout(60)

# It is more than the kernel's buffers take, so the client is still sending when the server knows that it is too much.
LARGE = 7 * MAX_CALL
SERIALIZERS = ("serpent", "msgpack", "json")


@expose
class Echo:
    """What is served like a peer."""

    def register(self, name: str, uri: str) -> int:
        return len(name) + len(uri)


@pytest.fixture
def peer() -> Iterator[str]:
    server = Server("127.0.0.1", Echo(), "echo")
    server.start()
    yield server.uri
    server.close()


@pytest.fixture(params=["peer", "name server"])
def uri(request: pytest.FixtureRequest, peer: str, nameserver: NameServerProcess) -> str:
    at_nameserver = f"PYRO:{NAME_SERVER_OBJECT}@{nameserver.host}:{nameserver.port}"
    return peer if request.param == "peer" else at_nameserver


def raw(uri: str) -> RawCaller:
    target, where = uri.removeprefix("PYRO:").split("@")
    host, port = where.split(":")
    return RawCaller((host, int(port))).greet(target)


@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_a_stock_client_is_told_and_may_come_again(uri: str, serializer: str) -> None:
    with Proxy(uri) as proxy:
        proxy._pyroSerializer = serializer
        with pytest.raises(ValueError, match="bytes at most") as error:
            proxy.register("large", "x" * LARGE)
        assert getattr(error.value, "field", None) == "arguments"
        assert getattr(error.value, "error", None) == "BadRequest"
    with Proxy(uri) as proxy:
        proxy._pyroBind()


def test_what_is_announced_far_too_large_is_answered_at_once(uri: str) -> None:
    start = message(call("x", "y")[:8], 0, 7, b"")[:8]
    with raw(uri) as caller:
        caller.sock.sendall(HEADER.pack(start, 0, 7, 2**32 - 1, 0, MAGIC))
        answered = caller.answer()
        assert answered is not None
        assert b"bytes at most" in answered[2]
        assert caller.answer() is None, "and the connection ends"


def test_others_are_served_while_it_comes(uri: str) -> None:
    whole = call("x", "register", ["large", "x" * LARGE], serializer=MSGPACK)
    with raw(uri) as slow:
        slow.sock.sendall(whole[: 3 * MAX_CALL])
        with Proxy(uri) as proxy:
            proxy._pyroBind()
        slow.sock.sendall(whole[3 * MAX_CALL :])
        answered = slow.answer()
        assert answered is not None
        said = serializers["msgpack"].loads(answered[2])
        assert isinstance(said, ValueError)
        assert f"{MAX_CALL:,} bytes at most" in str(said)


def test_half_open_callers_are_noticed_at_both(peer: str) -> None:
    """The listening socket has the kernel ask; what is accepted from it inherits that."""
    del peer
    from selectors import DefaultSelector

    from peers.rpc.serving.listening import Listening

    with socket.socket() as listener, DefaultSelector() as selector:
        listener.bind(("127.0.0.1", 0))
        Listening(listener, selector)
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        if hasattr(socket, "TCP_KEEPIDLE"):
            assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) <= 60
