"""A client of etcd's v3 JSON gateway: one connection, a request at a time, as a customer of the market has it.

The request's bytes go out in one piece on a plain socket, and the answer is mostly read in one: what the market's own
customers do with Pyro5's messages (`peers.rpc.rpc_connection`). Of what Python offers this is the fastest. Measured
in turns, 200 bytes a put, three members on two cores of a shared machine, writes a second from 1, 16 and 64
processes: 1,260, 4,100 and 5,450 this way; 1,010, 2,590 and 2,310 through `http.client`; 1,120, 3,240 and 2,950
through grpcio.
"""

from __future__ import annotations

import itertools
import socket
import time
from base64 import b64encode
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from peers.errors import TownError

Address = tuple[str, int]

_CHUNK = 64 * 1024
_END_OF_HEAD = b"\r\n\r\n"
_PAUSE_S = 0.004  # Lies between two members that both failed, for the next may be no better.


class GatewayFailed(Exception):
    """A request was not answered as asked. What it was to do may have been done all the same."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What etcd says in every answer. JSON has no integers of 64 bits, so they come as text; zeros are left out."""

    member_id: int
    raft_term: int = 0
    revision: int = 0


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a put."""

    header: Header


class MemberStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What one member says of itself; `leader` is 0 while it knows of none."""

    header: Header
    version: str
    leader: int = 0
    applied: int = msgspec.field(default=0, name="raftAppliedIndex")

    @property
    def leads(self) -> bool:
        """Whether it takes itself for the leader."""
        return self.leader == self.header.member_id


T = TypeVar("T")

_WRITTEN = msgspec.json.Decoder(Written, strict=False)
_STATUS = msgspec.json.Decoder(MemberStatus, strict=False)


def http_request(path: str, body: bytes) -> bytes:
    """Returns the bytes of a POST of `body`, which is JSON."""
    return b"POST %s HTTP/1.1\r\nHost: etcd\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        path.encode("ascii"),
        len(body),
        body,
    )


def put_request(key: bytes, value: bytes) -> bytes:
    """Returns the bytes of a request that puts `value` under `key`; the gateway takes both in base 64."""
    return http_request("/v3/kv/put", b'{"key":"%s","value":"%s"}' % (b64encode(key), b64encode(value)))


def read_head(head: bytes) -> tuple[int, int]:
    """Returns the status of an HTTP answer and the length of its body; GatewayFailed if `head` does not say."""
    status_line, *lines = head.split(b"\r\n")
    try:
        status = int(status_line.split(b" ", 2)[1])
        lengths = [int(line[15:]) for line in lines if line[:15].lower() == b"content-length:"]
    except (IndexError, ValueError) as error:
        raise GatewayFailed(f"no answer of HTTP: {status_line[:80]!r}") from error
    if len(lengths) != 1:
        raise GatewayFailed(f"an answer of unknown length, status {status}")
    return status, lengths[0]


class Gateway:
    """A connection to one member, made when first needed and again after a failure. For one thread."""

    def __init__(self, address: Address, timeout_s: float) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None

    def close(self) -> None:
        """Lets go of the connection; the next call makes another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def call(self, request: bytes) -> bytes:
        """Sends a request; returns the body of the answer. GatewayFailed where it was not answered with 200."""
        try:
            connection = self._socket or self._connect()
            connection.sendall(request)
            status, body = _read_answer(connection)
        except OSError as error:
            self.close()
            raise GatewayFailed(f"no answer from etcd: {error}") from error
        except BaseException:
            # Part of an answer may still come, and must not be taken for that of the next request.
            self.close()
            raise
        if status != 200:
            raise GatewayFailed(f"etcd answered {status}: {body[:200].decode(errors='replace')}")
        return body

    def put(self, key: bytes, value: bytes) -> Header:
        """Returns once a majority of the members has it on disk; GatewayFailed where that is not certain."""
        return _decoded(_WRITTEN, self.call(put_request(key, value))).header

    def status(self) -> MemberStatus:
        """Asks the member how it is; GatewayFailed if it does not say."""
        return _decoded(_STATUS, self.call(http_request("/v3/maintenance/status", b"{}")))

    def _connect(self) -> socket.socket:
        made = socket.create_connection(self._address, timeout=self._timeout_s)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = made
        return made


def _decoded(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    try:
        return decoder.decode(body)
    except msgspec.DecodeError as error:
        raise GatewayFailed(f"no answer of etcd's: {error}") from error


def _read_answer(connection: socket.socket) -> tuple[int, bytes]:
    heard = _receive(connection)
    while (end := heard.find(_END_OF_HEAD)) < 0:
        heard += _receive(connection)
    status, length = read_head(heard[:end])
    whole = end + len(_END_OF_HEAD) + length
    while len(heard) < whole:
        heard += _receive(connection)
    return status, heard[end + len(_END_OF_HEAD) : whole]


def _receive(connection: socket.socket) -> bytes:
    part = connection.recv(_CHUNK)
    if not part:
        raise ConnectionError("the connection ended")
    return part


class EtcdWriter:
    """Puts things into a cluster, the first of `addresses` first; of another member where one fails. For one thread.

    A put is asked for again until it is answered, which is harmless: it writes the same under the same key. It gives
    up after `patience_s` with a TownError.
    """

    def __init__(self, addresses: Sequence[Address], *, timeout_s: float = 10.0, patience_s: float = 30.0) -> None:
        self._gateways = [Gateway(address, timeout_s) for address in addresses]
        self._turn = itertools.cycle(self._gateways)
        self._current = next(self._turn)
        self._patience_s = patience_s

    def put(self, key: bytes, value: bytes) -> Header:
        """Returns once it is written for certain."""
        try:
            return self._current.put(key, value)
        except GatewayFailed:
            return self._insist(key, value)

    def _insist(self, key: bytes, value: bytes) -> Header:
        deadline = time.monotonic() + self._patience_s
        while True:
            self._current = next(self._turn)
            try:
                return self._current.put(key, value)
            except GatewayFailed as error:
                if time.monotonic() > deadline:
                    raise TownError(f"no put into etcd in {self._patience_s:g} s ({error})") from error
            time.sleep(_PAUSE_S)

    def close(self) -> None:
        """Lets go of all connections."""
        for gateway in self._gateways:
            gateway.close()
