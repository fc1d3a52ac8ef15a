"""The market of one area in the terminal that opened the town: its books, its peers, its graph, its end.

A town with one post has one of these. None knows of the others: what fails in one area stays there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from db.audit.journals import tells_of_trade
from peers.books_address import has_secret
from peers.core.market.records import Post
from peers.core.membership.members import Edge, Member, Snapshot
from peers.core.names import Role
from peers.core.settings import Settings
from peers.errors import TownError
from peers.runtime.spec import Begin, PeerSpec
from peers.town.ending import StepOfEnd, done_anyway
from peers.town.files.directory import TownState, graph_is_sound
from peers.town.plan.areas import OWN, AreaBooks, AreaPlan, Share, address_of_area
from peers.town.plan.options import RunOptions
from peers.town.processes.peer_processes import PeerProcesses
from peers.town.terminals.closing import drain, finish_in_order
from peers.town.terminals.population import Population, join_market
from peers.town.terminals.services import Services
from peers.town.terminals.state_file import CLOSED, StateFile, own_books_of
from peers.town.terminals.terminal import Terminal, make_specs
from peers.town.view.picture import Painter
from peers.town.view.words import counted
from peers.waiting import await_until

if TYPE_CHECKING:
    from peers.town.database.books import Books
    from peers.town.view.balance import AreaBalance

_SETTLE_S = 3.0
"""The peers need this to join the graph up, and to elect, before the market closes. No setting."""


class AreaMarket:
    """One area of a town that is opened here. `share`: what it begins with. Its books are those of the town (`home`
    in `open_books`) where it is the only one."""

    def __init__(self, terminal: Terminal, options: RunOptions, plan: AreaPlan, share: Share, host: str) -> None:
        self._terminal = terminal
        self._options = options
        self._plan = plan
        self._share = share
        self._host = host
        peers = terminal.enter(plan.name)
        self.directory = peers.directory
        self.processes: PeerProcesses = peers.processes
        self._peers = peers
        self._painter = Painter(self.directory, terminal.console.warn, wanted=options.picture)
        self._books: Books | None = None
        self._population: Population | None = None
        self._file: StateFile | None = None  # None in a town with one post, whose own file says it all.
        self._settings = options.settings
        # The database that the town runs for this area alone.
        self._services: Services | None = None
        if plan.books == OWN:
            console = terminal.console
            make_books = own_books_of(self.directory, console, options)
            self._services = Services(self.directory, console, None, make_books, area=plan.name)
        self.since = Post()
        self.graph: dict[str, list[str]] | None = None
        """The graph as it was when the market closed; None before, or where that could not be told."""
        self.had_trader = False
        # It has ended in order, and nothing may be left to decide: who audits later may hold that against the books.
        self.at_rest = False

    @property
    def name(self) -> str:
        """The area; empty in a town with one post."""
        return self._plan.name

    @property
    def books(self) -> Books:
        """Its books; only once they are open."""
        assert self._books is not None
        return self._books

    @property
    def population(self) -> Population:
        """The peers that come and go; only once the market is open."""
        assert self._population is not None
        return self._population

    @property
    def mixture(self) -> str:
        """Who is in it at the beginning, for people."""
        roles = self._share.roles
        return ", ".join(counted(roles.count(role), role) for role in dict.fromkeys(sorted(roles)))

    # -- opening -------------------------------------------------------------------------------------------

    def launch(self) -> None:
        """Sets off what takes long; `open_books` waits for it."""
        self.directory.forget_peers()
        if self._services is not None:
            self._services.launch()

    async def open_books(self, home: Books, since: Post) -> None:
        """Opens the books, those of the town being `home`, which stand at `since`. LedgerError if they cannot be, or
        TownError if they are another town's."""
        if not self._plan.name:
            self._books, self.since = home, since
            self._check_journals()
            return
        if self._services is not None:
            self.since = await self._services.open_books()
            books = self._services.books
            assert books is not None
        else:
            books = _beside(home, self._plan)
            self.since = await asyncio.to_thread(books.open)
        self._books = books
        self._check_journals()
        # Two towns at one post would depose each other's traders without end.
        if not await asyncio.to_thread(lambda: books.town(home.town()) == home.town()):
            raise TownError(
                f"the books of {self.name}, database {books.database}, are those of another town: name another "
                f"database, as in --area {self.name}=mongodb://HOST/DATABASE, or empty that one yourself"
            )

    def _check_journals(self) -> None:
        """Raises TownError where the books have never been traded in, and the journals here tell of trade: held
        against these books, they would speak of sales that nobody ever made."""
        if self.since == Post() and tells_of_trade(self.directory.path):
            whose, how = (f" of {self.name}", f"--area {self.name}=") if self.name else ("", "--mongo ")
            raise TownError(
                f"the books{whose} are empty, and the journals in {self.directory.path} tell of trade: they belong "
                f"to other books than these. Say where those are ({how}mongodb://…), choose another --dir, or begin "
                "anew with --fresh"
            )

    async def start(
        self,
        home: Books,
        ranks: Sequence[int],
        state: TownState,
        settings: Settings,
        *,
        town: str,
        areas: tuple[str, ...],
    ) -> list[PeerSpec]:
        """Takes in what the town is like, whose word is `town`; returns what the peers of these ranks are told."""
        self._settings = settings
        make_specs_of = partial(self._make_specs, seed=state.seed, town=town, areas=areas)
        await asyncio.to_thread(self.books.measure_distance)
        self._population = Population(self.processes, home, make_specs_of, self._terminal.console.warn)
        if self.name:
            own = msgspec.structs.replace(
                state,
                mongo_uri=self.books.uri,
                database=self.books.database,
                books=self._plan.whose,
                n=len(self._share.roles),
                areas=(),
            )
            self._file = StateFile(self.directory, own)
            self._file.begin()
        drawn = [ranks[place] for place in self._share.places]
        return make_specs_of(dict(zip(drawn, self._share.roles, strict=True)))

    def _make_specs(self, roles: dict[int, Role], *, seed: int, town: str, areas: tuple[str, ...]) -> list[PeerSpec]:
        registry = self._terminal.registry
        return make_specs(
            self._options,
            self.directory,
            self.books,
            self._settings,
            host=self._host,
            nameserver=registry.address,
            seed=seed,
            roles=roles,
            town=town,
            areas=areas,
        )

    async def found(self, specs: list[PeerSpec]) -> list[Member]:
        """Has the first peers born, for `begin`. TownError if one cannot be."""
        return await self.processes.start(specs)

    async def begin(self, members: list[Member]) -> None:
        """Opens the market to its first peers."""
        ranks = [member.rank for member in members]
        graph = tuple((ranks[low], ranks[high]) for low, high in self._share.edges)
        post = self.since.of(self.name) if self._settings.market.one_stock else self.since
        await _begin(self.processes, members, graph, post.term, self._options.starter)

    async def join_again(self, specs: list[PeerSpec], nameservers: Sequence[str]) -> None:
        """Has the peers join the market, which went on elsewhere. TownError if nobody introduces them."""
        await join_market(self.processes, specs, nameservers)

    # -- while it runs -------------------------------------------------------------------------------------

    def work(self) -> list[Coroutine[Any, Any, None]]:
        """Returns what is to be done all the while."""
        work: list[Coroutine[Any, Any, None]] = [self._services.keep()] if self._services is not None else []
        after_s = self._settings.market.return_after_s
        return [*work, self.population.keep_returning(after_s)] if after_s else work

    def open_picture(self) -> None:
        """The market is open: the graph is drawn from now on."""
        self._painter.open()

    def follow(self) -> None:
        """Keeps the area's file and picture up to date."""
        self._painter.follow(self.processes.trader)
        self.write_state(term=max(self._file.state.term if self._file else 0, self.processes.term))
        self.write_state(trader=self.processes.trader)

    def write_state(self, **changes: object) -> None:
        """Writes down what changed; nothing in a town with one post, whose own file says it all."""
        if self._file is not None:
            self._file.write(mongo_uri=self.books.uri, **changes)

    def is_with(self, home: Books) -> bool:
        """Whether its books are in the same place as those of the town, and move with them."""
        return not self._plan.books and self.books is not home

    def follow_books(self, home: Books) -> None:
        """The books of the town are found at another address: so are those that are with them."""
        if self.is_with(home):
            self.books.uri = home.uri

    def in_card(self) -> AreaBooks:
        """Returns where its books are, for whoever joins; without a password."""
        is_with = not self._plan.books
        uri = "" if is_with or has_secret(self.books.uri) else self.books.uri
        return AreaBooks(name=self.name, database=self.books.database, uri=uri, given=not is_with)

    def which_books(self, of_town: str) -> str:
        """Says for people where they are; those of the town are `of_town`."""
        if self._services is not None and self._services.mongod is not None:
            of_town = f"mongod (process {self._services.mongod.pid})"
        elif self._plan.books:
            of_town = "the database given"
        return f"{of_town}, database {self.books.database}" if self.name else of_town

    def has_sound_graph(self) -> bool:
        """Whether the live graph is as it should be."""
        return graph_is_sound(self._peers.graph(), self._settings.graph)

    # -- closing -------------------------------------------------------------------------------------------

    async def settle(self, has_others: Callable[[], bool]) -> None:
        """Has trade end, and what waits decided. `has_others`: whether there are peers elsewhere, maybe in office."""
        self._painter.close_market(self.processes.trader)
        self.processes.rest()
        if self.processes.alive():
            await await_until(lambda: self._is_settled(has_others), _SETTLE_S)
            # Peers elsewhere trade until they hear that the town closes; what ours asked for is decided long before.
            await (drain(self.books, longest_s=_SETTLE_S) if has_others() else drain(self.books))
        self.graph = self._peers.graph()
        self.had_trader = self.processes.trader is not None

    def _is_settled(self, has_others: Callable[[], bool]) -> bool:
        """Whether the peers are done with the last change among them."""
        self.processes.flush()
        has_trader = self.processes.trader is not None or has_others()
        return has_trader and self.has_sound_graph()

    async def finish(self) -> None:
        """Ends the peers in order."""
        await finish_in_order(self.processes, self.books)

    def to_balance(self, since_us: int, rate: Decimal, *, has_others: bool) -> AreaBalance:
        """Returns what is to be summed up and audited, since `since_us` of the monotonic clock; `rate` is the
        commission of this run.

        `has_others`: there were peers elsewhere, so that the graph here was not all there was."""
        from peers.town.view.balance import AreaBalance, Run

        run = Run(
            directory=self.directory.path,
            since=self.since,
            began_us=since_us,
            elections=self.processes.elections,
            graph=self._settings.graph,
            # In books that were empty before this run, every decision was made at our rate.
            commission_rate=rate if self.since == Post() else None,
        )
        # Without a trader, requests that waited had to go on waiting, so the audit must not ask for an empty queue.
        calm = self.at_rest = self.had_trader or has_others
        graph = None if has_others else self.graph
        return AreaBalance(name=self.name, books=self.books, run=run, graph=graph, calm=calm)

    async def close(self) -> None:
        """Lets go of what is the area's own, once its peers have ended. Raises nothing: what fails of it is said."""
        warn = self._terminal.console.warn
        await done_anyway("drawing the graph", warn, self._painter.close())
        if self._services is not None:
            await self._services.close()
        elif self._books is not None and self.name:
            with StepOfEnd("letting go of the books", warn):
                self._books.close()
        with StepOfEnd("writing down that all has ended", warn):
            if not self.directory.has_gone():
                self.directory.forget_peers()
                self.write_state(**CLOSED, at_rest=self.at_rest)

    def give_up_books(self) -> None:
        """Kills a mongod of its own whose directory was removed."""
        if self._services is not None:
            self._services.give_up_books()

    def kill_hard(self) -> None:
        """Kills what is the area's own, but for its peers."""
        self._painter.kill()
        if self._services is not None:
            self._services.kill_hard()


def _beside(home: Books, plan: AreaPlan) -> Books:
    """The books of an area that are not in a database of its own that the town runs."""
    from peers.town.database.books import Books

    return Books(*address_of_area(home.uri, home.database, plan))


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
