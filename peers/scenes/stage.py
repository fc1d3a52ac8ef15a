"""The stage: an open town in the hands of a script.

A script waits for what peers tell, hurts peers and has them resign, brings customers of its own, looks in the books,
and says what was seen. Scripts sleep nowhere: they wait for what they are about.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import psutil

from db.queries import RecordedSale
from peers.core.leadership.state import LeadershipState
from peers.core.market.records import ElectionRecord
from peers.core.names import Role
from peers.core.reports import Elected, LeadershipChanged
from peers.rpc.forms.public_form import Document
from peers.rpc.rpc_connection import RpcConnection
from peers.runtime.spec import CutLinks
from peers.scenes.audience import Audience
from peers.scenes.customers import SceneCustomer
from peers.scenes.hearing import DEADLINE_S, Hearing
from peers.scenes.verdict import Fact, NotSeen
from peers.town.database.books import Books
from peers.town.database.replicas import Replicas
from peers.town.plan.options import RunOptions
from peers.town.terminals.town import Town

# None is an option: they only bound how late a scene goes on.
_CALL_S = 10.0
_LOOK_S = 0.02
_CUT_S = 120.0

_T = TypeVar("_T")


class Stage:
    """One town on stage. Whatever does not come about in DEADLINE_S is NotSeen, and ends the scene."""

    def __init__(self, town: Town, options: RunOptions, hearing: Hearing, audience: Audience) -> None:
        self._options = options
        self._town = town
        self._audience = audience
        self._customers: list[SceneCustomer] = []
        self.hears = hearing
        self.facts: list[Fact] = []

    # -- for the audience ----------------------------------------------------------------------------------

    def say(self, line: str) -> None:
        """Tells the audience what is done, or what may be read off."""
        self._audience.say(line)

    def check(self, claim: str, saw: object, wanted: object = True) -> None:
        """Takes down what was seen of one thing that the row says, beside what it should be."""
        self.facts.append(Fact(claim=claim, saw=saw, wanted=wanted))

    # -- looking -------------------------------------------------------------------------------------------

    async def elected(self, term: int) -> Elected:
        """Returns what the winner of that term said when it took office."""
        return await self.hears.hear(Elected, f"a trader of term {term}", lambda report: report.term == term)

    async def status(self, name: str) -> Document:
        """Returns what that peer says of itself. CallFailed if it does not answer."""
        return await asyncio.to_thread(_call, self._uri(name), "status")

    async def search_at(self, name: str) -> list[Document]:
        """Returns what that peer says is on offer. CallFailed or WireError if it does not answer."""
        found: Any = await asyncio.to_thread(_call, self._uri(name), "search")
        return list(found)

    async def clock(self, name: str) -> int:
        """Returns the time of that peer's own clock: of a vector, the sum. CallFailed likewise."""
        clock = (await self.status(name))["clock"]
        return int(clock["lamport"]) if "lamport" in clock else sum(clock["vector"].values())

    async def until(self, look: Callable[[], Awaitable[_T | None]], what: str) -> _T:
        """Looks again and again until there is what is looked for. NotSeen, with `what`, if it does not come."""
        deadline_s = time.monotonic() + DEADLINE_S
        while (found := await look()) is None:
            if time.monotonic() > deadline_s:
                raise NotSeen(f"not within {DEADLINE_S:g} s: {what}")
            await asyncio.sleep(_LOOK_S)
        return found

    def graph(self) -> dict[str, list[str]]:
        """Returns the live graph, as the peers last told of their links."""
        return self._town.graph()

    def alive(self) -> list[str]:
        """Returns the peers whose processes run, by rank."""
        return [member.name for member in sorted(self._town.processes.members(), key=lambda m: m.rank)]

    @property
    def books(self) -> Books:
        """The books. Their methods block: call them by `in_books`."""
        books = self._town.services.books
        assert books is not None
        return books

    @property
    def replicas(self) -> Replicas | None:
        """The members of the books that are the town's own."""
        return self._town.services.replicas

    async def in_books(self, question: Callable[[Books], _T]) -> _T:
        """Asks the books, which are brought up to the log first. LedgerError if they cannot be read."""

        def ask() -> _T:
            self.books.catch_up()
            return question(self.books)

        return await asyncio.to_thread(ask)

    async def election(self, term: int) -> ElectionRecord:
        """Returns the record of that term's election, which is written a moment after it. NotSeen if it is not."""

        async def recorded() -> ElectionRecord | None:
            found = await self.in_books(lambda books: books.elections(term - 1))
            return next((record for record in found if record.term == term), None)

        return await self.until(recorded, f"the record of the election of term {term}")

    async def sales(self) -> list[RecordedSale]:
        """Returns all sales in the order of their decision. LedgerError likewise."""
        return await self.in_books(lambda books: list(books.sales()))

    # -- doing ---------------------------------------------------------------------------------------------

    async def resign(self, name: str) -> None:
        """Has that trader resign; returns once its term is over. CallFailed if it does not answer."""
        await asyncio.to_thread(_call, self._uri(name), "resign")

    async def is_leaving(self, name: str) -> None:
        """Returns once that trader takes in nothing more, for it is about to leave office."""
        await self.hears.hear(
            LeadershipChanged,
            f"the leaving of {name}",
            lambda report: report.after is LeadershipState.LEAVING,
            peer=name,
        )

    def kill(self, *names: str) -> None:
        """Kills these peers at once, with SIGKILL."""
        for name in names:
            with suppress(ProcessLookupError):
                os.kill(self._town.processes.pid(name), signal.SIGKILL)

    async def freeze(self, name: str) -> None:
        """Stops this peer: it does nothing more, and does not know it. `wake` has it go on. NotSeen if it runs on."""
        pid = self._town.processes.pid(name)
        os.kill(pid, signal.SIGSTOP)

        async def has_stopped() -> bool | None:
            return has_stopped_whole(pid) or None

        await self.until(has_stopped, f"that {name} stops")

    def wake(self, name: str) -> None:
        """Has a frozen peer go on, if it still runs."""
        with suppress(ProcessLookupError):
            os.kill(self._town.processes.pid(name), signal.SIGCONT)

    async def cut_off(self, name: str) -> None:
        """Cuts this peer's links to its neighbours, both ways; customers and the books it still reaches. Returns once
        it is so; `heal` ends it. NotSeen if it does not come about."""
        log = self._options.directory / "logs" / f"{name}.log"
        self._town.processes.tell(name, CutLinks(neighbours=(), seconds=_CUT_S, way="both"))

        async def is_cut() -> bool | None:
            return "links are cut" in log.read_text(encoding="utf-8") or None

        await self.until(is_cut, f"that {name} is cut off")

    def heal(self, name: str) -> None:
        """Joins the links of a peer that was cut off, if it still runs."""
        self._town.processes.tell(name, CutLinks(neighbours=(), seconds=0.0, way="both"))

    async def kill_database(self) -> None:
        """Kills the member of the database that takes the writes, with SIGKILL, once others could take over where
        there are to be several. NotSeen if it is not the town's own, or does not run."""
        replicas = self._town.services.replicas
        if replicas is None:
            raise NotSeen("the database is not this town's own, and cannot be killed")

        async def writer() -> int | None:
            primary = replicas.primary if replicas.is_safe or not replicas.is_several else None
            return primary.pid if primary is not None else None

        os.kill(await self.until(writer, "a database that may be killed"), signal.SIGKILL)

    @asynccontextmanager
    async def connections(self, name: str, count: int) -> AsyncIterator[list[RpcConnection]]:
        """Gives so many connections to that peer, made and ready, each for one call at a time; and ends them.

        CallFailed if it does not answer."""
        made = [RpcConnection(self._uri(name), DEADLINE_S) for _ in range(count)]
        try:
            for each in made:
                await asyncio.to_thread(each.call, "ping")
            yield made
        finally:
            for each in made:
                each.close()

    async def join(self, *roles: Role) -> list[str]:
        """Has newcomers join, one after the other; returns their names. BazaarError if one cannot."""
        return [name for role in roles for name in await self._town.population.join([role])]

    async def revive(self, name: str) -> None:
        """Has a peer that was killed come back as what it was. TownError if it cannot."""
        await self._town.population.revive(name)

    def customer(self, name: str) -> SceneCustomer:
        """Returns a customer from outside, which is let go when the scene is over."""
        server = self._town.registry.nameserver
        customer = SceneCustomer(
            name,
            server.host,
            server.port,
            clock=self._options.settings.clock,
            timeout_s=_CALL_S,
            directory=self._options.directory,
        )
        self._customers.append(customer)
        return customer

    async def begin_buying(self, trader: str, customer: SceneCustomer, item: str) -> asyncio.Future[Document]:
        """Sends a purchase of one unit, and waits until `trader` has taken it in: it counts that as an event.

        Only where nothing else is asked of the trader meanwhile. NotSeen if it does not."""
        before = await self.clock(trader)
        outcome = customer.begin_buying(item)

        async def is_taken_in() -> bool | None:
            return await self.clock(trader) > before or None

        await self.until(is_taken_in, f"that {trader} takes in what {customer.name} asks for")
        self.say(f"{customer.name} asks for {item}; it waits at {trader}")
        return outcome

    @asynccontextmanager
    async def books_standing_still(self) -> AsyncIterator[None]:
        """Stops the database for as long as this lasts: nothing can be recorded, so nothing is decided.

        NotSeen if it is not the town's own."""
        mongod = self._town.services.mongod
        pid = mongod.pid if mongod is not None else None
        if pid is None:
            raise NotSeen("the database is not this town's own, and cannot be stopped")
        os.kill(pid, signal.SIGSTOP)
        self.say("the database is stopped: nothing can be recorded now, so nothing is decided")
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)
            self.say("the database goes on")

    async def clear(self) -> None:
        """Sends its customers home."""
        await asyncio.gather(*(customer.close() for customer in self._customers))

    def _uri(self, name: str) -> str:
        uri = next((m.uri for m in self._town.processes.members() if m.name == name), None)
        if uri is None:
            raise NotSeen(f"{name} has ended")
        return uri


def has_stopped_whole(pid: int, system: Path = Path("/proc")) -> bool:
    """Whether a process that was sent SIGSTOP has stopped: on a busy machine some of its threads may run on for a
    moment. `system`: where the kernel says so; where it does not, the process is asked after as a whole."""
    if (system / str(pid) / "task").exists():
        return all(_is_stopped(stat) for stat in (system / str(pid) / "task").glob("*/stat"))
    return psutil.Process(pid).status() == psutil.STATUS_STOPPED


def _is_stopped(stat: Path) -> bool:
    """Whether that thread of a process has stopped, or ended."""
    try:
        return stat.read_text().rpartition(")")[2].split()[0] in ("T", "t")
    except FileNotFoundError:
        return True


def _call(uri: str, method: str) -> Document:
    line = RpcConnection(uri, _CALL_S)
    try:
        found: Document = line.call(method)
    finally:
        line.close()
    return found
