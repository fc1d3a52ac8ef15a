"""A TCP relay to stand between a ledger and its mongod, and lose things on purpose."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

APPEND = b"insert\x00\x04\x00\x00\x00log\x00"
"""What is in a message that writes an entry of the log: the name of the command, and of the collection."""

_DEADLINE_S = 10.0

Loss = Literal["request", "answer", "held"]


@dataclass
class _Link:
    client: socket.socket
    server: socket.socket
    loss: Loss | None = None

    def hang_up(self) -> None:
        for end in (self.client, self.server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


class Relay:
    """Forwards to `port` on loopback until told otherwise. Use as a context manager; `uri` leads through it."""

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._links: list[_Link] = []
        self._threads: list[threading.Thread] = []
        self._is_cut = False
        self._swallows = False
        self._next_loss: Loss | None = None
        self._word = APPEND
        self._stays_cut = False
        self._before: tuple[bytes, Callable[[], object]] | None = None
        self._held: tuple[_Link, bytes] | None = None
        self.has_lost = 0
        """How many messages were lost so far."""
        self._late_answers: queue.Queue[bytes] = queue.Queue()

    @property
    def uri(self) -> str:
        return f"mongodb://127.0.0.1:{self._listener.getsockname()[1]}/?directConnection=true"

    def __enter__(self) -> Relay:
        self._run(self._accept)
        return self

    def __exit__(self, *exc_info: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        if self._held is not None:
            self._held[0].hang_up()
        for thread in list(self._threads):
            thread.join(_DEADLINE_S)

    def cut(self) -> None:
        """Breaks all connections and refuses new ones until `heal`."""
        with self._lock:
            self._is_cut = True
            links, self._links = self._links, []
        for link in links:
            link.hang_up()

    def heal(self) -> None:
        with self._lock:
            self._is_cut = False
            swallowed, self._swallows = self._swallows, False
            links = list(self._links) if swallowed else []
        for link in links:  # They have lost a part of what was said.
            link.hang_up()

    def swallow(self) -> None:
        """Lets nothing through, either way, and breaks nothing: what a firewall does to a machine. Until `heal`."""
        self._swallows = True

    def lose(self, what: Loss, word: bytes = APPEND, *, stays_cut: bool = True) -> None:
        """Loses the next message to the server with `word` in it: its `request` (it never arrives), its `answer` (it
        happens), or the request is `held` until `deliver`. Then everything is cut, for good if `stays_cut`."""
        self._word, self._next_loss, self._stays_cut = word, what, stays_cut

    def before(self, word: bytes, act: Callable[[], object]) -> None:
        """Calls `act` before the next message to the server with `word` in it is passed on, once."""
        self._before = (word, act)

    def deliver(self) -> bytes:
        """Sends the held request, long after its sender gave it up; returns the server's answer."""
        assert self._held is not None
        link, request = self._held
        link.server.sendall(request)
        return self._late_answers.get(timeout=_DEADLINE_S)

    def _run(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        with self._lock:
            if self._is_cut:
                client.close()
                return
            try:
                link = _Link(client, socket.create_connection(self._target))
            except OSError:
                client.close()
                return
            self._links.append(link)
        self._run(self._forward_requests, link)
        self._run(self._forward_answers, link)

    def _forward_requests(self, link: _Link) -> None:
        with suppress(OSError):
            while data := link.client.recv(65536):
                link.loss = self._next_loss if self._word in data else None
                if link.loss in ("request", "held"):
                    self._lose(link, data)
                    return
                if self._before is not None and self._before[0] in data:
                    (_, act), self._before = self._before, None
                    act()
                if not self._swallows:
                    link.server.sendall(data)
        link.hang_up()

    def _lose(self, link: _Link, request: bytes) -> None:
        self._next_loss = None
        self.has_lost += 1
        if link.loss == "held":
            self._held = (link, request)
            with self._lock:
                self._links.remove(link)
        self.cut()
        if not self._stays_cut:
            self.heal()
        if link.loss == "held":
            link.client.close()  # The client comes last, for whoever notices may heal at once.

    def _forward_answers(self, link: _Link) -> None:
        with suppress(OSError):
            while data := link.server.recv(65536):
                if link.loss == "held":
                    self._late_answers.put(data)
                elif link.loss == "answer":
                    self._lose(link, b"")
                elif not self._swallows:
                    link.client.sendall(data)
        link.hang_up()
