"""A chaos run from its first process to its verdict.

The town is a real one, run in this process as `bazaar run` would; the chaos is its visitor. When the plan is carried
out and everything healed, trade must go on; then the customers go, the town closes in order, and the audit that ends
every town judges this one too.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable

from peers.chaos.crowd import Crowd, CrowdConfig, CrowdTally
from peers.chaos.events import HISTORY, Newcomer, times_of
from peers.chaos.evidence import with_evidence
from peers.chaos.gaps import by_kind, gaps, pauses, without_trade
from peers.chaos.history import History, Listener
from peers.chaos.injection.breaking import Breaker
from peers.chaos.injection.wires import places_of
from peers.chaos.options import HOST, ChaosOptions
from peers.chaos.places import make_places
from peers.chaos.plan import PLAN, Plan
from peers.chaos.progress import Show
from peers.chaos.switch.client import SwitchClient
from peers.chaos.verdict import ChaosVerdict, End, Traffic, judge, write_verdict
from peers.errors import LedgerError, TownError
from peers.files import write_json
from peers.town.ending import done_anyway
from peers.town.files.directory import Directory
from peers.town.terminals.town import Town

CUSTOMERS = 4  # Enough for a sale every few milliseconds. No option, so that runs compare.
_TICK_S = 1.0
_LOOK_S = 0.1
_RECOVER_S = 20.0
"""How long trade may take to go on once all is healed, which is longer than any election and restart take. No option:
a verdict must not be had by waiting longer."""

_RECOVERED_DECISIONS = 20

Tamper = Callable[[str, str], None]
"""Called with the books' address and database before the audit: for tests that plant a violation."""


def run_chaos(options: ChaosOptions, show: Show, *, tamper: Tamper | None = None) -> ChaosVerdict | None:
    """Runs to the end and leaves everything in `options.out`; None if Ctrl-C, or another signal, ended it before
    there was a verdict. A town that ended before the plan did is one that trade did not go on in."""
    options.check()
    plan = options.plan()
    directory = make_places(options.out, options.town, option=options.place_option)
    try:
        write_json(options.out / PLAN, plan)
        return _Run(options, plan, directory, show, tamper).run()
    finally:
        directory.let_go()


class _Run:
    """One run under way."""

    def __init__(
        self, options: ChaosOptions, plan: Plan, directory: Directory, show: Show, tamper: Tamper | None
    ) -> None:
        self._options = options
        self._plan = plan
        self._directory = directory
        self._show = show
        self._tamper = tamper
        self._history = History()
        self._crowd: Crowd | None = None
        self._crowd_tally = CrowdTally()
        self._trouble = ""
        self._doubts: list[str] = []
        self._finished = False

    def run(self) -> ChaosVerdict | None:
        out = self._options.out
        with (out / "town.log").open("w") as said:
            town = asyncio.run(self._live(Listener(self._history, out=said)))
        if not self._finished and town.was_told_to_end:
            return None
        verdict = self._judge(town)
        try:
            write_verdict(verdict, out)
            self._history.write(out / HISTORY)
        except OSError as error:  # An answer that was found is not lost for that.
            self._show.say(f"not all that was found could be kept in {out} ({error.strerror or error})")
        return verdict

    async def _live(self, console: Listener) -> Town:
        ports = _member_ports(self._options.replicas)
        switch = SwitchClient(self._options.seed, self._directory.logs / "switch.log", ports)
        try:
            return await self._live_through(switch, await switch.start(), ports, console)
        finally:
            await done_anyway("ending the switch", self._show.say, switch.close())

    async def _live_through(
        self, switch: SwitchClient, port: int, member_ports: tuple[int, ...], console: Listener
    ) -> Town:
        run_options = self._options.run_options(switch=port, member_ports=member_ports)
        town = Town(run_options, self._directory, console, HOST)
        self._show.say(
            f"chaos: {self._options.peers} peers, {self._options.duration_s:g} s, seed {self._options.seed}"
        )
        if self._plan.tuning:
            self._show.say(f"timings of this seed: {' '.join(self._plan.tuning)}", "dim")
        await town.run(lambda town: self._visit(town, switch, port))
        return town

    async def _visit(self, town: Town, switch: SwitchClient, port: int) -> None:
        """Breaks the town, heals it, and takes down what happened."""
        server = town.registry.nameserver
        config = CrowdConfig(
            host=server.host,
            port=server.port,
            directory=str(self._directory.path),
            customers=CUSTOMERS,
            seed=self._options.seed,
            switch=port,
        )
        self._crowd = Crowd(config, self._directory.logs / "customers.log")
        tasks = [asyncio.create_task(self._tick(town)), asyncio.create_task(_keep_places(town, switch))]
        try:
            await self._break_and_heal(town, switch, self._crowd)
            await self._take_down(town)
        except asyncio.CancelledError:
            if not town.was_told_to_end:
                await self._note_deserted(town)
            raise
        finally:
            for task in tasks:
                task.cancel()
            self._crowd.kill()

    async def _break_and_heal(self, town: Town, switch: SwitchClient, crowd: Crowd) -> None:
        trouble = await self._until_well(town)
        if trouble:
            raise TownError(f"the town is not well before the chaos begins: {trouble}")
        self._history.begin()
        await self._break(town, switch, crowd)
        self._show.say("everything is healed; trade must go on")
        self._trouble = await self._until_well(town)
        self._show.say(self._trouble or "it does; the customers go, and the audit follows")
        try:
            self._crowd_tally = await asyncio.to_thread(crowd.finish)
        except TownError as error:  # There is all the more reason to audit what they left.
            self._doubt(str(error))
        for each in self._crowd_tally.waited:
            came = Newcomer(at_s=self._history.at_s(each.at_s), waited_s=each.waited_s)
            self._history.newcomers.append(came)

    async def _note_deserted(self, town: Town) -> None:
        """The town ends without being told to, for it has no peer any more: that is a verdict, not the end of one."""
        self._trouble = "the town ended before the chaos did, for none of its peers was left"
        self._show.say(f"{self._trouble}; the audit follows")
        await self._take_down(town)

    async def _take_down(self, town: Town) -> None:
        """Takes down what was sold, if that can be told: what befell the books is no reason to judge nothing."""
        try:
            await asyncio.to_thread(self._read_books, town)
        except LedgerError as error:
            self._doubt(f"what was sold cannot be told ({error})")
        self._finished = True

    def _doubt(self, why: str) -> None:
        self._doubts.append(why)
        self._show.say(why)

    async def _break(self, town: Town, switch: SwitchClient, crowd: Crowd) -> None:
        """Carries the plan out, or as much of it as there are customers for. TownError if the switch ends meanwhile:
        without it nobody reaches anybody."""
        breaking = asyncio.ensure_future(Breaker(town, switch, self._history, self._show.fault).carry_out(self._plan))
        gone, deserted = asyncio.ensure_future(switch.gone()), asyncio.ensure_future(crowd.gone())
        try:
            await asyncio.wait((breaking, gone, deserted), return_when=asyncio.FIRST_COMPLETED)
            if gone.done() and not breaking.done():
                raise TownError(f"the switch has died; see {self._directory.logs / 'switch.log'}")
            if not breaking.done():
                self._show.say("the customers have died; the rest of the plan would prove nothing")
                breaking.cancel()
                await asyncio.wait((breaking,))  # It heals what is broken just now.
            if not breaking.cancelled():
                breaking.result()
        finally:
            for each in (breaking, gone, deserted):
                each.cancel()

    async def _tick(self, town: Town) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            seq = await asyncio.to_thread(_decisions, town)
            if seq is not None:
                self._show.tick(max(self._history.now_s(), 0.0), seq, town.processes.trader, town.processes.term)

    async def _until_well(self, town: Town) -> str:
        """Waits until trade goes on and all is sound; says what is not when the time is up."""
        deadline_s = time.monotonic() + _RECOVER_S
        wanted: int | None = None
        while True:
            seq = await asyncio.to_thread(_decisions, town)
            if wanted is None and seq is not None:
                wanted = seq + _RECOVERED_DECISIONS
            wrong = [
                words
                for words, well in (
                    ("the books cannot be reached", seq is not None),
                    ("nobody is in office", town.processes.trader is not None),
                    ("the name server is down", town.registry.nameserver.alive()),
                    ("the graph is not joined up", town.has_sound_graph()),
                    ("the members of the database are not all back", _has_spare_members(town)),
                    ("hardly anything is decided", seq is not None and wanted is not None and seq >= wanted),
                )
                if not well
            ]
            if not wrong:
                return ""
            if time.monotonic() > deadline_s:
                return f"after {_RECOVER_S:g} s without faults, {' and '.join(wrong)}"
            await asyncio.sleep(_LOOK_S)

    def _read_books(self, town: Town) -> None:
        books = town.services.books
        assert books is not None
        self._history.read_books(books.uri, books.database, self._directory.path)
        if self._tamper is not None:
            self._tamper(books.uri, books.database)

    # -- afterwards ----------------------------------------------------------------------------------------

    def _judge(self, town: Town) -> ChaosVerdict:
        history, duration_s = self._history, self._plan.duration_s
        found = pauses(history.sales, duration_s)
        times = [at_s for at_s in times_of(history.sales) if 0 <= at_s <= duration_s]
        of_faults = with_evidence(gaps(history.faults, found), history)
        carried_out, deaths = history.carried_out(), town.processes.deaths
        traffic = Traffic(
            duration_s=duration_s,
            sales=len(times),
            busy_s=len(set(map(int, times))),
            faults=len(carried_out),
            skipped=len(history.faults) - len(carried_out),
            failovers=sum(pause.failover for pause in found),
            elections=sum(0 <= election.at_s <= duration_s for election in history.elections),
            unanswered=self._crowd_tally.unanswered,
        )
        return judge(
            self._plan,
            town.report,
            traffic,
            trouble=self._trouble,
            doubts=self._doubts,
            ends=[End(each.name, each.how, history.was_squeezed(each.name, each.at_s)) for each in deaths],
            without_trade=without_trade(found),
            kinds=by_kind(of_faults),
            gaps=of_faults,
            again=self._options.again(),
        )


def _member_ports(replicas: int) -> tuple[int, ...]:
    """Returns free ports for the members of a set of several, which reach each other through the switch then; none
    where a machine has only one address of its own."""
    if replicas == 1 or sys.platform != "linux":
        return ()
    from db.mongod.process import free_port

    return tuple(free_port(HOST) for _ in range(replicas))


async def _keep_places(town: Town, switch: SwitchClient) -> None:
    """Has the switch know who is where, for ever."""
    while True:
        switch.tell_places(places_of(town))
        await asyncio.sleep(_LOOK_S)


def _has_spare_members(town: Town) -> bool:
    """Whether the next fault of the database finds it whole; one in a single `mongod` always is, once it answers."""
    replicas = town.services.replicas
    return replicas is None or not replicas.is_several or replicas.is_safe


def _decisions(town: Town) -> int | None:
    """How many requests were ever decided; None while the books cannot be reached."""
    books = town.services.books
    assert books is not None
    try:
        return books.post().seq
    except LedgerError:
        return None
