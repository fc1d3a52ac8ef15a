"""Which town a terminal joins, and which of its machines answers: the one that was named, or one of those that it was
in the town with before."""

from __future__ import annotations

import asyncio
import time

from peers.books_address import address_from_environment
from peers.errors import TownError
from peers.town.files.directory import Directory, Machines, Phase
from peers.town.machines.addresses import parse_endpoint
from peers.town.machines.lease import name_servers_in_books
from peers.town.machines.remembered import Answering, ask_any, who_answers
from peers.town.plan.options import RunOptions
from peers.town.speaking import speak_to
from peers.town.view.console import Console
from peers.waiting import wait_until

# None of these is a setting: whoever comes back can wait for the others to come back too, and give up at any moment.
_RETURN_S = 60.0
_PATIENCE_S = 5.0  # For a town that is started together with those who join it.
_LOOK_S = 1.0


class TownFinder:
    """Looks for a town: at `nameserver` where one is named, at the machines of `before`, and at those that the books
    (`mongo`, or the environment's) name."""

    def __init__(
        self, nameserver: tuple[str, int] | None, before: Machines | None, mongo: str | None, console: Console
    ) -> None:
        self._nameserver = nameserver
        self._before = before
        self._mongo = mongo
        self._console = console

    async def find(self) -> Answering:
        """Returns a machine of the town: the one that was named, or one that this terminal was in it with before.

        TownError if none answers; the town is waited for, longer by those who were in it before."""
        before, told = self._before, False
        deadline_s = time.monotonic() + (_PATIENCE_S if before is None else _RETURN_S)
        while True:
            why = TownError("no machine answers that this one was in a town with: give --nameserver of one that does")
            if self._nameserver is not None:
                try:
                    return await asyncio.to_thread(ask_any, *self._nameserver)
                except TownError as error:
                    why = error
            others = await asyncio.to_thread(self._others)
            if others:
                return others[0]
            if time.monotonic() > deadline_s:
                raise why
            if not told:
                told = True
                self._console.warn(f"no machine of the town answers ({why}); they are looked for again and again")
            await asyncio.sleep(_LOOK_S)

    def _others(self) -> list[Answering]:
        """Who answers of the machines that this one remembers; else of those that the books name, if it knows books:
        in containers, one that was connected again has lost the name that all share."""
        before = self._before
        found = who_answers(before.nameservers, before.town) if before is not None else []
        books = self._mongo or address_from_environment()
        if not found and books is not None:
            found = who_answers(name_servers_in_books(books), None if before is None else before.town)
        return found


def where_to_join(
    options: RunOptions, directory: Directory, *, claimed: bool, timeout_s: float = 60.0
) -> tuple[str, int] | None:
    """Returns where the name server of the town to join is; waits while the town of this directory still starts.
    None where only the directory remembers which town it is.

    TownError if there is none to join.
    """
    given = parse_endpoint(options.nameserver) if options.nameserver is not None else None
    if claimed:
        return given
    wait_until(lambda: not directory.in_use() or _phase_of(directory) in ("open", "closing"), timeout_s)
    state = directory.running_town()
    if state is not None and state.phase == "closing":
        raise TownError(f"the town in {directory.path} is closing; try again in a moment")
    if state is None or state.phase != "open":
        raise TownError(f"the town in {directory.path} did not open; try again")
    here = speak_to(state, directory)
    if given not in (None, here, (state.nameserver_host, state.nameserver_port)):
        raise TownError(f"{directory.path} belongs to a terminal of another town: choose another --dir")
    return here


def _phase_of(directory: Directory) -> Phase | None:
    state = directory.running_town()
    return None if state is None else state.phase
