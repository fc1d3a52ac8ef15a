"""A caller that speaks Pyro's protocol byte by byte, so that it can say what no client ever would."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
from pathlib import Path
from types import TracebackType
from typing import Self

from Pyro5 import protocol, serializers

from peers.rpc.transport import HEADER, MAGIC

SERPENT = 1
JSON = 3
MSGPACK = 4


def member_context(tls: Path) -> ssl.SSLContext:
    """How the holder of the certificate in a town's directory `tls` calls; Pyro's own settings stay as they are."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_cert_chain(tls / "member.pem")
    context.load_verify_locations(tls / "ca.pem")
    return context


def message(kind: int, serializer: int, payload: bytes, *, flags: int = 0, notes: bytes = b"", seq: int = 1) -> bytes:
    """A whole message, whatever sense it makes; `notes` are its annotations."""
    start = struct.pack("!4sHBB", b"PYRO", protocol.PROTOCOL_VERSION, kind, serializer)
    return HEADER.pack(start, flags, seq, len(payload), len(notes), MAGIC) + notes + payload


def call(
    target: object,
    method: object,
    arguments: object = (),
    named: object = None,
    *,
    serializer: int = JSON,
    flags: int = 0,
) -> bytes:
    """A call as a client would send it, but that any text can be in it."""
    given = {} if named is None else named
    if serializer == JSON:
        payload = json.dumps({"object": target, "method": method, "params": arguments, "kwargs": given}).encode()
    else:
        payload = serializers.serializers_by_id[serializer].dumpsCall(target, method, arguments, given)
    return message(protocol.MSG_INVOKE, serializer, payload, flags=flags)


def hello_to(target: str) -> bytes:
    """The greeting of any client."""
    hello = serializers.serializers_by_id[JSON].dumps({"handshake": "hello", "object": target})
    return message(protocol.MSG_CONNECT, JSON, hello)


class RawCaller:
    """A connection to `where`, over TLS with a `context`; greeted once `greet` returns."""

    def __init__(
        self, where: tuple[str, int], context: ssl.SSLContext | None = None, timeout_s: float = 30.0
    ) -> None:
        self.sock = socket.create_connection(where, timeout=timeout_s)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            self.sock = context.wrap_socket(self.sock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.close()

    def greet(self, target: str) -> Self:
        """Greets as any client does; ConnectionError if it is not greeted back."""
        self.sock.sendall(hello_to(target))
        answer = self.answer()
        if answer is None or answer[0] != protocol.MSG_CONNECTOK:
            raise ConnectionError(f"not greeted: {answer}")
        return self

    def answer(self) -> tuple[int, int, bytes] | None:
        """Returns kind, flags and payload of the next message that comes; None if the connection ends instead."""
        try:
            header = self._exactly(HEADER.size)
            start, flags, _seq, size, notes, _magic = HEADER.unpack(header)
            return start[6], flags, self._exactly(size + notes)[notes:]
        except (ConnectionError, ssl.SSLError):
            return None

    def _exactly(self, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            part = self.sock.recv(min(65536, size - len(parts)))
            if not part:
                raise ConnectionError("closed")
            parts += part
        return bytes(parts)
