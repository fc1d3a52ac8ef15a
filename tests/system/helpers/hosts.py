"""Hosts of a test's own: network namespaces that no address leads to from outside, and a database beside them.

A host can be killed with all that runs there, cut off without a word, and started again where it was.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from db.mongod.program import find_mongod
from tests.helpers.waiting import wait_until
from tests.system.helpers.towns import ROOT
from tests.system.helpers.wires import Bridge, SwitchedWires, Wires

DATABASE_PORT = 27017
DATABASE = 9
"""The number of the host of the database."""
NAME_SERVER_PORT = 9090
_SET = "hosts"
_INITIATE = """
import sys, time
from pymongo import MongoClient
where, name = sys.argv[1:]
with MongoClient(f"mongodb://{where}/?directConnection=true", serverSelectionTimeoutMS=20000) as client:
    client.admin.command("replSetInitiate", {"_id": name, "members": [{"_id": 0, "host": where}]})
    while not client.admin.command("hello")["isWritablePrimary"]:
        time.sleep(0.02)
"""
# What the books say, some twenty times a second, for a test outside the network cannot ask them itself.
_WATCH = """
import json, sys, time
from pymongo import MongoClient
from pymongo.errors import PyMongoError
client = MongoClient(sys.argv[1], serverSelectionTimeoutMS=1000)
log = client["bazaar"]["log"]
while True:
    try:
        decided = log.find_one({"kind": "decide"}, {"_id": 1}, sort=[("_id", -1)])
        post = client["bazaar"]["posts"].find_one({}) or {}
        office = log.find_one({"kind": "office"}, sort=[("_id", -1)])
    except PyMongoError:
        continue
    if decided is not None:
        trader = office and office.get("trader")
        seen = {"place": decided["_id"], "trader": trader, "term": post.get("term"), "seq": post.get("seq", 0)}
        print(json.dumps({"at_s": time.time(), **seen}), flush=True)
    time.sleep(0.05)
"""
_ROUND_S = 0.06
"""How long a round of that takes on a machine with nothing else to do."""


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


def _iptables() -> str:
    found = shutil.which("iptables-legacy") or shutil.which("iptables")
    if found is None:
        pytest.skip("there is no `iptables` to cut hosts from each other with")
    return found


def skip_without_namespaces() -> None:
    """Skips the test where no network namespaces may be made, saying so."""
    if shutil.which("ip") is None:
        pytest.skip("there is no `ip` to make network namespaces with (Debian: iproute2)")
    probe = f"bzprobe{os.getpid()}"
    done = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no network namespaces may be made here: {done.stderr.strip()}")
    _run("ip", "netns", "del", probe)


def graph_of(peers: list[dict[str, Any]]) -> dict[str, list[str]]:
    """The graph as those that answer describe it; `peers` are those of a status."""
    return {peer["name"]: peer["neighbours"] for peer in peers if peer["alive"]}


class Host:
    """A machine at `address`, with a directory of its own."""

    def __init__(self, network: Network, number: int, directory: Path) -> None:
        self.address = f"10.77.0.{number}"
        self.directory = directory
        self.out = directory.with_suffix(".txt")
        self._network = network
        self.number = number
        self._space = f"{network.prefix}h{number}"
        _run("ip", "netns", "add", self._space)
        inside = ["ip", "-n", self._space]
        network.wires.attach(number, self._space)
        _run(*inside, "link", "set", "lo", "up")
        _run(*inside, "addr", "add", f"{self.address}/24", "dev", "eth0")
        _run(*inside, "link", "set", "eth0", "up")
        self.process: subprocess.Popen[bytes] | None = None
        self._started: list[subprocess.Popen[bytes]] = []

    def command(self, *words: str) -> list[str]:
        """The command that runs `words` on this host."""
        return ["ip", "netns", "exec", self._space, *words]

    def start(self, *words: str, out: Path) -> subprocess.Popen[bytes]:
        with out.open("ab") as to:
            process = subprocess.Popen(
                self.command(*words),
                stdin=subprocess.DEVNULL,
                stdout=to,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
        self._started.append(process)
        return process

    def bazaar(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs one command of ours here to its end."""
        words = self.command(sys.executable, "-m", "peers.cli", *arguments, "--dir", str(self.directory))
        return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)

    def run(self, n: int, *options: str) -> None:
        """Starts a terminal of the market."""
        # The database is one for all these tests, and asks for nothing.
        where = ("--dir", str(self.directory), "--tls", "--insecure", "--mongo", self._network.uri)
        words = (sys.executable, "-m", "peers.cli", "run", self.address, str(n), *where, *options)
        self.process = self.start(*words, out=self.out)

    def join(self, other: Host, n: int, *options: str) -> None:
        """Starts a terminal that joins the town of another host, with the town's authority."""
        ours, theirs = self.directory / "tls", other.directory / "tls"
        ours.mkdir(parents=True, exist_ok=True)
        for name in ("ca.pem", "ca.key"):  # It makes a certificate of its own.
            shutil.copy(theirs / name, ours / name)
        nameserver = other.status()["nameserver"]
        self.run(n, "--nameserver", f"{nameserver['host']}:{nameserver['port']}", *options)

    @property
    def text(self) -> str:
        return self.out.read_text() if self.out.exists() else ""

    def says(self, words: str, *, after: int = 0, deadline_s: float = 60.0) -> None:
        """Waits until its terminal has said `words`, behind the first `after` characters."""

        def look() -> bool:
            has_ended = self.process is None or self.process.poll() is not None
            said = words in self.text[after:]  # Read last, for a terminal's last words may be the ones.
            assert said or not has_ended, f"no {words!r}:\n{self.text}"
            return said

        wait_until(look, f"{words!r} at {self.address}", deadline_s=deadline_s)

    def status(self) -> dict[str, Any]:
        """What `bazaar status` says here; {} while there is no town."""
        done = self.bazaar("status", "--json")
        status: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {}
        return status

    def links(self) -> dict[str, list[str]]:
        """The neighbours of each peer here that runs, by its state file."""
        found = {}
        for path in (self.directory / "peers").glob("[!.]*.json"):
            with suppress(FileNotFoundError):  # It may go between listing and reading.
                state = json.loads(path.read_text())
                if state["ended"] is None:
                    found[state["name"]] = state["neighbours"]
        return found

    def pids(self) -> list[int]:
        """All processes of this host."""
        done = subprocess.run(["ip", "netns", "pids", self._space], capture_output=True, text=True, check=False)
        return [int(pid) for pid in done.stdout.split()]

    def signal(self, number: signal.Signals, pids: list[int] | None = None) -> None:
        for pid in self.pids() if pids is None else pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self) -> None:
        """Ends everything there at once, as a loss of power does."""
        while self.pids():
            self.signal(signal.SIGKILL)
        for process in self._started:
            process.wait()

    def cut_off(self) -> None:
        """Nothing gets through to it or from it any more, and nobody is told."""
        self._network.wires.unplug(self.number)

    def cut_from(self, *others: Host) -> None:
        """Nothing gets through between it and these any more; all else does."""
        for other in others:
            _run(*self.command(_iptables(), "-A", "INPUT", "-s", other.address, "-j", "DROP"))

    def meet_again(self) -> None:
        """Takes back `cut_from`."""
        _run(*self.command(_iptables(), "-F", "INPUT"))

    def reconnect(self) -> None:
        self._network.wires.plug_in(self.number)

    def remove(self) -> None:
        self.kill()
        _run("ip", "netns", "del", self._space)


class Network:
    """Wires in a namespace of their own, hosts on them, and a database on a host that nobody harms.

    With a `seed`, the wires are a switch that can be told to delay and to lose."""

    def __init__(self, directory: Path, n: int, seed: int | None = None) -> None:
        self.prefix = f"bz{os.getpid() % 100000}"
        self._directory = directory
        _run("ip", "netns", "add", self.prefix)
        self.switch = None if seed is None else SwitchedWires(self.prefix, [*range(1, n + 1), DATABASE], seed)
        self.wires: Wires = self.switch or Bridge(self.prefix)
        self.hosts: list[Host] = []
        self._watch_out = directory / "watch.txt"
        self._database = self._host(DATABASE)
        self.uri = f"mongodb://{self._database.address}:{DATABASE_PORT}/?replicaSet={_SET}"
        self.machines = [self._host(number) for number in range(1, n + 1)]

    def _host(self, number: int) -> Host:
        host = Host(self, number, self._directory / f"host{number}")
        self.hosts.append(host)
        return host

    def start_database(self) -> None:
        home = self._database.directory
        home.mkdir()
        host = self._database
        words = [str(find_mongod()), "--dbpath", str(home), "--port", str(DATABASE_PORT), "--bind_ip", host.address]
        words += ["--replSet", _SET, "--nounixsocket", "--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "64"]
        host.start(*words, "--quiet", out=self._directory / "mongod.txt")
        where = f"{host.address}:{DATABASE_PORT}"
        _run(*host.command(sys.executable, "-c", _INITIATE, where, _SET))

    def watch(self) -> None:
        """Begins to note what the books say."""
        self._database.start(sys.executable, "-c", _WATCH, self.uri, out=self._watch_out)

    def sightings(self) -> list[dict[str, Any]]:
        """What was noted: the newest place with decisions in the log, who is trader, and when."""
        text = self._watch_out.read_text() if self._watch_out.exists() else ""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def slowness(self) -> float:
        """How many times as long a round of who watches takes, in the median, as on a machine at rest; 1 or more."""
        rounds = [b["at_s"] - a["at_s"] for a, b in itertools.pairwise(self.sightings())]
        return max(1.0, float(statistics.median(rounds)) / _ROUND_S)

    def trader(self) -> str:
        """The last that took office, by the books."""
        return str(self.sightings()[-1]["trader"])

    def longest_gap_s(self, since_s: float) -> float:
        """The longest time without a decision after `since_s`, as of now."""
        moments = [since_s]
        place = -1
        for sight in self.sightings():
            if sight["place"] != place:
                place = sight["place"]
                if sight["at_s"] > since_s:
                    moments.append(sight["at_s"])
        moments.append(time.time())
        return max(b - a for a, b in itertools.pairwise(moments))

    def wait_for_trade(self, since_s: float, *, deadline_s: float = 30.0) -> float:
        """Waits until something was decided after `since_s`; returns how long that took."""
        before = max((s["place"] for s in self.sightings() if s["at_s"] <= since_s), default=0)

        def moment() -> float | None:
            later = (s["at_s"] for s in self.sightings() if s["at_s"] > since_s and s["place"] > before)
            return next(later, None)

        return wait_until(moment, "trade", deadline_s=deadline_s) - since_s

    def close(self) -> None:
        for host in reversed(self.hosts):
            host.remove()
        self.wires.close()
        _run("ip", "netns", "del", self.prefix)


@contextmanager
def network_of(directory: Path, n: int, seed: int | None = None) -> Iterator[tuple[Network, list[Host]]]:
    """Makes a network with `n` hosts and a database, on a switch if there is a `seed`; takes it all away again.

    What the hosts' terminals said is shown where a test fails."""
    skip_without_namespaces()
    network = Network(directory, n, seed)
    try:
        network.start_database()
        network.watch()
        yield network, network.machines
    except BaseException:
        for host in network.hosts:
            print(f"== {host.address}\n{host.text[-6000:]}")
        raise
    finally:
        network.close()
