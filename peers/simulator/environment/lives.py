"""The lives of peers: each a process that takes inputs in, one at a time, and has timers of its own."""

from __future__ import annotations

from random import Random
from typing import get_args

from peers.core.commands import CancelTimer, Command, SetTimer
from peers.core.inputs import HandedOver, Input, Now, Received, Start, TimerFired, TimerName
from peers.core.membership.members import Member
from peers.core.messages import MemberNews
from peers.core.names import Role, peer_name
from peers.core.settings import Settings
from peers.simulator.environment.process import Process
from peers.simulator.environment.record import Record
from peers.simulator.environment.schedule import EPOCH_MS, Handler, Schedule

_FIRED: dict[TimerName, TimerFired] = {name: TimerFired(timer=name) for name in get_args(TimerName)}


class Lives:
    """Every life of every peer. What a peer commands is carried out by the handler of its type in `interpreters`,
    to which those who carry the others out add theirs."""

    def __init__(self, schedule: Schedule, record: Record, settings: Settings, seed: int) -> None:
        self.all: list[Process] = []  # In the order of birth.
        # By rank, its newest life, up or not: that is what the name server knows.
        self.registered: dict[int, Process] = {}
        self.by_uri: dict[str, Process] = {}
        self._is_calm = False
        self.inputs = 0  # How many inputs peers have handled.
        self.interpreters: dict[type[Command], Handler] = {
            SetTimer: self._set_timer,
            CancelTimer: self._cancel_timer,
        }
        self._schedule = schedule
        self._history = record.history
        self._trace = record.trace
        self._settings = settings
        self._seed = seed

    # -- beginning and end ---------------------------------------------------------------------------------

    def member(self, rank: int, role: Role, area: str = "") -> Member:
        """The record of a peer of that area that begins a life now, its first or another."""
        lives = sum(1 for p in self.all if p.rank == rank)
        return Member(
            rank=rank,
            name=peer_name(role, rank),
            role=role,
            uri=f"{peer_name(role, rank)}/{lives}",
            incarnation=EPOCH_MS + int(self._schedule.now_s * 1000),
            area=area,
        )

    def create(self, member: Member) -> Process:
        """A process that has not begun yet."""
        process = Process(member, self._settings, f"{self._seed} {member.uri}", member.area)
        process.buys = not self._is_calm
        self.all.append(process)
        self.by_uri[member.uri] = self.registered[member.rank] = process
        if self._history is not None:
            self._history.on_birth(process)
        return process

    def begin(self, rank: int, role: Role, sponsor: Process, handed_over: tuple[HandedOver, ...] = ()) -> Process:
        """A newcomer, or one that comes back: `sponsor` is told of it, and gives it what it knows. `handed_over` is
        what its journal says."""
        process = self.create(self.member(rank, role, sponsor.area))
        me = process.view.me
        self._handle(sponsor, Received(sender=rank, incarnation=me.incarnation, message=MemberNews(members=(me,))))
        start = Start(snapshot=sponsor.peer.snapshot(), handed_over=handed_over)
        self._schedule.push(self._schedule.now_s, self.arrive, process, start)
        return process

    def calm_down(self) -> None:
        """From now on nobody begins to buy, nor is a trader's end left to chance; nor for who comes back later."""
        self._is_calm = True
        for process in self.all:
            process.buys = False

    def live(self) -> list[Process]:
        """Processes that are up, hung ones included, by rank."""
        return sorted((p for p in self.all if p.up), key=lambda p: p.rank)

    def neighbours_of(self, process: Process) -> list[Process]:
        """The other processes that are up in the same area, hung ones included, by rank."""
        return [p for p in self.live() if p.area == process.area and p is not process]

    def in_office(self) -> list[Process]:
        """Those that are up and believe themselves in office, in order of birth."""
        return [p for p in self.all if p.up and p.view.in_office]

    def go_on(self, process: Process, rng: Random) -> None:
        """A process that hung goes on: with what came meanwhile, and with timers overdue."""
        schedule, history = self._schedule, self._history
        process.hung = False
        inbox, process.inbox = process.inbox, []
        late, process.late_timers = process.late_timers, []
        at_s = schedule.now_s
        for number, event in inbox:
            at_s += 0.0001
            pushed = schedule.push(at_s, self._handle, process, event)
            if history is not None:
                history.on_requeue(number, pushed)
        for name in dict.fromkeys(late):
            soon_s = schedule.now_s + 0.02 * rng.random()
            process.timers[name] = schedule.push(soon_s, self._fire, process, name)

    # -- inputs --------------------------------------------------------------------------------------------

    def arrive(self, process: Process, event: Input) -> None:
        """An input reaches a process."""
        if process.slow_s:
            self._schedule.push(self._schedule.now_s + process.slow_s, self._handle, process, event)
        else:
            self._handle(process, event)

    def _handle(self, process: Process, event: Input) -> None:
        if not process.up:
            return
        schedule = self._schedule
        if process.hung:
            process.inbox.append((schedule.event, event))
            return
        self.inputs += 1
        now_s = schedule.now_s
        if self._history is not None:
            self._history.on_input(process, event, schedule.event, now_s)
        if self._trace is not None:
            self._trace.on_input(process, event)
        now = Now(mono_s=now_s, wall_ms=EPOCH_MS + int(now_s * 1000) + process.jump_ms)
        interpreters, trace = self.interpreters, self._trace
        process.answers = event.sender if type(event) is Received else None
        for command in process.peer.handle(event, now):
            if trace is not None:
                trace.on_command(process, command)
            interpreters[type(command)](process, command)

    # -- timers --------------------------------------------------------------------------------------------

    def _set_timer(self, process: Process, command: SetTimer) -> None:
        name, schedule = command.timer, self._schedule
        process.timers[name] = schedule.push(schedule.now_s + command.after_s, self._fire, process, name)

    def _cancel_timer(self, process: Process, command: CancelTimer) -> None:
        process.timers.pop(command.timer, None)

    def _fire(self, process: Process, name: TimerName) -> None:
        schedule = self._schedule
        if process.timers.get(name) != schedule.event or not process.up:
            return
        if process.hung:
            process.late_timers.append(name)
        elif process.slow_s:
            later_s = schedule.now_s + process.slow_s
            process.timers[name] = schedule.push(later_s, self._fire_late, process, name)
        else:
            self._fire_late(process, name)

    def _fire_late(self, process: Process, name: TimerName) -> None:
        if process.timers.get(name) == self._schedule.event:
            if process.hung:
                process.late_timers.append(name)
            else:
                del process.timers[name]
                if name == "buy" and not process.buys:
                    return  # Customers stop asking once the calm has begun.
                # Nor does a trader resign by itself in the calm. The timer goes on: one out of office needs it.
                if name == "period" and not process.buys and process.view.in_office:
                    self._set_timer(process, SetTimer(timer=name, after_s=self._settings.market.period_s))
                    return
                self._handle(process, _FIRED[name])
