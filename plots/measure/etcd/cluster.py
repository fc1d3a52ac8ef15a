"""Three members of etcd on loopback, with free ports and their data in a directory that goes when they do.

They are what a user of etcd runs for a store that survives one of its machines, less the machines. Each is tied to
this process by the kernel (`db/mongod/die_with_parent.py`), so that none is left running, whatever becomes of the
bench.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import msgspec

from db.mongod import die_with_parent
from peers.errors import SettingsError, TownError
from plots.measure.apparatus.etcd_client import Address, Gateway, GatewayFailed, MemberStatus
from plots.measure.apparatus.towns import wait_for

MEMBERS = 3
"""The fewest that survive the loss of one, as etcd recommends. The bench says it beside each figure."""

_HOST = "127.0.0.1"
_ASK_S = 1.0
_TRIES_FOR_PORTS = 3


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """How often a leader is heard, and how long a follower waits before it stands for election; in milliseconds."""

    name: str
    heartbeat_ms: int
    election_ms: int


DEFAULTS = Setup(name="its defaults", heartbeat_ms=100, election_ms=1000)
"""What etcd does if it is not told otherwise."""

TUNED = Setup(name="tuned", heartbeat_ms=10, election_ms=100)
"""For members that are well under a millisecond apart: as short as etcd's manual advises, with ten times between."""


def find_etcd() -> Path:
    """Returns the `etcd` on PATH; SettingsError if there is none."""
    found = shutil.which("etcd")
    if found is None:
        raise SettingsError("--against etcd: no etcd on PATH; on Debian or Ubuntu: apt install etcd-server")
    return Path(found)


class _PortTaken(Exception):
    """Somebody else got one of the ports first."""


class Member:
    """One member: where it is reached, and its process."""

    def __init__(self, name: str, directory: Path, client_port: int, peer_port: int) -> None:
        self.name = name
        self.address: Address = (_HOST, client_port)
        self.peer_url = f"http://{_HOST}:{peer_port}"
        self._data = directory / name
        self._log = directory / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, program: Path, cluster: str, setup: Setup) -> None:
        """Starts it, or starts it again with the data it has. The kernel ends it with the thread that calls this."""
        client_url = f"http://{_HOST}:{self.address[1]}"
        options = {
            "name": self.name,
            "data-dir": str(self._data),
            "listen-client-urls": client_url,
            "advertise-client-urls": client_url,
            "listen-peer-urls": self.peer_url,
            "initial-advertise-peer-urls": self.peer_url,
            "initial-cluster": cluster,
            "heartbeat-interval": str(setup.heartbeat_ms),
            "election-timeout": str(setup.election_ms),
            # This is the default from etcd 3.5 on. Without it, a follower that lacks the last write may stand for
            # election first and so delay the other: with etcd 3.4, three of twelve kills took 2.5 s and more; with
            # it, none of 44 took more than 1.9 s.
            "pre-vote": "true",
            "logger": "zap",
            "log-level": "error",  # Under load, etcd would warn of every slow disk, which takes time.
        }
        command = [sys.executable, "-I", "-S", die_with_parent.__file__, str(os.getpid()), str(program)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *(f"--{name}={value}" for name, value in options.items())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # The terminal's Ctrl-C is not for etcd, nor are settings of another etcd that the terminal may have.
                start_new_session=True,
                env={name: value for name, value in os.environ.items() if not name.startswith("ETCD_")},
            )

    def kill(self) -> None:
        """Kills it as `kill -9` does; returns once it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @property
    def runs(self) -> bool:
        """Whether its process is there."""
        return self._process is not None and self._process.poll() is None

    def status(self) -> MemberStatus | None:
        """What it says of itself, None while it says nothing; TownError if it has ended by itself."""
        assert self._process is not None
        gateway = Gateway(self.address, _ASK_S)
        try:
            return gateway.status()
        except GatewayFailed:
            self._check_running(self._process)
            return None
        finally:
            gateway.close()

    def _check_running(self, process: subprocess.Popen[bytes]) -> None:
        if process.poll() is None:
            return
        said = self._log.read_text(errors="replace")
        if "address already in use" in said:
            raise _PortTaken
        last = said.strip().splitlines()[-1:]
        raise TownError(f"etcd ended with code {process.returncode}: {' '.join(last) or 'it did not say why'}")


class EtcdCluster:
    """A cluster with its data below `parent`; open on entry, on exit its processes and its data are gone.

    For one thread, which has to live as long as the cluster: the members die with it.
    """

    def __init__(self, parent: Path, setup: Setup = DEFAULTS) -> None:
        self.setup = setup
        self.members: list[Member] = []
        self.version = ""
        self._program = find_etcd()
        self._parent = parent
        self._open = ExitStack()

    def __enter__(self) -> EtcdCluster:
        for _ in range(_TRIES_FOR_PORTS):
            try:
                self._start()
            except _PortTaken:
                self._open.close()
            except BaseException:
                self._open.close()
                raise
            else:
                return self
        raise TownError("etcd found its ports taken again and again; try again")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def leader(self) -> Member:
        """Returns the member that all the others follow, once there is one; TownError if there is none in time."""
        return wait_for(self._agreed, "the members of etcd have one leader")

    def addresses(self) -> tuple[Address, ...]:
        """Where the members are reached, the leader first."""
        leader = self.leader()
        return (leader.address, *(member.address for member in self.members if member is not leader))

    def term(self) -> int:
        """The number of the last election."""
        return max((status.header.raft_term for status in self._statuses()), default=0)

    def restart(self, member: Member) -> None:
        """Starts one that was killed; returns once it has caught up with the leader; TownError if it does not."""
        applied = max((status.applied for status in self._statuses()), default=0)
        member.start(self._program, self._named(), self.setup)
        try:
            wait_for(lambda: self._caught_up(member, applied), f"{member.name} of etcd has caught up")
        except _PortTaken as error:
            raise TownError("somebody took a port of etcd's while its member was down; measure again") from error
        self.leader()

    def _start(self) -> None:
        directory = Path(self._open.enter_context(tempfile.TemporaryDirectory(prefix="etcd-", dir=self._parent)))
        ports = _free_ports(2 * MEMBERS)
        pairs = zip(ports[:MEMBERS], ports[MEMBERS:], strict=True)
        self.members = [Member(f"member{i}", directory, *pair) for i, pair in enumerate(pairs)]
        for member in self.members:
            self._open.callback(member.kill)
            member.start(self._program, self._named(), self.setup)
        status = self.leader().status()
        self.version = status.version if status is not None else ""

    def _named(self) -> str:
        return ",".join(f"{member.name}={member.peer_url}" for member in self.members)

    def _agreed(self) -> Member | None:
        """The leader of all members, None while one of them does not answer or follows another."""
        found = {status.header.member_id: status for status in self._statuses()}
        leaders = {status.leader for status in found.values()}
        if len(found) < MEMBERS or len(leaders) != 1:
            return None
        return next((member for member in self.members if (said := member.status()) is not None and said.leads), None)

    def _statuses(self) -> list[MemberStatus]:
        """Of all members that run and answer."""
        asked = [member.status() for member in self.members if member.runs]
        return [status for status in asked if status is not None]

    @staticmethod
    def _caught_up(member: Member, applied: int) -> bool:
        status = member.status()
        return status is not None and status.applied >= applied


def _free_ports(count: int) -> list[int]:
    """Returns so many different ports nobody listens on just now; somebody else may take one the next moment."""
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((_HOST, 0))
        return [int(probe.getsockname()[1]) for probe in probes]
