"""Carries a plan out on a town that trades: chooses each target when its time has come, hurts it, and heals it.

Faults overlap, so each is a task of its own; whatever way it ends, it leaves nothing stopped behind.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress

from db.mongod.replica_set import ReplicaSet
from peers.chaos.events import Injected
from peers.chaos.history import History
from peers.chaos.injection.hardships import Hardships
from peers.chaos.injection.strength import between
from peers.chaos.injection.targets import NoTarget, Present, choose
from peers.chaos.injection.wires import parties_of, places_of, wire_fault
from peers.chaos.kinds import FAMILIES, WIRE_KINDS, Kind
from peers.chaos.plan import Plan, Planned, disturbs
from peers.chaos.switch.client import SwitchClient
from peers.core.names import Role
from peers.errors import BazaarError, WireError
from peers.rpc.rpc_connection import CallFailed, RpcConnection
from peers.runtime.spec import LieInWait, SetClock
from peers.town.terminals.town import Town
from peers.waiting import await_until

# None of these is an option: how a fault is carried out is part of what it is.
_PATIENCE_S = 2.0  # A target may be missing for so long: after a trader's fall nobody is in office for a while.
_LOOK_S = 0.02  # The time between two looks for a target.
_PULSE_S = 0.12  # A slow peer is stopped, then runs a share of this time, by turns.
_SHARES = (0.25, 0.1)  # That share, from a weak fault to a strong one.
_STEP_S = (0.05, 86_400.0)  # A clock is set forward or back by at least and by at most so much.
_DRIFT = 0.3  # A clock that runs fast gains so much each second.
_CLOCK_WAYS = {"both": "runs fast", "out": "forward", "in": "back"}
_TRIES = 3  # So often it is tried to have a peer back that ended for want of memory.
_RESIGN_S = 2.0  # The trader may take so long to answer that it has resigned.

OnFault = Callable[[Injected], None]


class Breaker:
    """Breaks one town, whose processes reach each other through `switch`. `on_fault` hears of each fault when it
    begins, is skipped, or could not be undone."""

    def __init__(self, town: Town, switch: SwitchClient, history: History, on_fault: OnFault) -> None:
        self._town = town
        self._switch = switch
        self._history = history
        self._on_fault = on_fault
        self._disturbed: set[str] = set()
        self._busy: set[str] = set()  # Peers that are just coming back or leaving.
        self._hardships = Hardships(town)

    async def carry_out(self, plan: Plan) -> None:
        """Returns when the plan's time is over and every fault has been undone."""
        async with asyncio.TaskGroup() as faults:
            for planned in plan.faults:
                await asyncio.sleep(planned.at_s - self._history.now_s())
                faults.create_task(self._inject(planned))
            await asyncio.sleep(plan.duration_s - self._history.now_s())

    async def _inject(self, planned: Planned) -> None:
        fault = Injected(number=planned.number, kind=planned.kind, start_s=self._history.now_s())
        self._history.faults.append(fault)
        try:
            fault.peers = await self._targets(planned)
            fault.start_s = self._history.now_s()
            fault.detail = _detail(planned)
            self._on_fault(fault)
            await self._do(planned, fault)
        except NoTarget as none:
            fault.skipped = str(none)
            self._on_fault(fault)
        except BazaarError as error:
            fault.skipped = f"could not be done: {error}"
            self._on_fault(fault)
        finally:
            fault.end_s = self._history.now_s()

    async def _targets(self, planned: Planned) -> tuple[str, ...]:
        if planned.kind == "cut-nameserver" and planned.everyone:
            return ()
        deadline_s = self._history.now_s() + _PATIENCE_S
        while True:
            try:
                return choose(planned.kind, planned.pick, self._present(), planned.between)
            except NoTarget:
                if self._history.now_s() > deadline_s:
                    raise
            await asyncio.sleep(_LOOK_S)

    def _present(self) -> Present:
        processes = self._town.processes
        running: dict[str, Role] = {member.name: member.role for member in processes.members()}
        ended = sorted(name for name in processes.names if not processes.pid(name) and name not in self._busy)
        return Present(
            running=running,
            trader=processes.trader,
            disturbed=frozenset(self._disturbed | self._busy),
            ended=tuple(ended),
        )

    async def _do(self, planned: Planned, fault: Injected) -> None:
        town, kind, lasts_s = self._town, planned.kind, planned.lasts_s
        if kind in ("kill-trader", "kill-peer", "kill-two"):
            for name in fault.peers:
                _signal(town.processes.pid(name), signal.SIGKILL)
        elif kind in ("stop-trader", "stop-peer"):
            async with self._stopped(fault.peers[0]):
                await asyncio.sleep(lasts_s)
        elif kind in ("slow-trader", "slow-peer"):
            await self._slow(fault.peers[0], lasts_s, share_of(planned))
        elif kind == "cut-nameserver" and not planned.everyone:
            await self._have_born_again(planned, fault)
        elif kind in WIRE_KINDS:
            await self._hurt_wires(planned, fault)
        elif kind == "crash-at":
            await self._crash_at(planned, fault.peers[0])
        elif kind == "crash-taking-office":
            fault.peers = await self._crash_taking_office(planned, fault.peers[0])
        elif kind in ("hang-trader", "hang-peer"):
            await self._hold(planned, fault.peers[0])
        elif kind == "set-clock":
            await self._set_clock(planned, fault.peers[0])
        elif kind in FAMILIES["disk"]:
            with ExitStack() as disturbing:
                for name in fault.peers:
                    disturbing.enter_context(self._disturbing(name))
                await self._hardships.inflict(planned, fault)
        elif kind in FAMILIES["memory"]:
            await self._squeeze(planned, fault)
        elif kind == "resign":
            await asyncio.to_thread(_resign, self._uri(fault.peers[0]))
        else:
            await self._do_to_town(kind, planned, fault)

    async def _do_to_town(self, kind: Kind, planned: Planned, fault: Injected) -> None:
        town = self._town
        if kind == "kill-nameserver":
            _signal(town.registry.nameserver.pid, signal.SIGKILL)
        elif kind == "kill-mongod":
            _signal(self._mongod_pid(), signal.SIGKILL)
        elif kind == "stop-mongod":
            await self._stop_service(self._mongod_pid(), planned.lasts_s)
        elif kind == "step-down":
            await asyncio.to_thread(self._step_down, planned.lasts_s)
        elif kind == "kill-member":
            _signal(self._member_pid(planned.pick), signal.SIGKILL)
        elif kind == "stop-member":
            await self._stop_service(self._member_pid(planned.pick), planned.lasts_s)
        elif kind == "join":
            fault.peers = tuple(await town.population.join([planned.role or "merchant"]))
        elif kind == "come-back":
            with self._occupied(fault.peers[0]):
                await town.population.revive(fault.peers[0])
        elif kind == "leave":
            with self._occupied(fault.peers[0]), self._carried_out(fault):
                await town.population.leave(fault.peers[0])

    # -- hurting a peer, and healing it --------------------------------------------------------------------

    @asynccontextmanager
    async def _stopped(self, name: str) -> AsyncIterator[None]:
        pid = self._town.processes.pid(name)
        with self._disturbing(name):
            _signal(pid, signal.SIGSTOP)
            try:
                yield
            finally:
                if self._town.processes.pid(name) == pid:
                    _signal(pid, signal.SIGCONT)

    async def _stop_service(self, pid: int | None, lasts_s: float) -> None:
        _signal(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(lasts_s)
        finally:
            _signal(pid, signal.SIGCONT)

    async def _slow(self, name: str, lasts_s: float, share: float) -> None:
        until_s = self._history.now_s() + lasts_s
        with self._disturbing(name):
            while self._history.now_s() < until_s:
                async with self._stopped(name):
                    await asyncio.sleep(_PULSE_S * (1 - share))
                await asyncio.sleep(_PULSE_S * share)

    async def _squeeze(self, planned: Planned, fault: Injected) -> None:
        """A peer may end for want of memory; there is some again afterwards, and it comes back."""
        with self._occupied(fault.peers[0]):
            await self._hardships.inflict(planned, fault)
            with self._carried_out(fault):
                await self._revive(fault.peers[0])

    async def _have_born_again(self, planned: Planned, fault: Injected) -> None:
        """Kills a peer and lets it come back while it is cut from the name server: only who is new needs that."""
        name = fault.peers[0]
        with self._occupied(name):
            _signal(self._town.processes.pid(name), signal.SIGKILL)
            await await_until(lambda: not self._town.processes.pid(name), _PATIENCE_S, look_s=_LOOK_S)
            begun_s = self._history.now_s()
            cut = asyncio.ensure_future(self._hurt_wires(planned, fault))
            try:
                with self._carried_out(fault):
                    await self._revive(name)
                took_s = self._history.now_s() - begun_s
            finally:
                await cut
            if took_s >= planned.lasts_s and self._town.processes.pid(name):
                fault.seen = f"{name} was back only after {took_s:.1f} s"

    async def _revive(self, name: str) -> None:
        for more in reversed(range(_TRIES)):
            if self._town.processes.pid(name):
                break
            try:
                await self._town.population.revive(name)
            except BazaarError:  # Whoever was to introduce it may have ended in the same moment.
                if not more:
                    raise

    async def _hurt_wires(self, planned: Planned, fault: Injected) -> None:
        neighbours = self._town.graph().get(fault.peers[0], ()) if fault.peers else ()
        self._switch.tell_places(places_of(self._town))
        wrong = wire_fault(planned, fault.peers, tuple(neighbours), parties_of(self._town))
        with ExitStack() as disturbing:
            for name in fault.peers if disturbs(planned.kind) else ():
                disturbing.enter_context(self._disturbing(name))
            ended = await self._switch.suffer(wrong)
        fault.touched, fault.given_up = ended.touched, ended.given_up

    async def _crash_at(self, planned: Planned, name: str) -> None:
        assert planned.point is not None
        self._town.processes.tell(name, LieInWait(point=planned.point, within_s=_PATIENCE_S))
        if not await await_until(lambda: not self._town.processes.pid(name), _PATIENCE_S, look_s=_LOOK_S):
            raise NoTarget(f"{name} did not come to that point")

    async def _crash_taking_office(self, planned: Planned, trader: str) -> tuple[str, ...]:
        """Kills the trader, and whoever takes office next while it does."""
        assert planned.point is not None
        processes = self._town.processes
        others = [name for name in processes.alive() if name != trader]
        for name in others:
            processes.tell(name, LieInWait(point=planned.point, within_s=_PATIENCE_S))
        _signal(processes.pid(trader), signal.SIGKILL)
        fallen: list[str] = []

        def one_has_fallen() -> bool:
            fallen.extend(name for name in others if not processes.pid(name))
            return bool(fallen)

        await await_until(one_has_fallen, _PATIENCE_S, look_s=_LOOK_S / 10)
        for name in others:
            processes.tell(name, LieInWait(point=planned.point, within_s=0.0))
        return (trader, *fallen)

    async def _hold(self, planned: Planned, name: str) -> None:
        assert planned.point is not None
        with self._disturbing(name):
            order = LieInWait(point=planned.point, within_s=_PATIENCE_S, hold_s=planned.lasts_s)
            self._town.processes.tell(name, order)
            await asyncio.sleep(planned.lasts_s)

    async def _set_clock(self, planned: Planned, name: str) -> None:
        """Sets a peer's clock on the wall forward or back, or has it run fast; then right again, which is a step as
        well."""
        step_s = between(_STEP_S, planned.strength)
        order = SetClock(drift=_DRIFT) if planned.way == "both" else SetClock(step_s=step_s)
        if planned.way == "in":
            order = SetClock(step_s=-step_s)
        self._town.processes.tell(name, order)
        await asyncio.sleep(planned.lasts_s)
        self._town.processes.tell(name, SetClock())

    def _step_down(self, for_s: float) -> None:
        books = self._town.services.books
        if books is None:
            raise NoTarget("there are no books")
        with ReplicaSet(books.uri) as members:
            members.step_down(for_s)

    def _member_pid(self, pick: float) -> int | None:
        """Of a member that does not take the writes."""
        replicas = self._town.services.replicas
        others = [each for each in replicas.processes if each is not replicas.primary] if replicas else []
        alive = [each.pid for each in others if each.alive()]
        if not alive:
            raise NoTarget("there is no such member just now")
        return alive[min(int(pick * len(alive)), len(alive) - 1)]

    @contextmanager
    def _carried_out(self, fault: Injected) -> Iterator[None]:
        """What a fault was to do is done by now; what fails within, such as undoing it, is only noted."""
        try:
            yield
        except BazaarError as error:
            fault.detail = "; ".join(filter(None, (fault.detail, str(error))))
            self._on_fault(fault)

    @contextmanager
    def _disturbing(self, name: str) -> Iterator[None]:
        fresh = name not in self._disturbed
        self._disturbed.add(name)
        try:
            yield
        finally:
            if fresh:
                self._disturbed.discard(name)

    @contextmanager
    def _occupied(self, name: str) -> Iterator[None]:
        self._busy.add(name)
        try:
            yield
        finally:
            self._busy.discard(name)

    def _uri(self, name: str) -> str:
        uris = [member.uri for member in self._town.processes.members() if member.name == name]
        if not uris:
            raise NoTarget(f"{name} has just ended")
        return uris[0]

    def _mongod_pid(self) -> int | None:
        """Of the one that takes the writes: the loss of any other member of a set stops nothing."""
        replicas = self._town.services.replicas
        mongod = replicas.primary if replicas is not None else None
        return mongod.pid if mongod is not None and mongod.alive() else None


def _signal(pid: int | None, number: signal.Signals) -> None:
    if not pid:
        raise NoTarget("it does not run just now")
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _resign(uri: str) -> None:
    line = RpcConnection(uri, _RESIGN_S)
    try:
        line.call("resign")
    except (CallFailed, WireError) as error:
        raise NoTarget(f"it did not answer: {error}") from error
    finally:
        line.close()


def share_of(planned: Planned) -> float:
    """Returns what part of a processor a slow peer is left with."""
    return between(_SHARES, planned.strength)


def _detail(planned: Planned) -> str:
    parts = [f"for {planned.lasts_s:.1f} s"] if planned.lasts_s else []
    if planned.kind in FAMILIES["slow"]:
        parts.append(f"with {share_of(planned):.0%} of a processor")
    if planned.between is not None:
        parts.append("everywhere" if planned.between == "all" else f"between {planned.between}")
    if planned.way is not None:
        clock = planned.kind == "set-clock"
        ways = _CLOCK_WAYS if clock else {"both": "both ways", "out": "one way, out", "in": "one way, in"}
        parts.append(ways[planned.way])
    if planned.everyone is not None:
        parts.append("from everybody" if planned.everyone else "from some")
    if planned.point is not None:
        parts.append(planned.point)
    if planned.role is not None:
        parts.append(planned.role)
    return ", ".join(parts)
