"""What is secret in a town that others can reach stands in files of their owner only, and is said by nobody.

The town has a password for its books, the key by which their members know each other, and private keys. It is broken
in several ways, whatever can be asked of it is asked, and then everything is looked through.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from peers.books_address import ENVIRONMENT
from peers.town.machines.addresses import can_be_reached
from tests.helpers.processes import words_of
from tests.helpers.waiting import wait_until
from tests.system.helpers.towns import ROOT, RunningTown

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

BAZAAR = [sys.executable, "-m", "peers.cli"]
OTHERS = stat.S_IRGRP | stat.S_IROTH
PASSWORD = "a-password-that-nobody-else-has-7f3a"
PORTS = "19190-19219"


def own_address() -> str:
    """An address of this machine that others could call."""
    for each in (found for of_card in psutil.net_if_addrs().values() for found in of_card):
        if each.family == socket.AF_INET and can_be_reached(each.address):
            return each.address
    pytest.skip("this machine has no address but loopback")


class Lookout:
    """Everything that is said while a town runs, and what must not be in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.said: dict[str, str] = {}

    def secrets(self) -> list[str]:
        tls = self.directory / "tls"
        found = [PASSWORD, (tls / "mongod.key").read_text().strip()]
        for name in ("member.pem", "ca.key"):
            text = (tls / name).read_text()
            found += re.findall(r"-----BEGIN PRIVATE KEY-----\s+(\S+)", text)
        assert len(found) == 4
        return found

    def ask(self, *words: object, **environment: str) -> int:
        """Runs a command to its end, and notes what it says."""
        command = [*BAZAAR, *map(str, words)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=90, check=False, cwd=ROOT, env=os.environ | environment
        )
        self.said[f"{len(self.said)}: {' '.join(map(str, words))}"] = done.stdout + done.stderr
        return done.returncode

    def note_processes(self) -> None:
        self.said[f"{len(self.said)}: processes"] = "\n".join(" ".join(words_of(pid)) for pid in psutil.pids())

    def find(self) -> list[str]:
        """Where a secret is that others can see."""
        found = [where for where, text in self.said.items() if any(each in text for each in self.secrets())]
        hidden = [each.encode() for each in self.secrets()]
        for path in self.directory.parent.rglob("*"):
            if path.is_file() and not path.is_symlink() and path.stat().st_mode & OTHERS:
                content = path.read_bytes()
                found += [str(path)] * any(each in content for each in hidden)
        return found


@pytest.fixture(params=["000", pytest.param("022", marks=pytest.mark.long)])
def town(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningTown]:
    directory = tmp_path / "town"
    tls = directory / "tls"
    tls.mkdir(parents=True)
    password = tls / "mongod.password"
    password.touch(mode=0o600)
    password.write_text(PASSWORD)
    command = [*BAZAAR, "run", own_address(), "4", "--dir", str(directory), "--peer-ports", PORTS, "--seed", "5"]
    running = RunningTown(
        ["sh", "-c", f'umask {request.param}; exec "$@"', "sh", *command], directory, tmp_path / "town.out"
    )
    try:
        running.says(" bought ")
        yield running
    finally:
        running.kill()


def test_what_is_secret_is_seen_by_nobody(town: RunningTown) -> None:
    lookout = Lookout(town.directory)
    place = ("--dir", town.directory)
    lookout.note_processes()
    for words in (["status"], ["status", "--json"], ["doctor"], ["shop", "--json", "look"], ["audit", "--json"]):
        lookout.ask(*words, *place)
    assert lookout.ask("invite", "192.0.2.11", "--out", town.directory.parent / "invitation.json", *place) == 0

    # The database falls and is brought back, a peer falls, and somebody comes with another password.
    state = town.state()
    os.kill(state["mongod_pid"], signal.SIGKILL)
    lookout.ask("audit", *place)
    wait_until(lambda: town.state()["mongod_pid"] not in (None, state["mongod_pid"]), "the database is back")
    lookout.note_processes()
    victim = next(iter(town.peers().values()))["pid"]
    os.kill(victim, signal.SIGKILL)
    uri = state["mongo_uri"].replace("***", PASSWORD)
    assert PASSWORD in uri
    lookout.ask("audit", *place, **{ENVIRONMENT: uri.replace(PASSWORD, "another")})
    lookout.ask("run", "localhost", "2", "--dir", town.directory.parent / "other", **{ENVIRONMENT: uri + "&x=%"})
    lookout.ask("status", *place)

    town.interrupt()
    town.wait()
    lookout.ask("audit", *place)
    lookout.ask("doctor", *place)
    lookout.said["the town itself"] = town.text
    assert any("***" in text for text in lookout.said.values()), "nothing has shown the address at all"
    assert lookout.find() == []
    assert "Traceback" not in "".join(lookout.said.values())
