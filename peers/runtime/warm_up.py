"""What happens once in the process that peers are forked from: a small market, from its first election to a sale.

Much is made when code first runs: by Python, which rewrites the code as it does, and by the libraries. What is there
before the fork is shared by all peers. A fifth of what each costs to start would otherwise be doing it over again.
All is over when `warm_up` returns, threads and connections too.
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
from peers.runtime.host import PeerHost
from peers.runtime.logs import NoLog
from peers.runtime.spec import PeerSpec

_ROLES: tuple[Role, ...] = ("buyer", "seller", "buyer")
_PATIENCE_S = 1.0
"""For a sale, which takes some hundredths of a second. No setting: without one the fork only saves less."""

_ENDING_S = 10.0
"""For threads to end that have nothing to do. No setting: if it is ever exceeded, there is a bug."""


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
        closing = [threading.Thread(target=host.close) for host in hosts]  # each waits a little for its own threads
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join()
    if faults:
        raise faults[0]
    deadline_s = time.monotonic() + _ENDING_S
    while threading.active_count() > 1:  # the last of them end by themselves
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
        """Others go on using it."""
