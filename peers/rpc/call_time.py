"""How long one call may last. A timeout of the kernel's, or of Python's, begins anew with each byte that comes: by
itself it bounds silence only, and an answer that comes a byte at a time would be waited for without end."""

from __future__ import annotations

import math
import socket
import ssl
import time

from peers.rpc.transport import keep_time_in_kernel

LEAST_PACE = 2000
"""The bytes a second that a wire lets through at least. No setting: it is less than that of any wire worth the name,
and large answers are waited for as long as they come no slower."""


class CallTime:
    """The time that one call over `sock` has from now on: `timeout_s`, and a second more for each `LEAST_PACE` bytes
    of it that went to and fro, but never more than until `last_s` (monotonic). Nor may the other side be silent for
    longer than `timeout_s`.

    The caller sees to it that the first piece takes no longer; whatever comes after it is bounded by `renew`."""

    __slots__ = ("_due_s", "_last_s", "_sock", "_timeout_s", "is_renewed")

    def __init__(self, sock: socket.socket, timeout_s: float, last_s: float = math.inf) -> None:
        self._sock = sock
        self._timeout_s = timeout_s
        self._due_s = time.monotonic() + timeout_s
        self._last_s = last_s
        self.is_renewed = False
        """Whether the socket's own timeout is another now."""

    def renew(self, went: int) -> None:
        """Bounds the next piece, after one of so many bytes. TimeoutError if there is no more time."""
        self._due_s += went / LEAST_PACE
        left_s = min(self._due_s, self._last_s) - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("no answer in time")
        self.is_renewed = True
        keep_time(self._sock, min(left_s, self._timeout_s))


def keep_time(sock: socket.socket, timeout_s: float) -> None:
    """Bounds each piece that is sent or received from now on, each in the way that costs least."""
    if isinstance(sock, ssl.SSLSocket):
        sock.settimeout(timeout_s)
    else:
        keep_time_in_kernel(sock, timeout_s)
