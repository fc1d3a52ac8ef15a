"""The transport: what crosses it, how failures are told apart, and what a server does not put up with."""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from Pyro5 import config, errors, protocol, serializers
from Pyro5.client import BatchProxy, Proxy
from Pyro5.server import expose

from peers.errors import BadRequest, NotTrader, PostClosed, SettingsError, WireError
from peers.rpc.rpc_connection import Broken, CallFailed, Garbled, NobodyListens, RpcConnection, Silent
from peers.rpc.served_connection import ServedConnection
from peers.rpc.server import Server, caller
from tests.helpers.silent_callers import is_sent_away, silent_callers
from tests.helpers.waiting import wait_until

ERRORS: list[WireError] = [
    NotTrader(trader="buyer3", term=7),
    NotTrader(trader=None, term=0),
    BadRequest(field="price", why="is wrong"),
    PostClosed(why="an election is on"),
]


@expose
class Target:
    def __init__(self) -> None:
        self.calls = 0
        self.release = threading.Event()

    def echo(self, value: object) -> object:
        self.calls += 1
        return value

    def fail(self, number: int) -> None:
        raise ERRORS[number]

    def crash(self) -> None:
        raise OSError("a secret")

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
    for size in range(80):  # of which one makes a payload as long as a part of a header
        assert line.call("echo", b"x" * size) == b"x" * size
    assert line.call("echo", value=3) == 3


@pytest.mark.parametrize("serializer", ["serpent", "json", "msgpack"])
@pytest.mark.parametrize("number", range(len(ERRORS)))
def test_our_errors_cross_with_their_fields(served: Served, serializer: str, number: int) -> None:
    with Proxy(served.uri) as proxy:
        proxy._pyroSerializer = serializer
        with pytest.raises(type(ERRORS[number])) as raised:
            proxy.fail(number)
    assert raised.value.fields() == ERRORS[number].fields()
    assert str(raised.value) == str(ERRORS[number])


def test_bare_pyro_is_told_the_name_of_our_error(served: Served) -> None:
    program = f"import Pyro5.api\nwith Pyro5.api.Proxy({served.uri!r}) as p:\n p.fail(0)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert "SerializeError" in done.stderr
    assert "peers.errors.NotTrader" in done.stderr


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
    monkeypatch.setattr(config, "COMMTIMEOUT", 0.1)
    with Proxy(served.uri) as patient, socket.create_connection(served.address) as stalled:
        patient._pyroTimeout = 2.0
        patient.echo(1)
        stalled.sendall(b"PYRO")
        stalled.settimeout(2)
        while stalled.recv(1000):
            pass  # it says why, and closes
        assert patient.echo(2) == 2


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
        assert raw.recv(1000) == b""


@pytest.mark.parametrize("serializer", [1, 3, 4])
@pytest.mark.parametrize("nested", [b"[" * 100_000, b"\x91" * 100_000, b"(" * 100_000, b"{1:" * 100_000])
def test_deep_nesting_kills_nobody(served: Served, serializer: int, nested: bytes) -> None:
    with greeted(served) as raw:
        raw.sendall(message(0, serializer, nested))
        assert raw.recv(1000)
    with Proxy(served.uri) as proxy:
        assert proxy.echo(1) == 1


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
        assert line.call("echo", 2) == 2  # who has been greeted may be idle for as long as it likes
        line.close()
