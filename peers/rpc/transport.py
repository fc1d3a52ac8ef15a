"""Pyro5 as this project sets it up, and what serving (`server`) and calling (`rpc_connection`) share.

Whatever depends on how Pyro5 behaves is in this folder, so that it can be replaced.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Callable
from typing import NoReturn

import msgspec
from Pyro5 import config, errors, protocol, serializers

from peers.rpc.forms.public_errors import send_errors_readably
from peers.rpc.greeting import bound_greetings

MAX_MESSAGE = 8 * 1024 * 1024
"""The most bytes in the payload and the annotations of one answer."""

MAX_CALL = 1024 * 1024
"""The most bytes in the payload and the annotations of one call."""

_MAX_SERPENT_CALL = 128 * 1024
_MAX_GREETING = 64 * 1024

STALLED_S = 30.0
"""A connection that stops in the middle of a message is closed after so long."""

MOST_CONNECTIONS = 1000
"""A server has at most so many threads for its connections."""

MSGPACK = serializers.serializers["msgpack"]
"""Pyro5's own, which also packs what is not plain: exceptions, sets, numbers of any size."""

TAKEN = frozenset(serializers.serializers_by_id) - {serializers.MarshalSerializer.serializer_id}
"""The numbers of the serializers that a server reads. Marshal is not safe to load."""

pack: Callable[[object], bytes] = msgspec.msgpack.Encoder().encode
"""Packs what is plain: None, bool, int, float, str, bytes, and lists and dicts of these."""

HEADER = struct.Struct("!8sHHII18xH")
"""A message's header: start, flags, number, length of the payload and of the annotations before it, and the magic."""

MAGIC = 0x4DC5
"""The number that ends each header of Pyro5's."""


PROTOCOL = struct.pack("!4sH", b"PYRO", protocol.PROTOCOL_VERSION)
"""How every message starts."""

SERIALIZER_AT = 7
"""The place of the serializer's number in a header."""


def start_of(kind: int, serializer: int = MSGPACK.serializer_id) -> bytes:
    """Returns how a message of this kind starts whose payload is in this serializer."""
    return PROTOCOL + bytes((kind, serializer))


CALL = start_of(protocol.MSG_INVOKE)
ANSWER = start_of(protocol.MSG_RESULT)
"""How messages start whose payload is msgpack."""


def message(start: bytes, flags: int, seq: int, payload: bytes) -> bytes:
    """Returns a message as Pyro5 would send it. ProtocolError if it is too large."""
    largest = MAX_CALL if start == CALL else MAX_MESSAGE
    if len(payload) > largest:
        raise errors.ProtocolError(f"message too large ({len(payload)}, max={largest})")
    return HEADER.pack(start, flags, seq, len(payload), 0, MAGIC) + payload


def largest_taken(serializer: int, *, greeted: bool) -> int:
    """Returns the most bytes that a server takes of one message in this serializer, in payload and annotations.

    Far less than an answer may have: what is read takes many times as much memory. Serpent is read by Python's own
    parser, which takes 2 s for a megabyte, and no other thread of the process does anything meanwhile.
    """
    if not greeted:
        return _MAX_GREETING
    return _MAX_SERPENT_CALL if serializer == serializers.SerpentSerializer.serializer_id else MAX_CALL


def keep_time_in_kernel(sock: socket.socket, timeout_s: float) -> None:
    """Has sending and reading end with BlockingIOError after so long, instead of Python's own TimeoutError.

    Python asks the kernel to wait, and then to send or read: two calls, and the interpreter let go of twice, for one.
    """
    if isinstance(sock, ssl.SSLSocket):
        return  # It may have to read or send several times for one call of ours, and keeps time itself.
    limit = struct.pack("@ll", int(timeout_s), max(1, int(timeout_s % 1 * 1_000_000)))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
    sock.settimeout(None)


_KEEP_ALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))


def notice_gone_callers(listener: socket.socket) -> None:
    """Has connections end whose callers have been gone for a minute and a half without a word, as behind a router
    that has forgotten them. By itself the kernel looks after two hours, and each costs a file, with TLS a thread too.

    `listener` is where they come in; they inherit it.
    """
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE:
        option = getattr(socket, name, None)  # Not every system has them under these names.
        if option is not None:
            listener.setsockopt(socket.IPPROTO_TCP, option, value)


def configure() -> None:
    """Sets Pyro5 up for this process. May be called again."""
    # Without it a oneway followed by a call on one connection waits 40 ms for an acknowledgement.
    config.SOCK_NODELAY = True
    config.SERVERTYPE = "thread"
    config.THREADPOOL_SIZE = MOST_CONNECTIONS
    config.THREADPOOL_SIZE_MIN = 1
    # A call that the proxy sends again could be done twice.
    config.MAX_RETRIES = 0
    # This is for servers, in the middle of a message; those who call set their own.
    config.COMMTIMEOUT = STALLED_S
    # The accept loop wakes up for nothing as often as this says.
    config.POLLTIMEOUT = 3600.0
    config.ITER_STREAMING = False
    config.MAX_MESSAGE_SIZE = MAX_MESSAGE
    # Pyro takes the other side's word for how its greeting is packed, and marshal is not safe to load.
    serializers.MarshalSerializer.loads = serializers.MarshalSerializer.loadsCall = _refuse_marshal
    send_errors_readably()
    bound_greetings()


def _refuse_marshal(_serializer: object, _data: object) -> NoReturn:
    raise errors.SerializeError("marshal data is not loaded")
