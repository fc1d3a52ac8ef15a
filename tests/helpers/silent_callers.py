"""Callers that connect and say nothing: a scan of ports, a health check, a client that is suspended."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

MANY = 200


@contextlib.contextmanager
def silent_callers(host: str, port: int, many: int = MANY) -> Iterator[list[socket.socket]]:
    """That many connections, which have said nothing yet."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(socket.create_connection((host, port), timeout=60)) for _ in range(many)]


def is_sent_away(caller: socket.socket) -> bool:
    """Whether the other side ends the connection, whatever it says first; TimeoutError if it never does."""
    with contextlib.suppress(ConnectionError):
        while caller.recv(1000):
            pass
    return True
