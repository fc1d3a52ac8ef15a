"""Plays the faults of a plan: what begins, on whom, and what ends.

Whom a fault hits is decided when it begins (the trader of that moment), from the fault's own key, so that taking
another fault out of the plan changes as little as can be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import TYPE_CHECKING

from peers.core.calls import Resign
from peers.core.inputs import Leave, PeerGone
from peers.core.names import ROLES
from peers.simulator.faults import TRADER, Fault
from peers.simulator.process import Process
from peers.simulator.strangers import Stranger

if TYPE_CHECKING:
    from peers.simulator.world import World

LEAST_LIVE = 3
"""So many peers stay up whatever the plan says: with fewer there is hardly a market."""

_Undo = Callable[[], None]


class FaultPlay:
    """Begins and ends faults."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._begin: dict[str, Callable[[Fault], _Undo | None]] = {
            "loss": self._share("loss"),
            "duplicates": self._share("duplicates"),
            "delay": self._share("delay"),
            "reorder": self._share("reorder"),
            "lost_calls": self._share("lost_calls"),
            "split": self._split,
            "one_way": self._one_way,
            "crash": self._crash,
            "restart": self._restart,
            "hang": self._hang,
            "slow": self._slow,
            "join": self._join,
            "leave": self._leave,
            "resign": self._resign,
            "false_alarm": self._false_alarm,
            "strangers": self._strangers,
            "clock_jump": self._clock_jump,
            "ledger_slow": self._ledger_slow,
            "ledger_away": self._ledger_away,
            "books_behind": self._books_behind,
            "ledger_refuses": self._ledger_share("refuses"),
            "ledger_unknown": self._ledger_share("unknown"),
        }
        self._undo: dict[int, _Undo] = {}
        self._strangers_seen = 0

    def schedule(self, plan: Iterable[Fault]) -> None:
        for number, fault in enumerate(plan):
            self._world.push(fault.at_s, self._start, None, (number, fault))

    def _start(self, _: None, which: tuple[int, Fault]) -> None:
        number, fault = which
        undo = self._begin[fault.kind](fault)
        if undo is not None:
            self._undo[number] = undo
            self._world.push(fault.until_s, self._end, None, number)

    def _end(self, _: None, number: int) -> None:
        undo = self._undo.pop(number, None)
        if undo is not None:
            undo()

    def end_all(self) -> None:
        """All that still goes on is over."""
        for number in list(self._undo):
            self._end(None, number)

    # -- aim -----------------------------------------------------------------------------------------------

    def _aim(self, fault: Fault) -> Process | None:
        live = self._world.live()
        if fault.target == TRADER:
            held = [p for p in live if p.ctx.in_office]
            if held:
                return max(held, key=lambda p: p.ctx.view.term)
            return live[fault.key % len(live)]
        return next((p for p in live if p.rank == fault.target), None)

    def _can_spare(self, process: Process) -> bool:
        others = [p for p in self._world.live() if p is not process and not p.hung]
        return len(others) >= LEAST_LIVE - 1

    # -- the network ---------------------------------------------------------------------------------------

    def _share(self, what: str) -> Callable[[Fault], _Undo]:
        def begin(fault: Fault) -> _Undo:
            weather = self._world.network.weather
            before = getattr(weather, what)
            setattr(weather, what, max(before, fault.strength))
            weather.look()
            self._world.note(None, f"{what}: {fault.strength:.0%} of what travels, until {fault.until_s:.3f}")

            def undo() -> None:
                setattr(weather, what, 0.0)
                weather.look()

            return undo

        return begin

    def _split(self, fault: Fault) -> _Undo:
        rng = Random(fault.key)
        live = self._world.live()
        ranks = sorted(p.rank for p in live)
        rng.shuffle(ranks)
        middle = rng.randint(1, max(1, len(ranks) - 1))
        here, there = ranks[:middle], ranks[middle:]
        self._world.note(None, f"the network splits: {sorted(here)} and {sorted(there)}, until {fault.until_s:.3f}")
        undo = self._cut([(a, b) for a in here for b in there] + [(b, a) for a in here for b in there])

        def join() -> None:
            undo()
            if any(not p.ctx.members.is_up(b) for p in live if p.up and p.rank in here for b in there):
                self._world.saw("a split graph had to be joined again")

        return join

    def _one_way(self, fault: Fault) -> _Undo | None:
        process = self._aim(fault)
        if process is None:
            return None
        rng = Random(fault.key)
        deaf = [p.rank for p in self._world.live() if p is not process and rng.random() < 0.7]
        self._world.note(process, f"is not heard by {deaf} any more, until {fault.until_s:.3f}")
        return self._cut([(process.rank, rank) for rank in deaf])

    def _cut(self, pairs: list[tuple[int, int]]) -> _Undo:
        weather = self._world.network.weather
        for pair in pairs:
            weather.cuts[pair] = weather.cuts.get(pair, 0) + 1
        weather.look()

        def undo() -> None:
            for pair in pairs:
                weather.cuts[pair] -= 1
                if not weather.cuts[pair]:
                    del weather.cuts[pair]
            weather.look()
            self._world.note(None, "the network is whole again")

        return undo

    # -- peers ---------------------------------------------------------------------------------------------

    def _crash(self, fault: Fault) -> None:
        process = self._aim(fault)
        if process is not None and self._can_spare(process):
            if process.ctx.in_office:
                self._world.saw("a trader crashed in office")
            self._world.note(process, "crashes")
            self._world.kill(process)

    def _restart(self, fault: Fault) -> _Undo | None:
        process = self._aim(fault)
        if process is None or not self._can_spare(process):
            return None
        self._world.note(process, "crashes, to come back")
        self._world.kill(process)

        def come_back() -> None:
            self._world.saw("a crashed peer came back")
            self._newcomer(process.rank, fault.key)

        return come_back

    def _newcomer(self, rank: int | None, key: int) -> None:
        world, rng = self._world, Random(key)
        hosts = [p for p in world.live() if p.started and not p.hung]
        if not hosts:
            return
        host = rng.choice(hosts)
        if rank is None:
            rank, role = 1 + max(p.rank for p in world.processes), rng.choice(ROLES)
        else:
            role = next(p.ctx.me.role for p in world.processes if p.rank == rank)
        if any(p.rank == rank for p in world.live()):
            return
        if host.ctx.view.vacant:
            world.saw("a peer came while the post was vacant")
        process = world.be_born(rank, role, host)
        world.note(process, f"comes, by way of {host.name}")

    def _hang(self, fault: Fault) -> _Undo | None:
        process = self._aim(fault)
        if process is None or process.hung or not self._can_spare(process):
            return None
        process.hung = True
        self._world.note(process, f"hangs, until {fault.until_s:.3f}")

        def undo() -> None:
            if process.up:
                self._world.note(process, "wakes up")
            self._world.wake(process)

        return undo

    def _slow(self, fault: Fault) -> _Undo | None:
        process = self._aim(fault)
        if process is None or process.slow_s:
            return None
        process.slow_s = 0.6 * fault.strength
        self._world.note(process, f"is slow, by {process.slow_s:.3f} s, until {fault.until_s:.3f}")

        def undo() -> None:
            process.slow_s = 0.0

        return undo

    def _join(self, fault: Fault) -> None:
        self._newcomer(None, fault.key)

    def _leave(self, fault: Fault) -> None:
        process = self._aim(fault)
        if process is not None and self._can_spare(process):
            if process.ctx.in_office:
                self._world.saw("a trader left the market")
            self._world.note(process, "is asked to leave")
            self._world.push(self._world.now_s, self._world.arrive, process, Leave())

    def _resign(self, fault: Fault) -> None:
        process = self._aim(fault)
        if process is not None:
            self._world.note(process, "is asked to resign")
            if process.ctx.in_office:
                self._world.saw("a trader was asked to resign")
            self._world.network.call_from_outside(process, Resign())

    def _false_alarm(self, fault: Fault) -> None:
        process = self._aim(fault)
        if process is None:
            return
        rng = Random(fault.key)
        self._world.note(process, "is taken for gone")
        for other in self._world.live():
            if other is not process and rng.random() < 0.6:
                gone = PeerGone(rank=process.rank, incarnation=process.ctx.me.incarnation)
                self._world.push(self._world.now_s + 0.003 * rng.random(), self._world.arrive, other, gone)

    def _clock_jump(self, fault: Fault) -> None:
        process = self._aim(fault)
        if process is not None:
            process.jump_ms += Random(fault.key).randint(-5000, 5000)
            self._world.note(process, f"has its time of day set, {process.jump_ms} ms off")

    def _strangers(self, fault: Fault) -> _Undo:
        self._strangers_seen += 1
        stranger = Stranger(self._world, fault, self._strangers_seen)
        stranger.start()
        return stranger.stop

    # -- the ledger ----------------------------------------------------------------------------------------

    def _ledger_slow(self, fault: Fault) -> _Undo:
        road = self._world.road
        road.slow_s = fault.strength
        self._world.note(None, f"the ledger is slow, until {fault.until_s:.3f}")

        def undo() -> None:
            road.slow_s = 0.0

        return undo

    def _ledger_away(self, fault: Fault) -> _Undo:
        road = self._world.road
        rng = Random(fault.key)
        live = self._world.live()
        lost = [p.rank for p in live] if rng.random() < 0.5 else [rng.choice(live).rank]
        self._world.note(None, f"the ledger is away for {lost}, until {fault.until_s:.3f}")
        for rank in lost:
            road.away_for[rank] = road.away_for.get(rank, 0) + 1

        def undo() -> None:
            for rank in lost:
                road.away_for[rank] -= 1

        return undo

    def _books_behind(self, fault: Fault) -> _Undo:
        road = self._world.road
        road.behind_s = 4 * fault.strength
        self._world.note(None, f"the books stay behind the log, until {fault.until_s:.3f}")

        def undo() -> None:
            road.behind_s = 0.0

        return undo

    def _ledger_share(self, what: str) -> Callable[[Fault], _Undo]:
        def begin(fault: Fault) -> _Undo:
            road = self._world.road
            setattr(road, what, fault.strength)
            self._world.note(
                None, f"ledger {what}: {fault.strength:.0%} of its operations, until {fault.until_s:.3f}"
            )

            def undo() -> None:
                setattr(road, what, 0.0)

            return undo

        return begin
