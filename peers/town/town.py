"""The first terminal of a town: opens the market, keeps it going, closes it, and says whether the books balance."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import msgspec

from peers.books_address import has_secret
from peers.core.market.records import Post
from peers.core.membership.graph_kinds import first_graph
from peers.core.membership.members import Edge, Member, Snapshot
from peers.core.membership.roles import draw_roles
from peers.core.names import Role
from peers.core.settings import LedgerSettings, Settings
from peers.errors import TownError
from peers.rpc.tls import is_secured
from peers.runtime.spec import Begin, PeerSpec
from peers.town.closing import drain, finish_in_order, part
from peers.town.directory import Directory, Machines, TownState, graph_is_sound
from peers.town.joining import join_market, settings_in
from peers.town.machines.invitation import how_to_invite
from peers.town.machines.remembered import listens, who_answers
from peers.town.options import RunOptions
from peers.town.population import Population
from peers.town.processes.peer_processes import PeerProcesses
from peers.town.replication import what_is_kept
from peers.town.services import Services
from peers.town.terminal import Interrupted, Terminal, make_specs
from peers.town.view.console import Console
from peers.town.view.picture import Painter
from peers.version import program_version
from peers.waiting import await_until

if TYPE_CHECKING:
    from db.audit.report import AuditReport
    from peers.town.books import Books
    from peers.town.replicas import Replicas

Visitor = Callable[["Town"], Coroutine[Any, Any, None]]
"""What is done with a town while it is open."""

# None of these is a setting: they bound what the town waits for as it opens and closes.
_WATCH_S = 0.2
_SETTLE_S = 3.0  # The peers need this to join the graph up, and to elect, before the market closes.
# Terminals that joined need this to notice the closing, to end their peers, to give up their vote, and to audit.
_FOREIGNERS_S = 20.0


class Town:
    """One run of a town, from its first process to its last."""

    def __init__(self, options: RunOptions, directory: Directory, console: Console, host: str) -> None:
        self._options = options
        self._directory = directory
        self._console = console
        self._host = host
        self._began = time.monotonic()
        self._terminal = Terminal(options, directory, console, host, claimed=True)
        self._processes = self._terminal.processes
        self._population: Population | None = None
        self.report: AuditReport | None = None
        self._services = Services(directory, console, options.mongo, self._own_books)
        self.registry = self._terminal.registry
        self._painter = Painter(directory, wanted=options.picture)
        self._state = _first_state(options, directory, host)
        self._since = Post()
        self._settings = options.settings
        self._returned = False  # It opened no market, for there was one of the same town still.

    @property
    def processes(self) -> PeerProcesses:
        return self._processes

    @property
    def services(self) -> Services:
        return self._services

    @property
    def population(self) -> Population:
        """The peers that come and go; only once the town is open."""
        assert self._population is not None
        return self._population

    def graph(self) -> dict[str, list[str]]:
        """The live graph, as the peers last told of their links."""
        self._terminal.flush()
        return self._terminal.graph()

    def has_sound_graph(self) -> bool:
        """Whether the live graph is as it should be; see `graph`."""
        return graph_is_sound(self.graph(), self._settings.graph)

    async def run(self, visitor: Visitor | None = None) -> int:
        """Runs the town to its end; returns the exit code. With a visitor, that is over when the visitor is done.

        What the audit at the end found is then in `report`."""
        self._terminal.install_signals(self._kill_hard)
        try:
            with self._directory.checked():
                return await self._live(visitor)
        finally:
            await self._end_everything()

    async def _live(self, visitor: Visitor | None) -> int:
        try:
            books = await self._terminal.unless_stopped(self._open())
        except Interrupted:
            self._console.say("stopped before the market was open")
            return 130
        work = [self._watch(), self._services.keep(), self.registry.keep()]
        if self._settings.market.return_after_s:
            work.append(self.population.keep_returning(self._settings.market.return_after_s))
        if visitor is not None:
            work.append(visitor(self))
        await self._terminal.until_over(books, self._since.seq, *work)
        self._directory.check()
        may_go_on = self._returned and self._are_books_elsewhere() and not self.registry.is_told_to_close
        # Who is the last to leave closes the market, whoever opened it.
        if may_go_on and self.registry.has_others:
            return await self._leave(books)
        return await self._close(books)

    def _are_books_elsewhere(self) -> bool:
        """Whether the others can trade without this machine."""
        replicas = self._services.replicas
        return replicas is None or replicas.has_others

    def _own_books(self) -> Replicas:
        # It brings the driver, which takes as long to import as all else.
        from peers.town.own_books import founded_books

        return founded_books(self._directory, self._console, self._options)

    # -- opening -------------------------------------------------------------------------------------------

    async def _open(self) -> Books:
        options = self._options
        self._processes.launch()
        self._services.launch()
        self.registry.launch()
        where = f"on {self._host}, in {self._directory.path}"
        self._console.say(f"the trading post: {options.n} peers {where}, seed {self._state.seed}", "bold")
        self._directory.forget_peers()
        self._write_state(phase="starting")
        roles, edges = _draw(options, self._state.seed)
        await self.registry.wait_ready()
        self._since = await self._services.open_books()
        books = self._services.books
        assert books is not None
        self._tell_services(books)
        self._population = Population(
            self._processes, books, lambda roles: self._make_specs(books, roles), self._console.warn
        )
        town = await asyncio.to_thread(books.town)
        before = self._directory.read_machines()
        known = before.nameservers if before is not None and before.town == town else ()
        others = await asyncio.to_thread(who_answers, [each for each in known if each != self.registry.where], town)
        ranks = await asyncio.to_thread(books.draw_ranks, options.n)
        await asyncio.to_thread(books.measure_distance)
        counts = ", ".join(f"{roles.count(role)} {role}s" for role in dict.fromkeys(sorted(roles)))
        machines = Machines(town=town, founded=True, nameservers=known)
        if others:
            self._returned, self._settings = True, settings_in(others[0].card)
            specs = self._make_specs(books, dict(zip(ranks, roles, strict=True)))
            await join_market(self._processes, specs, [each.nameserver for each in others])
            await self.registry.open(machines, others[0].card, remembers=True)
            self._console.say(f"the market of {others[0].nameserver} goes on: {counts} have joined it again", "bold")
        else:
            members = await self._processes.start(self._make_specs(books, dict(zip(ranks, roles, strict=True))))
            await self.registry.open(machines, _card(books, town, self._settings), remembers=True)
            graph = tuple((ranks[low], ranks[high]) for low, high in edges)
            await _begin(self._processes, members, graph, self._since.term, options.starter)
            self._console.say(f"{counts} are ready after {self._elapsed():.1f} s; the market opens")
        self._painter.open()
        self._write_state(phase="open")
        for line in how_to_invite(self._state):
            self._console.say(line)
        return books

    def _make_specs(self, books: Books, roles: dict[int, Role]) -> list[PeerSpec]:
        return make_specs(
            self._options,
            self._directory,
            books,
            self._settings,
            host=self._host,
            nameserver=(self.registry.nameserver.host, self.registry.nameserver.port),
            seed=self._state.seed,
            roles=roles,
        )

    def _tell_services(self, books: Books) -> None:
        server = self.registry.nameserver
        mongod = self._services.mongod
        which = f"mongod (process {mongod.pid})" if mongod else "the database given"
        what = f"term {self._since.term}, {self._since.seq:,} decisions so far" if self._since.term else "empty"
        self._console.say(f"books: {which}, {what}")
        replicas = self._services.replicas
        kept = what_is_kept(self._settings.ledger, is_several=replicas is None or replicas.is_several)
        if kept and (replicas is not None or self._settings.ledger != LedgerSettings()):
            self._console.say(kept)
        self._console.say(f"name server: {server.host} port {server.port} (process {server.pid})")
        self._write_state(
            nameserver_host=server.host,
            nameserver_port=server.port,
            nameserver_pid=server.pid,
            mongo_uri=books.uri,
            database=books.database,
            mongod_pid=mongod.pid if mongod else None,
            term=self._since.term,
        )

    # -- while it runs -------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Keeps the town's file and the picture up to date, and notes the first sale."""
        sold = False
        while True:
            first_s = self._console.first_purchase_s
            if not sold and first_s is not None:
                sold = True
                self._console.say(f"first sale {first_s - self._began:.2f} s after the start", "dim")
            processes, server, mongod = self._processes, self.registry.nameserver, self._services.mongod
            self._write_state(
                term=max(self._state.term, processes.term),
                trader=processes.trader,
                nameserver_pid=server.pid,
                mongod_pid=mongod.pid if mongod else None,
                mongo_uri=self._services.books.uri if self._services.books else "",
            )
            self._painter.follow(processes.trader)
            await asyncio.sleep(_WATCH_S)

    # -- closing -------------------------------------------------------------------------------------------

    async def _leave(self, books: Books) -> int:
        self._console.say("the peers of this terminal leave; the town goes on", "bold")
        self._terminal.closing = True
        code = await part(
            self._processes,
            books,
            self._console,
            directory=self._directory.path,
            since=self._since,
            since_ms=self._state.started_at_ms,
            leave=True,
        )
        if self._services.replicas is not None:
            await asyncio.to_thread(self._services.replicas.leave)
        return code

    async def _close(self, books: Books) -> int:
        self._console.tick()
        self._console.say("the market closes", "bold")
        self._painter.close_market(self._processes.trader)
        self._processes.rest()
        if self._processes.alive():
            await await_until(self._is_settled, _SETTLE_S)
            await drain(books)
        graph = self._terminal.graph()
        had_trader = self._processes.trader is not None
        self._terminal.closing = True
        self._write_state(phase="closing")
        others = await self.registry.close_town()
        await finish_in_order(self._processes, books)
        if others:
            await await_until(lambda: not any(map(listens, others)), _FOREIGNERS_S, look_s=0.1)
        self.registry.forget_machines()
        self._directory.check()  # Without the journals there is less to hold the books against.
        # Without a trader, requests that waited had to go on waiting, so the audit must not ask for an empty queue.
        calm = had_trader or bool(others)
        return await asyncio.to_thread(self._balance, books, None if others else graph, calm)

    def _is_settled(self) -> bool:
        """Whether the peers are done with the last change among them."""
        self._processes.flush()
        has_trader = self._processes.trader is not None or self.registry.has_others
        return has_trader and graph_is_sound(self._terminal.graph(), self._settings.graph)

    def _balance(self, books: Books, graph: dict[str, list[str]] | None, calm: bool) -> int:
        """Prints summary and audit; returns the audit's exit code."""
        from peers.town.view.balance import Run, print_balance

        run = Run(
            directory=self._directory.path,
            since=self._since,
            started_at_ms=self._state.started_at_ms,
            elections=self._processes.elections,
            graph=self._settings.graph,
            # In books that were empty before this run, every decision was made at our rate.
            commission_rate=self._options.settings.market.commission_rate if self._since == Post() else None,
        )
        self.report = print_balance(run, books, self._console, graph=graph, calm=calm)
        return self.report.exit_code

    async def _end_everything(self) -> None:
        if self._directory.has_gone():
            self._services.give_up_books()
        self._terminal.closing = True
        await self._processes.close()
        await self._painter.close()
        await asyncio.gather(self.registry.close(), self._services.close())
        if not self._directory.has_gone():  # Another town may be there by now.
            self._directory.forget_peers()
            self._write_state(phase="closed", nameserver_pid=None, mongod_pid=None, trader=None)
        self._console.close()

    def _kill_hard(self) -> None:
        self._painter.kill()
        self._processes.kill_hard()
        self.registry.nameserver.kill()
        self._services.kill_hard()

    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    def _write_state(self, **changes: object) -> None:
        changed = msgspec.structs.replace(self._state, **changes)
        if changed != self._state or changed.phase == "starting":
            self._state = changed
            self._directory.write_town(changed)


async def _begin(
    processes: PeerProcesses, members: list[Member], edges: tuple[Edge, ...], term: int, starter: int | None
) -> None:
    """Has the peers begin, in books that stand at `term`; the one that begins the election is the last."""
    snapshot = Snapshot(members=tuple(members), edges=edges, term=term, trader=None)
    # All peers but one are told the same, which is long where there are many, so it is encoded once.
    others = msgspec.json.encode(Begin(snapshot=snapshot, starts_election=False)) + b"\n"
    first = members[starter or 0]
    for member in members:
        if member is not first:
            processes.begin(member.name, others)
            if starter is not None:
                await processes.opened(member.name)
    processes.begin(first.name, Begin(snapshot=snapshot, starts_election=True))


def _card(books: Books, town: str, settings: Settings) -> dict[str, str]:
    """Returns what others need to join, except a password."""
    card = {"town": town, "database": books.database, "settings": settings.model_dump_json()}
    card["version"] = program_version()
    if not has_secret(books.uri):
        card["mongo_uri"] = books.uri
    return card


def _first_state(options: RunOptions, directory: Directory, host: str) -> TownState:
    """Books that are kept are those of certain peers, so a town that goes on keeps its seed, and its peers."""
    before = None if options.fresh else directory.read_town()
    had_own_books = directory.has_private_books() if before is None else before.private_books
    # Where `town.json` is lost and there are no private books here, nobody knows whose the journals are.
    is_known = before is not None or had_own_books
    if is_known and had_own_books != (options.mongo is None) and directory.has_journals():
        raise TownError(f"the journals in {directory.path} belong to other books than these: choose another --dir")
    same = before is not None and (before.n, before.merchants) == (options.n, options.merchants)
    seed = options.seed
    if seed is None:
        seed = before.seed if same and before is not None else random.SystemRandom().getrandbits(32)
    return TownState(
        phase="starting",
        pid=os.getpid(),
        host=host,
        advertised=options.advertise or host,
        n=options.n,
        seed=seed,
        merchants=options.merchants,
        graph=options.settings.graph,
        private_books=options.mongo is None,
        tls=is_secured(),
        started_at_ms=time.time_ns() // 1_000_000,
    )


def _draw(options: RunOptions, seed: int) -> tuple[tuple[Role, ...], tuple[Edge, ...]]:
    """Draws roles and graph: the same from the same seed."""
    rng = random.Random(seed)
    return options.roles or draw_roles(options.n, rng, merchants=options.merchants), first_graph(
        options.settings.graph, options.n, rng
    )
