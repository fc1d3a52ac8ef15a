"""A market of real hosts in one process: real Pyro5 on loopback ports, the ledger in memory, a real name server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from db.ledger.memory import MemoryLedger
from nameserver.process import NameServerProcess
from peers.core.calls import AsOf, Buy, Status
from peers.core.commands import Command, HoldPost, Respond
from peers.core.inputs import Input, Now, RequestReceived, Start
from peers.core.ledger.port import Ledger, Operation, Result
from peers.core.market.records import PurchaseRequest
from peers.core.membership.members import Edge, Member, Snapshot
from peers.core.names import Role, peer_name
from peers.core.reports import Report
from peers.errors import PostClosed
from peers.runtime.hosting.core import MakeCore, make_peer
from peers.runtime.hosting.host import PeerHost
from peers.runtime.logs import NoLog
from peers.runtime.spec import PeerSpec
from tests.helpers.waiting import wait_until
from tests.unit.core.words import decided

T = TypeVar("T")
R = TypeVar("R", bound=Report)


class SharedBooks:
    """One ledger in memory that several hosts use at the same time. `before` may hold an operation up."""

    def __init__(self) -> None:
        self.books = MemoryLedger()
        self.before: Callable[[Operation], None] = lambda _: None
        self.threads: list[tuple[str, str]] = []  # Each operation, and the thread that performed it.
        self._lock = threading.Lock()

    def perform(self, operation: Operation) -> Result:
        self.before(operation)
        with self._lock:
            self.threads.append((type(operation).__name__, threading.current_thread().name))
            return self.books.perform(operation)

    def close(self) -> None:
        """Others go on using it."""


class Market:
    """Hosts, and what they reported."""

    def __init__(self, directory: Path, nameserver: NameServerProcess) -> None:
        self.directory = directory
        self.nameserver = nameserver
        self.books = SharedBooks()
        self.hosts: dict[str, PeerHost] = {}
        self.faults: list[BaseException] = []
        self.stopped: set[str] = set()
        self._reports: list[Report] = []

    def spec(self, rank: int, role: Role, *, trades: bool = True, **settings: Any) -> PeerSpec:
        return PeerSpec(
            name=peer_name(role, rank),
            rank=rank,
            role=role,
            host="127.0.0.1",
            directory=str(self.directory),
            nameserver_host=self.nameserver.host,
            nameserver_port=self.nameserver.port,
            mongo_uri="mongodb://127.0.0.1:1",
            database="nobody",
            seed=rank,
            incarnation=1,
            settings=settings,
            trades=trades,
        )

    def add(
        self, spec: PeerSpec, make_core: MakeCore = make_peer, make_ledger: Callable[[], Ledger] | None = None
    ) -> PeerHost:
        host = PeerHost(
            spec,
            make_ledger=make_ledger or (lambda: self.books),
            log=NoLog(),
            on_report=self._reports.append,
            on_stop=lambda: self.stopped.add(spec.name),
            on_fault=self.faults.append,
            make_core=make_core,
        )
        self.hosts[spec.name] = host
        host.register()
        return host

    def open(self, edges: tuple[Edge, ...], others: tuple[Member, ...] = ()) -> Snapshot:
        """Begins all hosts there are; the first starts the election, once the others can take part in it."""
        members = sorted((*(host.member for host in self.hosts.values()), *others), key=lambda member: member.rank)
        snapshot = Snapshot(members=tuple(members), edges=edges)
        first, *rest = self.hosts.values()
        for host in rest:
            host.begin(snapshot)
        first.begin(snapshot, starts_election=True)
        return snapshot

    def reports(self, kind: type[R]) -> list[R]:
        return [report for report in list(self._reports) if isinstance(report, kind)]

    def trader(self) -> str | None:
        """Who is in office by its own word."""
        return next((name for name, host in self.hosts.items() if host.status().in_office), None)

    def wait_for_trader(self) -> str:
        return wait_until(self.trader, what="a trader in office")

    def close(self, name: str) -> None:
        self.hosts.pop(name).close()


class Busy:
    """A core in office that tells a customer to come again in so many milliseconds, and then serves it."""

    TOLD_MS = 300

    def __init__(self, me: Member) -> None:
        self._me = me
        self.asked: list[tuple[float, PurchaseRequest]] = []

    def handle(self, event: Input, now: Now) -> list[Command]:
        if isinstance(event, Start):
            return [HoldPost(term=1, held=True)]
        if not isinstance(event, RequestReceived):
            return []
        assert isinstance(event.call, Buy)
        self.asked.append((now.mono_s, event.call.request))
        if len(self.asked) == 1:
            busy = PostClosed(why="too many wait already", retry_after_ms=self.TOLD_MS)
            return [Respond(call_id=event.call_id, reply=busy)]
        return [Respond(call_id=event.call_id, reply=decided(event.call.request))]

    def status(self) -> Status:
        return Status(
            name=self._me.name,
            rank=self._me.rank,
            role=self._me.role,
            term=1,
            trader=self._me.name,
            clock={"lamport": 1},
            neighbours=(),
            in_office=True,
            up=(self._me.name,),
            counters={},
        )

    def as_of(self, area: str) -> AsOf | None:
        del area
        return None

    def snapshot(self) -> Snapshot:
        return Snapshot(members=(self._me,), edges=())


@contextmanager
def running_market(directory: Path, nameserver: NameServerProcess) -> Iterator[Market]:
    """An empty market; whatever hosts it has at the end are closed, and none may have met a bug."""
    market = Market(directory, nameserver)
    try:
        yield market
    finally:
        for name in list(market.hosts):
            market.close(name)
    assert not market.faults
