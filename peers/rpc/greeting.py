"""Bounds how long Pyro5 waits for a greeting. It connects and greets in one go, with a timeout that begins anew with
each byte that comes; so whoever greets a byte at a time would keep its caller without end."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from contextvars import ContextVar

from Pyro5 import errors, socketutil
from Pyro5.socketutil import SocketConnection

_greeted_by_s: ContextVar[float] = ContextVar("greeted_by_s", default=math.inf)


@contextlib.contextmanager
def greeted_within(seconds: float) -> Iterator[None]:
    """Within, what Pyro5 reads has so much time in all; its TimeoutError where that is over."""
    token = _greeted_by_s.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _greeted_by_s.reset(token)


class _Connection(SocketConnection):  # type: ignore[misc]
    """A connection as Pyro5 makes it, which is read as ever outside `greeted_within`."""

    def recv(self, size: int) -> bytes:
        due_s = _greeted_by_s.get()
        if due_s == math.inf:
            return bytes(super().recv(size))
        data = bytearray()
        while len(data) < size:
            data += self._next(size - len(data), due_s - time.monotonic())
        return bytes(data)

    def _next(self, size: int, left_s: float) -> bytes:
        if left_s <= 0:
            raise errors.TimeoutError("receiving: timeout")
        self.sock.settimeout(left_s)
        try:
            piece: bytes = self.sock.recv(size)
        except TimeoutError:
            raise errors.TimeoutError("receiving: timeout") from None
        except OSError as error:
            raise errors.ConnectionClosedError(f"receiving: connection lost: {error}") from None
        if not piece:
            raise errors.ConnectionClosedError("receiving: not enough data")
        return piece


def bound_greetings() -> None:
    """From now on, Pyro5 reads by that in this process. May be called again."""
    socketutil.SocketConnection = _Connection
