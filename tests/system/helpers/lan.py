"""Machines of a test's own: network namespaces on one bridge, some of them behind a router that translates addresses.

What a machine runs sees that machine's network only. Whoever may not make such namespaces skips, and says so.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.system.helpers.towns import RunningTown

IPTABLES = shutil.which("iptables-legacy") or shutil.which("iptables")


def sh(*words: str) -> str:
    """Runs a command that has to succeed."""
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=20).stdout


@functools.cache
def why_not() -> str | None:
    """Why no machines can be made here, None if they can."""
    name = f"probe{os.getpid()}"
    try:
        sh("ip", "netns", "add", name)
        sh("ip", "netns", "del", name)
    except (OSError, subprocess.SubprocessError) as error:
        return f"network namespaces cannot be made here ({getattr(error, 'stderr', None) or error})"
    return None


class Machine:
    """One network namespace with one address."""

    def __init__(self, namespace: str, address: str) -> None:
        self.namespace = namespace
        self.address = address

    def inside(self, *words: object) -> list[str]:
        """The command that runs `words` on this machine."""
        return ["ip", "netns", "exec", self.namespace, *map(str, words)]

    def said(self, *words: object, patience_s: float = 60.0) -> tuple[int, str]:
        """Runs a command to its end; returns its exit code and all it has said."""
        done = subprocess.run(
            self.inside(*words), capture_output=True, text=True, timeout=patience_s, check=False, cwd="/"
        )
        return done.returncode, done.stdout + done.stderr

    def start(self, directory: Path, *words: object) -> RunningTown:
        """Starts a terminal here."""
        return RunningTown(self.inside(*words), directory, directory.parent / f"{directory.name}.txt")

    def knows(self, names: dict[str, str]) -> None:
        """Has this machine find these names, as if they stood in its /etc/hosts."""
        folder = Path("/etc/netns") / self.namespace
        folder.mkdir(parents=True, exist_ok=True)
        lines = ["127.0.0.1 localhost", *(f"{address} {name}" for name, address in names.items())]
        (folder / "hosts").write_text("\n".join(lines) + "\n")

    def drop_incoming(self) -> None:
        """Has a firewall drop what others ask for here; what this machine asks for itself is answered."""
        assert IPTABLES is not None
        rule = ("-A", "INPUT", "!", "-i", "lo", "-p", "tcp", "--syn", "-j", "DROP")
        sh(*self.inside(IPTABLES, *rule))


class Lan:
    """All machines on one wire. Addresses are those set aside for documentation."""

    def __init__(self) -> None:
        self._tag = f"t{os.getpid()}"
        self._namespaces: list[str] = []
        self._bridge = f"{self._tag}sw"

    def lay(self) -> None:
        """Lays the wire."""
        self._add("sw")
        sh("ip", "-n", self._bridge, "link", "add", "name", "br0", "type", "bridge")
        sh("ip", "-n", self._bridge, "link", "set", "br0", "up")

    def _add(self, name: str) -> str:
        namespace = f"{self._tag}{name}"
        sh("ip", "netns", "add", namespace)
        self._namespaces.append(namespace)
        sh("ip", "-n", namespace, "link", "set", "lo", "up")
        return namespace

    def _wire(self, namespace: str, name: str, address: str) -> None:
        """Gives a namespace an interface on the bridge."""
        other = f"{name}{len(self._namespaces)}"
        sh(
            *("ip", "link", "add", name, "netns", namespace, "type", "veth"),
            *("peer", "name", other, "netns", self._bridge),
        )
        sh("ip", "-n", self._bridge, "link", "set", other, "master", "br0", "up")
        sh("ip", "-n", namespace, "addr", "add", f"{address}/24", "dev", name)
        sh("ip", "-n", namespace, "link", "set", name, "up")

    def machine(self, number: int) -> Machine:
        """One more machine, at 192.0.2.<number>."""
        namespace = self._add(f"m{number}")
        self._wire(namespace, "eth", f"192.0.2.{number}")
        return Machine(namespace, f"192.0.2.{number}")

    def behind_nat(self, number: int) -> Machine:
        """A machine at 198.51.100.2 that others call at 192.0.2.<number>: its router sends that on, and nothing that
        comes from the inside and is meant for the inside."""
        assert IPTABLES is not None
        outside, inside = f"192.0.2.{number}", "198.51.100.2"
        router, namespace = self._add(f"r{number}"), self._add(f"m{number}")
        self._wire(router, "eth", outside)
        sh("ip", "link", "add", "in", "netns", router, "type", "veth", "peer", "name", "eth", "netns", namespace)
        for where, device, address in (router, "in", "198.51.100.1"), (namespace, "eth", inside):
            sh("ip", "-n", where, "addr", "add", f"{address}/24", "dev", device)
            sh("ip", "-n", where, "link", "set", device, "up")
        sh("ip", "-n", namespace, "route", "add", "default", "via", "198.51.100.1")
        at_router = ("ip", "netns", "exec", router)
        sh(*at_router, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        nat = (*at_router, IPTABLES, "-t", "nat", "-A")
        sh(*nat, "PREROUTING", "-i", "eth", "-d", outside, "-j", "DNAT", "--to-destination", inside)
        sh(*nat, "POSTROUTING", "-o", "eth", "-s", inside, "-j", "SNAT", "--to-source", outside)
        return Machine(namespace, outside)

    def close(self) -> None:
        """Takes everything away."""
        for namespace in reversed(self._namespaces):
            subprocess.run(["ip", "netns", "del", namespace], check=False, capture_output=True)
            shutil.rmtree(Path("/etc/netns") / namespace, ignore_errors=True)


@contextmanager
def lan() -> Iterator[Lan]:
    """A network for one test, which is skipped where none can be made."""
    why = why_not()
    if why is not None:
        pytest.skip(why)
    made = Lan()
    try:
        made.lay()
        yield made
    finally:
        made.close()
