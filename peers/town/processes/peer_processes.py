"""The peers of one terminal in one area: has them forked, hears what they tell, notices when they die, ends them.

A town and a terminal that joined one both have some; what they do with them differs, and is not decided here.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from functools import cache
from typing import NamedTuple

from peers.core.membership.members import Member
from peers.core.reports import Elected, LeftOffice, LinksChanged, Opened, Report
from peers.errors import TownError
from peers.process_identity import identity_of
from peers.runtime.spec import Begin, Believed, Finish, Finished, PeerSpec, Quiesce, Ready, Told, ToPeer, ToTown
from peers.town.files.directory import Directory
from peers.town.files.peer_states import PeerState
from peers.town.processes.belief import Belief
from peers.town.processes.channel import Channel
from peers.town.processes.forkserver import Born, Died
from peers.town.processes.forkserver_client import ForkserverClient
from peers.town.view.console import Console

# None of these is a setting: peers start in a second and end in less; the limits only end what never would.
START_TIMEOUT_S = 60.0
_FINISH_TIMEOUT_S = 4.0
_UNKNOWN_END = "its channel ended"


_identity_of = cache(identity_of)


class Death(NamedTuple):
    """How a peer ended that nobody told to, and when by the monotonic clock."""

    name: str
    how: str
    at_s: float


class _Resident:
    """One of the peer processes."""

    def __init__(self, spec: PeerSpec, channel: Channel) -> None:
        self.spec = spec
        self.channel = channel
        self.pid = 0
        self.member: Member | None = None
        self.neighbours: tuple[str, ...] = ()
        self.has_opened = False
        self.told_to_finish = False
        self.channel_ended = False
        self.ended: str | None = None
        self.ended_at_ms: int | None = None

    def state(self) -> PeerState:
        return PeerState(
            name=self.spec.name,
            rank=self.spec.rank,
            role=self.spec.role,
            pid=self.pid,
            uri=self.member.uri if self.member else "",
            neighbours=self.neighbours,
            town_pid=os.getpid(),
            town_process=_identity_of(os.getpid()),
            ended=self.ended,
            ended_at_ms=self.ended_at_ms,
        )


class PeerProcesses:
    """All of one terminal's peers in the area that `directory` is of. `on_report` hears what they tell, `on_death` of
    the ends nobody asked for."""

    def __init__(
        self,
        directory: Directory,
        console: Console,
        forkserver: ForkserverClient,
        *,
        on_report: Callable[[Report], None],
        on_death: Callable[[Member], None],
    ) -> None:
        self.area = directory.area_name
        self._directory = directory
        self._console = console
        self._on_report = on_report
        self._on_death = on_death
        self._forkserver = forkserver
        self._residents: dict[str, _Resident] = {}
        self._changed: set[str] = set()
        self._pulse = asyncio.Event()
        self.belief = Belief()
        self.term = 0
        self.trader: str | None = None
        self.deaths: list[Death] = []  # Of peers that ended without being told to, in order.
        # By term, the trader and how long its election took in milliseconds, as the peers told it.
        self.elections: dict[int, tuple[str, float]] = {}

    async def start(self, specs: Iterable[PeerSpec]) -> list[Member]:
        """Has these peers born; returns them once all are ready. TownError if one of them cannot.

        A peer that has ended may be started again; all that is still to come of its last life is waited for.
        """
        await self._forkserver.wait_ready()
        specs = list(specs)
        taken = [spec.name for spec in specs if not self._has_ended(spec.name)]
        if taken:
            raise TownError(f"running already: {_some(taken)}")
        await self._until(lambda: all(self._is_forgotten(spec.name) for spec in specs), START_TIMEOUT_S)
        loop = asyncio.get_running_loop()
        wanted = []
        for spec in specs:
            channel = Channel(spec.name, self._hear_peer)
            ours = await self._forkserver.order(spec, self._hear_of_birth)
            # The peer must be known before the first news of it can come.
            self._residents[spec.name] = _Resident(spec, channel)
            wanted.append(spec.name)
            await loop.create_unix_connection(lambda channel=channel: channel, sock=ours)  # type: ignore[misc]
        try:
            await self._until(lambda: all(map(self._settled, wanted)), START_TIMEOUT_S)
        except TimeoutError as error:
            late = [name for name in wanted if not self._settled(name)]
            raise TownError(
                f"not ready after {START_TIMEOUT_S:g} s: {_some(late)}; see {self._directory.logs}"
            ) from error
        failed = [name for name in wanted if self._residents[name].ended is not None]
        if failed:
            log = self._directory.logs / f"{failed[0]}.log"
            raise TownError(f"could not start: {_some(failed)} ({self._residents[failed[0]].ended}); see {log}")
        return [member for name in wanted if (member := self._residents[name].member) is not None]

    def _has_ended(self, name: str) -> bool:
        return name not in self._residents or self._residents[name].ended is not None

    def _is_forgotten(self, name: str) -> bool:
        return name not in self._residents or self._residents[name].channel_ended

    def _settled(self, name: str) -> bool:
        resident = self._residents[name]
        return resident.member is not None or resident.ended is not None

    def begin(self, name: str, begin: Begin | bytes) -> None:
        """Opens the market to a peer; encoded already where many get the same."""
        channel = self._residents[name].channel
        if isinstance(begin, bytes):
            channel.send_line(begin)
        else:
            channel.send(begin)

    async def opened(self, name: str) -> None:
        """Returns once that peer has said that it takes part. TownError if it does not."""
        resident = self._residents[name]
        try:
            await self._until(lambda: resident.has_opened or resident.ended is not None, START_TIMEOUT_S)
        except TimeoutError as error:
            raise TownError(f"{name} does not begin; see {self._directory.logs / name}.log") from error

    def tell(self, name: str, message: ToPeer) -> None:
        """Sends a peer something else than how to begin or to end."""
        self._residents[name].channel.send(message)

    def spec(self, name: str) -> PeerSpec:
        """What that peer was told at its last start."""
        return self._residents[name].spec

    def pid(self, name: str) -> int:
        """The process of that peer, while it runs; 0 once it has ended: a number may be another's by then."""
        resident = self._residents[name]
        return resident.pid if resident.ended is None else 0

    @property
    def names(self) -> Collection[str]:
        """All there ever were."""
        return self._residents.keys()

    def alive(self) -> list[str]:
        """Those that run."""
        return [name for name, resident in self._residents.items() if resident.ended is None]

    def members(self) -> list[Member]:
        """Those that run and are ready."""
        return [r.member for r in self._residents.values() if r.member is not None and r.ended is None]

    def rest(self) -> None:
        """Has nobody buy or sell anything more of their own accord."""
        for name in self.alive():
            self._residents[name].channel.send(Quiesce())

    async def finish(
        self, names: Iterable[str], *, leave: bool = False, timeout_s: float = _FINISH_TIMEOUT_S
    ) -> list[str]:
        """Ends these peers; kills those that do not end in time, and returns their names."""
        chosen = [self._residents[name] for name in names if self._residents[name].ended is None]
        for resident in chosen:
            resident.told_to_finish = True
            resident.channel.send(Finish(leave=leave))
        try:
            await self._until(lambda: all(r.ended is not None for r in chosen), timeout_s)
        except TimeoutError:
            late = [resident for resident in chosen if resident.ended is None]
            names = [resident.spec.name for resident in late]
            self._console.warn(f"killed, for they did not end in {timeout_s:g} s: {_some(names)}")
            await self._kill(late)
            return names
        return []

    async def _kill(self, residents: Collection[_Resident]) -> None:
        for resident in residents:
            resident.told_to_finish = True
            if resident.pid:
                with suppress(ProcessLookupError):
                    os.kill(resident.pid, signal.SIGKILL)
        with suppress(TimeoutError):
            await self._until(lambda: all(r.ended is not None for r in residents), 2.0)

    async def close(self) -> None:
        """Ends what is left of them."""
        await self._kill([resident for resident in self._residents.values() if resident.ended is None])
        for resident in self._residents.values():
            resident.channel.close()

    def kill_hard(self) -> None:
        """Kills everything at once, without waiting."""
        for resident in self._residents.values():
            if resident.ended is None and resident.pid:
                with suppress(ProcessLookupError):
                    os.kill(resident.pid, signal.SIGKILL)

    def states(self) -> list[PeerState]:
        """What there is to write down of each that was born."""
        return [resident.state() for resident in self._residents.values() if resident.pid]

    def flush(self) -> None:
        """Writes down which peers changed."""
        changed, self._changed = self._changed, set()
        for name in changed:
            self._directory.write_peer(self._residents[name].state())

    def write_missing(self, there: Collection[str]) -> None:
        """Writes the files of those that are not `there`, for somebody has removed them."""
        for state in self.states():
            if state.name not in there:
                self._directory.write_peer(state)

    def _hear_peer(self, name: str, message: ToTown | None) -> None:
        resident = self._residents[name]
        match message:
            case Ready():
                resident.member = message.member
                resident.pid = message.pid
                self._touch(name)
            case Told():
                self._note(resident, message.report)
                self._on_report(message.report)
            case Believed():
                self.belief.hear(message, self.alive())
            case Finished():
                pass  # The end of the process says how it went.
            case None:
                resident.channel_ended = True
                self._pulse.set()
                # While the forkserver lives, it tells how the process ended.
                if not self._forkserver.alive():
                    self._bury(resident, _UNKNOWN_END)

    def _note(self, resident: _Resident, report: Report) -> None:
        if isinstance(report, Opened):
            resident.has_opened = True
            self._pulse.set()
        if isinstance(report, Opened | LinksChanged) and report.neighbours != resident.neighbours:
            resident.neighbours = report.neighbours
            self._touch(resident.spec.name)
        elif isinstance(report, Elected) and report.term >= self.term:
            self.term, self.trader = report.term, report.peer
            self.elections[report.term] = (report.peer, report.took_ms)
        elif isinstance(report, LeftOffice) and report.peer == self.trader:
            self.trader = None

    def _hear_of_birth(self, news: Born | Died | None) -> None:
        match news:
            case Born():
                self._residents[news.name].pid = news.pid
                self._touch(news.name)
            case Died():
                self._bury(self._residents[news.name], _how(news.code))
            case None:
                if self.alive():
                    self._console.warn("the peers' forkserver is gone; the peers go on without it")
                for resident in self._residents.values():
                    if resident.channel_ended:
                        self._bury(resident, _UNKNOWN_END)

    def _bury(self, resident: _Resident, how: str) -> None:
        if resident.ended is not None:
            return
        resident.ended, resident.ended_at_ms = how, time.time_ns() // 1_000_000
        name = resident.spec.name
        if self.trader == name:
            self.trader = None
        self._touch(name)
        if not resident.told_to_finish and resident.member is not None:
            self._console.warn(f"{name} (process {resident.pid}) died: {how}; the market goes on without it")
            self.deaths.append(Death(name, how, time.monotonic()))
            self._on_death(resident.member)

    def _touch(self, name: str) -> None:
        self._changed.add(name)
        self._pulse.set()

    async def _until(self, condition: Callable[[], bool], timeout_s: float) -> None:
        """Returns once `condition` holds; looks again whenever something happened to a peer."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                self._pulse.clear()
                await self._pulse.wait()


def _how(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def _some(names: Iterable[str], most: int = 5) -> str:
    """Names a few of many."""
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more
