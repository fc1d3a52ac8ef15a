"""The name server of this machine: started, kept up, and kept saying what the peers here believe.

Every terminal has one. What it lists and remembers comes from the peers; see `mirror` and `machines`.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence, Set
from contextlib import suppress
from typing import Any, TypeVar

from nameserver.client import NameServerClient
from nameserver.names import AREAS, CLOSING, HERE
from nameserver.process import NameServerProcess
from peers.core.membership.members import Member
from peers.endpoints import endpoint, split_endpoint, try_to_bind
from peers.errors import TownError
from peers.rpc.security.tls import is_secured
from peers.town.ending import StepOfEnd, done_anyway
from peers.town.files.directory import Directory, Machines
from peers.town.machines.mirror import Wanted, bring_up_to_date, copy_area
from peers.town.machines.other_machines import OtherMachines
from peers.town.machines.remembered import say_closing, who_answers
from peers.town.plan.areas import read_areas
from peers.town.processes.peer_processes import PeerProcesses
from peers.town.view.console import Console

T = TypeVar("T")

# None of these is a setting: they say how soon others find a change, and bound what is asked meanwhile.
_LOOK_S = 0.25
_AGAIN_S = 10.0  # A name server that lost an entry by whatever mishap has it again after that long.
_COPY_S = 1.0  # So often areas without peers here are listed as other machines list them.
_ANSWER_S = 2.0
_MOST_ASKED = 4
_SILENT_S = 5.0  # A name server that runs and says nothing for that long is hung.
_RETRY_S = 1.0


class Registry:
    """This machine's name server at `host`, which others call `advertised`. `others` are the town's other machines,
    as far as known. `groups` are the peers here by area; it may grow until the registry is opened."""

    def __init__(
        self,
        directory: Directory,
        console: Console,
        groups: Sequence[PeerProcesses],
        host: str,
        port: int,
        advertised: str | None = None,
    ) -> None:
        self._directory = directory
        self._console = console
        self._groups = groups
        self._outside = advertised or host
        self.nameserver = NameServerProcess(
            host,
            port,
            directory.logs / "nameserver.log",
            tls=directory.tls if is_secured() else None,
            journals=(directory.path, directory.terminal()),
        )
        self.others = OtherMachines(directory, console, groups, lambda: self.where)
        self.is_told_to_close = False
        self._card: dict[str, str] = {}
        # A connection that is kept, for looking at the card four times a second. Only `_is_closing` asks by it.
        self._watching: NameServerClient | None = None
        self._listed: tuple[Wanted, ...] | None = None
        self._listed_s = self._answered_s = 0.0
        self._other_areas: Set[str] = frozenset()
        self._copying: asyncio.Task[None] | None = None
        self._copied_s = 0.0
        self._chores: set[asyncio.Task[Any]] = set()

    @property
    def where(self) -> str:
        """`host:port` of the name server, as others call it."""
        return endpoint(*self.address)

    @property
    def address(self) -> tuple[str, int]:
        """The same apart: what it is called, which is also what its certificate says, and its port."""
        return self._outside, self.nameserver.port

    def names(self) -> NameServerClient:
        """Returns a client of the name server, to be closed by the caller."""
        return NameServerClient(*self.address, _ANSWER_S)

    def launch(self) -> None:
        """Starts the name server; `wait_ready` waits for it."""
        self.nameserver.launch()

    async def wait_ready(self) -> None:
        """Returns once names can be registered; TownError if it cannot come up."""
        await asyncio.to_thread(self.nameserver.wait_ready)

    async def open(self, machines: Machines, card: dict[str, str], *, remembers: bool) -> None:
        """Lists the peers here and the town's card. `remembers`: the directory is this terminal's, and keeps the
        other machines' addresses. TownError if the name server does not answer."""
        here = [group.area for group in self._groups]
        self._other_areas = {each.name for each in read_areas(card)} - {*here}
        if AREAS in card:
            card = {**card, HERE: ",".join(here)}
        self._card = card
        self.others.open(machines, remembers=remembers)
        await self._list()

    # -- while it runs -------------------------------------------------------------------------------------

    async def keep(self) -> None:
        """Starts the name server again where it dies or hangs, lists what the peers believe, and says which machines
        come and go; returns when the town is said to be over."""
        self._answered_s = time.monotonic()
        while not self.is_told_to_close:
            await asyncio.sleep(_LOOK_S)
            self._ask_a_peer()
            try:
                await self._look()
            except TownError:
                await self._mind_silence()
            self.others.note()
            self.others.meet()
            self._mind_other_areas()

    def _ask_a_peer(self) -> None:
        for group in self._groups:
            alive = group.members()
            if alive:
                group.tell(random.choice(alive).name, group.belief.question())

    async def _look(self) -> None:
        if not self.nameserver.alive():
            await self._revive("died")
            return
        if self._wanted() != self._listed or time.monotonic() - self._listed_s > _AGAIN_S:
            await self._list()
        # Whoever ends `keep` does not end the thread, which has the connection until it is through.
        self.is_told_to_close = await asyncio.shield(self._chore(self._is_closing))
        self._answered_s = time.monotonic()

    def _is_closing(self) -> bool:
        if self._watching is None:
            self._watching = self.names()
        return CLOSING in (self._watching.card() or {})

    def _end_watch(self) -> None:
        if self._watching is not None:
            self._watching.close()

    def _chore(self, work: Callable[[], T]) -> asyncio.Task[T]:
        """Has `work` done in a thread of its own; `close` waits for it."""
        chore = asyncio.get_running_loop().create_task(asyncio.to_thread(work))
        self._chores.add(chore)
        chore.add_done_callback(self._chores.discard)
        return chore

    async def _mind_silence(self) -> None:
        if time.monotonic() - self._answered_s > _SILENT_S:
            await self._revive("does not answer")

    async def _revive(self, why: str) -> None:
        self._console.warn(f"the name server {why}; it is started again")
        self._end_watch()
        try:
            await asyncio.to_thread(self.nameserver.restart)
            await self._list()
        except TownError as error:
            self._console.warn(f"the name server cannot be started: {error}")
            await asyncio.sleep(_RETRY_S)
            return
        self._answered_s = time.monotonic()
        self._console.say(f"the name server is back (process {self.nameserver.pid})", "green")

    async def _list(self) -> None:
        wanted, ours = self._wanted(), frozenset(name for group in self._groups for name in group.names)

        def work() -> None:
            with self.names() as names:
                for each in wanted:
                    bring_up_to_date(names, each, ours)

        await asyncio.to_thread(work)
        self._listed, self._listed_s = wanted, time.monotonic()

    def _wanted(self) -> tuple[Wanted, ...]:
        return tuple(map(self._wanted_of, self._groups))

    def _wanted_of(self, group: PeerProcesses) -> Wanted:
        ours, believed = group.names, group.belief.snapshot
        strangers = [m for m in believed.members if m.name not in ours] if believed is not None else []
        elsewhere = tuple(member for member in strangers if member.up)
        trader = next((m for m in elsewhere if believed is not None and m.name == believed.trader), None)
        return Wanted(
            nameserver=self.nameserver.pid,
            here=tuple(group.members()),
            elsewhere=elsewhere,
            gone=tuple(member for member in strangers if not member.up),
            trader=trader,
            term=believed.term if believed is not None and trader is not None else 0,
            card=self._card,
            area=group.area,
        )

    def forget(self, member: Member) -> None:
        """Takes a dead peer of this machine off the list, in a moment."""

        def work() -> None:
            with suppress(TownError), self.names() as names:
                names.unregister(member)
                names.unregister_trader(member)

        self._chore(work)

    def _mind_other_areas(self) -> None:
        """Has the areas that no peer here is of listed as the other machines list them."""
        now_s = time.monotonic()
        if not self._other_areas or now_s - self._copied_s < _COPY_S or not self.others.nameservers:
            return
        if self._copying is None or self._copying.done():
            self._copied_s = now_s
            self._copying = self._chore(self._copy_areas)

    def _copy_areas(self) -> None:
        wanted = set(self._other_areas)
        for found in who_answers(self.others.nameservers[:_MOST_ASKED], self.others.town):
            theirs = wanted & {*found.card.get(HERE, "").split(",")}
            wanted -= theirs
            with suppress(TownError), self.names() as names:
                source = NameServerClient(*split_endpoint(found.nameserver), _ANSWER_S)
                with source:
                    for area in theirs:
                        copy_area(names, area, source)

    # -- the end -------------------------------------------------------------------------------------------

    async def close_town(self) -> list[str]:
        """Tells all machines that can be reached that the town is over, also those that have just come; returns the
        name servers of those that were told."""
        for group in self._groups:
            for member in group.members():
                group.tell(member.name, group.belief.question())
        await asyncio.sleep(_LOOK_S)
        self.others.remember_all()
        await asyncio.to_thread(self._close_here)
        # More may be there than are remembered, and none may go on without the books.
        return await asyncio.to_thread(say_closing, self.others.all_there(), self.others.town)

    def _close_here(self) -> None:
        """Has the name server here say it too: who is about to come finds no town that is open."""
        with suppress(TownError), self.names() as names:
            names.say_closing()

    async def close(self) -> None:
        """Ends the name server. Raises nothing: what fails of it is said."""
        warn = self._console.warn
        if self._chores:
            await asyncio.wait(self._chores)
        await done_anyway("leaving the other machines alone", warn, self.others.close())
        with StepOfEnd("letting go of the name server", warn):
            self._end_watch()
        if not await done_anyway("ending the name server", warn, asyncio.to_thread(self.nameserver.stop)):
            with StepOfEnd("killing the name server", warn):
                self.nameserver.kill()


def port_of_before(host: str, port: int) -> int:
    """Returns `port`, where the others will look for us, if it can still be listened on; else 0, which is any."""
    try:
        return port if try_to_bind(host, port) == port else 0
    except OSError:
        return 0
