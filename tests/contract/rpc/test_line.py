"""What a line takes for an answer: whatever Pyro5 may send, in any number of pieces, and nothing else."""

from __future__ import annotations

import contextlib
import datetime
import json
import marshal
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import msgpack
import pytest
from Pyro5 import protocol
from Pyro5.client import Proxy
from Pyro5.core import URI
from Pyro5.server import expose

from peers.rpc.rpc_connection import Broken, Garbled, RpcConnection, Silent
from peers.rpc.serving.server import Server
from peers.rpc.transport import MAX_CALL, MAX_MESSAGE

MSGPACK, JSON, MARSHAL = 4, 3, 2
GREETING = {"handshake": "hello", "meta": {"methods": ["any"], "oneway": [], "attrs": []}}


def packed(value: object) -> bytes:
    data: bytes = msgpack.packb(value)
    return data


def message(
    seq: int,
    payload: bytes,
    *,
    kind: int = protocol.MSG_RESULT,
    serializer: int = MSGPACK,
    flags: int = 0,
    annotations: dict[str, bytes] | None = None,
) -> bytes:
    """A message by Pyro5's own hand, except for flags that it would not set."""
    data = bytearray(protocol.SendingMessage(kind, 0, seq, serializer, payload, annotations=annotations).data)
    struct.pack_into("!H", data, 8, flags)
    return bytes(data)


def answer(seq: int) -> bytes:
    return message(seq, packed("fine"))


Answers = Callable[[socket.socket, int], None]


def saying(of: Callable[[int], bytes]) -> Answers:
    return lambda sock, seq: sock.sendall(of(seq))


class Impostor:
    """Greets like Pyro5, answers the first call as told and all others well. `deaf`: does not even read them."""

    def __init__(self, first: Answers, greeting: Callable[[], bytes] | None = None, *, deaf: bool = False) -> None:
        self._first: Answers | None = first
        self._deaf = deaf
        self._closed = threading.Event()
        self._greeting = greeting or (lambda: message(0, packed(GREETING), kind=protocol.MSG_CONNECTOK))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.uri = f"PYRO:any@127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            self._hear(sock)
            sock.sendall(self._greeting())
            if self._deaf:
                self._closed.wait(5)
                return
            while (seq := self._hear(sock)) is not None:
                first, self._first = self._first, None
                (first or saying(answer))(sock, seq)

    @staticmethod
    def _hear(sock: socket.socket) -> int | None:
        """Reads a message; returns its number."""
        head = sock.recv(40, socket.MSG_WAITALL)
        if len(head) < 40:
            return None
        seq, size = struct.unpack_from("!HI", head, 10)
        sock.recv(size, socket.MSG_WAITALL)
        return int(seq)

    def close(self) -> None:
        self._closed.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@contextlib.contextmanager
def line_to(
    first: Answers, timeout_s: float = 5.0, greeting: Callable[[], bytes] | None = None
) -> Iterator[RpcConnection]:
    impostor = Impostor(first, greeting)
    line = RpcConnection(impostor.uri, timeout_s)
    yield line
    line.close()
    impostor.close()


# -- answers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flags", [0, protocol.FLAGS_CORR_ID])
@pytest.mark.parametrize("annotations", [{}, {"NOTE": b"x" * 5}, {"NOTE": b"", "MORE": b"y" * 100_000}])
def test_annotations_are_passed_over(flags: int, annotations: dict[str, bytes]) -> None:
    value = ["this", {"too": 1}]
    with line_to(saying(lambda seq: message(seq, packed(value), flags=flags, annotations=annotations))) as line:
        assert line.call("any") == value
        assert line.call("any") == "fine"


@pytest.mark.parametrize("size", [1, 39, 40, 41, 10_000])
def test_an_answer_may_come_in_pieces(size: int) -> None:
    value = "x" * 20 if size == 1 else "x" * 300_000

    def in_pieces(sock: socket.socket, seq: int) -> None:
        whole = message(seq, packed(value), annotations={"NOTE": b"12345"})
        for at in range(0, len(whole), size):
            sock.sendall(whole[at : at + size])
            if at < 100:
                time.sleep(0.002)  # The pause keeps the pieces from being read together.

    with line_to(in_pieces) as line:
        assert line.call("any") == value
        assert line.call("any") == "fine"


def in_small_pieces(size: int, every_s: float) -> Answers:
    """An answer of 300 pieces at most, of that size each, with that pause after each."""

    def answer_slowly(sock: socket.socket, seq: int) -> None:
        whole = message(seq, packed("x" * 300 * size))
        for at in range(0, len(whole), size):
            sock.sendall(whole[at : at + size])
            time.sleep(every_s)

    return answer_slowly


def test_an_answer_that_comes_a_byte_at_a_time_is_not_waited_for() -> None:
    pause_s, patience_s = 0.1, 1.0
    with line_to(in_small_pieces(1, pause_s), patience_s) as line:
        began_s = time.monotonic()
        with pytest.raises(Silent):
            line.call("any")
        assert time.monotonic() - began_s < 300 * pause_s / 2
        assert line.call("any") == "fine"


def test_a_large_answer_may_take_longer_unless_there_is_a_longest_time() -> None:
    pause_s, patience_s = 0.01, 1.0
    with line_to(in_small_pieces(1000, pause_s), patience_s) as line:
        began_s = time.monotonic()
        assert line.call("any") == "x" * 300_000
        assert time.monotonic() - began_s > patience_s
    with line_to(in_small_pieces(1000, 10 * pause_s), patience_s) as line:
        line.limit(patience_s, 1.5 * patience_s)
        began_s = time.monotonic()
        with pytest.raises(Silent):
            line.call("any")
        assert time.monotonic() - began_s < 300 * 10 * pause_s / 2


def test_an_answer_in_pieces_leaves_the_next_one_all_of_its_time() -> None:
    with line_to(in_small_pieces(1, 0.001), 5.0) as line:
        line._connect()
        assert line._connection is not None
        sock = line._connection.sock
        before = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16)
        line.call("any")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16) == before


FOREIGN: dict[str, Callable[[int], bytes]] = {
    "of another call": lambda seq: answer(seq + 1),
    "of the call before": lambda seq: answer(seq - 1),
    "in json": lambda seq: message(seq, json.dumps(1).encode(), serializer=JSON),
    "in marshal": lambda seq: message(seq, marshal.dumps(1), serializer=MARSHAL),
    "in nothing known": lambda seq: message(seq, b"1", serializer=99),
    "a failure in marshal": lambda seq: message(
        seq, marshal.dumps(1), serializer=MARSHAL, flags=protocol.FLAGS_EXCEPTION
    ),
    "compressed": lambda seq: message(seq, zlib.compress(packed("fine")), flags=protocol.FLAGS_COMPRESSED),
    "a stream": lambda seq: message(seq, packed(1), flags=protocol.FLAGS_ITEMSTREAMRESULT),
    "flags of the future": lambda seq: message(seq, packed(1), flags=1 << 15),
    "a call": lambda seq: message(seq, packed(["any", "any", [], {}]), kind=protocol.MSG_INVOKE),
    "a ping": lambda seq: message(seq, b"pong", kind=protocol.MSG_PING),
    "of another version": lambda seq: answer(seq)[:5] + b"\x00" + answer(seq)[6:],
    "of another magic": lambda seq: answer(seq)[:38] + b"\x00\x00" + answer(seq)[40:],
    "two at once": lambda seq: answer(seq) + answer(seq + 1),
    "too large": lambda seq: answer(seq)[:12] + struct.pack("!I", MAX_MESSAGE + 1) + answer(seq)[16:],
    "too large with its annotations": lambda seq: (
        answer(seq)[:12] + struct.pack("!II", 9, MAX_MESSAGE) + answer(seq)[20:]
    ),
    "of the web": lambda _: b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\r\nno",
}


@pytest.mark.parametrize("of", FOREIGN.values(), ids=FOREIGN)
def test_what_is_no_answer_is_garbled_and_ends_the_connection(of: Callable[[int], bytes]) -> None:
    with line_to(saying(of)) as line:
        with pytest.raises(Garbled):
            line.call("any")
        assert not line.connected
        assert line.fileno() == -1
        assert line.call("any") == "fine"
        assert line.fileno() >= 0


UNREADABLE = {
    "nothing": b"",
    "no msgpack": b"\xc1",
    "more than one value": b"\x01\x02",
    "half a text": b"\xdb\xff\xff\xff\xffx",
    "half a list": b"\xdd\xff\xff\xff\xff",
    "no text": b"\xa1\xff",
    "deep": b"\x91" * 100_000,
    "unknown extension": b"\xd4\x05x",
    "half a complex": b"\xd4\x30x",
    "no class": packed({"__class__": "os.system", "args": ["true"]}),
    "no arguments": packed({"__class__": "builtins.ValueError", "__exception__": True}),
    "no address": packed({"__class__": "Pyro5.core.URI", "state": []}),
}


@pytest.mark.parametrize("flags", [0, protocol.FLAGS_EXCEPTION])
@pytest.mark.parametrize("payload", UNREADABLE.values(), ids=UNREADABLE)
def test_an_answer_that_cannot_be_read_is_garbled(payload: bytes, flags: int) -> None:
    with line_to(saying(lambda seq: message(seq, payload, flags=flags))) as line:
        with pytest.raises(Garbled):
            line.call("any")
        assert line.call("any") == "fine"


GREETINGS: dict[str, Callable[[], bytes]] = {
    "marshal": lambda: message(0, marshal.dumps(GREETING), kind=protocol.MSG_CONNECTOK, serializer=MARSHAL),
    "unknown serializer": lambda: message(0, b"1", kind=protocol.MSG_CONNECTOK, serializer=99),
    "no msgpack": lambda: message(0, b"\xc1", kind=protocol.MSG_CONNECTOK),
    "no greeting": lambda: message(0, packed(7), kind=protocol.MSG_CONNECTOK),
    "no welcome": lambda: message(0, packed("go away"), kind=protocol.MSG_CONNECTFAIL),
    "no Pyro": lambda: b"SSH-2.0-OpenSSH_9.2p1 and so on, for at least forty bytes",
}


def test_who_greets_a_byte_at_a_time_is_not_waited_for() -> None:
    pause_s, patience_s = 0.1, 1.0
    first = protocol.SendingMessage(protocol.MSG_CONNECTOK, 0, 0, MSGPACK, packed(GREETING)).data

    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        contextlib.closing(RpcConnection(f"PYRO:any@127.0.0.1:{listener.getsockname()[1]}", patience_s)) as line,
    ):

        def greet() -> None:
            sock, _ = listener.accept()
            with sock, contextlib.suppress(OSError):
                for byte in first:
                    sock.sendall(bytes([byte]))
                    time.sleep(pause_s)

        greeter = threading.Thread(target=greet)
        greeter.start()
        began_s = time.monotonic()
        with pytest.raises(Silent):
            line.call("any")
        assert time.monotonic() - began_s < len(first) * pause_s / 2
        greeter.join(10)


@pytest.mark.parametrize("greeting", GREETINGS.values(), ids=GREETINGS)
def test_who_greets_like_nobody_is_garbled(greeting: Callable[[], bytes]) -> None:
    with line_to(saying(answer), greeting=greeting) as line:
        with pytest.raises(Garbled):
            line.call("any")
        assert not line.connected


# -- failures ----------------------------------------------------------------------------------------------------


def test_an_answer_that_comes_late_is_nobodys() -> None:
    late = threading.Event()

    def first(sock: socket.socket, seq: int) -> None:
        late.wait(5)
        for each in range(seq, seq + 5):
            sock.sendall(message(each, packed("late")))

    with line_to(first, timeout_s=0.2) as line:
        began = time.monotonic()
        with pytest.raises(Silent):
            line.call("any")
        assert time.monotonic() - began >= 0.19
        assert not line.connected
        late.set()
        assert [line.call("any") for _ in range(5)] == ["fine"] * 5


@pytest.mark.parametrize("part", [1, 39, 40, 42])
def test_a_part_of_an_answer_is_none(part: int) -> None:
    with line_to(saying(lambda seq: answer(seq)[:part]), timeout_s=0.2) as line:
        with pytest.raises(Silent):
            line.call("any")
        assert line.call("any") == "fine"

    def breaks_off(sock: socket.socket, seq: int) -> None:
        sock.sendall(answer(seq)[:part])
        sock.shutdown(socket.SHUT_RDWR)

    with line_to(breaks_off) as line:
        with pytest.raises(Broken):
            line.call("any")
        assert line.call("any") == "fine"


def test_who_does_not_read_is_silent() -> None:
    impostor = Impostor(saying(answer), deaf=True)
    line = RpcConnection(impostor.uri, 0.2)
    with pytest.raises(Silent):
        line.call("any", b"x" * (MAX_CALL - 1000))
    assert not line.connected
    impostor.close()


# -- Pyro5's own server ------------------------------------------------------------------------------------------


@expose
class Target:
    def echo(self, *values: Any, **named: Any) -> Any:
        return [*values, named] if named else values[0]

    def odd(self) -> Any:
        return [
            {"tags": {"one"}},
            2**70,
            -(2**70),
            1 + 2j,
            datetime.datetime(2026, 7, 1, 12, 30),
            datetime.date(2026, 7, 1),
            Decimal("1.20"),
            URI("PYRO:fish@127.0.0.1:1"),
            {"why": ValueError("this one")},
        ]


@pytest.fixture(scope="module")
def uri() -> Iterator[str]:
    server = Server(
        "127.0.0.1",
        Target(),
        "target",
        handlers={"fill": lambda later, given, _: later.give("x" * given[0])},
    )
    server.start()
    yield server.uri
    server.close()


@pytest.fixture
def line(uri: str) -> Iterator[RpcConnection]:
    line = RpcConnection(uri, 5.0)
    yield line
    line.close()


def test_what_is_not_plain_comes_as_through_a_proxy(line: RpcConnection, uri: str) -> None:
    with Proxy(uri) as proxy:
        proxy._pyroSerializer = "msgpack"
        expected = proxy.odd()
    found = line.call("odd")
    assert found[:8] == expected[:8]
    assert isinstance(found[7], URI)
    assert repr(found[8:]) == repr(expected[8:])


def test_arguments_go_as_through_a_proxy(line: RpcConnection, uri: str) -> None:
    with Proxy(uri) as proxy:
        proxy._pyroSerializer = "msgpack"
        for value in (2**70, 1 + 2j, {"a": {1, 2}}, Decimal("1.20"), b"\x00", -1, 2**63, 0.1, "ü", None, [True, ()]):
            assert line.call("echo", value) == proxy.echo(value)
        assert line.call("echo", 1, "two", named=3) == proxy.echo(1, "two", named=3) == [1, "two", {"named": 3}]


SIZES = (8 * 1024 - 60, 8 * 1024, 64 * 1024)


@pytest.mark.parametrize("size", [*SIZES, 900_000])
def test_large_calls_and_answers_come_whole(line: RpcConnection, size: int) -> None:
    value = {"half": bytes(range(250)) * (size // 500), "other": ["fish"] * (size // 10)}
    assert line.call("echo", value) == value


@pytest.mark.parametrize("size", [*SIZES, 5_000_000])
def test_large_prompt_answers_come_whole(line: RpcConnection, size: int) -> None:
    assert line.call("fill", size) == "x" * size
    assert line.call("echo", 1) == 1


def test_a_call_too_large_is_not_sent(line: RpcConnection) -> None:
    with pytest.raises(Garbled, match="too large"):
        line.call("echo", b"x" * MAX_CALL)
    assert line.call("echo", 1) == 1


def test_numbers_of_calls_start_again(line: RpcConnection) -> None:
    line._seq = 0xFFFF - 3
    assert [line.call("echo", n) for n in range(8)] == list(range(8))


def test_a_line_may_be_used_again_after_closing(line: RpcConnection) -> None:
    assert line.fileno() == -1
    assert line.call("echo", 1) == 1
    line.close()
    line.close()
    line.cut()
    assert line.call("echo", 2) == 2
