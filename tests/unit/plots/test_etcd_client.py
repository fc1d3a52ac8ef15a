"""What goes to etcd's gateway and what comes back, byte by byte, over a real connection to a made-up member."""

from __future__ import annotations

import json
import socket
import threading
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peers.errors import SettingsError, TownError
from plots.measure.apparatus.etcd_client import (
    EtcdWriter,
    Gateway,
    GatewayFailed,
    http_request,
    put_request,
    read_head,
)
from plots.measure.etcd.cluster import find_etcd

HEADER = b'{"cluster_id":"14841639068965178418","member_id":"10276657743932975437","revision":"7","raft_term":"2"}'
WRITTEN = b'{"header":' + HEADER + b"}"


def answer(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        status,
        len(body),
        body,
    )


class MadeUpMember:
    """Answers the requests of one connection after another with what it was given for each, in these pieces."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()
        self.heard: list[bytes] = []
        self.connections = 0
        self._scripts: list[list[bytes] | None] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def will_say(self, *scripts: list[bytes] | None) -> MadeUpMember:
        """One script a request: pieces, or None to hang up."""
        self._scripts += scripts
        self._thread.start()
        return self

    def close(self) -> None:
        self._listener.close()
        self._thread.join(5.0)

    def _serve(self) -> None:
        while self._scripts:
            connection, _ = self._listener.accept()
            self.connections += 1
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        while self._scripts:
            heard = connection.recv(64 * 1024)
            if not heard:
                return
            self.heard.append(heard)
            script = self._scripts.pop(0)
            if script is None:
                return
            for piece in script:
                connection.sendall(piece)
        connection.recv(1)  # This returns when the client lets go.


@pytest.fixture
def member() -> Iterator[MadeUpMember]:
    made_up = MadeUpMember()
    yield made_up
    made_up.close()


@pytest.fixture
def gateway(member: MadeUpMember) -> Iterator[Gateway]:
    made = Gateway(member.address, 5.0)
    yield made
    made.close()


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_a_put_says_what_is_put(key: bytes, value: bytes) -> None:
    head, _, body = put_request(key, value).partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    assert first == "POST /v3/kv/put HTTP/1.1"
    assert f"Content-Length: {len(body)}" in lines
    sent = json.loads(body)
    assert (b64decode(sent["key"]), b64decode(sent["value"])) == (key, value)


def test_heads_are_read_whatever_the_case_of_their_names() -> None:
    assert read_head(b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\nDate: today") == (200, 12)
    assert read_head(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length:0") == (503, 0)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"rubbish",
        b"HTTP/1.1 abc\r\nContent-Length: 1",
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 200 OK\r\nContent-Length: x",
    ],
)
def test_a_head_that_does_not_say_where_the_answer_ends_is_refused(head: bytes) -> None:
    with pytest.raises(GatewayFailed):
        read_head(head)


def test_numbers_of_64_bits_come_as_text_and_zeros_not_at_all(member: MadeUpMember, gateway: Gateway) -> None:
    status = b'{"header":' + HEADER + b',"version":"3.4.23","leader":"10276657743932975437","raftAppliedIndex":"9"}'
    member.will_say([answer(WRITTEN)], [answer(status)], [answer(b'{"header":' + HEADER + b',"version":"3"}')])
    header = gateway.put(b"k", b"v")
    assert (header.member_id, header.revision, header.raft_term) == (10276657743932975437, 7, 2)
    said = gateway.status()
    assert (said.version, said.applied, said.leads) == ("3.4.23", 9, True)
    assert gateway.status().leader == 0
    assert member.connections == 1
    assert member.heard == [put_request(b"k", b"v"), *[http_request("/v3/maintenance/status", b"{}")] * 2]


@pytest.mark.parametrize("size", [1, 7, 60])
def test_an_answer_may_come_in_pieces(member: MadeUpMember, gateway: Gateway, size: int) -> None:
    whole = answer(WRITTEN)
    member.will_say([whole[at : at + size] for at in range(0, len(whole), size)], [whole])
    assert gateway.put(b"a", b"1").revision == gateway.put(b"b", b"2").revision == 7
    assert member.connections == 1


@pytest.mark.parametrize(
    "script",
    [
        [answer(b'{"error":"etcdserver: request timed out"}', b"503 Service Unavailable")],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
        [answer(b"<html>")],
        None,
    ],
)
def test_what_was_not_answered_fails_and_the_next_is_answered(
    member: MadeUpMember, gateway: Gateway, script: list[bytes] | None
) -> None:
    member.will_say(script, [answer(WRITTEN)])
    with pytest.raises(GatewayFailed):
        gateway.put(b"a", b"1")
    assert gateway.put(b"a", b"1").revision == 7


def test_a_late_answer_is_not_taken_for_that_of_the_next_request(member: MadeUpMember) -> None:
    gateway = Gateway(member.address, 0.05)
    member.will_say([answer(WRITTEN)[:20]], [answer(WRITTEN)])
    with pytest.raises(GatewayFailed, match="no answer"):
        gateway.put(b"a", b"1")
    assert gateway.put(b"a", b"1").revision == 7
    assert member.connections == 2
    gateway.close()


def test_a_writer_asks_the_next_member(member: MadeUpMember) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        nobody = gone.getsockname()
    member.will_say([answer(WRITTEN)], [answer(WRITTEN)])
    writer = EtcdWriter([nobody, member.address], patience_s=5.0)
    writer.put(b"a", b"1")
    writer.put(b"b", b"2")
    assert member.heard == [put_request(b"a", b"1"), put_request(b"b", b"2")]
    writer.close()


def test_a_writer_loses_its_patience() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        nobody = gone.getsockname()
    writer = EtcdWriter([nobody], patience_s=0.05)
    with pytest.raises(TownError, match="no put into etcd"):
        writer.put(b"a", b"1")


def test_without_etcd_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SettingsError, match="etcd-server"):
        find_etcd()
