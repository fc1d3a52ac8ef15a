"""A terminal that joins a town that runs: n more peers, drawn into the graph one after the other.

Only the name server of any of its machines has to be known: the town's card there says where the books are and what
the settings are. A newcomer listens first; then some peer of the market is asked to introduce it, and hands back what
it must know. From then on this terminal is like all others: it has a name server of its own, and remembers the other
machines, so that it finds the town again after it was away. When word comes that the town is closing, so does this
terminal; that nothing answers is no such word.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from db.address import check_closed, database_of
from db.audit.report import EXIT_CODES
from peers.books_address import ENVIRONMENT, address_from_environment
from peers.core.market.records import Post
from peers.core.membership.roles import draw_roles, role_to_join_as
from peers.core.names import Role
from peers.core.settings import Settings
from peers.errors import SettingsError, TownError
from peers.rpc.security.tls import is_secured
from peers.runtime.spec import PeerSpec
from peers.town.database.books import Books
from peers.town.database.replicas import Replicas
from peers.town.ending import StepOfEnd
from peers.town.files.directory import Directory, Machines, Phase, TownState
from peers.town.machines.card import settings_in
from peers.town.machines.finding import TownFinder
from peers.town.machines.keeping import JournalKeeping
from peers.town.machines.lease import say_in_use
from peers.town.machines.remembered import Answering, remembered
from peers.town.plan.areas import AreaBooks, AreaPlan, choose_area, read_areas
from peers.town.plan.options import RunOptions
from peers.town.terminals.closing import finish_in_order, sum_up
from peers.town.terminals.own_books import joined_books
from peers.town.terminals.population import join_market
from peers.town.terminals.services import end_replicas, keep_replicas
from peers.town.terminals.terminal import AreaPeers, Interrupted, Terminal, make_specs
from peers.town.view.console import Console


class _Visit(NamedTuple):
    """From where on what the peers here did is summed up: the post then, and the monotonic clock in microseconds."""

    books: Books
    since: Post
    since_us: int


class Joining:
    """The peers of one terminal in the town of another."""

    def __init__(
        self,
        options: RunOptions,
        directory: Directory,
        console: Console,
        host: str,
        nameserver: tuple[str, int] | None,
        *,
        claimed: bool,
    ) -> None:
        self._options = options
        self._directory = directory
        self._console = console
        self._host = host
        self._terminal = Terminal(options, directory, console, host, claimed=claimed)
        self._area: AreaPeers | None = None  # Known only once the town has said which areas it has.
        # Where the directory is not that of the town, its state files are ours to write.
        self._own_directory = claimed
        self._remembered = directory.read_machines() if claimed else None
        self._finder = TownFinder(nameserver, self._remembered, options.mongo, console)
        self._registry = self._terminal.registry
        self._keeping = JournalKeeping(directory, self._registry, claimed=claimed)
        self._home: Books | None = None  # The books of the town, which has the ranks; mostly those of the area, too.
        self._books: Books | None = None
        self._is_apart = False  # The books of the area are elsewhere than those of the town.
        self._settings = options.settings
        self._replicas: Replicas | None = None  # Where the books are a set of the town's own.
        self._town_areas: tuple[str, ...] = ()
        self._seed = options.seed if options.seed is not None else random.SystemRandom().getrandbits(32)

    async def run(self) -> int:
        """Joins, stays until the end, leaves; returns the exit code."""
        self._terminal.install_signals(self._kill_hard)
        try:
            with self._directory.checked():
                return await self._live()
        finally:
            await self._end_everything()

    async def _live(self) -> int:
        try:
            visit = await self._terminal.unless_stopped(self._join())
        except Interrupted:
            self._console.say("stopped before the peers had joined; the town goes on")
            return 130
        work = [self._registry.keep()]
        if self._replicas is not None:
            assert self._home is not None
            keeping = keep_replicas(self._replicas, self._home, self._directory, self._console, self._note_members)
            work.append(keeping)
        await self._terminal.until_over([(visit.books, visit.since.seq)], *work)
        return await self._leave(visit)

    async def _join(self) -> _Visit:
        self._terminal.launch()
        if self._own_directory:
            self._replicas = joined_books(self._directory, self._console, self._options)
        if self._replicas is not None:  # The others may be waiting for just this member to have a majority.
            await asyncio.to_thread(self._replicas.start_those_of_before)
        found = await self._finder.find()
        home = self._take_in(found)
        known_areas = read_areas(found.card)
        here = choose_area(self._options.areas, known_areas, [peer.area for peer in found.peers])
        area = self._area = self._terminal.enter(here.name)
        await self._registry.wait_ready()
        if self._replicas is not None:
            await asyncio.to_thread(self._replicas.join)
        ranks = await asyncio.to_thread(home.draw_ranks, self._options.n)
        books = self._books = self._books_of(here, home, known_areas)
        await asyncio.to_thread(books.measure_distance)
        self._town_areas = tuple(each.name for each in known_areas)
        self._say_joining(found, area)
        await asyncio.to_thread(self._keeping.begin, home, self._options.advertise or self._host, (area.name,))
        specs = self._specs(found, area, books, ranks)
        # Read before there are peers here: whoever is introduced first trades while the others still join.
        visit = _Visit(books, await asyncio.to_thread(books.post), time.monotonic_ns() // 1000)
        await self._bring_peers(found, area, specs)
        return visit

    def _take_in(self, found: Answering) -> Books:
        """Has this terminal be of the town that answered; returns the town's books. SettingsError or TownError where
        what was asked for here does not go with that town."""
        options, card = self._options, found.card
        ours = self._replicas.uri if self._replicas is not None else None
        uri = ours or options.mongo or card.get("mongo_uri") or address_from_environment()
        if uri is None:
            raise TownError(f"the town's books have a password: give their address by {ENVIRONMENT} or --mongo @FILE")
        self._check_closed(uri)
        self._check_journals(card.get("town", ""))
        self._settings = settings_in(card)
        if options.settings not in (Settings(), self._settings):
            raise SettingsError("the settings are those of the town that is joined: leave out --set and its like")
        self._home = Books(uri, card.get("database") or database_of(uri))
        return self._home

    def _say_joining(self, found: Answering, area: AreaPeers) -> None:
        self._console.say(
            f"joining the town at {found.nameserver}{_in(area)}: {self._options.n} more peers, seed {self._seed}, "
            f"logs in {area.directory.logs}",
            "bold",
        )
        if self._own_directory:
            self._directory.forget_peers()
            area.directory.forget_peers()
            self._write_state("starting")

    def _specs(self, found: Answering, area: AreaPeers, books: Books, ranks: range) -> list[PeerSpec]:
        present = [peer.role for peer in found.peers if peer.area == area.name]
        return make_specs(
            self._options,
            area.directory,
            books,
            self._settings,
            host=self._host,
            nameserver=self._registry.address,
            seed=self._seed,
            roles=self._draw_roles(ranks, present),
            town=found.card.get("town", ""),
            areas=self._town_areas,
        )

    async def _bring_peers(self, found: Answering, area: AreaPeers, specs: list[PeerSpec]) -> None:
        """Has the peers born and introduced, and remembers the town's other machines."""
        before, card = self._remembered, found.card
        known = before.nameservers if before is not None and before.town == card.get("town") else ()
        known = remembered((found.nameserver,), known, self._registry.where)
        await join_market(area.processes, specs, known)
        machines = Machines(town=card.get("town", ""), founded=False, nameservers=known)
        await self._registry.open(machines, card, remembers=self._own_directory)
        self._terminal.flush()  # Whoever reads the state files once we have said so must find the newcomers there.
        if self._own_directory:
            self._write_state("open")
            await asyncio.to_thread(say_in_use, self._directory, self._host)
        joined = "1 peer has" if len(specs) == 1 else f"{len(specs)} peers have"
        self._console.say(
            f"{joined} joined{_in(area)}; Ctrl-C ends what this terminal started, and the town goes on", "bold"
        )

    def _check_journals(self, town: str) -> None:
        """Raises TownError where the journals here are those of another town: held against the books of this one,
        they would speak of sales that nobody ever made."""
        before = self._remembered
        if before is not None and before.town not in ("", town) and self._directory.has_journals():
            raise TownError(
                f"the journals in {self._directory.path} are those of another town than this one: choose another "
                "--dir, or remove that one if you need it no more"
            )

    def _books_of(self, area: AreaPlan, home: Books, known: Sequence[AreaBooks]) -> Books:
        """The books of the area, the town's being `home`. SettingsError where nobody says where they are."""
        told = next((each for each in known if each.name == area.name), None)
        if told is None:
            return home
        self._is_apart = told.given
        uri = area.books or told.uri or ("" if told.given else home.uri)
        if not uri:
            raise SettingsError(
                f"the books of {area.name} have a password: give their address by --area {area.name}=@FILE"
            )
        self._check_closed(uri)
        return Books(uri, told.database)

    def _check_closed(self, uri: str) -> None:
        """Refuses books that others can change, as the town does; a further terminal here uses what that has."""
        warning = check_closed(uri, insecure=self._options.insecure) if self._own_directory else None
        if warning is not None:
            self._console.say(warning)

    def _draw_roles(self, ranks: range, present: Sequence[str | None]) -> dict[int, Role]:
        merchants = self._options.merchants
        if self._options.roles is not None:
            return dict(zip(ranks, self._options.roles, strict=True))
        if len(ranks) > 1:
            drawn = draw_roles(len(ranks), random.Random(f"{self._seed}/{ranks.start}"), merchants=merchants)
            return dict(zip(ranks, drawn, strict=True))
        return {rank: role_to_join_as(rank, present, merchants=merchants) for rank in ranks}

    def _note_members(self) -> None:
        """Has whoever reads the state here find the books by all their members."""
        if self._home is not None and self._books is not None and not self._is_apart:
            self._books.uri = self._home.uri
        if self._own_directory:
            self._write_state("open")

    def _write_state(self, phase: Phase) -> None:
        """Says how the town is, as seen from here, and the area that this terminal is in."""
        home, books, area = self._home, self._books, self._area
        if home is None or books is None or area is None:
            return
        state = self._state(home, phase)
        if area.name:
            own = msgspec.structs.replace(state, mongo_uri=books.uri, database=books.database, areas=())
            area.directory.write_town(own)
        self._directory.write_town(state)

    def _state(self, books: Books, phase: Phase) -> TownState:
        return TownState(
            phase=phase,
            pid=os.getpid(),
            host=self._host,
            advertised=self._options.advertise or self._host,
            n=self._options.n,
            seed=self._seed,
            graph=self._settings.graph,
            private_books=False,
            tls=is_secured(),
            nameserver_host=self._registry.nameserver.host,
            nameserver_port=self._registry.nameserver.port,
            nameserver_pid=self._registry.nameserver.pid if phase != "closed" else None,
            mongo_uri=books.uri,
            database=books.database,
            areas=self._town_areas,
            started_at_ms=time.time_ns() // 1_000_000,
        )

    async def _leave(self, visit: _Visit) -> int:
        self._console.tick()
        closes = self._registry.is_told_to_close
        if closes:
            self._console.say("the town closes, and so do the peers of this terminal", "bold")
        else:
            self._console.say("the peers of this terminal leave; the town goes on", "bold")
        self._terminal.closing = True
        assert self._area is not None
        processes = self._area.processes
        await self._terminal.anyway(
            "ending the peers in order", finish_in_order(processes, visit.books, leave=not closes)
        )
        await self._terminal.rest_journals(self._keeping, processes.names)
        with self._keeping.elsewhere(closes=closes) as elsewhere:
            answer = await sum_up(
                processes,
                visit.books,
                self._console,
                directory=self._area.directory,
                since=visit.since,
                since_us=visit.since_us,
                witnesses_of=elsewhere.witnesses,
            )
            handing = asyncio.to_thread(self._keeping.hand_over, elsewhere)
            await self._terminal.anyway("handing over the journals", handing)
        return EXIT_CODES[answer]

    async def _close_replicas(self, replicas: Replicas) -> None:
        """Ends the member here in order: whoever stays, or audits the books at the end, has a majority without it."""
        await self._terminal.anyway("leaving the books", asyncio.to_thread(replicas.leave))
        await end_replicas(replicas, self._console)

    def _kill_hard(self) -> None:
        if self._replicas is not None:
            self._replicas.kill()
        self._terminal.kill_peers()
        self._registry.nameserver.kill()

    async def _end_everything(self) -> None:
        self._terminal.closing = True
        await self._terminal.close_peers()
        # Where nobody would introduce the peers here, their journals are none, and no audit is to wait for them.
        names = [name for area in self._terminal.areas for name in area.processes.names]
        await self._terminal.rest_journals(self._keeping, names)
        if self._replicas is not None:  # Whoever closes the town takes the end of the name server for the end of all.
            await self._close_replicas(self._replicas)
        await self._registry.close()
        for books in (self._home, self._books):
            with StepOfEnd("letting go of the books", self._console.warn):
                if books is not None:
                    books.close()
        with StepOfEnd("writing down that all has ended", self._console.warn):
            if not self._directory.has_gone():
                if self._own_directory:
                    self._write_state("closed")
                for area in self._terminal.areas:
                    area.directory.forget_peers(area.processes.names)
        self._console.close()


def _in(area: AreaPeers) -> str:
    return f" in {area.name}" if area.name else ""
