"""Watches many connections, so that none of them needs a thread while nothing comes.

One thread watches, the others wait to. Whoever sees something come takes it in; but before it does what may take
long, it hands the watch on (leader and followers: Schmidt, O'Ryan, Kircher, Pyarali and Buschmann, 2000). So a
purchase is read, decided and committed by one thread, as if each connection had its own; and where many buy at once,
all that has come is taken in by one thread in one go, where a thread each would fight for the interpreter.
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
from collections.abc import Callable

Afterwards = Callable[[], None]
OnReadable = Callable[[], Afterwards | None]

_log = logging.getLogger(__name__)

THREADS = 2
"""One thread watches while the other commits; a peer has at most one commit under way."""


class Reactor:
    """Watches sockets. An `on_readable` must not wait: what may take long it returns, to be done afterwards."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._watching = threading.Lock()
        self._adding = threading.Lock()
        self._closed = False
        self._heard, self._caller = socket.socketpair()
        self._selector.register(self._heard, selectors.EVENT_READ, _nothing)
        self._threads = [threading.Thread(target=self._run, name="reactor", daemon=True) for _ in range(THREADS)]
        for thread in self._threads:
            thread.start()

    def add(self, sock: socket.socket, on_readable: OnReadable) -> None:
        """Watches `sock`: `on_readable` is called whenever something has come, by one thread at a time."""
        with self._adding:
            if not self._closed:
                self._selector.register(sock, selectors.EVENT_READ, on_readable)

    def remove(self, sock: socket.socket) -> None:
        """Watches `sock` no more. To be called only from within an `on_readable`."""
        self._selector.unregister(sock)

    def close(self) -> None:
        """Ends the watch."""
        with self._adding:
            self._closed = True
        self._caller.close()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()
        self._selector.close()
        self._heard.close()

    def _run(self) -> None:
        while not self._closed:
            with self._watching:
                afterwards = [] if self._closed else self._look()
            for each in afterwards:
                try:
                    each()
                except MemoryError:
                    raise  # It concerns them all: what was half done stays so.
                except Exception:  # noqa: BLE001 - It concerns one caller, and the watch must go on for all others.
                    _log.exception("something could not be done")

    def _look(self) -> list[Afterwards]:
        found = [key.data() for key, _ in self._selector.select()]
        return [afterwards for afterwards in found if afterwards is not None]


def _nothing() -> None:
    """The watch is over: its end can be read, and is left there for the other threads."""
