"""Faults of peers, and what people do to them: crashes, hangs, newcomers, orders, strangers."""

from __future__ import annotations

from random import Random

from peers.core.calls import Resign
from peers.core.inputs import Leave, LoseGoods, PeerGone
from peers.core.names import ROLES, peer_name, role_in
from peers.simulator.breaking.liars import Liar
from peers.simulator.breaking.strangers import Stranger
from peers.simulator.breaking.targets import Begin, Undo, can_spare, target_of
from peers.simulator.environment.environment import Environment
from peers.simulator.environment.process import Process
from peers.simulator.faults import Fault


class PeerFaults:
    """`kinds`: how each kind of fault begins."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._schedule = environment.schedule
        self._lives = environment.lives
        self._record = environment.record
        self._strangers_seen = 0
        self.kinds: dict[str, Begin] = {
            "crash": self._crash,
            "restart": self._restart,
            "hang": self._hang,
            "slow": self._slow,
            "join": self._join,
            "leave": self._leave,
            "resign": self._resign,
            "false_alarm": self._false_alarm,
            "clock_jump": self._clock_jump,
            "strangers": self._strangers,
            "goods_lost": self._goods_lost,
            "lies": self._lies,
        }

    def _target(self, fault: Fault) -> Process | None:
        return target_of(fault, self._environment)

    def _spare(self, fault: Fault) -> Process | None:
        """The target, if the market can do without it."""
        process = self._target(fault)
        return process if process is not None and can_spare(process, self._environment) else None

    # -- their end, and their coming -----------------------------------------------------------------------

    def _crash(self, fault: Fault) -> None:
        process = self._spare(fault)
        if process is not None:
            if process.view.in_office:
                self._record.saw("a trader crashed in office")
            self._record.note(process, "crashes")
            self._environment.kill(process)

    def _restart(self, fault: Fault) -> Undo | None:
        process = self._spare(fault)
        if process is None:
            return None
        self._record.note(process, "crashes, to come back")
        self._environment.kill(process)

        def come_back() -> None:
            self._record.saw("a crashed peer came back")
            self._newcomer(process.rank, fault.key)

        return come_back

    def _join(self, fault: Fault) -> None:
        self._newcomer(None, fault.key)

    def _newcomer(self, rank: int | None, key: int) -> None:
        lives, rng = self._lives, Random(key)
        area = next((p.area for p in lives.all if p.rank == rank), None)
        sponsors = [p for p in lives.live() if p.started and not p.hung and area in (None, p.area)]
        if not sponsors:
            return
        sponsor = rng.choice(sponsors)
        if rank is None:
            rank, role = 1 + max(p.rank for p in lives.all), rng.choice(ROLES)
        else:
            role = role_in(next(p.name for p in lives.all if p.rank == rank))
        if any(p.rank == rank for p in lives.live()):
            return
        if sponsor.view.is_vacant:
            self._record.saw("a peer came while the post was vacant")
        process = lives.begin(rank, role, sponsor, self._environment.judge.handed_over(peer_name(role, rank)))
        self._record.note(process, f"comes, by way of {sponsor.name}")

    def _leave(self, fault: Fault) -> None:
        process = self._spare(fault)
        if process is not None:
            if process.view.in_office:
                self._record.saw("a trader left the market")
            self._record.note(process, "is asked to leave")
            self._schedule.push(self._schedule.now_s, self._lives.arrive, process, Leave())

    # -- their troubles ------------------------------------------------------------------------------------

    def _hang(self, fault: Fault) -> Undo | None:
        process = self._target(fault)
        if process is None or process.hung or not can_spare(process, self._environment):
            return None
        process.hung = True
        self._record.note(process, f"hangs, until {fault.until_s:.3f}")

        def undo() -> None:
            if process.up:
                self._record.note(process, "wakes up")
            self._environment.wake(process)

        return undo

    def _slow(self, fault: Fault) -> Undo | None:
        process = self._target(fault)
        if process is None or process.slow_s:
            return None
        process.slow_s = 0.6 * fault.strength
        self._record.note(process, f"is slow, by {process.slow_s:.3f} s, until {fault.until_s:.3f}")

        def undo() -> None:
            process.slow_s = 0.0

        return undo

    def _false_alarm(self, fault: Fault) -> None:
        process = self._target(fault)
        if process is None:
            return
        rng = Random(fault.key)
        self._record.note(process, "is taken for gone")
        for other in self._lives.neighbours_of(process):
            if rng.random() < 0.6:
                gone = PeerGone(rank=process.rank, incarnation=process.view.me.incarnation)
                self._schedule.push(self._schedule.now_s + 0.003 * rng.random(), self._lives.arrive, other, gone)
        for fellow in self._lives.in_office():
            if fellow.area != process.area and rng.random() < 0.6:
                gone = PeerGone(rank=process.rank, incarnation=process.view.me.incarnation)
                self._schedule.push(self._schedule.now_s + 0.003 * rng.random(), self._lives.arrive, fellow, gone)

    def _clock_jump(self, fault: Fault) -> None:
        process = self._target(fault)
        if process is not None:
            process.jump_ms += Random(fault.key).randint(-5000, 5000)
            self._record.note(process, f"has its time of day set, {process.jump_ms} ms off")

    def _goods_lost(self, fault: Fault) -> None:
        sellers = [p for p in self._lives.live() if p.view.me.role != "buyer" and p.started]
        if sellers:
            process = sellers[fault.key % len(sellers)]
            self._record.note(process, f"loses {fault.strength:.0%} of its goods")
            lost = LoseGoods(share=fault.strength)
            self._schedule.push(self._schedule.now_s, self._lives.arrive, process, lost)

    def _lies(self, fault: Fault) -> Undo | None:
        process = self._target(fault)
        if process is None:
            return None
        liar = Liar(self._environment, process, fault.key)
        liar.start()
        return liar.stop

    # -- what people ask of them ---------------------------------------------------------------------------

    def _resign(self, fault: Fault) -> None:
        process = self._target(fault)
        if process is not None:
            self._record.note(process, "is asked to resign")
            if process.view.in_office:
                self._record.saw("a trader was asked to resign")
            self._environment.network.call_from_outside(process, Resign())

    def _strangers(self, fault: Fault) -> Undo:
        self._strangers_seen += 1
        stranger = Stranger(self._environment, fault.key, f"stranger{self._strangers_seen}")
        stranger.start()
        return stranger.stop
