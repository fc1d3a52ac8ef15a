"""One direction of one connection: when does what is sent arrive? Pure: the time and the chance come in.

Programs see TCP, not packets. A packet that is lost costs them no data, but the time until the kernel sends it again:
0.2 s, then twice that, and so on; and all that was sent after it waits behind it. The first packet of a connection is
sent again after a second. So a wire that was cut for three seconds may be silent for six.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

import msgspec

from peers.chaos.switch.faults import WireFault

RESEND_S = 0.2
"""After so long the kernel sends again what was not acknowledged; Linux's least. No option, so that runs compare."""

RECONNECT_S = 1.0
"""The same for the packet that asks for a connection."""

_MOST_LOSSES = 4
"""One packet is lost so often in a row at most."""


class AtWork(msgspec.Struct, kw_only=True, eq=False):
    """A fault at work, and what it did so far: to which connections, by their numbers."""

    fault: WireFault
    until_s: float
    touched: set[int] = msgspec.field(default_factory=set)
    given_up: set[int] = msgspec.field(default_factory=set)


class Wire:
    """What is sent one way on the connection of this `number`. Times are monotonic seconds."""

    def __init__(self, number: int, rng: Random) -> None:
        self._number = number
        self._rng = rng
        self._faults: tuple[AtWork, ...] = ()
        # By fault, what everything on this wire comes later by.
        self._apart_s: dict[int, float] = {}
        self._last_s = 0.0
        self._free_s = 0.0

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong with it."""
        return not self._faults

    @property
    def faults(self) -> tuple[AtWork, ...]:
        """The faults at work on it."""
        return self._faults

    def suffer(self, faults: Iterable[AtWork]) -> bool:
        """These, and no others, are at work from now on. Returns whether it is less slow than before, so that what
        has not arrived yet may do so sooner than `arrives_s` said."""
        before, self._faults = self._faults, tuple(faults)
        is_less_slow = any(each.fault.bytes_a_second and each not in self._faults for each in before)
        if is_less_slow:
            self._last_s = self._free_s = 0.0
        numbers = {each.fault.number for each in self._faults}
        self._apart_s = {number: s for number, s in self._apart_s.items() if number in numbers}
        for each in self._faults:
            if each.fault.apart_s and each.fault.number not in self._apart_s:
                self._apart_s[each.fault.number] = self._rng.uniform(0.0, each.fault.apart_s)
        return is_less_slow

    def arrives_s(self, now_s: float, size: int) -> float:
        """Returns when so many bytes that are sent now arrive, if the wire is not cut then (`again_s`)."""
        at_s = now_s
        for each in self._faults:
            later_s = self._later_s(each, RESEND_S)
            if each.fault.bytes_a_second:
                self._free_s = max(self._free_s, now_s) + size / each.fault.bytes_a_second
                later_s += self._free_s - now_s
            self._touch(each, later_s)
            at_s += later_s
        # What was sent before arrives before.
        self._last_s = max(self._last_s, at_s)
        return self._last_s

    def connects_s(self, now_s: float) -> float:
        """Returns when the packet that asks for a connection, or grants it, arrives if it is sent now."""
        at_s = now_s
        for each in self._faults:
            later_s = self._later_s(each, RECONNECT_S)
            self._touch(each, later_s)
            at_s += later_s
        return at_s

    def _later_s(self, at_work: AtWork, resend_s: float) -> float:
        fault, losses = at_work.fault, 0
        while losses < _MOST_LOSSES and self._rng.random() < fault.loss:
            losses += 1
        lost_s = resend_s * float(2**losses - 1)
        return fault.delay_s + self._rng.uniform(0.0, fault.jitter_s) + self._apart_s.get(fault.number, 0.0) + lost_s

    def again_s(self, sent_s: float, now_s: float, resend_s: float = RESEND_S) -> float | None:
        """Returns when the kernel next tries what it first sent at `sent_s`; None if it gets through now."""
        cuts = [each for each in self._faults if each.fault.cut and each.until_s > now_s]
        if not cuts:
            return None
        for each in cuts:
            each.touched.add(self._number)
        tries = 1
        while sent_s + resend_s * (2**tries - 1) <= now_s:
            tries += 1
        return sent_s + resend_s * float(2**tries - 1)

    def jammed_until_s(self, now_s: float) -> float | None:
        """Returns until when nothing is read from who sends; None if it is."""
        jams = [each for each in self._faults if each.fault.jam and each.until_s > now_s]
        for each in jams:
            each.touched.add(self._number)
        return max((each.until_s for each in jams), default=None)

    @property
    def is_jammed(self) -> bool:
        """Whether a jam is at work on it, or is just over and not yet taken off."""
        return any(each.fault.jam for each in self._faults)

    def give_up(self) -> None:
        """Notes that the caller has ended the connection while something was held up."""
        for each in self._faults:
            each.touched.add(self._number)
            each.given_up.add(self._number)

    def _touch(self, at_work: AtWork, later_s: float) -> None:
        if later_s > 0:
            at_work.touched.add(self._number)
