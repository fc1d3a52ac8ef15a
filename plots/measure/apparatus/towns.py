"""The towns of the bench: quiet ones, for the load is the bench's own, each audited when it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import psutil

from db.queries import Queries
from peers.errors import TownError
from peers.town.files.directory import TownState
from peers.town.files.peer_states import PeerState
from peers.waiting import wait_until
from plots.measure.apparatus.customers import ITEM
from plots.measure.apparatus.private_town import PrivateTown

T = TypeVar("T")

# This is no option: the patience only ends a measurement that has failed.
_LOOK_S = 0.01
_PATIENCE_S = 30.0


def wait_for(condition: Callable[[], T | None], what: str, patience_s: float = _PATIENCE_S) -> T:
    """Returns the first true value; TownError if there is none in time."""
    value = wait_until(condition, patience_s, look_s=_LOOK_S)
    if not value:
        raise TownError(f"not within {patience_s:g} s: {what}")
    return value


def pss_mb(memory: Any) -> float:
    """The share of a process in all memory, of what `memory_full_info` says: pages that several have are divided
    among them. Where the system does not count so (macOS), what it has for itself alone."""
    return float(getattr(memory, "pss", memory.uss)) / 1e6


def cpu_s(process: psutil.Process) -> float:
    """The processor time that a process has used so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


def _look(town: PrivateTown, question: Callable[[Queries], T]) -> T:
    state = _state(town)
    with Queries(state.mongo_uri, state.database) as books:
        return question(books)


def _state(town: PrivateTown) -> TownState:
    state = town.directory.running_town()
    if state is None:
        raise TownError(f"the town in {town.directory.path} has ended; see {town.said}")
    return state


class BenchTown(PrivateTown):
    """A town of `peers` whose trader does not resign unasked, with goods that do not run out.

    `options` are more of those of `bazaar run`, `clock` and `areas` are what they ask for; with `trades` its peers
    trade by themselves.
    """

    def __init__(
        self,
        directory: Path,
        peers: int,
        seed: int,
        options: Iterable[str] = (),
        *,
        clock: str = "lamport",
        trades: bool = False,
        areas: tuple[str, ...] = (),
    ) -> None:
        super().__init__(directory, peers, ("--resign-after", "0", *options), seed=seed, clock=clock, trades=trades)
        self.peers = peers
        self.areas = areas

    def __enter__(self) -> BenchTown:
        super().__enter__()
        try:
            for area in self.areas or ("",):
                self.stock_up(ITEM, area=area)
        except BaseException:
            self._end()
            raise
        return self

    @property
    def state(self) -> TownState:
        """What the town says of itself."""
        return _state(self)

    @property
    def mongo_uri(self) -> str:
        return self.state.mongo_uri

    @property
    def nameserver(self) -> tuple[str, int]:
        state = self.state
        return state.nameserver_host, state.nameserver_port

    def residents(self) -> dict[str, PeerState]:
        """The peers that run, by name."""
        peers = [peer for area in self.directory.areas() for peer in area.read_peers()]
        return {p.name: p for p in peers if p.ended is None and psutil.pid_exists(p.pid)}

    def everybody(self) -> dict[str, PeerState]:
        """All peers by name, while none has gone yet. TownError if they are not all known in time.

        A town says that it is open before it has written down all of its peers, which takes a busy machine a while.
        """

        def complete() -> dict[str, PeerState]:
            residents = self.residents()
            known = len(residents) == self.peers and all(peer.uri for peer in residents.values())
            return residents if known else {}

        return wait_for(complete, "all peers are known")

    def look(self, question: Callable[[Queries], T]) -> T:
        """Asks the town's books something."""
        return _look(self, question)


class TradingTown(PrivateTown):
    """A town as people start it: its peers trade by themselves."""

    def __init__(self, directory: Path, peers: int, seed: int, options: Iterable[str] = ()) -> None:
        super().__init__(directory, peers, options, seed=seed, trades=True)

    def look(self, question: Callable[[Queries], T]) -> T:
        """Asks the town's books something."""
        return _look(self, question)
