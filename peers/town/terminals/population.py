"""Peers that come and go while the market is open: newcomers, those that come back, those that leave.

A peer that comes back is what it was before, with the same rank and role; only its incarnation is new, so that the
others can tell its lives apart.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from peers.core.membership.members import Member
from peers.core.names import Role
from peers.errors import BazaarError, TownError
from peers.runtime.spec import Begin, PeerSpec
from peers.town.machines.introduction import introduced
from peers.town.machines.remembered import introduce
from peers.town.processes.lives import life_ms
from peers.town.processes.peer_processes import PeerProcesses

if TYPE_CHECKING:
    from peers.town.database.books import Books

MakeSpecs = Callable[[dict[int, Role]], list[PeerSpec]]

_LOOK_S = 0.1  # No setting: nobody sees whether a peer comes back a moment later.


class Population:
    """Peers come and go. `make_specs` says what newcomers of these ranks and roles are told; `on_trouble` is told
    who could not come back, and why."""

    def __init__(
        self, processes: PeerProcesses, books: Books, make_specs: MakeSpecs, on_trouble: Callable[[str], None]
    ) -> None:
        self._processes = processes
        self._on_trouble = on_trouble
        self._books = books
        self._make_specs = make_specs

    async def join(self, roles: Sequence[Role]) -> list[str]:
        """Takes in newcomers with these roles; returns their names. BazaarError if that cannot be done."""
        ranks = await asyncio.to_thread(self._books.draw_ranks, len(roles))
        return await self._admit(self._make_specs(dict(zip(ranks, roles, strict=True))))

    async def revive(self, name: str) -> None:
        """Has a peer that has ended come back as what it was; TownError if that cannot be done."""
        spec = self._processes.spec(name)
        # Later than its last life, whatever was done to the clock on the wall since then.
        incarnation = max(life_ms(), spec.incarnation + 1)
        seed = random.Random(f"{spec.seed}/{incarnation}").getrandbits(53)
        await self._admit([msgspec.structs.replace(spec, incarnation=incarnation, seed=seed)])

    async def keep_returning(self, after_s: float) -> None:
        """Starts each peer that died again, so many seconds after its end; ends only when it is cancelled."""
        due: list[tuple[float, str]] = []
        seen = len(self._processes.deaths)
        while True:
            await asyncio.sleep(_LOOK_S)
            fresh, seen = self._processes.deaths[seen:], len(self._processes.deaths)
            due += [(time.monotonic() + after_s, death.name) for death in fresh]
            while due and due[0][0] <= time.monotonic():
                _, name = due.pop(0)
                try:
                    await self.revive(name)
                except BazaarError as error:
                    self._on_trouble(f"{name} could not come back: {error}")

    async def leave(self, name: str) -> None:
        """Has a peer say goodbye to the market and end; TownError if it had to be killed for that."""
        if await self._processes.finish([name], leave=True):
            raise TownError(f"{name} did not leave in time, and was killed")

    async def _admit(self, specs: list[PeerSpec]) -> list[str]:
        present = [(member.name, member.uri) for member in self._processes.members()]
        newcomers = await self._processes.start(specs)
        names = [member.name for member in newcomers]
        try:
            for member in newcomers:
                await self._introduce(member, present)
        except TownError:
            # They can be ended without a goodbye: nobody in the market knows them yet.
            await self._processes.finish(names)
            raise
        return names

    async def _introduce(self, member: Member, sponsors: list[tuple[str, str]]) -> None:
        random.Random(member.name).shuffle(sponsors)
        snapshot = await asyncio.to_thread(introduced, member, sponsors)
        self._processes.begin(member.name, Begin(snapshot=snapshot, starts_election=False))


async def join_market(processes: PeerProcesses, specs: list[PeerSpec], nameservers: Sequence[str]) -> None:
    """Has these peers born and introduced, one after the other, by peers that one of these machines lists.

    TownError if one cannot start or nobody introduces it."""
    for member in await processes.start(specs):
        snapshot = await asyncio.to_thread(introduce, member, nameservers, frozenset(processes.names))
        processes.begin(member.name, Begin(snapshot=snapshot, starts_election=False))
        processes.belief.begin_with(snapshot)
