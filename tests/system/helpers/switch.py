"""A switch in user space: the process that carries Ethernet frames between TAP devices, and can be told how badly.

It is given the seed of its losses, then the numbers of the hosts. Each has a TAP device `tap<number>`, made here,
that may be moved to another network namespace; its hardware address has to be `hardware_address(number)`. Standard
input tells it, a JSON object a line, how the way from one host to another is from now on: `{"from": 1, "to": 2,
"delay_s": 0.02, "loss": 0.01, "cut": false}`. It answers each line, once that holds, with an empty one.
"""

from __future__ import annotations

import fcntl
import heapq
import itertools
import json
import os
import random
import selectors
import struct
import sys
import time
from contextlib import suppress
from dataclasses import dataclass

_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000
_MAX_FRAME = 65536
_IN_A_ROW = 64  # So many frames of one host are taken before those that are due get their turn.


def hardware_address(number: int) -> str:
    """The address by which the switch knows the host of this number (below 256)."""
    return f"02:00:00:00:00:{number:02x}"


@dataclass
class Way:
    """How frames get from one host to another; `loss` is the probability that one does not."""

    delay_s: float = 0.0
    loss: float = 0.0
    cut: bool = False


class Switch:
    """Carries frames until its input ends."""

    def __init__(self, numbers: list[int], seed: int) -> None:
        self._taps = {number: _tap(f"tap{number}") for number in numbers}
        self._ways = {(a, b): Way() for a in numbers for b in numbers if a != b}
        self._rng = random.Random(seed)
        # Frames under way: when each is due, a running number that keeps their order, and for whom it is.
        self._under_way: list[tuple[float, int, int, bytes]] = []
        self._running = itertools.count()

    def run(self) -> None:
        with selectors.DefaultSelector() as selector:
            for number, tap in self._taps.items():
                selector.register(tap, selectors.EVENT_READ, number)
            selector.register(sys.stdin.buffer.fileno(), selectors.EVENT_READ, None)
            print(flush=True)
            while True:
                wait_s = max(self._under_way[0][0] - time.monotonic(), 0.0) if self._under_way else None
                for key, _ in selector.select(wait_s):
                    if key.data is not None:
                        self._take_in(key.data)
                    elif not self._is_told():
                        return
                self._deliver()

    def _is_told(self) -> bool:
        said = os.read(sys.stdin.fileno(), _MAX_FRAME)  # Lines are short, and come whole: the other side waits.
        for line in said.splitlines():
            told = json.loads(line)
            way = told.pop("from"), told.pop("to")
            self._ways[way] = Way(**told)
            print(flush=True)
        return bool(said)

    def _take_in(self, sender: int) -> None:
        tap = self._taps[sender]
        for _ in range(_IN_A_ROW):
            try:
                frame = os.read(tap, _MAX_FRAME)
            except (BlockingIOError, OSError):  # Nothing more is there, or the device is down.
                return
            if frame[0] & 1:  # For everybody, which is how addresses are asked for.
                for number in self._taps:
                    self._send(sender, number, frame)
            else:
                self._send(sender, frame[5], frame)

    def _send(self, sender: int, receiver: int, frame: bytes) -> None:
        way = self._ways.get((sender, receiver))
        if way is None or way.cut or (way.loss and self._rng.random() < way.loss):
            return
        if way.delay_s:
            due = (time.monotonic() + way.delay_s, next(self._running), receiver, frame)
            heapq.heappush(self._under_way, due)
        else:
            self._write(receiver, frame)

    def _deliver(self) -> None:
        now_s = time.monotonic()
        while self._under_way and self._under_way[0][0] <= now_s:
            _, _, receiver, frame = heapq.heappop(self._under_way)
            self._write(receiver, frame)

    def _write(self, receiver: int, frame: bytes) -> None:
        with suppress(OSError):  # A full or absent device loses frames, as a real one does.
            os.write(self._taps[receiver], frame)


def _tap(name: str) -> int:
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))
    return tap


if __name__ == "__main__":
    Switch([int(word) for word in sys.argv[2:]], int(sys.argv[1])).run()
