"""A town of `docker-compose.yml` under a project name of its own, and what a bystander sees of its sales."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import Any

from tests.helpers.composition import ROOT
from tests.helpers.waiting import wait_until

IMAGE = "trading-post"
LONGEST_S = 300.0
"""For one command of the engine; only one that hangs takes so long."""
PATIENCE_S = 120.0
"""For what the town does; only a test that fails waits so long. Each look takes a container's start of Python."""

# Run in a container of its own: what the books say, with the time at which they came to say it.
WATCH = """
import time
from peers.books_address import address_given
from peers.core.market.records import Post
from peers.errors import LedgerError
from peers.town.database.books import Books
books = Books(address_given("@/password/books.address"), "bazaar", timeout_s=1.0)
sold = -1
while True:
    try:
        now = books.sold_after(0)
    except LedgerError:
        now = sold
    if now > 0 and sold <= 0:
        print(books.tally(Post()).first_ms / 1000, 1, flush=True)
    if now != sold:
        sold = now
        print(time.time(), sold, flush=True)
    time.sleep(0.05)
"""


@dataclass(frozen=True)
class Peer:
    """One peer as `bazaar status` lists it; `container` is the short id of the one it runs in."""

    name: str
    role: str
    container: str
    alive: bool


class Composition:
    """The engine's commands on one project. `environment`: how to reach the engine."""

    def __init__(self, project: str, environment: dict[str, str]) -> None:
        self.project = project
        self._environment = {**os.environ, **environment}
        self.began_s = time.time()
        self.slowness = 1.0  # How busy the machine was while it opened.
        self._volumes: set[str] = set()  # All that it ever had: the engine keeps those of containers that are gone.

    def docker(self, *words: str, check: bool = True) -> str:
        """Runs `docker`; returns what it printed. Fails with all it said."""
        done = subprocess.run(
            ["docker", *words],
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            check=False,
        )
        assert done.returncode == 0 or not check, f"docker {' '.join(words)}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def compose(self, *words: str, check: bool = True) -> str:
        return self.docker("compose", "--project-name", self.project, *words, check=check)

    def open(self, peers: int) -> None:
        """Brings the town up for the first time; `began_s` says when."""
        self.began_s = time.time()
        self.up(peers)

    def up(self, peers: int) -> None:
        self._note_volumes()
        self.compose("up", "--detach", "--quiet-pull", "--scale", f"peers={peers}")

    def down(self) -> None:
        """Removes all there ever was of it."""
        self._note_volumes()
        self.compose("down", "--volumes", "--timeout", "2", "--remove-orphans", check=False)
        if self._volumes:
            self.docker("volume", "rm", "--force", *self._volumes, check=False)

    def _note_volumes(self) -> None:
        there = self.compose("ps", "--all", "--quiet").split()
        for each in self.inspect(*there) if there else []:
            self._volumes.update(mount["Name"] for mount in each["Mounts"] if mount["Type"] == "volume")

    def containers(self, service: str) -> list[str]:
        """Short ids of those of a service that run."""
        return [each[:12] for each in self.compose("ps", "--quiet", service).split()]

    def inspect(self, *containers: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.docker("inspect", *containers))
        return found

    def peers(self, container: str) -> tuple[list[Peer], str | None]:
        """The peers that `bazaar status` lists in this container, and who is trader; none where it cannot tell."""
        said = self.docker("exec", container, "bazaar", "status", "--dir", "/town", "--json", check=False)
        if not said:
            return [], None
        status = json.loads(said)
        peers = [
            Peer(each["name"], each["role"], each["uri"].partition("@")[2].rpartition(":")[0], each["alive"])
            for each in status["peers"]
        ]
        return peers, status["trader"]

    def trader_container(self, container: str) -> str:
        """Where the trader is, as this container knows it."""

        def look() -> str | None:
            peers, trader = self.peers(container)
            return next((peer.container for peer in peers if peer.name == trader and peer.alive), None)

        return wait_until(look, f"{container} knows who is trader", deadline_s=PATIENCE_S)

    def wait_for_peers(self, container: str, wanted: int) -> list[Peer]:
        """Returns the live peers once there are so many, as this container sees it."""

        def look() -> list[Peer] | None:
            alive = [peer for peer in self.peers(container)[0] if peer.alive]
            return alive if len(alive) == wanted else None

        return wait_until(look, f"{wanted} peers are alive", deadline_s=PATIENCE_S)


class Bystander:
    """Watches the sales from a container of its own, which no fault is meant for."""

    def __init__(self, town: Composition) -> None:
        self._town = town
        self._name = f"{town.project}-bystander"
        self._seen: list[tuple[float, int]] = []
        command = ["docker", "run", "--rm", "--name", self._name, "--network", f"{town.project}_market"]
        command += ["--volume", f"{town.project}_password:/password:ro"]
        command += ["--dns-option", "ndots:1", "--volume", f"{town.project}_tls:/town/tls:ro", IMAGE]
        self._process = subprocess.Popen(
            [*command, "python", "-c", WATCH], env=town._environment, stdout=subprocess.PIPE, text=True
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            when, sold = line.split()
            self._seen.append((float(when), int(sold)))

    def close(self) -> None:
        self._town.docker("rm", "--force", self._name, check=False)
        self._process.wait(30)
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    @property
    def sold(self) -> int:
        """How many sales the books have, as last seen."""
        return self._seen[-1][1] if self._seen else 0

    def wait_for_sales(self, since: float, number: int = 1, *, deadline_s: float = PATIENCE_S) -> float:
        """Returns when the first of `number` sales was seen that were made after `since`."""

        def look() -> float | None:
            before = max((sold for when, sold in self._seen if when <= since), default=0)
            after = [(when, sold) for when, sold in self._seen if when > since and sold > before]
            return after[0][0] if after and after[-1][1] >= before + number else None

        return wait_until(look, f"{number} sales after the fault", deadline_s=deadline_s)

    def longest_pause_s(self, since: float) -> float:
        """The longest time without a sale from just before `since` until now."""
        times = [when for when, _ in self._seen]
        before = max((when for when in times if when <= since), default=since)
        line = [before, *(when for when in times if when > before), time.time()]
        return max(later - earlier for earlier, later in itertools.pairwise(line))
