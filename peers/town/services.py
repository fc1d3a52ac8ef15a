"""What a town runs beside its peers: the database and the name server. Starts them, keeps them up, ends them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from nameserver.client import NameServerClient
from nameserver.process import NameServerProcess
from peers.core.market.records import Post
from peers.core.membership.members import Member
from peers.errors import BazaarError, TownError
from peers.rpc.tls import is_secured
from peers.town.directory import Directory
from peers.town.processes.peer_processes import PeerProcesses
from peers.town.view.console import Console

if TYPE_CHECKING:
    from db.mongod.process import MongodProcess
    from peers.town.books import Books

# None of these is a setting: they bound what the town itself waits for, and trade goes on meanwhile.
_WATCH_S = 0.1
_RETRY_S = 1.0
_ANSWER_S = 2.0


class Services:
    """Database and name server of one town. `mongo` is the address of a database that is not ours to run."""

    def __init__(
        self,
        directory: Directory,
        console: Console,
        host: str,
        *,
        mongo: str | None,
        nameserver_port: int,
        ports: tuple[int, int] | None = None,
    ) -> None:
        self._directory = directory
        self._console = console
        self._mongo = mongo
        self._ports = ports
        self.nameserver = NameServerProcess(
            host, nameserver_port, directory.logs / "nameserver.log", tls=directory.tls if is_secured() else None
        )
        self.mongod: MongodProcess | None = None
        self.books: Books | None = None
        self._opening: asyncio.Task[Post] | None = None
        self._closed = False

    def launch(self) -> None:
        """Sets everything off; `open_books` and `open_nameserver` wait for it."""
        self.nameserver.launch()
        self._opening = asyncio.create_task(asyncio.to_thread(self._start_books))

    def _start_books(self) -> Post:
        # The driver takes as long to import as all else, so that is left until the other processes are at work.
        if self._mongo is None:
            from peers.town.own_books import own_mongod

            self.mongod = own_mongod(
                self._directory, self.nameserver.host, ports=self._ports, nameserver_port=self.nameserver.port
            )
            self.mongod.start()
            uri = self.mongod.uri
        else:
            uri = self._mongo
        from db.address import database_of
        from peers.town.books import Books

        database = database_of(uri)
        self.books = Books(uri, database)
        return self.books.open()

    async def open_books(self) -> Post:
        """Returns the post as the books have it."""
        assert self._opening is not None
        return await asyncio.shield(self._opening)

    async def open_nameserver(self) -> None:
        """Returns once names can be registered."""
        await asyncio.to_thread(self.nameserver.wait_ready)

    async def keep(self, processes: PeerProcesses, card: dict[str, str]) -> None:
        """Starts again what dies, for ever. A new name server is told all the names the old one knew of us.

        TownError if there is no place left to start it in."""
        while True:
            await asyncio.sleep(_WATCH_S)
            self._directory.check()  # Without the directory, mongod would be started again with empty books.
            if self.mongod is not None and not self.mongod.alive():
                await self._revive_mongod()
            if not self.nameserver.alive():
                await self._revive_nameserver(processes, card)

    async def _revive_mongod(self) -> None:
        assert self.mongod is not None
        self._console.warn("mongod died; it is started again")
        try:
            await asyncio.to_thread(self.mongod.start)
        except BazaarError as error:
            self._console.warn(f"mongod cannot be started: {error}")
            await asyncio.sleep(_RETRY_S)
            return
        self._console.say(f"mongod is back (process {self.mongod.pid})", "green")

    async def _revive_nameserver(self, processes: PeerProcesses, card: dict[str, str]) -> None:
        self._console.warn("the name server died; it is started again")
        try:
            await asyncio.to_thread(self.nameserver.restart)
            await self.register(processes, card)
        except BazaarError as error:
            self._console.warn(f"the name server cannot be started: {error}")
            await asyncio.sleep(_RETRY_S)
            return
        self._console.say(f"the name server is back (process {self.nameserver.pid})", "green")

    def names(self) -> NameServerClient:
        """Returns a client of the name server, to be closed by the caller."""
        return NameServerClient(self.nameserver.host, self.nameserver.port, _ANSWER_S)

    async def register(self, processes: PeerProcesses, card: dict[str, str]) -> None:
        """Registers the peers that run, the trader if it is one of them, and the town's card.

        TownError if the name server does not answer."""
        members, trader, term = processes.members(), processes.trader, processes.term

        def work() -> None:
            with self.names() as names:
                for member in members:
                    names.register(member)
                    if member.name == trader:
                        names.register_trader(member, term)
                names.leave_card(card)

        await asyncio.to_thread(work)

    async def forget(self, member: Member) -> None:
        """Removes a dead peer from the name server."""

        def work() -> None:
            with suppress(TownError), self.names() as names:
                names.unregister(member)

        await asyncio.to_thread(work)

    async def close(self) -> None:
        """Ends both; what was still starting is waited for, so that nothing is left behind."""
        if self._closed:
            return
        self._closed = True
        if self._opening is not None:
            await asyncio.wait([self._opening])
            if not self._opening.cancelled():
                # The error is taken out, or asyncio would report it; whoever waited for it has seen it already.
                self._opening.exception()
        if self.books is not None:
            self.books.close()
        await asyncio.gather(
            asyncio.to_thread(self.nameserver.stop),
            asyncio.to_thread(self.mongod.stop) if self.mongod is not None else asyncio.sleep(0),
        )

    def give_up_books(self) -> None:
        """Kills a mongod whose directory was removed: it would go on writing, by name, to what takes its place."""
        if self.mongod is not None:
            self.mongod.kill()

    def kill_hard(self) -> None:
        """Kills both at once, without waiting."""
        self.nameserver.kill()
        if self.mongod is not None:
            self.mongod.stop(timeout_s=0.0)
