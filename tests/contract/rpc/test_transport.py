"""The transport: what crosses it, how failures are told apart, and what a server does not put up with."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest
from Pyro5 import errors, protocol, serializers
from Pyro5.client import BatchProxy, Proxy
from Pyro5.server import expose

from peers.errors import BadRequest, NotTrader, PostClosed, SettingsError, WireError, wire_error_of
from peers.rpc.rpc_connection import Broken, CallFailed, Garbled, NobodyListens, RpcConnection, Silent
from peers.rpc.serving import served_connection, server
from peers.rpc.serving.served_connection import CallAnswer, ServedConnection
from peers.rpc.serving.server import Server, caller, served_on_thread
from tests.helpers.silent_callers import is_sent_away, silent_callers
from tests.helpers.waiting import wait_until

ERRORS: list[WireError] = [
    NotTrader(trader="buyer3", term=7, trader_uri="PYRO:buyer3@127.0.0.1:4711"),
    NotTrader(trader=None, term=0),
    BadRequest(field="price", why="is wrong"),
    PostClosed(why="an election is on"),
    PostClosed(why="too many wait already", retry_after_ms=20),
]


KEEP_ALIVE = [getattr(socket, name, 0) for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")]


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


@pytest.fixture
def served() -> Iterator[Served]:
    served = Served()
    yield served
    served.target.release.set()
    served.server.close()


@pytest.fixture
def line(served: Served) -> Iterator[RpcConnection]:
    line = RpcConnection(served.uri, 2.0)
    yield line
    line.close()


def test_values_cross(line: RpcConnection) -> None:
    for value in (None, 7, "fish", b"\x00\xff", {"a": [1, {"b": None}]}, "x" * 1_000_000):
        assert line.call("echo", value) == value
    for size in range(80):  # One of these makes a payload as long as a part of a header.
        assert line.call("echo", b"x" * size) == b"x" * size
    assert line.call("echo", value=3) == 3


@pytest.mark.skipif(not hasattr(socket, "TCP_KEEPIDLE"), reason="it has another name here")
def test_callers_that_vanish_without_a_word_are_looked_for(served: Served, line: RpcConnection) -> None:
    line.call("echo", 1)
    (connection,) = served.server.connections()
    assert connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    wait_s = [connection.sock.getsockopt(socket.IPPROTO_TCP, option) for option in KEEP_ALIVE]
    assert wait_s[0] + wait_s[1] * wait_s[2] <= 120


SERIALIZERS = ["serpent", "json", "msgpack"]


def outcome_of_call(served: Served, serializer: str, method: str, *arguments: object) -> Exception:
    """Returns what a stock client's call of a method that fails ends with."""
    with Proxy(served.uri) as proxy:
        proxy._pyroSerializer = serializer
        with pytest.raises(Exception) as raised:  # noqa: PT011 - what it is, is the question
            getattr(proxy, method)(*arguments)
    return raised.value


@pytest.mark.parametrize("serializer", SERIALIZERS)
@pytest.mark.parametrize("number", range(len(ERRORS)))
def test_our_errors_are_builtins_to_others_and_ours_again_to_us(served: Served, serializer: str, number: int) -> None:
    ours = ERRORS[number]
    theirs = outcome_of_call(served, serializer, "fail", number)
    assert type(theirs) is (ValueError if isinstance(ours, BadRequest) else RuntimeError)
    assert str(theirs) == str(ours)
    assert vars(theirs) == {"error": type(ours).__name__, **ours.fields()}
    again = wire_error_of(theirs)
    assert type(again) is type(ours)
    assert again.fields() == ours.fields()
    assert str(again) == str(ours)


@pytest.mark.parametrize("number", range(len(ERRORS)))
def test_our_own_connections_raise_our_errors(line: RpcConnection, number: int) -> None:
    with pytest.raises(type(ERRORS[number])) as raised:
        line.call("fail", number)
    assert raised.value.fields() == ERRORS[number].fields()


def test_what_is_none_of_ours_stays_so() -> None:
    assert wire_error_of(ValueError("a price")) is None
    pretended = RuntimeError("no fields")
    pretended.error = "NotTrader"  # type: ignore[attr-defined]
    assert wire_error_of(pretended) is None


@pytest.mark.parametrize("serializer", SERIALIZERS)
@pytest.mark.parametrize("method", ["crash", "lose", "fail_inside", "give_what_cannot_be_sent"])
def test_of_the_unexpected_callers_are_told_what_to_do_and_no_secret(
    served: Served, serializer: str, method: str
) -> None:
    error = outcome_of_call(served, serializer, method)
    assert type(error) in (RuntimeError, errors.SerializeError, ValueError, TypeError)
    told = f"{error!r} {vars(error)!r}"
    assert not any(word in told for word in ("secret", "/", "Traceback", "test_transport"))
    if method != "give_what_cannot_be_sent":
        assert type(error) is RuntimeError
        assert vars(error) == {"error": "ServerFault"}
        assert "ask again with the same id" in str(error)


def test_in_a_batch_the_sentence_arrives(served: Served) -> None:
    with Proxy(served.uri) as proxy:
        batch = BatchProxy(proxy)
        batch.echo(1)
        batch.fail(2)
        answers = batch()
        assert next(answers) == 1
        with pytest.raises(ValueError, match="price: is wrong"):
            next(answers)


@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_handlers_serve_both_ways_alike(serializer: str) -> None:
    """A plain call in msgpack gets its answer without a thread, all others on one."""

    def handle(answer: CallAnswer, arguments: tuple[object, ...], _named: dict[str, object]) -> None:
        given = arguments[0]
        if given == "refused":
            raise BadRequest(field="given", why="is refused")
        if given == "later":
            threading.Thread(target=answer.fail, args=(PostClosed(why="later"),)).start()
        elif given == "broken":
            raise OSError("a secret in /etc")
        else:
            answer.give([given])

    @expose
    class Handled:
        def do(self, *arguments: object) -> object:
            return served_on_thread(handle, arguments, {})

    server = Server("127.0.0.1", Handled(), "target", handlers={"do": handle})
    server.start()
    try:
        with Proxy(server.uri) as proxy:
            proxy._pyroSerializer = serializer
            assert proxy.do(1) == [1]
            with pytest.raises(ValueError, match="given: is refused"):
                proxy.do("refused")
            with pytest.raises(RuntimeError, match="the post is closed: later"):
                proxy.do("later")
            with pytest.raises(RuntimeError, match="OSError") as raised:
                proxy.do("broken")
            assert "secret" not in str(raised.value)
            assert proxy.do(2) == [2]
    finally:
        server.close()


def test_other_errors_are_garbled(line: RpcConnection) -> None:
    with pytest.raises(Garbled, match="crash"):
        line.call("crash")
    with pytest.raises(Garbled):
        line.call("no_such_method")
    with pytest.raises(Garbled):
        line.call("_private")
    assert line.call("echo", 1) == 1


def test_nobody_there_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    line = RpcConnection(f"PYRO:target@127.0.0.1:{port}", 1.0)
    assert line.is_refused()
    with pytest.raises(NobodyListens):
        line.call("echo", 1)


def test_a_server_that_ends_breaks_its_lines_and_then_refuses() -> None:
    served = Served()
    line = RpcConnection(served.uri, 2.0)
    line.call("echo", 1)
    served.server.close()
    with pytest.raises(Broken):
        line.call("echo", 1)
    with pytest.raises(NobodyListens):
        line.call("echo", 1)


def test_silence_is_neither(served: Served) -> None:
    line = RpcConnection(served.uri, 0.1)
    assert not line.is_refused()
    with pytest.raises(Silent):
        line.call("hang")
    assert line.call("echo", 2) == 2
    line.close()
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(Silent):
        RpcConnection(f"PYRO:target@127.0.0.1:{mute.getsockname()[1]}", 0.1).call("echo", 1)


@pytest.mark.parametrize("uri", ["", "nonsense", "PYRO:x", "http://127.0.0.1:1"])
def test_no_address(uri: str) -> None:
    with pytest.raises(CallFailed):
        RpcConnection(uri, 1.0).call("echo", 1)


def test_cut_breaks_off_a_call_from_another_thread(line: RpcConnection) -> None:
    line.call("echo", 1)
    failed: list[CallFailed] = []

    def call() -> None:
        try:
            line.call("hang")
        except CallFailed as error:
            failed.append(error)

    line.close()
    thread = threading.Thread(target=call)
    thread.start()
    wait_until(lambda: line.connected, what="a call under way")
    line.cut()
    thread.join(2)
    assert [type(error) for error in failed] == [Broken]


def test_hangups_are_noticed_with_the_rank(served: Served, line: RpcConnection) -> None:
    line.call("mark", 5)
    line.close()
    wait_until(lambda: [c.rank for c in served.hangups] == [5], what="the hangup", deadline_s=2)


def test_a_connection_may_be_idle_but_not_stop_in_the_middle(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "STALLED_S", 0.1)
    with Proxy(served.uri) as patient, socket.create_connection(served.address, timeout=30) as ungreeted:
        patient._pyroTimeout = 2.0
        patient.echo(1)
        ungreeted.sendall(b"PYRO")
        with greeted(served) as stalled:
            stalled.settimeout(30)
            stalled.sendall(b"PYRO")
            assert is_sent_away(stalled)
        assert is_sent_away(ungreeted)
        assert patient.echo(2) == 2


def _dribble(slow: socket.socket, call: bytes) -> None:
    for byte in call:
        slow.sendall(bytes([byte]))
        time.sleep(0.01)


def _ask_without_end(deaf: socket.socket, call: bytes) -> None:
    """Until all that lies between the two is full, and then for as long as it is put up with."""
    while True:
        deaf.sendall(call)


def test_one_who_sends_a_byte_at_a_time_holds_nothing_for_long(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "STALLED_S", 0.5)
    call = message(0, 3, serializers.serializers["json"].dumpsCall("target", "echo", ("x" * 1000,), {}))
    with greeted(served) as slow, pytest.raises(ConnectionError):
        _dribble(slow, call)
    assert served.target.calls == 0


def test_one_who_does_not_read_its_answer_is_sent_away(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served_connection, "STALLED_S", 0.2)
    call = message(0, 3, serializers.serializers["json"].dumpsCall("target", "echo", ("x" * 900_000,), {}))
    with greeted(served) as deaf:
        deaf.settimeout(30)
        with pytest.raises(ConnectionError):
            _ask_without_end(deaf, call)
    with Proxy(served.uri) as proxy:
        assert proxy.echo(1) == 1


def test_the_stranger_that_has_said_nothing_for_longest_makes_room(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served.server._daemon, "_most", 5)
    with contextlib.ExitStack() as stack:
        neighbour = stack.enter_context(contextlib.closing(RpcConnection(served.uri, 30.0)))
        neighbour.call("mark", 5)
        idle = [stack.enter_context(greeted(served)) for _ in range(8)]
        for each in idle[:4]:
            each.settimeout(30)
            assert is_sent_away(each)
        assert neighbour.call("echo", 1) == 1
        idle[-1].sendall(message(0, 3, serializers.serializers["json"].dumpsCall("target", "echo", (1,), {})))
        assert idle[-1].recv(100)


def message(flags: int, serializer: int, payload: bytes, kind: int = protocol.MSG_INVOKE) -> bytes:
    sending = protocol.SendingMessage(kind, 0, 1, serializer, payload)
    data = bytearray(sending.data)
    struct.pack_into("!H", data, 8, flags)
    return bytes(data)


def greeted(served: Served) -> socket.socket:
    raw = socket.create_connection(served.address, timeout=2)
    hello = serializers.serializers["json"].dumps({"handshake": "hello", "object": "target"})
    raw.sendall(message(0, 3, hello, protocol.MSG_CONNECT))
    assert raw.recv(40)[6] == protocol.MSG_CONNECTOK
    while len(raw.recv(65536)) == 65536:
        pass
    return raw


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
    with greeted(served) as raw:
        raw.sendall(message(flags, serializer, payload))
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
    with greeted(served) as raw:
        header = bytearray(message(0, 3, b""))
        struct.pack_into("!I", header, 12, 2**31)
        raw.sendall(bytes(header))
        assert b"bytes at most" in raw.recv(1000)
        assert raw.recv(1000) == b"", "and then it ends"


@pytest.mark.parametrize("serializer", [1, 3, 4])
@pytest.mark.parametrize("nested", [b"[" * 100_000, b"\x91" * 100_000, b"(" * 100_000, b"{1:" * 40_000])
def test_deep_nesting_kills_nobody(served: Served, serializer: int, nested: bytes) -> None:
    with greeted(served) as raw:
        raw.sendall(message(0, serializer, nested))
        assert raw.recv(1000)
    with Proxy(served.uri) as proxy:
        assert proxy.echo(1) == 1


def test_a_batch_has_a_largest_answer(served: Served) -> None:
    packed = serializers.serializers["json"]
    many = [["echo", ["x" * 100_000], {}]] * 9
    with greeted(served) as raw:
        raw.settimeout(30)
        for _ in range(3):
            raw.sendall(message(protocol.FLAGS_BATCH, 3, packed.dumpsCall("target", "<batch>", many, {})))
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


def test_batches_and_one_after_the_other_in_one_packet(served: Served) -> None:
    with Proxy(served.uri) as proxy:
        batch = BatchProxy(proxy)
        for n in range(50):
            batch.echo(n)
        assert list(batch()) == list(range(50))
    call = message(0, 3, serializers.serializers["json"].dumpsCall("target", "echo", (1,), {}))
    with greeted(served) as raw:
        raw.sendall(call * 3)
        wait_until(lambda: served.target.calls == 53, what="three calls sent at once", deadline_s=2)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::"])
def test_a_server_needs_an_address_that_can_be_called(host: str) -> None:
    with pytest.raises(SettingsError):
        Server(host, Target(), "target")


def test_many_that_say_nothing_keep_nobody_waiting_and_are_sent_away(served: Served) -> None:
    with silent_callers(*served.address) as silent:
        line = RpcConnection(served.uri, 30.0)
        assert line.call("echo", 1) == 1
        assert all(map(is_sent_away, silent))
        assert line.call("echo", 2) == 2  # A connection that has been greeted may be idle for as long as it likes.
        line.close()
