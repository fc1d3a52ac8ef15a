"""What connects hosts, each a network namespace: a bridge of the kernel, or a switch of ours that can be told to be
slow, to lose, and to let nothing through one way."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import pytest

from tests.system.helpers import switch
from tests.system.helpers.switch import hardware_address


def sh(*command: str) -> None:
    """Runs a command that has to succeed."""
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=20)


class Wires(Protocol):
    """Connects hosts by their numbers."""

    def attach(self, number: int, space: str) -> None:
        """Gives the namespace `space` an interface `eth0`."""

    def unplug(self, number: int) -> None:
        """Nothing gets through to this host or from it any more, and nobody is told."""

    def plug_in(self, number: int) -> None:
        """Takes back `unplug`."""

    def close(self) -> None: ...


class Bridge:
    """A bridge in the namespace `space`."""

    def __init__(self, space: str) -> None:
        self._space = space
        sh("ip", "-n", space, "link", "add", "br0", "type", "bridge")
        sh("ip", "-n", space, "link", "set", "br0", "up")

    def attach(self, number: int, space: str) -> None:
        here = ("ip", "-n", self._space, "link")
        sh(*here, "add", f"v{number}", "type", "veth", "peer", "name", "eth0", "netns", space)
        sh(*here, "set", f"v{number}", "master", "br0", "up")

    def unplug(self, number: int) -> None:
        sh("ip", "-n", self._space, "link", "set", f"v{number}", "nomaster")

    def plug_in(self, number: int) -> None:
        sh("ip", "-n", self._space, "link", "set", f"v{number}", "master", "br0")

    def close(self) -> None:
        """The bridge ends with its namespace."""


class SwitchedWires:
    """A switch of ours for these hosts. What it loses comes from `seed`."""

    def __init__(self, space: str, numbers: Iterable[int], seed: int) -> None:
        if not Path("/dev/net/tun").exists():
            pytest.skip("there is no /dev/net/tun to make a switch with")
        self._space = space
        self.numbers = sorted(numbers)
        command = ["ip", "netns", "exec", space, sys.executable, switch.__file__, str(seed)]
        self._process = subprocess.Popen(
            [*command, *map(str, self.numbers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._await_word()

    def _await_word(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline(), "the switch has ended"

    def attach(self, number: int, space: str) -> None:
        tap = f"tap{number}"
        sh("ip", "-n", self._space, "link", "set", tap, "address", hardware_address(number))
        sh("ip", "-n", self._space, "link", "set", tap, "netns", space, "name", "eth0")

    def one_way(
        self, sender: int, receiver: int, *, delay_s: float = 0.0, loss: float = 0.0, cut: bool = False
    ) -> None:
        """How frames get from one to the other from now on."""
        assert self._process.stdin is not None
        told = {"from": sender, "to": receiver, "delay_s": delay_s, "loss": loss, "cut": cut}
        self._process.stdin.write(json.dumps(told) + "\n")
        self._process.stdin.flush()
        self._await_word()

    def all_ways(
        self,
        some: Iterable[int],
        others: Iterable[int],
        *,
        delay_s: float = 0.0,
        loss: float = 0.0,
        cut: bool = False,
    ) -> None:
        """How frames get between these and those, both ways."""
        to = set(others)
        for one in set(some):
            for other in to - {one}:
                self.one_way(one, other, delay_s=delay_s, loss=loss, cut=cut)
                self.one_way(other, one, delay_s=delay_s, loss=loss, cut=cut)

    def unplug(self, number: int) -> None:
        self.all_ways([number], self.numbers, cut=True)

    def plug_in(self, number: int) -> None:
        self.all_ways([number], self.numbers)

    def heal(self) -> None:
        """All get through to all, at once."""
        self.all_ways(self.numbers, self.numbers)

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(OSError):
            self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()
