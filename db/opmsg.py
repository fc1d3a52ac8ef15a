"""A connection to mongod for many messages at a time: OP_MSG, the wire protocol of MongoDB 3.6 and later.

The driver sends a command and waits for its answer, one by one. Where a row of commands is known beforehand (the
writes of a transaction), most of their time is that waiting, and much of the rest the driver's care for things that
do not happen here. This sends them in one go. Plain connections only: with credentials or TLS, take the driver.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Mapping, Sequence
from typing import Any

import bson
from pymongo.errors import ConnectionFailure

from peers.core.ledger import Meanwhile

Document = dict[str, Any]

_OPCODE = 2013
_HEAD = struct.Struct("<iiiiIB")  # length, number, answered number, opcode, flags, kind of the one section
_LARGEST = 48_000_000
_CHUNK = 64 * 1024
_LEAST_S = 0.05


class Lost(ConnectionFailure):
    """The connection broke, or the answer did not come in time: nobody knows what became of what was sent."""


class MessageConnection:
    """A connection to the mongod at `address` (host, port), made at once; Lost if that is not possible."""

    def __init__(self, address: tuple[str, int], *, deadline_s: float, appname: str) -> None:
        self._numbers = 0
        self._awaited: list[int] = []
        self._read = bytearray()
        self._deadline_s = deadline_s
        try:
            self._socket = socket.create_connection(address, self._left_s())
        except OSError as error:
            raise Lost(f"connecting: {error}") from error
        try:
            self._poll = select.poll()
            self._poll.register(self._socket, select.POLLIN)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            driver = {"name": "bazaar", "version": "1"}
            client = {"application": {"name": appname}, "driver": driver, "os": {"type": "any"}}
            self.send([{"hello": 1, "client": client, "$db": "admin"}])
            self.receive()
        except BaseException:
            self._socket.close()
            raise

    @property
    def is_stale(self) -> bool:
        """Whether the other end has hung up meanwhile."""
        # Nothing is to come unasked. (A receive that must not wait would: Python waits before it tries.)
        return bool(self._poll.poll(0))

    def set_deadline(self, deadline_s: float) -> None:
        """Until when (monotonic) all that follows has to be over."""
        self._deadline_s = deadline_s
        self._socket.settimeout(self._left_s())

    def send(self, commands: Sequence[Mapping[str, Any]]) -> None:
        """Sends commands, each with its `$db`; the server takes them one after another. Raises Lost."""
        parts: list[bytes] = []
        for command in commands:
            self._numbers += 1
            self._awaited.append(self._numbers)
            body = bson.encode(command)
            parts += (_HEAD.pack(_HEAD.size + len(body), self._numbers, 0, _OPCODE, 0, 0), body)
        try:
            self._socket.sendall(b"".join(parts))
        except OSError as error:
            raise Lost(f"sending: {error}") from error

    def receive(self, meanwhile: Meanwhile | None = None) -> list[Document]:
        """Returns the answers to everything sent and not yet answered, in order. Raises Lost.

        Until the first is there, does what there is to do `meanwhile`.
        """
        while meanwhile is not None and not self._poll.poll(0) and meanwhile():
            pass
        answers = []
        while self._awaited:
            answers.append(self._receive_one(self._awaited[0]))
            del self._awaited[0]
        return answers

    def _receive_one(self, number: int) -> Document:
        head = self._take(_HEAD.size)
        length, _, answered, opcode, flags, kind = _HEAD.unpack(head)
        if opcode != _OPCODE or flags or kind or answered != number or not _HEAD.size < length <= _LARGEST:
            raise Lost(f"what came is no answer to message {number}")
        return bson.decode(self._take(length - _HEAD.size))

    def _take(self, size: int) -> bytes:
        while len(self._read) < size:
            try:
                chunk = self._socket.recv(_CHUNK)
            except OSError as error:
                raise Lost(f"receiving: {error}") from error
            if not chunk:
                raise Lost("receiving: closed")
            self._read += chunk
            if time.monotonic() > self._deadline_s:
                raise Lost("receiving: too late")
        taken = bytes(self._read[:size])
        del self._read[:size]
        return taken

    def _left_s(self) -> float:
        return max(self._deadline_s - time.monotonic(), _LEAST_S)

    def close(self) -> None:
        self._socket.close()
