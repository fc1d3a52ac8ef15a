"""How a market is closed so that its books balance.

First everybody stops trading while all are still there to elect a trader should this one resign just now; once
nothing waits any more, the customers go, and the trader last. A terminal may also leave a market that goes on: it
sums up its own part, and judges what it can see of all.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from peers.core.market.records import Post
from peers.errors import BazaarError
from peers.town.processes.peer_processes import PeerProcesses

if TYPE_CHECKING:
    from db.audit.journals import WitnessesOf
    from db.audit.report import Answer
    from peers.town.database.books import Books
    from peers.town.files.directory import Directory
    from peers.town.view.console import Console

# None of these is a setting: closing is over in a moment, unless something is wrong; then it must end all the same.
_CALM_S = 0.05
_PATIENCE_S = 3.0
_LONGEST_S = 30.0  # With a large crowd on a busy machine, a change of trader alone takes seconds.


async def finish_in_order(processes: PeerProcesses, books: Books, *, leave: bool = False) -> None:
    """Ends peer processes. While its customers go, the trader decides what they asked for last."""
    trader = processes.trader
    await processes.finish([name for name in processes.alive() if name != trader], leave=leave)
    if trader is not None and not leave:
        await drain(books)
    await processes.finish(processes.alive(), leave=leave)


async def sum_up(
    processes: PeerProcesses,
    books: Books,
    console: Console,
    *,
    directory: Directory,
    since: Post,
    since_us: int,
    witnesses_of: WitnessesOf,
) -> Answer:
    """Says what the peers did of a terminal that is one of several, once they have ended, and audits the whole town
    as far as it can be seen, with the journals of the other terminals; returns the answer.

    What others still do is not held against the books: the graph is not this terminal's to judge, and what waits in
    the queue may be decided yet."""

    def balance() -> Answer:
        from peers.town.view.balance import Run, print_balance

        run = Run(
            directory=directory.path,
            since=since,
            began_us=since_us,
            elections=processes.elections,
            peers=frozenset(processes.names),
        )
        if directory.area_name:
            console.say(f"{directory.area_name}:", "bold")
        area = directory.area_name
        witnesses = witnesses_of((area,) if area else ())
        return print_balance(run, books, console, graph=None, calm=False, witnesses=witnesses).answer

    return await asyncio.to_thread(balance)


async def drain(books: Books, patience_s: float = _PATIENCE_S, longest_s: float = _LONGEST_S) -> bool:
    """Waits until nothing waits any more; returns whether it came to that.

    Gives up once nothing was decided and nobody took office for `patience_s`, and after `longest_s` in any case.
    """
    began_s = moved_s = time.monotonic()
    seen: tuple[int, Post] | None = None
    while True:
        now = await asyncio.to_thread(_look, books)
        # The look must say the same twice: the trader may have accepted a request and not yet written it down.
        if now is None or (now == seen and now[0] == 0):
            return True
        now_s = time.monotonic()
        if now != seen:
            seen, moved_s = now, now_s
        if now_s - moved_s > patience_s or now_s - began_s > longest_s:
            return False
        await asyncio.sleep(_CALM_S)


def _look(books: Books) -> tuple[int, Post] | None:
    """How many wait, and where the post stands; None if the books cannot be read, so there is nothing to wait for."""
    try:
        return books.queued(), books.post()
    except BazaarError:
        return None
