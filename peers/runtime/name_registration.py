"""This peer's entries at the name server: its own name, and the trader's while it is in office.

The name server keeps nothing on disk. When it dies, the kernel ends our connection to it, and this peer waits
for the next one and registers again; that costs nothing while all is well. Nothing here depends on it being there.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading

import msgspec

from nameserver.client import NameServerClient
from peers.core.membership.members import Member
from peers.errors import TownError
from peers.waiting import wait_until

# None of these four is a setting: no user's market differs by them. A name server that is away disturbs nobody, so
# they only say how soon the entries are right again, and how little is asked for that.
TIMEOUT_S = 1.0
"""How long to wait for an answer of the name server."""

RETRY_S = 0.3
"""The time between two tries to reach a name server."""

HELD_LOOK_S = 0.5
"""The time between two looks of a trader at its entry: a predecessor that takes its own away may hit it, for the name
server cannot compare and remove in one."""

LOOK_S = 30.0
"""The time between two looks at a name server that seems to be there: if it is cut off, the connection stays open."""


class NameRegistration:
    """One thread, one connection to the name server at `host` and `port`."""

    def __init__(self, host: str, port: int, member: Member) -> None:
        self._names = NameServerClient(host, port, TIMEOUT_S)
        self._member = member
        self._lock = threading.Lock()
        # By area, the term that this peer is in office for; with its own, those that it stands in for.
        self._held: dict[str, int] = {}
        # The areas whose trader's entry is still to be made, or taken away, as `_held` says.
        self._dirty: set[str] = set()
        self._stopped = False
        self._farewell = False
        # A byte written to the one end wakes up the thread that waits at the other.
        self._ears, self._mouth = os.pipe()
        self._thread = threading.Thread(target=self._run, name="name-registration", daemon=True)

    def start(self, patience_s: float) -> None:
        """Registers this peer, then sees to it that it stays so; TownError if no name server answers in time."""
        if not wait_until(self._is_registered, patience_s, look_s=0.05):
            self._names.register(self._member)  # This last try raises what is wrong.
        self._thread.start()

    def _is_registered(self) -> bool:
        with contextlib.suppress(TownError):
            self._names.register(self._member)
            return True
        return False

    def hold(self, term: int | None, area: str = "") -> None:
        """This peer is in office for `term`, or in none; with an `area`, as one who stands in for its trader."""
        area = area or self._member.area
        with self._lock:
            self._held.pop(area, None)
            if term is not None:
                self._held[area] = term
            self._dirty.add(area)
        self._wake()

    def stop(self, *, farewell: bool) -> None:
        """Ends; `farewell`: takes the entries away first, if the name server is there."""
        self._farewell = farewell
        self._stopped = True
        if self._thread.ident is not None:
            self._wake()
            self._thread.join(2 * TIMEOUT_S)
            if self._thread.is_alive():
                return  # It waits for a name server that hangs, and still needs what would be closed here.
        self._names.close()
        os.close(self._mouth)
        os.close(self._ears)

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            os.write(self._mouth, b".")

    def _run(self) -> None:
        while not self._stopped:
            try:
                self._keep()
            except TownError:
                self._names.close()
                with self._lock:
                    self._dirty |= {self._member.area, *self._held}
                self._listen(RETRY_S)
        if self._farewell:
            with contextlib.suppress(TownError):
                for area in {self._member.area, *self._held}:
                    self._names.unregister_trader(self._as_trader(area))
                self._names.unregister(self._member)

    def _keep(self) -> None:
        """Brings the entries up to date, then sleeps until there is more to do, or the name server is gone."""
        if not self._names.connected:
            self._names.register(self._member)
        with self._lock:
            dirty, self._dirty = self._dirty, set()
            held = dict(self._held)
        for area in dirty - held.keys():
            self._names.unregister_trader(self._as_trader(area))
        for area in dirty & held.keys():
            self._names.register_trader(self._as_trader(area), held[area])
        if not self._listen(HELD_LOOK_S if held else LOOK_S):
            return  # There is more to do, and the caller comes back here for it.
        for area, term in held.items():
            self._names.register_trader(self._as_trader(area), term)
        if not held:
            self._names.ping()  # This finds out whether it is still there: it may have closed the connection.

    def _as_trader(self, area: str) -> Member:
        return msgspec.structs.replace(self._member, area=area)

    def _listen(self, timeout_s: float) -> bool:
        """Sleeps until woken or until the time is up; returns whether something came from the name server."""
        poll = select.poll()
        poll.register(self._ears, select.POLLIN)
        server = self._names.fileno()
        if server >= 0:
            poll.register(server, select.POLLIN)
        ready = {fd for fd, _ in poll.poll(timeout_s * 1000)}
        if self._ears in ready:
            os.read(self._ears, 1000)
        return server in ready or not ready
