"""The world: virtual time, the processes in it, and the interpreter of their commands.

One loop over a heap of events. What happens is decided by the scenario alone: every random draw comes from a stream
named after it, and nothing asks the machine for the time, an address or a hash.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from random import Random
from typing import Any, get_args

from peers.core.commands import (
    CallTrader,
    CancelTimer,
    Command,
    HoldPost,
    NotifySales,
    Perform,
    Publish,
    Respond,
    Send,
    SetLinks,
    SetTimer,
    Stop,
)
from peers.core.inputs import Input, Now, Received, Start, TimerFired, TimerName
from peers.core.membership.members import Member, Snapshot
from peers.core.messages import MemberNews
from peers.core.names import Role, peer_name
from peers.core.reports import Elected, ElectionStarted, LeadershipChanged, Opened, Returned
from peers.simulator.faultplay import FaultPlay
from peers.simulator.history import History
from peers.simulator.judge import Breach, Judge
from peers.simulator.ledger_road import LedgerRoad
from peers.simulator.network import Network
from peers.simulator.process import Process
from peers.simulator.scenario import Scenario, settings_of
from peers.simulator.strangers import last_purchase

EPOCH_MS = 1_790_000_000_000
"""The time of day at which every schedule begins."""

_BOOKS_FOLLOW_S = 1.0

_FIRED: dict[TimerName, TimerFired] = {name: TimerFired(timer=name) for name in get_args(TimerName)}

Handler = Callable[[Any, Any], None]


class World:
    """One schedule. `saw` counts what is interesting; `history`, where there is one, keeps all that happens."""

    def __init__(self, scenario: Scenario, history: History | None = None) -> None:
        self.scenario = scenario
        self.settings = settings_of(scenario)
        self.history = history
        self.now_s = 0.0
        self.event = 0  # the number of the event at hand
        self.events = 0  # inputs handled by peers
        self.processes: list[Process] = []  # every life of every peer, in order of birth
        self.registered: dict[int, Process] = {}  # rank -> its newest life: what the name server knows
        self.by_uri: dict[str, Process] = {}
        self.sometimes: dict[str, int] = {}
        self._heap: list[tuple[float, int, Handler, Any, Any]] = []
        self._last_event = 0
        rng = Random(f"world {scenario.seed}")
        self.network = Network(self, Random(rng.random()), self.settings.timing.call_timeout_s)
        self.road = LedgerRoad(self, Random(rng.random()))
        self.judge = Judge(self)
        self.faults = FaultPlay(self)
        self._wake_rng = Random(rng.random())
        self._elections: dict[int, str] = {}
        self._do: dict[type[Command], Handler] = {
            Send: self.network.send,
            SetTimer: self._set_timer,
            CancelTimer: self._cancel_timer,
            Perform: self.road.perform,
            CallTrader: self.network.ask,
            Respond: self.network.answer,
            NotifySales: self.network.tell,
            Publish: self._say,
            SetLinks: _nothing,
            HoldPost: _nothing,
            Stop: self._stop,
        }
        self._open_town()

    def _open_town(self) -> None:
        members = tuple(self._member(rank, role) for rank, role in enumerate(self.scenario.roles))
        snapshot = Snapshot(members=members, edges=self.scenario.edges)
        for member in members:
            process = self._create(member)
            self.push(0.0, self.arrive, process, Start(snapshot=snapshot, starts_election=member.rank == 0))
        self.faults.schedule(self.scenario.plan)
        self.push(self.scenario.chaos_s, self._calm_down, None, None)

    # -- time ----------------------------------------------------------------------------------------------

    def push(self, at_s: float, handler: Handler, process: Process | None, payload: Any) -> int:
        """Has `handler(process, payload)` called at `at_s`; returns the number of that event."""
        self._last_event = number = self._last_event + 1
        heapq.heappush(self._heap, (at_s, number, handler, process, payload))
        if self.history is not None:
            self.history.on_push(number)
        return number

    def run(self) -> list[Breach]:
        """Runs the schedule to its end and judges it. What was decided last may not be in the books yet."""
        self.run_until(self.scenario.length_s)
        ledger, latest_s = self.road.ledger, self.scenario.length_s + _BOOKS_FOLLOW_S
        while ledger.made < ledger.end and self.now_s < latest_s:
            self.run_until(self.now_s + _BOOKS_FOLLOW_S / 50)
        return self.judge.verdict()

    def run_until(self, until_s: float) -> None:
        heap, pop = self._heap, heapq.heappop
        while heap and heap[0][0] <= until_s:
            self.now_s, self.event, handler, process, payload = pop(heap)
            handler(process, payload)
        self.now_s = until_s

    def wall_ms(self, process: Process) -> int:
        """The time of day, as that process has it."""
        return EPOCH_MS + int(self.now_s * 1000) + process.jump_ms

    def saw(self, what: str) -> None:
        """Counts something interesting."""
        self.sometimes[what] = self.sometimes.get(what, 0) + 1

    # -- inputs --------------------------------------------------------------------------------------------

    def arrive(self, process: Process, event: Input) -> None:
        """An input reaches a process."""
        if process.slow_s:
            self.push(self.now_s + process.slow_s, self._handle, process, event)
        else:
            self._handle(process, event)

    def _handle(self, process: Process, event: Input) -> None:
        if not process.up:
            return
        if process.hung:
            process.inbox.append((self.event, event))
            return
        self.events += 1
        if self.history is not None:
            self.history.on_input(process, event, self.event, self.now_s)
        now_s = self.now_s
        now = Now(mono_s=now_s, wall_ms=EPOCH_MS + int(now_s * 1000) + process.jump_ms)
        do = self._do
        for command in process.peer.handle(event, now):
            do[type(command)](process, command)

    # -- timers --------------------------------------------------------------------------------------------

    def _set_timer(self, process: Process, command: SetTimer) -> None:
        name = command.timer
        process.timers[name] = self.push(self.now_s + command.after_s, self._fire, process, name)

    def _cancel_timer(self, process: Process, command: CancelTimer) -> None:
        process.timers.pop(command.timer, None)

    def _fire(self, process: Process, name: TimerName) -> None:
        if process.timers.get(name) != self.event or not process.up:
            return
        if process.hung:
            process.late_timers.append(name)
        elif process.slow_s:
            process.timers[name] = self.push(self.now_s + process.slow_s, self._fire_late, process, name)
        else:
            self._fire_late(process, name)

    def _fire_late(self, process: Process, name: TimerName) -> None:
        if process.timers.get(name) == self.event:
            if process.hung:
                process.late_timers.append(name)
            else:
                del process.timers[name]
                if name == "buy" and not process.buys:
                    return  # customers have gone home
                if name == "period" and not process.buys and process.ctx.in_office:  # and nobody resigns any more
                    self._set_timer(process, SetTimer(timer=name, after_s=self.settings.market.period_s))
                    return
                self._handle(process, _FIRED[name])

    # -- lives ---------------------------------------------------------------------------------------------

    def _member(self, rank: int, role: Role) -> Member:
        lives = sum(1 for p in self.processes if p.rank == rank)
        return Member(
            rank=rank,
            name=peer_name(role, rank),
            role=role,
            uri=f"{peer_name(role, rank)}/{lives}",
            incarnation=EPOCH_MS + int(self.now_s * 1000),
        )

    def _create(self, member: Member) -> Process:
        process = Process(member, self.settings, f"{self.scenario.seed} {member.uri}")
        self.processes.append(process)
        self.by_uri[member.uri] = self.registered[member.rank] = process
        if self.history is not None:
            self.history.on_birth(process)
        return process

    def live(self) -> list[Process]:
        """Processes that are up, hung ones included, by rank."""
        return sorted((p for p in self.processes if p.up), key=lambda p: p.rank)

    def be_born(self, rank: int, role: Role, host: Process) -> Process:
        """A newcomer, or one that comes back: `host` is told of it, and gives it what it knows."""
        process = self._create(self._member(rank, role))
        me = process.ctx.me
        self._handle(host, Received(sender=rank, incarnation=me.incarnation, message=MemberNews(members=(me,))))
        self.push(self.now_s, self.arrive, process, Start(snapshot=host.peer.snapshot()))
        return process

    def kill(self, process: Process) -> None:
        process.up = False
        process.hung = False
        self.network.on_death(process)

    def wake(self, process: Process) -> None:
        """A process that hung goes on: with what it had on its hands, what came meanwhile, and timers overdue."""
        if not process.up or not process.hung:
            return
        process.hung = False
        post = self.road.post()
        if process.ctx.in_office:
            self.saw("a sleeper woke in office")
            if post.trader != process.name or post.term > process.ctx.view.term:
                self.saw("a sleeper woke in office, deposed")
        inbox, process.inbox = process.inbox, []
        late, process.late_timers = process.late_timers, []
        at_s = self.now_s
        for number, event in inbox:
            at_s += 0.0001
            pushed = self.push(at_s, self._handle, process, event)
            if self.history is not None:
                self.history.on_requeue(number, pushed)
        for name in dict.fromkeys(late):
            soon_s = self.now_s + 0.02 * self._wake_rng.random()
            process.timers[name] = self.push(soon_s, self._fire, process, name)
        self.road.resume(process)

    def _stop(self, process: Process, _: Stop) -> None:
        self.note(process, "leaves the market")
        self.kill(process)

    def _calm_down(self, _: None, __: None) -> None:
        self.faults.end_all()
        for process in self.processes:
            process.buys = False
        self.push(self.now_s + self.scenario.calm_s / 2, self._last_customer, None, None)

    def _last_customer(self, _: None, __: None) -> None:
        """A trader deposed without knowing it, by one that is gone again, finds out when somebody buys."""
        for number, process in enumerate(p for p in self.processes if p.up and p.ctx.in_office):
            self.network.call_from_outside(process, last_purchase(f"latecomer{number}", self.settings))

    # -- what is told --------------------------------------------------------------------------------------

    def _say(self, process: Process, command: Publish) -> None:
        report = command.report
        self.judge.on_report(process, report)
        if self.history is not None:
            self.history.on_report(process, report, self.now_s)
        if isinstance(report, Elected):
            if sum(1 for p in self.processes if p.up and p.ctx.in_office) > 1:
                self.saw("two peers were in office by their own belief")
        elif isinstance(report, ElectionStarted):
            if report.attempt:
                self.saw("an election took another attempt")
            elif self._elections.setdefault(report.after_term, report.peer) != report.peer:
                self.saw("an election had two starters")
        elif isinstance(report, LeadershipChanged):
            self.saw(report.transition.title)
        elif isinstance(report, Opened):
            process.started = True
        elif isinstance(report, Returned):
            self.saw("a peer taken for gone came back")

    def note(self, process: Process | None, what: str) -> None:
        """Writes down what the outside does."""
        if self.history is not None:
            self.history.on_fault(process, what, self.now_s)


def _nothing(_: Process, __: Command) -> None:
    """Links and the name server's entry need nothing done here: a process is reached by its address."""
