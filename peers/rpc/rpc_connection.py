"""An `RpcConnection` calls one object through Pyro5, at little more than what the kernel takes.

Connecting is Pyro5's part. The calls themselves go past its proxy, whose machinery would cost several times as much:
a call leaves in one piece, and its answer is mostly read in one. Whatever goes wrong is a `CallFailed`,
or one of the three errors that the other side may answer with (`peers.errors.WireError`).
"""

from __future__ import annotations

import contextlib
import math
import socket
import time
from typing import Any, NoReturn

import msgspec
from Pyro5 import errors, protocol
from Pyro5.client import Proxy
from Pyro5.socketutil import SocketConnection

from peers.endpoints import host_of, split_endpoint
from peers.errors import BazaarError, wire_error_of
from peers.rpc.call_time import CallTime, keep_time
from peers.rpc.greeting import greeted_within
from peers.rpc.security.tls import expecting
from peers.rpc.shortcuts import nearest
from peers.rpc.transport import (
    ANSWER,
    CALL,
    HEADER,
    MAGIC,
    MAX_MESSAGE,
    MSGPACK,
    configure,
    message,
    pack,
)

_CHUNK = 8 * 1024
_FLAGS = protocol.FLAGS_EXCEPTION | protocol.FLAGS_CORR_ID
"""The flags that an answer may carry; with any other it is no answer to a call of ours."""


_UNKNOWN_OBJECT = "rejected: unknown object"
"""So ends what Pyro5 says when the greeting is for an object that is not served there."""


class CallFailed(BazaarError):
    """A remote call was not answered. Unless a subclass says so, nobody knows whether it ran."""


class NobodyListens(CallFailed):
    """Nobody listens there: it certainly did not run, and whoever was there is gone."""


class AnotherListens(CallFailed):
    """Who listens there does not serve that object: it certainly did not run."""


class Broken(CallFailed):
    """The connection ended before the answer came."""


class Silent(CallFailed):
    """No answer in time."""


class Garbled(CallFailed):
    """What came back is not an answer: the other side misbehaves."""


class Faulted(CallFailed):
    """The other side is there, and answered that it failed at the call."""


class RpcConnection:
    """A connection to one object, made when first needed and again after a failure.

    It belongs to the thread that calls; only `cut` may come from another. Arguments are plain (see `pack`).
    """

    def __init__(self, uri: str, timeout_s: float) -> None:
        configure()
        self.uri = uri
        self._timeout_s = timeout_s
        self._longest_s = math.inf
        self._connection: SocketConnection | None = None
        self._seq = 0

    @property
    def connected(self) -> bool:
        return self._connection is not None

    def _connect(self) -> SocketConnection:
        try:
            proxy = Proxy(nearest(self.uri))
        except errors.PyroError as error:
            raise Garbled(f"{self.uri[:100]} is no address: {error}") from error
        proxy._pyroTimeout = self._timeout_s
        proxy._pyroSerializer = "msgpack"
        try:
            # It may be dialled at another address.
            with expecting(host_of(self.uri)), greeted_within(self._timeout_s):
                proxy._pyroBind()
            keep_time(proxy._pyroConnection.sock, self._timeout_s)
        except errors.PyroError as error:
            raise _failure(error, self.uri) from error
        except OSError as error:
            raise Silent(f"{self.uri} cannot be reached: {error}") from error
        except Exception as error:
            raise Garbled(f"{self.uri} greeted with what cannot be read: {error}") from error
        connection, proxy._pyroConnection = proxy._pyroConnection, None
        self._connection = connection
        return connection

    def call(self, method: str, *arguments: object, **named: object) -> Any:
        """Calls a method there; raises WireError as answered, CallFailed, Garbled for what is no answer, Faulted
        for the answer that it failed."""
        last_s = time.monotonic() + self._longest_s
        is_new = self._connection is None
        connection = self._connection or self._connect()
        self._seq = seq = (self._seq + 1) & 0xFFFF
        sock = connection.sock
        call_time = CallTime(sock, self._timeout_s, last_s)
        try:
            if is_new:
                call_time.renew(0)  # To connect has taken some of the longest time.
            packed = _pack_call(connection.objectId, method, arguments, named)
            _send(sock, message(CALL, 0, seq, packed), call_time)
            flags, payload = _receive(sock, seq, call_time)
            if call_time.is_renewed:
                keep_time(sock, self._timeout_s)
        except BaseException as error:
            self.close()  # Otherwise an answer that comes late would be taken for that of the next call.
            if isinstance(error, OSError | errors.PyroError):
                raise _failure(error, self.uri) from error
            raise
        try:
            answer = MSGPACK.loads(payload) if flags & protocol.FLAGS_EXCEPTION else _unpack(payload)
        except Exception as error:
            raise Garbled(f"{self.uri} answered what cannot be read: {error}") from error
        if not flags & protocol.FLAGS_EXCEPTION:
            return answer
        if not isinstance(answer, BaseException):
            raise Garbled(f"{self.uri} answered with an error that is none: {str(answer)[:200]}")
        answered = wire_error_of(answer)
        if answered is not None:
            raise answered
        raise Faulted(f"{self.uri} failed at {method}: {str(answer)[:200]}")

    def is_refused(self) -> bool:
        """Whether nobody listens there any more, found out without touching the connection that there is."""
        try:
            socket.create_connection(split_endpoint(nearest(self.uri).rpartition("@")[2]), self._timeout_s).close()
        except ConnectionRefusedError:
            return True
        except (OSError, ValueError):
            return False
        return False

    def fileno(self) -> int:
        """Returns the file number of the socket, to wait on; -1 while there is none."""
        return self._connection.fileno() if self._connection is not None else -1

    def limit(self, timeout_s: float, longest_s: float = math.inf) -> None:
        """Bounds the calls from now on by `timeout_s`, above 0, instead of what was said before; and by `longest_s`
        also where they are large."""
        self._longest_s = longest_s
        if timeout_s == self._timeout_s:
            return
        self._timeout_s = timeout_s
        if self._connection is not None:
            keep_time(self._connection.sock, timeout_s)

    def cut(self) -> None:
        """Has a call under way fail at once. From any thread."""
        connection = self._connection
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Ends the connection; the next call makes another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _send(sock: socket.socket, data: bytes, call_time: CallTime) -> None:
    went = sock.send(data)
    if went == len(data) <= _CHUNK:
        return  # So it is mostly, and that was no time.
    rest = memoryview(data)[went:]
    call_time.renew(went)
    while rest:
        went = sock.send(rest)
        rest = rest[went:]
        call_time.renew(went)


def _receive(sock: socket.socket, seq: int, call_time: CallTime) -> tuple[int, bytes | bytearray]:
    """Reads the answer to the call of this number; returns its flags and its payload."""
    data: bytes | bytearray = _read(sock)
    while len(data) < HEADER.size:
        call_time.renew(0)
        data += _read(sock)
    start, flags, answered, size, notes, magic = HEADER.unpack_from(data)
    if start != ANSWER or magic != MAGIC:
        raise errors.ProtocolError("what came is no answer, or not in msgpack")
    if answered != seq or flags & ~_FLAGS:
        raise errors.ProtocolError(f"answer {answered} with flags {flags:#x} came for call {seq}")
    if notes + size > MAX_MESSAGE:
        raise errors.ProtocolError(f"message too large ({notes + size}, max={MAX_MESSAGE})")
    end = HEADER.size + notes + size
    if len(data) < end:
        data = _read_rest(sock, data, end, call_time)
    elif len(data) > end:
        raise errors.ProtocolError("more came than one answer")
    return flags, data[HEADER.size + notes :]


def _read(sock: socket.socket) -> bytes:
    return sock.recv(_CHUNK) or _closed()


def _read_rest(sock: socket.socket, data: bytes | bytearray, end: int, call_time: CallTime) -> bytearray:
    whole = bytearray(end)
    have = came = len(data)
    whole[:have] = data
    with memoryview(whole) as view:
        while have < end:
            call_time.renew(came)
            came = sock.recv_into(view[have:]) or _closed()
            have += came
    return whole


def _closed() -> NoReturn:
    raise ConnectionError("the connection was closed")


def _pack_call(target: str, method: str, arguments: tuple[object, ...], named: dict[str, object]) -> bytes:
    try:
        return pack((target, method, arguments, named))
    except (TypeError, ValueError, OverflowError):
        packed: bytes = MSGPACK.dumpsCall(target, method, arguments, named)
        return packed


def _foreign(code: int, _data: memoryview) -> NoReturn:
    raise msgspec.ValidationError(f"extension {code}")


_unpack_plain = msgspec.msgpack.Decoder(ext_hook=_foreign).decode


def _unpack(payload: bytes | bytearray) -> Any:
    """Unpacks a result, with Pyro5's help where it has put more into it than is plain."""
    if b"__class__" not in payload:
        try:
            return _unpack_plain(payload)
        except (ValueError, RecursionError):
            pass  # It may still be something that only Pyro5 can read.
    return MSGPACK.loads(payload)


def _failure(error: Exception, uri: str) -> CallFailed:
    """Says in our words how a call failed."""
    said = f"{uri}: {error}"
    if isinstance(error.__cause__, ConnectionRefusedError):
        return NobodyListens(said)
    if said.endswith(_UNKNOWN_OBJECT):
        return AnotherListens(said)
    if isinstance(error, errors.TimeoutError | TimeoutError | BlockingIOError):
        return Silent(f"{uri}: no answer in time")
    if isinstance(error.__cause__, OSError):
        return Silent(said)
    if isinstance(error, errors.ConnectionClosedError | OSError):
        return Broken(said)
    return Garbled(said)
