"""This peer's entries at the name server: its own name, and the trader's while it is in office.

The name server keeps nothing on disk. When it dies, the kernel ends our connection to it, and we wait for the next
one and register again; that costs nothing while all is well. That it is away disturbs nothing here.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections.abc import Iterable

from peers.core.membership.members import Member
from peers.errors import TownError
from peers.rpc.rpc_connection import CallFailed, Garbled, RpcConnection

TRADER = "bazaar.trader"
TIMEOUT_S = 1.0
RETRY_S = 0.3
HELD_LOOK_S = 0.5
"""Between two looks of a trader at its entry: a predecessor that takes its own away may hit ours, for the name server
cannot compare and remove in one."""

LOOK_S = 30.0
"""Between two looks at a name server whose connection seems sound: one that was cut off does not end it."""


class NameRegistration:
    """One thread, one connection to the name server at `host` and `port`."""

    def __init__(self, host: str, port: int, member: Member) -> None:
        shown = f"[{host}]" if ":" in host else host
        self._line = RpcConnection(f"PYRO:Pyro.NameServer@{shown}:{port}", TIMEOUT_S)
        self._where = f"{host} port {port}"
        self._name = f"bazaar.{member.name}"
        self._uri = member.uri
        self._tags = ["bazaar.peer", f"rank:{member.rank}", f"role:{member.role}"]
        self._lock = threading.Lock()
        self._held_term: int | None = None
        self._dirty = False
        self._stopped = False
        self._farewell = False
        self._ears, self._mouth = os.pipe()
        self._thread = threading.Thread(target=self._run, name="name-registration", daemon=True)

    def start(self, patience_s: float) -> None:
        """Registers this peer, then sees to it that it stays so; TownError if no name server answers in time."""
        deadline_s = time.monotonic() + patience_s
        while True:
            try:
                self._register(self._name, self._tags)
                break
            except CallFailed as error:
                if time.monotonic() > deadline_s:
                    raise TownError(f"no name server answers at {self._where} ({error})") from error
                time.sleep(0.05)
        self._thread.start()

    def hold(self, term: int | None) -> None:
        """This peer is in office for `term`, or in none."""
        with self._lock:
            self._held_term = term
            self._dirty = True
        self._wake()

    def stop(self, *, farewell: bool) -> None:
        """Ends; `farewell`: takes the entries away first, if the name server is there."""
        self._farewell = farewell
        self._stopped = True
        if self._thread.ident is not None:
            self._wake()
            self._thread.join(2 * TIMEOUT_S)
            if self._thread.is_alive():
                return  # it waits for a name server that hangs, and still needs these
        self._line.close()
        os.close(self._mouth)
        os.close(self._ears)

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            os.write(self._mouth, b".")

    def _run(self) -> None:
        while not self._stopped:
            try:
                self._keep()
            except CallFailed:
                self._line.close()
                with self._lock:
                    self._dirty = True
                self._listen(RETRY_S)
        if self._farewell:
            with contextlib.suppress(CallFailed):
                self._remove(TRADER)
                self._remove(self._name)

    def _keep(self) -> None:
        """Says what is to be said, then sleeps until there is more, or the name server is gone."""
        if not self._line.connected:
            self._register(self._name, self._tags)
        with self._lock:
            dirty, self._dirty = self._dirty, False
            held_term = self._held_term
        if dirty and held_term is not None:
            self._register_trader(held_term)
        elif dirty:
            self._remove(TRADER)
        if not self._listen(LOOK_S if held_term is None else HELD_LOOK_S):
            return  # woken
        if held_term is not None:
            self._register_trader(held_term)
        else:
            self._line.call("ping")  # it has closed the connection, or says something unasked: find out

    def _listen(self, timeout_s: float) -> bool:
        """Sleeps until woken or until the time is up; returns whether something came from the name server."""
        poll = select.poll()
        poll.register(self._ears, select.POLLIN)
        server = self._line.fileno()
        if server >= 0:
            poll.register(server, select.POLLIN)
        ready = {fd for fd, _ in poll.poll(timeout_s * 1000)}
        if self._ears in ready:
            os.read(self._ears, 1000)
        return server in ready or not ready

    def _register(self, name: str, tags: Iterable[str]) -> None:
        self._line.call("register", name, self._uri, False, list(tags))

    def _register_trader(self, term: int) -> None:
        """Unless it is there already, or a later trader was faster."""
        uri, tags = self._look_up(TRADER) or ("", [])
        listed = _term_of(tags)
        if listed < term or (listed == term and uri != self._uri):
            self._register(TRADER, [*self._tags, f"term:{term}"])

    def _remove(self, name: str) -> None:
        found = self._look_up(name)
        if found is not None and found[0] == self._uri:
            self._line.call("remove", name)

    def _look_up(self, name: str) -> tuple[str, list[str]] | None:
        try:
            uri, tags = self._line.call("lookup", name, True)
        except Garbled:  # what it says when there is no such name
            return None
        return str(uri), list(tags)


def _term_of(tags: Iterable[str]) -> int:
    terms = [tag.removeprefix("term:") for tag in tags if tag.startswith("term:")]
    return int(terms[0]) if terms and terms[0].isdigit() else 0
