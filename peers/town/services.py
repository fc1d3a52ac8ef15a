"""The database of a town: starts it where it is the town's own, keeps it up, ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from peers.core.market.records import Post
from peers.errors import BazaarError
from peers.town.directory import Directory
from peers.town.view.console import Console

if TYPE_CHECKING:
    from db.mongod.process import MongodProcess
    from peers.town.books import Books

# None of these is a setting: they bound what the town itself waits for, and trade goes on meanwhile.
_WATCH_S = 0.1
_RETRY_S = 1.0


class Services:
    """Database and books of one town. `mongo` is the address of a database that is not ours to run; without one,
    `make_mongod` gives our own."""

    def __init__(
        self,
        directory: Directory,
        console: Console,
        mongo: str | None,
        make_mongod: Callable[[], MongodProcess],
    ) -> None:
        self._directory = directory
        self._console = console
        self._mongo = mongo
        self._make_mongod = make_mongod
        self.mongod: MongodProcess | None = None
        self.books: Books | None = None
        self._opening: asyncio.Task[Post] | None = None
        self._closed = False

    def launch(self) -> None:
        """Sets everything off; `open_books` waits for it."""
        self._opening = asyncio.create_task(asyncio.to_thread(self._start_books))

    def _start_books(self) -> Post:
        # The driver takes as long to import as all else, so that is left until the other processes are at work.
        if self._mongo is None:
            self.mongod = self._make_mongod()
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

    async def keep(self) -> None:
        """Starts the database again where it dies, for ever. TownError if there is no place left to start it in."""
        while True:
            await asyncio.sleep(_WATCH_S)
            self._directory.check()  # Without the directory, mongod would be started again with empty books.
            if self.mongod is not None and not self.mongod.alive():
                await self._revive_mongod()

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

    async def close(self) -> None:
        """Ends it; what was still starting is waited for, so that nothing is left behind."""
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
        if self.mongod is not None:
            await asyncio.to_thread(self.mongod.stop)

    def give_up_books(self) -> None:
        """Kills a mongod whose directory was removed: it would go on writing, by name, to what takes its place."""
        if self.mongod is not None:
            self.mongod.kill()

    def kill_hard(self) -> None:
        """Kills it at once, without waiting."""
        if self.mongod is not None:
            self.mongod.stop(timeout_s=0.0)
