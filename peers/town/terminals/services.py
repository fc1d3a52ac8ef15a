"""The database of a town: starts it where it is the town's own, keeps it up, ends it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from peers.core.market.records import Post
from peers.errors import BazaarError, LedgerError
from peers.town.ending import StepOfEnd, done_anyway
from peers.town.files.directory import Directory
from peers.town.view.console import Console

if TYPE_CHECKING:
    from db.mongod.process import MongodProcess
    from peers.town.database.books import Books
    from peers.town.database.replicas import Replicas

# None of these is a setting: they bound what the town itself waits for, and trade goes on meanwhile.
_WATCH_S = 0.1
_RETRY_S = 1.0
_OPEN_S = 20.0


def _nothing() -> None:
    """There is nothing else to be done."""


class Services:
    """Database and books of one town, or of one area of it. `mongo` is the address of a database that is not ours to
    run; without one, `make_replicas` gives our own."""

    def __init__(
        self,
        directory: Directory,
        console: Console,
        mongo: str | None,
        make_replicas: Callable[[], Replicas],
        *,
        area: str = "",
    ) -> None:
        self._directory = directory
        self._console = console
        self._mongo = mongo
        self._make_replicas = make_replicas
        self._area = area
        self.replicas: Replicas | None = None
        self.books: Books | None = None
        self._opening: asyncio.Task[Post] | None = None
        self._closed = False

    @property
    def mongod(self) -> MongodProcess | None:
        """Our own, the first where there are several; None if we run none."""
        return self.replicas.processes[0] if self.replicas is not None else None

    def launch(self) -> None:
        """Sets everything off; `open_books` waits for it."""
        self._opening = asyncio.create_task(asyncio.to_thread(self._start_books))

    def _start_books(self) -> Post:
        # The driver takes as long to import as all else, so that is left until the other processes are at work.
        if self._mongo is None:
            self.replicas = self._make_replicas()
            uri = self.replicas.open()
        else:
            uri = self._mongo
        from db.address import database_of
        from peers.town.database.books import Books
        from peers.town.plan.areas import database_of_area

        database = database_of_area(database_of(uri), self._area)
        self.books = Books(uri, database)
        if self.replicas is not None and self.replicas.is_several:
            return _open_patiently(self.books)
        return self.books.open()

    async def open_books(self) -> Post:
        """Returns the post as the books have it."""
        assert self._opening is not None
        return await asyncio.shield(self._opening)

    async def keep(self, on_change: Callable[[], None] = _nothing) -> None:
        """Starts the database again where it dies, for ever. `on_change`: what is to be done when the books are found
        by other members than before. TownError if there is no place left to start it in."""
        if self.replicas is None:
            return await _for_ever()
        if not self.replicas.is_several:
            return await keep_up(self.replicas, self._directory, self._console)
        assert self.books is not None
        return await keep_replicas(self.replicas, self.books, self._directory, self._console, on_change)

    async def close(self) -> None:
        """Ends it; what was still starting is waited for, so that nothing is left behind. Raises nothing: what fails
        of it is said."""
        if self._closed:
            return
        self._closed = True
        if self.replicas is not None:
            self.replicas.end()
        if self._opening is not None:
            await asyncio.wait([self._opening])
            if not self._opening.cancelled():
                # The error is taken out, or asyncio would report it; whoever waited for it has seen it already.
                self._opening.exception()
        if self.books is not None:
            with StepOfEnd("letting go of the books", self._console.warn):
                self.books.close()
        if self.replicas is not None:
            await end_replicas(self.replicas, self._console)

    def give_up_books(self) -> None:
        """Kills a mongod whose directory was removed: it would go on writing, by name, to what takes its place."""
        if self.replicas is not None:
            self.replicas.kill()

    def kill_hard(self) -> None:
        """Kills it at once, without waiting."""
        if self.replicas is not None:
            self.replicas.close(timeout_s=0.0)


def _open_patiently(books: Books) -> Post:
    """Opens books whose primary may just be another than a moment ago: who comes back is often the reason for that.

    LedgerError if that does not work for a while."""
    deadline_s = time.monotonic() + _OPEN_S
    while True:
        try:
            return books.open()
        except LedgerError:
            if time.monotonic() > deadline_s:
                raise
        time.sleep(_WATCH_S)


async def keep_replicas(
    replicas: Replicas, books: Books, directory: Directory, console: Console, on_change: Callable[[], None] = _nothing
) -> None:
    """Keeps up what runs here of a set, and has whoever connects to the books from now on know all its members, for
    ever. `on_change`: what else is to be done when there are others. TownError as `keep_up`."""

    async def follow() -> None:
        while True:
            if books.uri != replicas.uri:
                books.uri = replicas.uri
                on_change()
            await asyncio.sleep(_WATCH_S)

    work = (replicas.keep(), keep_up(replicas, directory, console), follow())
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def end_replicas(replicas: Replicas, console: Console) -> None:
    """Ends the `mongod`s here, and kills those that do not end. Raises nothing: what fails of it is said."""
    if not await done_anyway("ending mongod", console.warn, asyncio.to_thread(replicas.close)):
        with StepOfEnd("killing mongod", console.warn):
            replicas.kill()


async def keep_up(replicas: Replicas, directory: Directory, console: Console) -> None:
    """Starts a `mongod` again where it dies, for ever. One that cannot be started, for want of room, say, is tried
    again and again, which is said once for each reason. TownError if there is no place left to start it in."""
    said: dict[MongodProcess, set[str]] = {}
    while True:
        await asyncio.sleep(_WATCH_S)
        directory.check()  # Without the directory, mongod would be started again with empty books.
        for process in replicas.died():
            if process not in said:
                console.warn("mongod died; it is started again")
            try:
                await asyncio.to_thread(process.start)
            except BazaarError as error:
                reasons = said.setdefault(process, set())
                if str(error) not in reasons:
                    console.warn(f"mongod cannot be started: {error}; it is tried again")
                reasons.add(str(error))
                await asyncio.sleep(_RETRY_S)
                continue
            said.pop(process, None)
            console.say(f"mongod is back (process {process.pid})", "green")


async def _for_ever() -> None:
    await asyncio.Event().wait()
