"""The transport: what crosses it, and how failures are told apart."""

from __future__ import annotations

import socket
import threading

import pytest
from Pyro5 import errors
from Pyro5.client import BatchProxy, Proxy
from Pyro5.server import expose

from peers.errors import BadRequest, PostClosed, SettingsError, wire_error_of
from peers.rpc.rpc_connection import Broken, CallFailed, Faulted, NobodyListens, RpcConnection, Silent
from peers.rpc.serving.served_connection import CallAnswer
from peers.rpc.serving.server import Server, served_on_thread
from tests.contract.rpc.served import ERRORS, Served, Target
from tests.helpers.raw_caller import call
from tests.helpers.waiting import wait_until

KEEP_ALIVE = [getattr(socket, name, 0) for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")]


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
    assert not any(word in told for word in ("secret", "/", "Traceback", "served.py"))
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


@pytest.mark.parametrize("method", ["crash", "no_such_method", "_private"])
def test_other_errors_are_faults_of_one_that_is_there(line: RpcConnection, method: str) -> None:
    with pytest.raises(Faulted, match=method):
        line.call(method)
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


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::"])
def test_a_server_needs_an_address_that_can_be_called(host: str) -> None:
    with pytest.raises(SettingsError):
        Server(host, Target(), "target")


def test_batches_and_one_after_the_other_in_one_packet(served: Served) -> None:
    with Proxy(served.uri) as proxy:
        batch = BatchProxy(proxy)
        for n in range(50):
            batch.echo(n)
        assert list(batch()) == list(range(50))
    asked = call("target", "echo", (1,))
    with served.greeted() as raw:
        raw.sendall(asked * 3)
        wait_until(lambda: served.target.calls == 53, what="three calls sent at once", deadline_s=2)
