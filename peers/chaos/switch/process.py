"""The switch itself: `python -m peers.chaos.switch.process SEED [PORT…]`, a process of one thread.

Members of a replica set do not say who they are, for they are no code of ours. They call each other at an address of
their own (`peers.town.options.SWITCHED`), at the ports that are named, and are known by their processes.

It is told on its standard input who listens where and what is wrong with the wires, and ends with that; what it has
to say is on its standard output. With nothing wrong, what is read at one end is written at the other at once.
"""

from __future__ import annotations

import heapq
import os
import resource
import socket
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from itertools import count
from random import Random
from selectors import EVENT_READ, DefaultSelector

import msgspec
import psutil

from peers.chaos.switch.faults import Ended, Listening, Places, ToRun, WireFault, hits, to_switch
from peers.chaos.switch.relay import Relay
from peers.chaos.switch.wire import AtWork
from peers.town.plan.options import SWITCHED

_HERE = "127.0.0.1"
_BACKLOG = 1000
_STDIN = 0
_OWN_FILES = 32
"""Of the files that the switch may have open, so many are kept for itself; a connection takes two of the others."""


class Switch:
    """All connections, and all faults at work. `files`: so many may be open. Who calls when all of them are taken
    waits until a connection ends: without this, the switch would die, and the run with it."""

    def __init__(self, seed: int, members: Iterable[int] = (), *, files: int) -> None:
        self._rng = Random(f"switch/{seed}")
        self._selector = DefaultSelector()
        # By socket, its file number while it is watched: one that was closed has none any more.
        self._watched: dict[socket.socket, int] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._numbers = count(1)
        self._relays: set[Relay] = set()
        self._places = Places(names={})
        self._at_work: list[AtWork] = []
        self._orders = b""
        self._over = False
        self._most_relays = max((files - _OWN_FILES) // 2, 1)
        self._is_full = self._was_full = False
        self._listeners: dict[socket.socket, Callable[[int], None]] = {}
        self._listener = self._listen(_HERE, 0)
        for port in members:
            self._listen(SWITCHED, port, to_member=port)
        self._selector.register(_STDIN, EVENT_READ, self._hear)

    def _listen(self, host: str, port: int, to_member: int | None = None) -> socket.socket:
        listener = socket.create_server((host, port), backlog=_BACKLOG)
        listener.setblocking(False)
        self._listeners[listener] = partial(self._accept, listener, to_member)
        self.watch(listener, EVENT_READ, self._listeners[listener])
        return listener

    def run(self) -> None:
        """Returns when its standard input has ended."""
        _say(Listening(port=self._listener.getsockname()[1]))
        while not self._over:
            timeout_s = max(self._timers[0][0] - time.monotonic(), 0.0) if self._timers else None
            for key, events in self._selector.select(timeout_s):
                key.data(events)
            while self._timers and self._timers[0][0] <= time.monotonic():
                heapq.heappop(self._timers)[2]()

    # -- what connections need -----------------------------------------------------------------------------

    def watch(self, sock: socket.socket, events: int, act: Callable[[int], None]) -> None:
        """Has `act` called with what is possible of `events`, until something else is said; with 0, never."""
        number = self._watched.get(sock)
        if not events:
            if number is not None:
                del self._watched[sock]
                self._selector.unregister(number)
        elif number is None:
            self._watched[sock] = sock.fileno()
            self._selector.register(sock.fileno(), events, act)
        else:
            self._selector.modify(number, events, act)

    def at(self, at_s: float, act: Callable[[], None]) -> None:
        """Has `act` called once, at that time."""
        heapq.heappush(self._timers, (at_s, next(self._order), act))

    def name_at(self, port: int) -> str:
        """Returns who listens there; "" where nobody has said so."""
        return self._places.names.get(port, "")

    def name_calling(self, caller: socket.socket) -> str:
        """Returns which member it is that has this connection at its other end; "" for anybody else."""
        try:
            port = caller.getpeername()[1]
        except OSError:
            return ""
        for pid, name in self._places.pids.items():
            with suppress(psutil.Error):
                connections = psutil.Process(pid).net_connections("tcp")
                if any(each.laddr and each.laddr.port == port for each in connections):
                    return name
        return ""

    def faults_between(self, sender: str, receiver: str) -> list[AtWork]:
        """Returns what is wrong with a wire from here to there."""
        return [each for each in self._at_work if hits(each.fault, sender, receiver)]

    def over(self, relay: Relay) -> None:
        """The connection is no more."""
        self._relays.discard(relay)
        if self._is_full:
            self._is_full = False
            for listener, accept in self._listeners.items():
                self.watch(listener, EVENT_READ, accept)

    def _accept(self, listener: socket.socket, to_member: int | None, _events: int) -> None:
        with suppress(BlockingIOError):
            while len(self._relays) < self._most_relays:
                caller, _ = listener.accept()
                relay = Relay(self, next(self._numbers), caller, Random(self._rng.random()), to_member=to_member)
                self._relays.add(relay)
            self._have_callers_wait()

    def _have_callers_wait(self) -> None:
        """Lets nobody in until a connection is over."""
        for listener, accept in self._listeners.items():
            self.watch(listener, 0, accept)
        self._is_full = True
        if not self._was_full:
            self._was_full = True
            print(
                f"all files are taken, by {self._most_relays} connections: who calls waits until one of them ends. "
                "Raise the hard limit of open files (`ulimit -Hn`), or have fewer peers.",
                file=sys.stderr,
                flush=True,
            )

    # -- what it is told -----------------------------------------------------------------------------------

    def _hear(self, _events: int) -> None:
        came = os.read(_STDIN, 1 << 16)
        if not came:
            self._over = True
            return
        *lines, self._orders = (self._orders + came).split(b"\n")
        for line in lines:
            order = to_switch.decode(line)
            if isinstance(order, Places):
                self._places = order
                for relay in list(self._relays):
                    relay.rename()
            else:
                self._begin(order)

    def _begin(self, fault: WireFault) -> None:
        at_work = AtWork(fault=fault, until_s=time.monotonic() + fault.seconds)
        if fault.once:
            hit = [each for each in self._relays if self._is_hit(each, fault)]
            for relay in hit:
                if fault.once == "reset":
                    relay.reset()
                else:
                    relay.lose(at_work)
            at_work.touched.update(relay.number for relay in hit)
        else:
            self._at_work.append(at_work)
            self._spread()
        self.at(at_work.until_s, partial(self._end, at_work))

    def _is_hit(self, relay: Relay, fault: WireFault) -> bool:
        return hits(fault, relay.caller_name, relay.callee_name) or hits(fault, relay.callee_name, relay.caller_name)

    def _end(self, at_work: AtWork) -> None:
        if at_work in self._at_work:
            for relay in self._relays:
                relay.look_at_caller()
            self._at_work.remove(at_work)
            self._spread()
        ended = Ended(number=at_work.fault.number, touched=len(at_work.touched), given_up=len(at_work.given_up))
        _say(ended)

    def _spread(self) -> None:
        """Has all connections know which faults there are now."""
        for relay in list(self._relays):
            relay.suffer()


def _say(what: ToRun) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(what) + b"\n")
    sys.stdout.buffer.flush()


def main() -> None:
    """The process."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    files = sys.maxsize if most == resource.RLIM_INFINITY else most
    Switch(int(sys.argv[1]), map(int, sys.argv[2:]), files=files).run()


if __name__ == "__main__":
    main()
