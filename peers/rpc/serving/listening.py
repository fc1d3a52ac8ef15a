"""A socket from which one thread takes callers and never waits, be it for a handshake or for want of sockets.

Peers and name servers both take their callers by it; what becomes of these is theirs to say.
"""

from __future__ import annotations

import resource
import selectors
import socket
import ssl
import time
from collections.abc import Callable, Iterator

from peers.rpc.transport import notice_gone_callers

MOST_UNGREETED = 500
"""At most so many callers may not have been greeted yet: a flood of them must not take all sockets there are. No
setting: it is many times what the members of a town need."""

_ACCEPTED_AT_ONCE = 50
_BACKLOG = 1024
_NO_SOCKET_S = 0.1
"""The time before connections are taken again, where the process may open no more sockets."""


def most_connections(bound: int) -> int:
    """Returns how many connections a server may have: `bound`, but half of the files that its process may open at
    most."""
    return max(16, min(bound, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2))


class Listening:
    """Listens at `sock`, a TLS socket where TLS is spoken, and has `selector` look whether somebody comes."""

    def __init__(self, sock: socket.socket, selector: selectors.BaseSelector) -> None:
        self._sock = sock
        self._selector = selector
        self._sock.setblocking(False)
        notice_gone_callers(self._sock)
        self._sock.listen(_BACKLOG)
        self._selector.register(self._sock, selectors.EVENT_READ)
        self.deaf_until_s: float | None = None
        """Until when nobody is taken for want of sockets, in monotonic seconds; None while callers are."""

    def is_at(self, place: object) -> bool:
        """Whether `place`, of which the selector tells, is where callers come in."""
        return place is self._sock

    def callers(self, on_no_socket: Callable[[OSError], None]) -> Iterator[socket.socket]:
        """Gives those who have come, some at a time. `on_no_socket` is told if there may be no more sockets."""
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                # The socket's own `accept` is where one of TLS would wait for a handshake.
                accepted, _address = socket.socket.accept(self._sock)
            except BlockingIOError:
                return
            except ConnectionError:
                continue  # The caller has gone again.
            except OSError as error:
                on_no_socket(error)
                return
            yield accepted

    def secured(self, accepted: socket.socket) -> socket.socket:
        """Returns the socket to speak with a caller by, whose handshake is still to come. OSError or ValueError if it
        has gone again."""
        if not isinstance(self._sock, ssl.SSLSocket):
            return accepted
        return self._sock.context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False)

    def go_deaf(self) -> None:
        """Takes nobody for a moment."""
        if self.deaf_until_s is None:
            self._selector.unregister(self._sock)
        self.deaf_until_s = time.monotonic() + _NO_SOCKET_S

    def keep_time(self, now_s: float) -> None:
        """Takes callers again once the moment is over."""
        if self.deaf_until_s is not None and self.deaf_until_s <= now_s:
            self.deaf_until_s = None
            self._selector.register(self._sock, selectors.EVENT_READ)
