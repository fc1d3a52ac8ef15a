"""One connection through the switch: a socket at each end, and between them a wire each way.

An end that closes or dies is news like any other: it arrives when the wire lets it through. So while a wire is cut,
who is at its other end is not told.
"""

from __future__ import annotations

import fcntl
import select
import socket
import struct
import sys
import termios
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from random import Random
from selectors import EVENT_READ, EVENT_WRITE
from typing import Protocol

from peers.chaos.switch.wire import RECONNECT_S, AtWork, Wire
from peers.runtime.faults.through_switch import CONNECTED, REFUSED, read_preface

_HERE = "127.0.0.1"
_CHUNK = 64 * 1024
_MOST_HELD = 256 * 1024  # With so many bytes under way, nothing more is read: a network holds only so much, too.
_MOST_PREFACE = 300
_WITH_RESET = struct.pack("ii", 1, 0)


class Loop(Protocol):
    """What a connection needs of the switch."""

    def watch(self, sock: socket.socket, events: int, act: Callable[[int], None]) -> None:
        """Has `act` called with what is possible of `events`, until something else is said; with 0, never."""

    def at(self, at_s: float, act: Callable[[], None]) -> None:
        """Has `act` called once, at that time."""

    def name_at(self, port: int) -> str:
        """Returns who listens there."""

    def name_calling(self, caller: socket.socket) -> str:
        """Returns which member it is that has this connection at its other end; "" for anybody else."""

    def faults_between(self, sender: str, receiver: str) -> Iterable[AtWork]:
        """Returns what is wrong with a wire from here to there."""

    def over(self, relay: Relay) -> None:
        """The connection is no more."""


class _End:
    """One end: its socket, and what it has sent that has not arrived. `over`: it will send nothing more; `told`: that
    the other will not. `blocked`: its kernel takes no more just now."""

    __slots__ = ("blocked", "on_the_way", "over", "size", "sock", "told", "wire")

    def __init__(self, sock: socket.socket, wire: Wire) -> None:
        self.sock = sock
        self.wire = wire
        # When each piece arrives, when it was first to, and what it is: b"" for the end, None for a reset.
        self.on_the_way: deque[tuple[float, float, bytes | None]] = deque()
        self.size = 0
        self.over = self.told = self.blocked = False


class Relay:
    """The connection of `number`, made by whoever is at `caller`. `caller_name` and `callee_name` are "" until it has
    said who it is and whom it wants. With `to_member` it says nothing of the kind, and wants the member at that
    port."""

    def __init__(
        self, loop: Loop, number: int, caller: socket.socket, rng: Random, *, to_member: int | None = None
    ) -> None:
        self.caller_name = self.callee_name = ""
        self.port = 0
        self._loop = loop
        self.number = number
        self._rng = rng
        self._caller = _End(caller, Wire(number, rng))
        self._callee: _End | None = None
        self._back = Wire(number, rng)
        # Whether one end was told that it is no more, and the other was not.
        self._lost = False
        self._closed = False
        self._preface = b""
        caller.setblocking(False)
        self._is_told = to_member is None
        if to_member is None:
            loop.watch(caller, EVENT_READ, self._greet)
        else:
            self.port = to_member
            self._begin()

    # -- making it -----------------------------------------------------------------------------------------

    def _greet(self, _events: int) -> None:
        if self._closed:
            return
        try:
            came = self._caller.sock.recv(_MOST_PREFACE)
        except BlockingIOError:
            return
        except OSError:
            came = b""
        if not came:  # It gave up before there was a connection.
            for wire in (self._caller.wire, self._back):
                wire.give_up()
            self._close()
            return
        self._preface += came
        if not self._preface.endswith(b"\n") or self.port:
            return
        try:
            self.caller_name, _host, self.port = read_preface(self._preface)
        except ValueError:
            self._close()
            return
        self._begin()

    def _begin(self) -> None:
        self.rename()
        now_s = time.monotonic()
        due_s = self._back.connects_s(self._caller.wire.connects_s(now_s))
        self._ask(due_s, now_s)

    def _ask(self, at_s: float, asked_s: float) -> None:
        """Asks for the connection, as soon as what asks for it gets through at all."""
        if self._closed:
            return
        now_s = time.monotonic()
        if at_s > now_s:
            self._loop.at(at_s, partial(self._ask, at_s, asked_s))
            return
        for wire in (self._caller.wire, self._back):
            again_s = wire.again_s(asked_s, now_s, RECONNECT_S)
            if again_s is not None:
                self._ask(again_s, asked_s)
                return
        callee = socket.socket()
        callee.setblocking(False)
        self._callee = _End(callee, self._back)
        callee.connect_ex((_HERE, self.port))
        self._loop.watch(callee, EVENT_WRITE, self._answered)

    def _answered(self, _events: int) -> None:
        callee = self._callee
        if callee is None or self._closed:  # The caller has gone in the same moment.
            return
        error = callee.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        try:
            if self._is_told:
                self._caller.sock.send(REFUSED if error else CONNECTED)
        except OSError:
            error = error or 1
        if error:
            self._close(with_reset=not self._is_told)
            return
        for end in (self._caller, callee):
            end.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._mind(end)

    # -- what is wrong with it -----------------------------------------------------------------------------

    def rename(self) -> None:
        """Finds out anew who listens where it leads."""
        self.callee_name = self._loop.name_at(self.port)
        if not self._is_told and not self.caller_name:
            self.caller_name = self._loop.name_calling(self._caller.sock)
        self.suffer()

    def suffer(self) -> None:
        """Finds out anew what is wrong with its wires."""
        there_is_less_slow = self._caller.wire.suffer(self._loop.faults_between(self.caller_name, self.callee_name))
        back_is_less_slow = self._back.suffer(self._loop.faults_between(self.callee_name, self.caller_name))
        if self._callee is None or self._closed:
            return
        for end, is_less_slow in ((self._caller, there_is_less_slow), (self._callee, back_is_less_slow)):
            if is_less_slow:
                self._hasten(end)
            self._mind(end)

    def reset(self) -> None:
        """Both ends are told that it is no more."""
        self._close(with_reset=True)

    def lose(self, at_work: AtWork) -> None:
        """One end is reset, and the other is not told: the one that the fault is about."""
        if self._callee is None or self._closed or self._lost:
            return
        kept, lost = self._caller, self._callee
        if self.caller_name not in at_work.fault.ones:
            kept, lost = lost, kept
        self._lost = True
        self._loop.watch(lost.sock, 0, self._greet)
        _end_with_reset(lost.sock)
        self._loop.watch(kept.sock, EVENT_READ, partial(self._swallow, kept, at_work))
        for end in (self._caller, self._callee):
            end.on_the_way.clear()
            end.over = True

    def _swallow(self, end: _End, at_work: AtWork, _events: int) -> None:
        if self._closed:
            return
        try:
            if end.sock.recv(_CHUNK):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        if end is self._caller:
            at_work.given_up.add(self.number)
        self._close()

    # -- what is sent --------------------------------------------------------------------------------------

    def _other(self, end: _End) -> _End:
        assert self._callee is not None
        return self._callee if end is self._caller else self._caller

    def _act(self, end: _End, events: int) -> None:
        if self._closed or self._lost:
            return
        if events & EVENT_WRITE:
            end.blocked = False
            self._go_on(self._other(end))
        if events & EVENT_READ and not self._is_closed():
            self._read(end)

    def _read(self, end: _End) -> None:
        data: bytes | None
        try:
            data = end.sock.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = None
        self._sent(end, data)

    def _sent(self, end: _End, data: bytes | None) -> None:
        if not data:
            if end.over and data is not None:
                return
            end.over = True
            if end is self._caller:
                self._note_impatience()
        if end.on_the_way or not end.wire.is_sound:
            at_s = end.wire.arrives_s(time.monotonic(), len(data or b""))
            end.on_the_way.append((at_s, at_s, data))
            end.size += len(data or b"")
            self._go_on(end)
            return
        rest = self._hand_over(self._other(end), data)
        if self._is_closed():
            return
        if rest is not None:
            end.on_the_way.append((0.0, 0.0, rest))
            end.size += len(rest)
        if rest is not None or not data:
            self._mind(end)
            self._mind(self._other(end))

    def look_at_caller(self) -> None:
        """A fault is about to be over: notes that the caller has ended it, though that could not be read yet."""
        if self._callee is None or self._closed or self._lost:
            return
        if not self._caller.over and _has_left(self._caller.sock):
            self._note_impatience()

    def _note_impatience(self) -> None:
        """The caller has ended it: if something was held up, that may be why."""
        for end in (self._caller, self._other(self._caller)):
            if end.on_the_way or (end.wire.is_jammed and _unread(end.sock)):
                end.wire.give_up()

    def _go_on(self, end: _End) -> None:
        """Hands over what has arrived."""
        if self._closed:
            return
        other = self._other(end)
        while end.on_the_way and not other.blocked:
            at_s, first_s, data = end.on_the_way[0]
            now_s = time.monotonic()
            if at_s > now_s:
                self._loop.at(at_s, partial(self._go_on, end))
                break
            again_s = end.wire.again_s(first_s, now_s)
            if again_s is not None:
                end.on_the_way[0] = (again_s, first_s, data)
                continue
            rest = self._hand_over(other, data)
            if self._is_closed():
                return
            end.size -= len(data or b"") - len(rest or b"")
            if rest is not None:
                end.on_the_way[0] = (at_s, first_s, rest)
                break
            end.on_the_way.popleft()
        self._mind(end)
        self._mind(other)

    def _hasten(self, end: _End) -> None:
        """Has what is still on its way travel as if it were sent now, where that is sooner: a slow wire holds back
        nothing once it is slow no more."""
        now_s = time.monotonic()
        for place, (at_s, first_s, data) in enumerate(list(end.on_the_way)):
            if first_s > now_s:
                sooner_s = min(at_s, end.wire.arrives_s(now_s, len(data or b"")))
                end.on_the_way[place] = (sooner_s, sooner_s, data)
        self._go_on(end)

    def _hand_over(self, to: _End, data: bytes | None) -> bytes | None:
        """Gives an end what was sent to it; returns what its kernel did not take, None where that is nothing."""
        if data is None:
            self._close(with_reset=True)
            return None
        if not data:
            self._tell_end(to)
            return None
        try:
            taken = to.sock.send(data)
        except BlockingIOError:
            taken = 0
        except OSError:  # It is gone, and its kernel answers what comes with a reset.
            self._sent(to, None)
            return None
        if taken == len(data):
            return None
        to.blocked = True
        return data[taken:]

    def _tell_end(self, to: _End) -> None:
        """Tells an end that the other will send nothing more. With both told, the connection is over."""
        to.told = True
        with suppress(OSError):  # It was reset, and needs no telling. If it is still read, it says so itself.
            to.sock.shutdown(socket.SHUT_WR)
        if self._other(to).told:
            self._close()

    def _mind(self, end: _End) -> None:
        """Has the switch watch an end for whatever is to be done there."""
        if self._closed or self._lost:
            return
        now_s = time.monotonic()
        jammed_until_s = None if end.wire.is_sound else end.wire.jammed_until_s(now_s)
        if jammed_until_s is not None:
            self._loop.at(jammed_until_s, partial(self._mind, end))
        reads = not end.over and end.size < _MOST_HELD and jammed_until_s is None
        events = (EVENT_READ if reads else 0) | (EVENT_WRITE if end.blocked else 0)
        self._loop.watch(end.sock, events, partial(self._act, end))

    def _is_closed(self) -> bool:
        return self._closed

    # -- the end -------------------------------------------------------------------------------------------

    def _close(self, *, with_reset: bool = False) -> None:
        if self._closed:
            return
        self._closed = True
        for end in (self._caller, self._callee):
            if end is not None:
                self._loop.watch(end.sock, 0, self._greet)
                if with_reset:
                    _end_with_reset(end.sock)
                end.sock.close()
        self._loop.over(self)


def _end_with_reset(sock: socket.socket) -> None:
    """Closes it so that the other side is told of an error, and not of an end."""
    if sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _WITH_RESET)
        sock.close()


def _has_left(sock: socket.socket) -> bool:
    """Whether its other side has ended the connection, however much is still to be read before that."""
    poll = select.poll()
    poll.register(sock, getattr(select, "POLLRDHUP", 0))  # Linux alone has it; elsewhere the hang-up says as much.
    return bool(poll.poll(0))


def _unread(sock: socket.socket) -> int:
    """How many bytes have come, and are still to be read."""
    return int.from_bytes(fcntl.ioctl(sock, termios.FIONREAD, bytes(4)), sys.byteorder)
