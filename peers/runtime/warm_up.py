"""Warms up the process that peers are forked from: it plays a small market, from its first election to a sale.

Much is done only once, when code first runs: by Python, which specialises it, and by the libraries. What is done
before the fork is shared by all peers; otherwise each would spend a fifth of its start on doing it again. When
`warm_up` returns, all its threads have ended and all its connections are closed.
"""

from __future__ import annotations

import tempfile
import threading
import time
from functools import partial

from db.ledger.memory import MemoryLedger
from peers.core.ledger.port import Operation, Result
from peers.core.membership.members import Snapshot
from peers.core.names import Role, peer_name
from peers.core.reports import Answered, Report
from peers.core.settings import Settings
from peers.errors import TownError
from peers.rpc.wake_up import WakeUp
from peers.runtime.hosting.host import PeerHost
from peers.runtime.logs import NoLog
from peers.runtime.spec import PeerSpec

_ROLES: tuple[Role, ...] = ("buyer", "seller", "buyer")
_PATIENCE_S = 1.0
"""How long to wait for a sale, which takes some hundredths of a second. No setting: without one less is saved."""

_ENDING_S = 10.0
"""How long idle threads may take to end. No setting: if they ever take longer, there is a bug."""


def warm_up() -> None:
    """Opens a market of three, and closes it after the first sale, or when that takes too long.

    TownError if it does not end.
    """
    books, sold = _SharedBooks(), WakeUp()
    faults: list[BaseException] = []
    with tempfile.TemporaryDirectory(prefix="warm-up-") as directory:
        hosts = [
            PeerHost(
                _spec(rank, role, directory),
                make_ledger=lambda: books,
                log=NoLog(),
                on_report=partial(_hear, sold),
                on_stop=sold.ring,
                on_fault=faults.append,
            )
            for rank, role in enumerate(_ROLES)
        ]
        snapshot = Snapshot(members=tuple(host.member for host in hosts), edges=((0, 1), (0, 2), (1, 2)))
        for host in hosts:
            host.begin(snapshot, starts_election=host is hosts[0])
        sold.wait(_PATIENCE_S)
        # Each host waits a little for its own threads, so they are closed at the same time.
        closing = [threading.Thread(target=host.close) for host in hosts]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join()
    if faults:
        raise faults[0]
    deadline_s = time.monotonic() + _ENDING_S
    while threading.active_count() > 1:  # The last threads end by themselves.
        if time.monotonic() > deadline_s:
            raise TownError(f"the warm-up does not end: {threading.enumerate()}")
        time.sleep(0.001)


def _hear(sold: WakeUp, report: Report) -> None:
    if isinstance(report, Answered) and report.outcome.sale is not None:
        sold.ring()


def _spec(rank: int, role: Role, directory: str) -> PeerSpec:
    settings = Settings().model_dump(mode="json")
    settings["market"]["think_s"] = 0.0
    settings["market"]["items"] = ["fish"]
    return PeerSpec(
        name=peer_name(role, rank),
        rank=rank,
        role=role,
        host="127.0.0.1",
        directory=directory,
        nameserver_host="127.0.0.1",
        nameserver_port=1,
        mongo_uri="",
        database="",
        seed=rank,
        incarnation=1,
        settings=settings,
    )


class _SharedBooks:
    """One ledger for several hosts."""

    def __init__(self) -> None:
        self._books = MemoryLedger()
        self._lock = threading.Lock()

    def perform(self, operation: Operation) -> Result:
        with self._lock:
            return self._books.perform(operation)

    def close(self) -> None:
        """Does nothing, for other hosts go on using the ledger."""
