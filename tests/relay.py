"""A TCP relay to stand between a ledger and its mongod, and lose things on purpose."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

_COMMIT = b"commitTransaction"
_DEADLINE_S = 10.0

Loss = Literal["request", "answer", "held"]


@dataclass
class _Link:
    client: socket.socket
    server: socket.socket
    loss: Loss | None = None
    answered: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

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
        self._next_loss: Loss | None = None
        self._word = _COMMIT
        self._stays_cut = False
        self._interruption: tuple[bytes, Callable[[], None]] | None = None
        self._held: tuple[_Link, bytes] | None = None
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

    def lose_commit(self, what: Loss, *, stays_cut: bool = True) -> None:
        """Loses the next commit: its `request` (it never arrives), its `answer` (it happens), or its request is
        `held` until `deliver`. Then everything is cut, for good if `stays_cut`."""
        self._word, self._next_loss, self._stays_cut = _COMMIT, what, stays_cut

    def lose_message(self, word: bytes) -> None:
        """Loses the next message to the server with `word` in it, and cuts everything."""
        self._word, self._next_loss, self._stays_cut = word, "request", True

    def before_message(self, word: bytes, act: Callable[[], None]) -> None:
        """Calls `act` between the next message to the server with `word` in it, once, and those sent before it."""
        self._interruption = (word, act)

    def deliver(self) -> bytes:
        """Sends the held commit, long after its sender gave it up; returns the server's answer."""
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
                link.server.sendall(self._interrupt(link, data))
        link.hang_up()

    def _interrupt(self, link: _Link, data: bytes) -> bytes:
        """Sends what comes before an interruption, if there is to be one in `data`, and returns the rest."""
        if self._interruption is None or self._interruption[0] not in data:
            return data
        (word, act), self._interruption = self._interruption, None
        messages = _messages(data)
        while word not in messages[0]:
            while link.answered.acquire(blocking=False):
                pass
            link.server.sendall(messages.pop(0))
            link.answered.acquire(timeout=_DEADLINE_S)
        act()
        return b"".join(messages)

    def _lose(self, link: _Link, request: bytes) -> None:
        self._next_loss = None
        if link.loss == "held":
            self._held = (link, request)
            with self._lock:
                self._links.remove(link)
            link.client.close()
        self.cut()
        if not self._stays_cut:
            self.heal()

    def _forward_answers(self, link: _Link) -> None:
        with suppress(OSError):
            while data := link.server.recv(65536):
                if link.loss == "held":
                    self._late_answers.put(data)
                elif link.loss == "answer":
                    self._lose(link, b"")
                else:
                    link.client.sendall(data)
                    link.answered.release()
        link.hang_up()


def _messages(data: bytes) -> list[bytes]:
    """Parts what a client sent in one go; each message begins with its length."""
    messages = []
    while data:
        length = int.from_bytes(data[:4], "little")
        messages.append(data[:length])
        data = data[length:]
    return messages
