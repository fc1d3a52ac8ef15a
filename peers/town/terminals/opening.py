"""How the first terminal of a town opens it: the books, the markets of its areas, its card for whoever joins.

What takes long is set off together and waited for at last. Where the same town has gone on without this terminal, no
market is opened: the peers join theirs again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from peers.core.market.records import Post
from peers.core.settings import LedgerSettings
from peers.runtime.spec import PeerSpec
from peers.town.database.replication import what_is_kept
from peers.town.files.directory import Machines
from peers.town.machines.card import make_card, settings_in
from peers.town.machines.invitation import how_to_invite
from peers.town.machines.keeping import JournalKeeping
from peers.town.machines.remembered import Answering, remembered, who_answers
from peers.town.plan.options import RunOptions
from peers.town.plan.pace import pace_line
from peers.town.speaking import tags_of_founder
from peers.town.terminals.market import AreaMarket
from peers.town.terminals.services import Services
from peers.town.terminals.state_file import StateFile
from peers.town.terminals.terminal import Terminal

if TYPE_CHECKING:
    from peers.town.database.books import Books


class Opening:
    """The opening of the `markets` of one town, which began at `began_s` of the monotonic clock."""

    def __init__(
        self,
        options: RunOptions,
        terminal: Terminal,
        services: Services,
        keeping: JournalKeeping,
        markets: Sequence[AreaMarket],
        file: StateFile,
        *,
        host: str,
        began_s: float,
    ) -> None:
        self._options = options
        self._terminal = terminal
        self._directory = terminal.directory
        self._console = terminal.console
        self._registry = terminal.registry
        self._services = services
        self._keeping = keeping
        self._markets = markets
        self._file = file
        self._host = host
        self._began_s = began_s
        self._settings = options.settings
        self.has_returned = False
        """It opened no market, for there was one of the same town still."""

    async def open(self) -> None:
        """Returns once the markets are open. TownError or LedgerError if they cannot be."""
        self._terminal.launch()
        self._services.launch()
        for market in self._markets:
            market.launch()
        where = f"on {self._host}, in {self._directory.path}"
        peers = f"{self._options.n} peers {where}, seed {self._file.state.seed}"
        self._console.say(f"the trading post: {peers}", "bold")
        self._directory.forget_peers()
        self._file.begin()
        await self._registry.wait_ready()
        since = await self._services.open_books()
        books = self._services.books
        assert books is not None
        await asyncio.gather(*(market.open_books(books, since) for market in self._markets))
        self._tell_services(books, since)
        await self._open_markets(books)
        for market in self._markets:
            market.open_picture()
            market.write_state(phase="open")
        self._file.write(phase="open")
        for line in how_to_invite(self._file.state):
            self._console.say(line)

    async def _open_markets(self, books: Books) -> None:
        """Has the peers born, and either opens the markets to them or has them join those of the same town that have
        gone on without this terminal."""
        from peers.town.machines.lease import name_servers_of_others  # It brings the driver; see `Town`.

        town = await asyncio.to_thread(books.town)
        before = self._directory.read_machines()
        known = before.nameservers if before is not None and before.town == town else ()
        # Who came just before this terminal was killed was not remembered yet, and has left a word in the books.
        said = await asyncio.to_thread(name_servers_of_others, books.uri, books.database, self._directory.terminal())
        known = remembered(known, said, self._registry.where)
        others = await asyncio.to_thread(who_answers, [each for each in known if each != self._registry.where], town)
        ranks = await asyncio.to_thread(books.draw_ranks, self._options.n)
        if others:
            self.has_returned, self._settings = True, settings_in(others[0].card)
        elif self._options.slower is not None:
            self._console.say(pace_line(self._options.n, self._options.slower))
        areas = tuple(market.name for market in self._markets if market.name)
        specs = [
            await market.start(books, ranks, self._file.state, self._settings, town=town, areas=areas)
            for market in self._markets
        ]
        machines = Machines(town=town, founded=True, nameservers=known)
        if others:
            await self._keep_journals(books, areas)
            await self._join_again(specs, machines, others)
        else:
            await self._found(books, specs, machines, areas)

    async def _found(
        self, books: Books, specs: Sequence[list[PeerSpec]], machines: Machines, areas: tuple[str, ...]
    ) -> None:
        born = asyncio.gather(*map(AreaMarket.found, self._markets, specs))
        found, _ = await asyncio.gather(born, self._keep_journals(books, areas))
        in_card = [market.in_card() for market in self._markets if market.name]
        card = make_card(machines.town, books, self._settings, in_card, tags_of_founder(self._directory))
        await self._registry.open(machines, card, remembers=True)
        for market, members in zip(self._markets, found, strict=True):
            await market.begin(members)
        opens = "the markets open" if areas else "the market opens"
        took_s = time.monotonic() - self._began_s
        self._console.say(f"{self._mixture()} are ready after {took_s:.1f} s; {opens}")

    async def _join_again(
        self, specs: Sequence[list[PeerSpec]], machines: Machines, others: Sequence[Answering]
    ) -> None:
        nameservers = [each.nameserver for each in others]
        for market, wanted in zip(self._markets, specs, strict=True):
            await market.join_again(wanted, nameservers)
        await self._registry.open(machines, others[0].card, remembers=True)
        where = others[0].nameserver
        self._console.say(f"the market of {where} goes on: {self._mixture()} have joined it again", "bold")

    async def _keep_journals(self, books: Books, areas: tuple[str, ...]) -> None:
        outside = self._options.advertise or self._host
        await asyncio.to_thread(self._keeping.begin, books, outside, areas or ("",))

    def _mixture(self) -> str:
        return "; ".join(f"{each.name}: {each.mixture}" if each.name else each.mixture for each in self._markets)

    def _tell_services(self, books: Books, since: Post) -> None:
        server = self._registry.nameserver
        mongod = self._services.mongod
        replicas = self._services.replicas
        which = f"mongod (process {mongod.pid})" if mongod else "the database given"
        if replicas is not None and replicas.is_several:
            which += f", the first here of {replicas.record.wanted} members"
        for market in self._markets:
            at, of = market.since, f" of {market.name}" if market.name else ""
            what = f"term {at.term}, {at.seq:,} decisions so far" if at.term else "empty"
            self._console.say(f"books{of}: {market.which_books(which)}, {what}")
        kept = what_is_kept(self._settings.ledger, is_several=replicas is None or replicas.is_several)
        if kept and (replicas is not None or self._settings.ledger != LedgerSettings()):
            self._console.say(kept)
        self._console.say(f"name server: {server.host} port {server.port} (process {server.pid})")
        self._file.write(
            nameserver_host=server.host,
            nameserver_port=server.port,
            nameserver_pid=server.pid,
            mongo_uri=books.uri,
            database=books.database,
            mongod_pid=mongod.pid if mongod else None,
            term=since.term,
        )
