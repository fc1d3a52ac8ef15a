"""The other machines of a town, as the peers here know them: who comes and goes, who is remembered, who is met again.

A machine is known by the name server that its peers are listed at. What is remembered of those is kept in the
directory, so that this machine finds the town again after it was away.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import msgspec

from peers.core.membership.members import Member
from peers.endpoints import split_endpoint
from peers.town.files.directory import Directory, Machines
from peers.town.machines.remembered import meet, remembered
from peers.town.processes.peer_processes import PeerProcesses
from peers.town.view.console import Console
from peers.town.view.words import counted

# No setting: those that are away are asked so often whether they are there again.
_MEET_S = 1.0


class OtherMachines:
    """Those of the town but this one, whose name server is `where()`. `groups` are the peers here by area."""

    def __init__(
        self, directory: Directory, console: Console, groups: Sequence[PeerProcesses], where: Callable[[], str]
    ) -> None:
        self._directory = directory
        self._console = console
        self._groups = groups
        self._where = where
        self._machines = Machines(town="", founded=False)
        self._remembers = True
        self._there: Counter[str] = Counter()  # How many peers each had, by its name server.
        self._away: set[str] = set()
        self._meeting: asyncio.Task[None] | None = None
        self._met_s = 0.0

    def __bool__(self) -> bool:
        """Whether peers of other machines are in the market, as far as is known."""
        return bool(self._there)

    @property
    def town(self) -> str:
        """The word of the town that they are of."""
        return self._machines.town

    @property
    def nameservers(self) -> tuple[str, ...]:
        """The addresses of the name servers that are remembered, those last heard of first."""
        return self._machines.nameservers

    def all_there(self) -> tuple[str, ...]:
        """Returns the name servers of all machines with peers in the market, however many, and then of those that are
        remembered besides."""
        return tuple(dict.fromkeys((*self._elsewhere(), *self.nameservers)))

    def open(self, machines: Machines, *, remembers: bool) -> None:
        """Begins with these. `remembers`: the directory is this terminal's, and keeps their addresses."""
        self._remembers = remembers
        self._there = Counter(self._elsewhere())
        self._remember(machines)

    def note(self) -> None:
        """Says which machines have come and gone since, and remembers the new ones."""
        now = Counter(self._elsewhere())
        for where in self._there - now:
            if not now[where]:
                self._away.add(where)
                self._console.warn(f"{self._called(where)} is away, {_peers(self._there[where])}; the market goes on")
        for where in now:
            if not self._there[where]:
                verb = "is back" if where in self._away else "is in the market"
                self._away.discard(where)
                self._console.say(f"{self._called(where)} {verb}, {_peers(now[where])}", "green")
        if now.keys() != self._there.keys():
            self.remember_all(now)
        self._there = now

    def meet(self) -> None:
        """Has those that are away asked, now and then, whether they are there; does not wait for it."""
        now_s = time.monotonic()
        away = [each for each in self.nameservers if not self._there[each] and each != self._where()]
        groups = [(group, group.belief.snapshot) for group in self._groups]
        apart = [(_ours(group), believed) for group, believed in groups if believed is not None]
        is_meeting = self._meeting is not None and not self._meeting.done()
        if not away or not apart or now_s - self._met_s < _MEET_S or is_meeting:
            return
        self._met_s = now_s

        def work() -> None:
            for ours, believed in apart:
                meet(ours, believed, away, self.town)

        self._meeting = asyncio.create_task(asyncio.to_thread(work))

    def remember_all(self, now: Iterable[str] = ()) -> None:
        """Remembers these name servers, and all that the peers here have heard of."""
        heard_of = [each for group in self._groups for each in reversed(group.belief.nameservers)]
        known = remembered((*now, *heard_of), self.nameservers, self._where())
        if known != self.nameservers:
            self._remember(msgspec.structs.replace(self._machines, nameservers=known))

    def forget(self) -> None:
        """The town is over everywhere: who opens it again here need look for nobody."""
        self._remember(msgspec.structs.replace(self._machines, nameservers=()))

    async def close(self) -> None:
        """Returns once nobody is asked any more."""
        if self._meeting is not None:
            await asyncio.wait([self._meeting])

    def _elsewhere(self) -> list[str]:
        """The name server of each peer of another terminal, as often as it has peers."""
        return [
            m.nameserver
            for group in self._groups
            for m in group.belief.up()
            if m.name not in group.names and m.nameserver
        ]

    def _called(self, where: str) -> str:
        """How people know a machine: by its address, where that is not ours too."""
        host, _ = split_endpoint(where)
        ours, _ = split_endpoint(self._where())
        return host if host != ours else where

    def _remember(self, machines: Machines) -> None:
        self._machines = machines
        if self._remembers:
            self._directory.write_machines(machines)


def _ours(group: PeerProcesses) -> list[Member]:
    """Those of the peers here that are up, as they themselves believe."""
    return [member for member in group.belief.up() if member.name in group.names]


def _peers(number: int) -> str:
    return f"with {counted(number, 'peer')}"
