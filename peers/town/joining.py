"""A terminal that joins a town that runs: n more peers, drawn into the graph one after the other.

Only the name server has to be known: the town's card there says where the books are and what the settings are. A
newcomer listens first; then some peer of the market is asked to introduce it, and hands back what it must know.
When the card says that the town is closing, so does this terminal; that nothing answers is no such word.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from contextlib import suppress

from db.address import database_of
from nameserver.client import NameServerClient, find
from nameserver.names import CLOSING
from peers.books_address import ENVIRONMENT, address_from_environment
from peers.core.membership.members import Member, Snapshot
from peers.core.membership.roles import draw_roles, role_to_join_as
from peers.core.names import Role
from peers.core.settings import Settings
from peers.errors import SettingsError, TownError
from peers.rpc.tls import is_secured
from peers.runtime.spec import Begin
from peers.town.addresses import parse_endpoint
from peers.town.books import Books
from peers.town.closing import finish_in_order
from peers.town.directory import Directory, Phase, TownState
from peers.town.introduction import introduced
from peers.town.options import RunOptions
from peers.town.terminal import Interrupted, Terminal, make_specs
from peers.town.view.console import Console
from peers.waiting import wait_until

# No setting: it says how soon this terminal notices that the town closes, and the town waits longer.
_LOOK_S = 0.3
_PATIENCE_S = 5.0


class Joining:
    """The peers of one terminal in the town of another."""

    def __init__(
        self,
        options: RunOptions,
        directory: Directory,
        console: Console,
        host: str,
        nameserver: tuple[str, int],
        *,
        claimed: bool,
    ) -> None:
        self._options = options
        self._directory = directory
        self._console = console
        self._host = host
        self._nameserver = nameserver
        self._terminal = Terminal(options, directory, console, self._peer_died)
        self._processes = self._terminal.processes
        # Where the directory is not that of the town, its state files are ours to write.
        self._own_directory = claimed
        self._town_closes = False
        self._books: Books | None = None

    async def run(self) -> int:
        """Joins, stays until the end, leaves; returns the exit code."""
        self._terminal.install_signals(self._processes.kill_hard)
        try:
            with self._directory.checked():
                return await self._live()
        finally:
            await self._end_everything()

    async def _live(self) -> int:
        try:
            books = await self._terminal.unless_stopped(self._join())
        except Interrupted:
            self._console.say("stopped before the peers had joined; the town goes on")
            return 130
        since = await asyncio.to_thread(books.post)
        await self._terminal.until_over(books, since.seq, self._until_town_closes())
        return await self._leave(books)

    async def _join(self) -> Books:
        options = self._options
        self._processes.launch()
        card = await self._await_card()
        uri = options.mongo or card.get("mongo_uri") or address_from_environment()
        if uri is None:
            raise TownError(f"the town's books have a password: give their address by {ENVIRONMENT} or --mongo @FILE")
        settings = Settings.model_validate_json(card["settings"])
        if options.settings not in (Settings(), settings):
            raise SettingsError("the settings are those of the town that is joined: leave out --set and its like")
        books = self._books = Books(uri, card.get("database") or database_of(uri))
        ranks = await asyncio.to_thread(books.draw_ranks, options.n)
        seed = options.seed if options.seed is not None else random.SystemRandom().getrandbits(32)
        host, port = self._nameserver
        self._console.say(
            f"joining the town at {host} port {port}: {options.n} more peers, seed {seed}, "
            f"logs in {self._directory.logs}",
            "bold",
        )
        if self._own_directory:
            self._directory.forget_peers()
            self._directory.write_town(self._state(books, seed, "open"))
        specs = make_specs(
            options,
            self._directory,
            books,
            settings,
            host=self._host,
            nameserver=self._nameserver,
            seed=seed,
            roles=await asyncio.to_thread(self._draw_roles, ranks, seed),
        )
        for member in await self._processes.start(specs):
            await self._introduce(member)
        self._terminal.flush()  # Whoever reads the state files once we have said so must find the newcomers there.
        joined = "1 peer has" if len(specs) == 1 else f"{len(specs)} peers have"
        self._console.say(f"{joined} joined; Ctrl-C ends what this terminal started, and the town goes on", "bold")
        return books

    async def _await_card(self) -> dict[str, str]:
        """The card of a town that may be about to open: where all is started at once, somebody is first."""
        deadline_s = time.monotonic() + _PATIENCE_S
        waits = False
        while True:
            try:
                return await asyncio.to_thread(_card_of, self._nameserver)
            except TownError as error:
                if time.monotonic() > deadline_s:
                    raise
                if not waits:
                    self._console.say(f"{error}; it may be about to open", "dim")
                waits = True
            await asyncio.sleep(_LOOK_S)

    def _draw_roles(self, ranks: range, seed: int) -> dict[int, Role]:
        merchants = self._options.merchants
        if len(ranks) > 1:
            drawn = draw_roles(len(ranks), random.Random(f"{seed}/{ranks.start}"), merchants=merchants)
            return dict(zip(ranks, drawn, strict=True))
        with NameServerClient(*self._nameserver) as names:
            present = [peer.role for peer in names.peers()]
        return {rank: role_to_join_as(rank, present, merchants=merchants) for rank in ranks}

    def _state(self, books: Books, seed: int, phase: Phase) -> TownState:
        return TownState(
            phase=phase,
            pid=os.getpid(),
            host=self._host,
            advertised=self._options.advertise or self._host,
            n=self._options.n,
            seed=seed,
            private_books=False,
            tls=is_secured(),
            nameserver_host=self._nameserver[0],
            nameserver_port=self._nameserver[1],
            mongo_uri=books.uri,
            database=books.database,
            started_at_ms=time.time_ns() // 1_000_000,
        )

    async def _introduce(self, member: Member) -> None:
        snapshot = await asyncio.to_thread(_introduced, self._nameserver, member, frozenset(self._processes.names))
        self._processes.begin(member.name, Begin(snapshot=snapshot, starts_election=False))

    async def _until_town_closes(self) -> None:
        while not await asyncio.to_thread(_is_closing, self._nameserver):
            await asyncio.sleep(_LOOK_S)
        self._town_closes = True

    def _peer_died(self, member: Member) -> None:
        def work() -> None:
            with suppress(TownError), NameServerClient(*self._nameserver) as names:
                names.unregister(member)

        asyncio.get_running_loop().run_in_executor(None, work)

    async def _leave(self, books: Books) -> int:
        self._console.tick()
        if self._town_closes:
            self._console.say("the town closes, and so do the peers of this terminal", "bold")
        else:
            self._console.say("the peers of this terminal leave; the town goes on", "bold")
        self._terminal.closing = True
        await finish_in_order(self._processes, books, leave=not self._town_closes)
        return 0

    async def _end_everything(self) -> None:
        self._terminal.closing = True
        await self._processes.close()
        if self._books is not None:
            self._books.close()
        if not self._directory.has_gone():
            if self._books is not None and self._own_directory:
                self._directory.write_town(self._state(self._books, 0, "closed"))
            self._directory.forget_peers(self._processes.names)
        self._console.close()


def _card_of(nameserver: tuple[str, int]) -> dict[str, str]:
    with find(*nameserver) as names:
        card = names.card()
    if card is None or "settings" not in card:
        raise TownError(f"the name server at {nameserver[0]} port {nameserver[1]} knows of no town that is open")
    return card


def _is_closing(nameserver: tuple[str, int]) -> bool:
    try:
        with NameServerClient(*nameserver) as names:
            return CLOSING in (names.card() or {})
    except TownError:
        return False


def _introduced(nameserver: tuple[str, int], member: Member, ours: frozenset[str]) -> Snapshot:
    with NameServerClient(*nameserver) as names:
        sponsors = names.peers()
    # Peers of other terminals come first: the last of ours may not have begun yet.
    random.Random(member.name).shuffle(sponsors)
    sponsors.sort(key=lambda sponsor: sponsor.name in ours)
    return introduced(member, [(sponsor.name, sponsor.uri) for sponsor in sponsors])


def where_to_join(
    options: RunOptions, directory: Directory, *, claimed: bool, timeout_s: float = 60.0
) -> tuple[str, int]:
    """Returns where the name server of the town to join is; waits while the town of this directory still starts.

    TownError if there is none to join.
    """
    given = parse_endpoint(options.nameserver) if options.nameserver is not None else None
    if given is not None and claimed:
        return given
    wait_until(lambda: not directory.in_use() or _phase_of(directory) in ("open", "closing"), timeout_s)
    state = directory.running_town()
    if state is not None and state.phase == "closing":
        raise TownError(f"the town in {directory.path} is closing; try again in a moment")
    if state is None or state.phase != "open":
        raise TownError(f"the town in {directory.path} did not open; try again")
    here = (state.nameserver_host, state.nameserver_port)
    if given not in (None, here):
        raise TownError(f"{directory.path} belongs to a terminal of another town: choose another --dir")
    return here


def _phase_of(directory: Directory) -> Phase | None:
    state = directory.running_town()
    return None if state is None else state.phase
