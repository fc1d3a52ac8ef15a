"""The first terminal of a town: opens the market, keeps it going, closes it, and says whether the books balance."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from db.audit.report import EXIT_CODES, worst
from peers.town.ending import StepOfEnd
from peers.town.files.directory import Directory
from peers.town.machines.keeping import JournalKeeping
from peers.town.machines.remembered import listens
from peers.town.plan.areas import ONLY, draw_shares
from peers.town.plan.options import RunOptions
from peers.town.processes.peer_processes import PeerProcesses
from peers.town.terminals.closing import finish_in_order, sum_up
from peers.town.terminals.market import AreaMarket
from peers.town.terminals.opening import Opening
from peers.town.terminals.population import Population
from peers.town.terminals.services import Services
from peers.town.terminals.state_file import CLOSED, StateFile, first_state, own_books_of
from peers.town.terminals.terminal import Interrupted, Terminal
from peers.town.view.console import Console
from peers.waiting import await_until

if TYPE_CHECKING:
    from db.audit.journals import WitnessesOf
    from db.audit.report import AuditReport
    from peers.town.database.books import Books

Visitor = Callable[["Town"], Coroutine[Any, Any, None]]
"""What is done with a town while it is open."""

# None of these is a setting: they bound what the town waits for as it opens and closes.
_WATCH_S = 0.2
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
        self.report: AuditReport | None = None
        self._services = Services(directory, console, options.mongo, own_books_of(directory, console, options))
        self.registry = self._terminal.registry
        self._keeping = JournalKeeping(directory, self.registry, claimed=True)
        self._file = StateFile(directory, first_state(options, directory, host))
        shares = draw_shares(
            options.n,
            options.areas or (ONLY,),
            self._file.state.seed,
            roles=options.roles,
            merchants=options.merchants,
            graph=options.settings.graph,
        )
        self.markets = [
            AreaMarket(self._terminal, options, plan, share, host)
            for plan, share in zip(options.areas or (ONLY,), shares, strict=True)
        ]
        self._opening = Opening(
            options,
            self._terminal,
            self._services,
            self._keeping,
            self.markets,
            self._file,
            host=host,
            began_s=self._began,
        )

    @property
    def processes(self) -> PeerProcesses:
        """The peers of the first area, which is all in a town with one post."""
        return self.markets[0].processes

    @property
    def was_told_to_end(self) -> bool:
        """Whether somebody ended it, by Ctrl-C or another signal; else its visitor did, or nobody was left in it."""
        return self._terminal.stop.is_set()

    @property
    def services(self) -> Services:
        return self._services

    @property
    def population(self) -> Population:
        """The peers of the first area that come and go; only once the town is open."""
        return self.markets[0].population

    def graph(self) -> dict[str, list[str]]:
        """The live graph, as the peers last told of their links."""
        self._terminal.flush()
        return self._terminal.areas[0].graph()

    def has_sound_graph(self) -> bool:
        """Whether the live graph of each area is as it should be; see `graph`."""
        self._terminal.flush()
        return all(market.has_sound_graph() for market in self.markets)

    async def run(self, visitor: Visitor | None = None) -> int:
        """Runs the town to its end; returns the exit code. With a visitor, that is over when the visitor is done; one
        that is not done is cancelled where somebody ends the town, or no peer is left.

        What the audit at the end found is then in `report`."""
        self._terminal.install_signals(self._kill_hard)
        try:
            with self._directory.checked():
                return await self._live(visitor)
        finally:
            await self._end_everything()

    async def _live(self, visitor: Visitor | None) -> int:
        try:
            await self._terminal.unless_stopped(self._opening.open())
        except Interrupted:
            self._console.say("stopped before the market was open")
            return 130
        work = [self._watch(), self._services.keep(self._note_members), self.registry.keep()]
        work += [each for market in self.markets for each in market.work()]
        if visitor is not None:
            work.append(visitor(self))
        await self._terminal.until_over(self._counted(), *work)
        self._directory.check()
        may_go_on = self._opening.has_returned and self._are_books_elsewhere() and not self.registry.is_told_to_close
        # Who is the last to leave closes the market, whoever opened it.
        if may_go_on and self.registry.others:
            return await self._leave()
        return await self._close()

    def _counted(self) -> list[tuple[Books, int]]:
        """The books in which purchases are counted, and from where on; areas may share some."""
        counted = {(each.books.uri, each.books.database): (each.books, each.since.seq) for each in self.markets}
        return list(counted.values())

    def _note_members(self) -> None:
        """Has areas whose books are with the town's find them by all members, too."""
        assert self._services.books is not None
        for market in self.markets:
            market.follow_books(self._services.books)

    def _are_books_elsewhere(self) -> bool:
        """Whether the others can trade without this machine."""
        replicas = self._services.replicas
        return replicas is None or replicas.has_others

    # -- while it runs -------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Keeps the town's files and the pictures up to date, and notes the first sale."""
        sold = False
        while True:
            first_s = self._console.first_purchase_s
            if not sold and first_s is not None:
                sold = True
                self._console.say(f"first sale {first_s - self._began:.2f} s after the start", "dim")
            server, mongod = self.registry.nameserver, self._services.mongod
            self._file.write(
                nameserver_pid=server.pid,
                mongod_pid=mongod.pid if mongod else None,
                mongo_uri=self._services.books.uri if self._services.books else "",
            )
            if not self._options.areas:
                processes = self.processes
                self._file.write(term=max(self._file.state.term, processes.term), trader=processes.trader)
            for market in self.markets:
                market.follow()
            await asyncio.sleep(_WATCH_S)

    # -- closing -------------------------------------------------------------------------------------------

    async def _leave(self) -> int:
        self._console.say("the peers of this terminal leave; the town goes on", "bold")
        self._terminal.closing = True
        leaving = (finish_in_order(each.processes, each.books, leave=True) for each in self.markets)
        await asyncio.gather(*(self._terminal.anyway("ending the peers in order", each) for each in leaving))
        await self._terminal.rest_journals(self._keeping, self._terminal.names)
        with self._keeping.elsewhere(closes=False) as elsewhere:
            answers = [
                await sum_up(
                    market.processes,
                    market.books,
                    self._console,
                    directory=market.directory,
                    since=market.since,
                    since_us=round(self._began * 1e6),
                    witnesses_of=elsewhere.witnesses,
                )
                for market in self.markets
            ]
            handing = asyncio.to_thread(self._keeping.hand_over, elsewhere)
            await self._terminal.anyway("handing over the journals", handing)
        if self._services.replicas is not None:
            await self._terminal.anyway("leaving the books", asyncio.to_thread(self._services.replicas.leave))
        return EXIT_CODES[worst(answers)]

    async def _close(self) -> int:
        self._console.tick()
        self._console.say("the market closes" if not self._options.areas else "the markets close", "bold")
        settling = (market.settle(lambda: bool(self.registry.others)) for market in self.markets)
        await asyncio.gather(*(self._terminal.anyway("the end of trade", each) for each in settling))
        self._terminal.closing = True
        self._file.write(phase="closing")
        others = await self._close_elsewhere()
        await asyncio.gather(
            *(self._terminal.anyway("ending the peers in order", each.finish()) for each in self.markets)
        )
        await self._terminal.rest_journals(self._keeping, self._terminal.names)
        with self._keeping.elsewhere(closes=True) as elsewhere:
            await asyncio.to_thread(elsewhere.wait)
            if others:  # They have the database here, and the journals, until they have audited.
                await await_until(lambda: not any(map(listens, others)), _FOREIGNERS_S, look_s=0.1)
            self.registry.others.forget()
            self._directory.check()  # Without the journals there is less to hold the books against.
            return await asyncio.to_thread(self._balance, elsewhere.witnesses, has_others=bool(others))

    async def _close_elsewhere(self) -> list[str]:
        """Returns which other machines were told that the town is over; none where that failed, which is said."""
        with StepOfEnd("closing the town on its other machines", self._console.warn):
            return await self.registry.close_town()
        return []

    def _balance(self, witnesses_of: WitnessesOf, *, has_others: bool) -> int:
        """Prints summary and audit; returns the audit's exit code."""
        from peers.town.view.balance import print_balances

        rate, since_us = self._options.settings.market.commission_rate, round(self._began * 1e6)
        areas = [market.to_balance(since_us, rate, has_others=has_others) for market in self.markets]
        report = print_balances(areas, self._console, witnesses_of)
        self.report = report.first
        return report.exit_code

    async def _end_everything(self) -> None:
        warn = self._console.warn
        if self._directory.has_gone():
            with StepOfEnd("killing mongod", warn):
                self._services.give_up_books()
                for market in self.markets:
                    market.give_up_books()
        self._terminal.closing = True
        await self._terminal.close_peers()
        await asyncio.gather(*map(AreaMarket.close, self.markets))
        await asyncio.gather(self.registry.close(), self._services.close())
        with StepOfEnd("writing down that all has ended", warn):
            if not self._directory.has_gone():  # Another town may be there by now.
                self._directory.forget_peers()
                self._file.write(**CLOSED, at_rest=all(market.at_rest for market in self.markets))
        self._console.close()

    def _kill_hard(self) -> None:
        for market in self.markets:
            market.kill_hard()
        self._terminal.kill_peers()
        self.registry.nameserver.kill()
        self._services.kill_hard()
