"""What every terminal that runs peers does alike: signals, the clock of its console, its peers' state files.

The peers of a terminal are in groups, by area: one group in a town with one post.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from peers.core.membership.members import Member
from peers.core.names import Role, peer_name
from peers.core.reports import Report
from peers.core.settings import Settings
from peers.processes import heeded
from peers.rpc.security.tls import is_secured
from peers.runtime.spec import PeerSpec
from peers.town.ending import done_anyway
from peers.town.files.directory import Directory
from peers.town.files.peer_states import PeerState, live_graph
from peers.town.machines.keeping import JournalKeeping
from peers.town.machines.registry import Registry, port_of_before
from peers.town.plan.options import RunOptions, settings_of
from peers.town.processes.forkserver_client import ForkserverClient
from peers.town.processes.lives import life_ms
from peers.town.processes.peer_processes import PeerProcesses
from peers.town.view.console import Console

if TYPE_CHECKING:
    from peers.town.database.books import Books

# None of these is a setting: they bound by how much people and other terminals see the town late.
_FLUSH_S = 0.2
_COUNT_S = 0.05
_SETTLED_S = 0.1
"""A folder that was changed longer ago than this is dated later if it is changed again, on any file system."""
_T = TypeVar("_T")


class Interrupted(Exception):
    """The user asked for the end before the market was open."""


class AreaPeers:
    """The peers of a terminal in one area, whose folder is `directory`."""

    def __init__(self, directory: Directory, processes: PeerProcesses) -> None:
        self.directory = directory
        self.processes = processes
        # When the peers' files last changed, as of the last graph written (see `Directory.peers_changed_ns`), and
        # when that was first seen, in monotonic seconds.
        self._drawn_of_ns: int | None = -1
        self._seen_s = 0.0

    @property
    def name(self) -> str:
        """The area; empty in a town with one post."""
        return self.directory.area_name

    def flush(self) -> None:
        """Writes down what changed about peers and graph, and the files of peers that somebody removed.

        The graph is drawn anew whoever changed a peer's file: of two terminals, the one that writes last may have
        read before the other wrote.
        """
        self.processes.flush()
        self.directory.note_gone()
        changed_ns, now_s = self.directory.peers_changed_ns(), time.monotonic()
        if changed_ns != self._drawn_of_ns:
            self._drawn_of_ns, self._seen_s = changed_ns, now_s
        elif now_s - self._seen_s > _SETTLED_S + _FLUSH_S:
            return
        there = self.directory.read_peers()
        self.processes.write_missing({peer.name for peer in there})
        self.directory.write_network(live_graph(self._with_own(there)))

    def graph(self) -> dict[str, list[str]]:
        """The live graph, with the peers of other terminals in this directory."""
        return live_graph(self._with_own(self.directory.read_peers()))

    def _with_own(self, peers: Sequence[PeerState]) -> list[PeerState]:
        """Those `peers`, by rank, with what is known here of our own, whose files may be late, or gone."""
        known = {peer.name: peer for peer in (*peers, *self.processes.states())}
        return sorted(known.values(), key=lambda peer: peer.rank)


class Terminal:
    """A console with peer processes behind it, and a name server at `host`. `claimed`: the directory is its own."""

    def __init__(
        self, options: RunOptions, directory: Directory, console: Console, host: str, *, claimed: bool
    ) -> None:
        self.options = options
        self.directory = directory
        self.console = console
        self.areas: list[AreaPeers] = []
        self._groups: list[PeerProcesses] = []
        self._forkserver = ForkserverClient(options.target, directory.logs / "forkserver.log")
        before = directory.read_town() if claimed else None
        port = port_of_before(host, before.nameserver_port) if before is not None else 0
        port = options.nameserver_port or port
        self.registry = Registry(directory, console, self._groups, host, port, options.advertise)
        self.stop = asyncio.Event()
        self._interruptions = 0
        self.closing = False
        self._kill_hard: Callable[[], None] = self.kill_peers

    def launch(self) -> None:
        """Starts what peers are forked from, and the name server, without waiting for them."""
        self._forkserver.launch()
        self.registry.launch()

    def enter(self, area: str) -> AreaPeers:
        """Makes room for peers in an area; to be done before the registry is opened. TownError if its folder cannot
        be written to."""
        directory = self.directory.area(area)
        if area:
            directory.make()

        def hear(report: Report) -> None:
            # What peers notice of each other's leaving is no news once all are told to leave.
            if not self.closing:
                self.console.tell(report, area)

        processes = PeerProcesses(directory, self.console, self._forkserver, on_report=hear, on_death=self._bury)
        self._groups.append(processes)
        entered = AreaPeers(directory, processes)
        self.areas.append(entered)
        return entered

    async def anyway(self, what: str, work: Awaitable[object]) -> bool:
        """Awaits `work`, a step of the end; returns whether it was done. One that fails is said, and not raised."""
        return await done_anyway(what, self.console.warn, work)

    async def close_peers(self) -> None:
        """Ends what is left of all peers, and what they were forked from."""
        for group in self._groups:
            if not await self.anyway("ending the peers", group.close()):
                group.kill_hard()
        if not await self.anyway("ending the peers' forkserver", self._forkserver.close()):
            self._forkserver.kill_all()

    async def rest_journals(self, keeping: JournalKeeping, ours: Collection[str]) -> None:
        """Has the books told what journals there are of `ours`, the peers here: there will be no more of them."""
        await self.anyway("telling the books what journals are here", asyncio.to_thread(keeping.rest, ours))

    @property
    def names(self) -> frozenset[str]:
        """All peers that were ever here."""
        return frozenset(name for group in self._groups for name in group.names)

    def kill_peers(self) -> None:
        """Kills all of them at once, without waiting."""
        self._forkserver.kill_all()
        for group in self._groups:
            group.kill_hard()

    def _bury(self, member: Member) -> None:
        self.registry.forget(member)

    def install_signals(self, kill_hard: Callable[[], None]) -> None:
        """One Ctrl-C ends in order, a second one kills. Of the other signals, what this process was started to ignore
        it ignores; a Ctrl-C is ignored in the background jobs of all scripts, which says nothing.

        A hang-up ends in order too, however often it comes, and is no first Ctrl-C: when a window is closed, the
        shell hangs up its jobs and the kernel hangs up the terminal, a moment apart."""
        self._kill_hard = kill_hard
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, *heeded(signal.SIGTERM)):
            loop.add_signal_handler(number, self._interrupted)
        for number in heeded(signal.SIGHUP):
            loop.add_signal_handler(number, self.stop.set)

    def _interrupted(self) -> None:
        self._interruptions += 1
        if self._interruptions == 1:
            self.stop.set()
            return
        self.console.warn(
            "killed, all of this terminal at once: the market was not closed here, what waited is not decided, and "
            "nothing was summed up or audited. bazaar audit judges what is left, and the next start goes on from it"
        )
        self._kill_hard()
        os._exit(130)

    async def unless_stopped(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Awaits `work`, which a Ctrl-C cancels; raises Interrupted then."""
        task = asyncio.ensure_future(work)
        stopped = asyncio.ensure_future(self.stop.wait())
        try:
            await asyncio.wait([task, stopped], return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise Interrupted
            return task.result()
        finally:
            for each in (task, stopped):
                if not each.done():
                    each.cancel()
                    with suppress(asyncio.CancelledError):
                        await each

    async def until_over(self, counted: Sequence[tuple[Books, int]], *others: Coroutine[Any, Any, object]) -> None:
        """Returns when the run is over: by Ctrl-C, by what it was limited to, or because one of `others` ended.

        `counted`: the books that purchases are counted in, and the number of the last decision that does not count.
        """
        work: list[Awaitable[object]] = [self.stop.wait(), self._keep_files(), self._until_deserted(), *others]
        if self.options.duration_s is not None:
            work.append(asyncio.sleep(self.options.duration_s))
        if self.options.purchases is not None:
            work.append(_until_sold(counted, self.options.purchases))
        tasks = [asyncio.ensure_future(each) for each in work]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _until_deserted(self) -> None:
        while any(group.alive() for group in self._groups):
            await asyncio.sleep(_FLUSH_S)
        self.console.warn("no peer is left")

    async def _keep_files(self) -> None:
        ticked = time.monotonic()
        while True:
            self.directory.check()
            self.flush()
            if time.monotonic() - ticked >= 1:
                ticked = time.monotonic()
                self.console.tick()
                self.directory.retry_writing()
            await asyncio.sleep(_FLUSH_S)

    def flush(self) -> None:
        """Writes down what changed about peers and graphs."""
        for area in self.areas:
            area.flush()


async def _until_sold(counted: Sequence[tuple[Books, int]], wanted: int) -> None:
    from peers.errors import LedgerError

    def count() -> int:
        return sum(books.sold_after(since_seq) for books, since_seq in counted)

    while True:
        # While the books cannot be reached nothing is sold, so nothing is missed.
        with suppress(LedgerError):
            if await asyncio.to_thread(count) >= wanted:
                return
        await asyncio.sleep(_COUNT_S)


def make_specs(
    options: RunOptions,
    directory: Directory,
    books: Books,
    settings: Settings,
    *,
    host: str,
    nameserver: tuple[str, int],
    seed: int,
    roles: dict[int, Role],
    town: str,
    areas: tuple[str, ...] = (),
) -> list[PeerSpec]:
    """Returns what each peer of the area that `directory` is of is told at its start, by rank. The first buyer is the
    slow peer, where there is one. `areas`: all of a town with several posts."""
    slow_rank = min((rank for rank, role in roles.items() if role != "seller"), default=None)
    now_ms = life_ms()
    specs = []
    for rank, role in sorted(roles.items()):
        name = peer_name(role, rank)
        specs.append(
            PeerSpec(
                name=name,
                rank=rank,
                role=role,
                host=host,
                advertised=options.advertise,
                ports=options.ports,
                directory=str(directory.path),
                nameserver_host=nameserver[0],
                nameserver_port=nameserver[1],
                mongo_uri=books.uri,
                database=books.database,
                books_s=books.distance_s,
                seed=random.Random(f"{seed}/{name}").getrandbits(53),
                incarnation=now_ms,
                settings=settings_of(settings, slow=rank == slow_rank),
                quiet=options.quiet,
                tls=str(directory.tls) if is_secured() else None,
                trades=options.trades,
                area=directory.area_name,
                areas=areas,
                switch=options.switch,
                town=town,
            )
        )
    return specs
