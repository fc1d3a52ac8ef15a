"""What a server does not put up with: callers that stop, dribble, do not listen, or say what no client would."""

from __future__ import annotations

import contextlib
import socket
import struct
import time

import pytest
from Pyro5 import errors, protocol, serializers
from Pyro5.client import BatchProxy, Proxy

from peers.rpc.rpc_connection import RpcConnection
from peers.rpc.serving import served_connection, server
from peers.rpc.transport import CALL, HEADER, MAGIC, MAX_CALL
from tests.contract.rpc.served import Served
from tests.helpers.raw_caller import JSON, call, hello_to, message
from tests.helpers.silent_callers import is_sent_away, silent_callers
from tests.helpers.waiting import wait_until


def test_a_connection_may_be_idle_but_not_stop_in_the_middle(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "STALLED_S", 0.1)
    with Proxy(served.uri) as patient, socket.create_connection(served.address, timeout=30) as ungreeted:
        patient._pyroTimeout = 2.0
        patient.echo(1)
        ungreeted.sendall(b"PYRO")
        with served.greeted() as stalled:
            stalled.sendall(b"PYRO")
            assert is_sent_away(stalled)
        assert is_sent_away(ungreeted)
        assert patient.echo(2) == 2


TOO_LARGE = HEADER.pack(CALL, 0, 1, 2 * MAX_CALL, 0, MAGIC)


@pytest.mark.parametrize("half", [b"P", call("target", "echo", (1,))[:-1], TOO_LARGE], ids=["byte", "call", "header"])
def test_nor_may_it_stop_in_the_middle_of_what_it_sent_in_one_piece_with_a_message(
    served: Served, monkeypatch: pytest.MonkeyPatch, half: bytes
) -> None:
    monkeypatch.setattr(server, "STALLED_S", 0.1)
    hello = hello_to("target")
    for whole in (hello, hello + call("target", "echo", (1,))):
        with socket.create_connection(served.address, timeout=5) as stalled:
            stalled.sendall(whole + half)
            assert is_sent_away(stalled)
    wait_until(lambda: not served.server.connections(), what="nothing is left of them")


def _dribble(slow: socket.socket, asked: bytes) -> None:
    for byte in asked:
        slow.sendall(bytes([byte]))
        time.sleep(0.01)


def _ask_without_end(deaf: socket.socket, asked: bytes) -> None:
    """Until all that lies between the two is full, and then for as long as it is put up with."""
    while True:
        deaf.sendall(asked)


def test_one_who_sends_a_byte_at_a_time_holds_nothing_for_long(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "STALLED_S", 0.5)
    asked = call("target", "echo", ("x" * 1000,))
    with served.greeted() as slow, pytest.raises(ConnectionError):
        _dribble(slow, asked)
    assert served.target.calls == 0


def test_one_who_does_not_read_its_answer_is_sent_away(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served_connection, "STALLED_S", 0.2)
    asked = call("target", "echo", ("x" * 900_000,))
    with served.greeted() as deaf, pytest.raises(ConnectionError):
        _ask_without_end(deaf, asked)
    with Proxy(served.uri) as proxy:
        assert proxy.echo(1) == 1


def test_the_stranger_that_has_said_nothing_for_longest_makes_room(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served.server._daemon, "_most", 5)
    with contextlib.ExitStack() as stack:
        neighbour = stack.enter_context(contextlib.closing(RpcConnection(served.uri, 30.0)))
        neighbour.call("mark", 5)
        idle = [stack.enter_context(served.greeted()) for _ in range(8)]
        for each in idle[:4]:
            assert is_sent_away(each)
        assert neighbour.call("echo", 1) == 1
        idle[-1].sendall(call("target", "echo", (1,)))
        assert idle[-1].recv(100)


def test_those_that_stop_in_the_middle_make_room_too(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served.server._daemon, "_most", 5)
    with contextlib.ExitStack() as stack:
        for _ in range(10):
            stalled = stack.enter_context(served.greeted())
            stalled.sendall(call("target", "echo", (1,))[:-1])
        newcomer = stack.enter_context(contextlib.closing(RpcConnection(served.uri, 5.0)))
        assert newcomer.call("echo", 2) == 2


@pytest.mark.parametrize(
    ("flags", "serializer"),
    [
        (protocol.FLAGS_COMPRESSED, 3),
        (protocol.FLAGS_KEEPSERIALIZED, 3),
        (protocol.FLAGS_ONEWAY, 3),
        (0, serializers.MarshalSerializer.serializer_id),
    ],
)
def test_what_is_not_taken_ends_the_connection(served: Served, flags: int, serializer: int) -> None:
    payload = serializers.serializers["json"].dumpsCall("target", "echo", (1,), {})
    with served.greeted() as raw:
        raw.sendall(message(protocol.MSG_INVOKE, serializer, payload, flags=flags))
        assert raw.recv(1000) == b""
    with Proxy(served.uri) as proxy:
        assert proxy.echo(1) == 1
    assert served.target.calls == 1


def test_marshal_is_refused_from_the_start(served: Served) -> None:
    with Proxy(served.uri) as proxy:
        proxy._pyroSerializer = "marshal"
        with pytest.raises(errors.PyroError):
            proxy.echo(1)
    assert served.target.calls == 0


def test_messages_have_a_largest_size(served: Served) -> None:
    with served.greeted() as raw:
        header = bytearray(message(protocol.MSG_INVOKE, JSON, b""))
        struct.pack_into("!I", header, 12, 2**31)
        raw.sendall(bytes(header))
        assert b"bytes at most" in raw.recv(1000)
        assert raw.recv(1000) == b"", "and then it ends"


@pytest.mark.parametrize("serializer", [1, 3, 4])
@pytest.mark.parametrize("nested", [b"[" * 100_000, b"\x91" * 100_000, b"(" * 100_000, b"{1:" * 40_000])
def test_deep_nesting_kills_nobody(served: Served, serializer: int, nested: bytes) -> None:
    with served.greeted() as raw:
        raw.sendall(message(protocol.MSG_INVOKE, serializer, nested))
        assert raw.recv(1000)
    with Proxy(served.uri) as proxy:
        assert proxy.echo(1) == 1


def test_a_batch_has_a_largest_answer(served: Served) -> None:
    many = [["echo", ["x" * 100_000], {}]] * 9
    with served.greeted() as raw:
        for _ in range(3):
            raw.sendall(call("target", "<batch>", many, flags=protocol.FLAGS_BATCH))
        wait_until(lambda: served.target.calls == 27, what="batches of which each is within bounds")
    with Proxy(served.uri) as proxy:
        proxy._pyroSerializer = "msgpack"
        batch = BatchProxy(proxy)
        for _ in range(3000):
            batch.fill(100_000)
        answers = batch()
        with pytest.raises(ValueError, match="at most") as raised:
            list(answers)
        assert "bytes in all" in str(raised.value)
        assert served.target.filled < 100, "all were made before anybody looked how large they are together"


def test_many_that_say_nothing_keep_nobody_waiting_and_are_sent_away(served: Served) -> None:
    with silent_callers(*served.address) as silent:
        line = RpcConnection(served.uri, 30.0)
        assert line.call("echo", 1) == 1
        assert all(map(is_sent_away, silent))
        assert line.call("echo", 2) == 2  # A connection that has been greeted may be idle for as long as it likes.
        line.close()
