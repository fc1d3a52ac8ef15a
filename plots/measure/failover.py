"""How long trade stands still when the trader is killed, stopped, or resigns: from the event to the next sale.

Two customers buy all the time. The next sale is the first that a successor has recorded, seen when its buyer was
answered, which is later than when it was durable.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence

from peers.errors import TownError
from peers.rpc.rpc_connection import RpcConnection
from plots.measure import elections
from plots.measure.apparatus.prober import Prober
from plots.measure.apparatus.towns import BenchTown, wait_for
from plots.measure.plan import Plan
from plots.results.latency import summarize
from plots.results.life import Failover, Kind

CUSTOMERS = 2  # With two, one is likely to ask at any moment, and neither is in the other's way.
PATIENCE_S = 30.0  # A next sale may take so long; the market takes a second at worst.
# Lies between two events, for the graph to be joined up and the messages of the election to be counted.
CALM_S = 0.5


class _Watch:
    """The customers of one town, and who is trader."""

    def __init__(self, town: BenchTown) -> None:
        self.town = town
        self.peers = town.everybody()
        uris = {name: peer.uri for name, peer in self.peers.items()}
        tag = f"{time.monotonic_ns():x}"
        self._probers = [Prober(f"prober{i}-{tag}", uris, town.directory.path) for i in range(CUSTOMERS)]
        for prober in self._probers:
            prober.start()
        self.wait_calm()

    def stop(self) -> None:
        for prober in self._probers:
            prober.stop()

    def wait_calm(self) -> None:
        """Waits until all customers buy of the same trader."""
        wait_for(self._agreed, "the customers have one trader")
        time.sleep(CALM_S)
        wait_for(self._agreed, "the customers have one trader")

    def _check_customers(self) -> None:
        for prober in self._probers:
            if prober.errors:
                raise TownError(f"a customer failed: {prober.errors[0]!r}") from prober.errors[0]

    def _agreed(self) -> bool:
        self._check_customers()
        terms = {prober.term() for prober in self._probers}
        return len(terms) == 1 and 0 not in terms

    def pause_after(self, event: Callable[[str], None], *, hides: bool) -> float:
        """Lets `event` happen to the trader; returns the milliseconds until its successor's first sale."""
        term, trader = self._probers[0].term(), self._probers[0].trader()
        if hides:
            for prober in self._probers:
                prober.avoid([trader])
        at_s = time.monotonic()
        event(trader)
        firsts = [prober.first_after(term, PATIENCE_S) for prober in self._probers]
        answered = [first for first in firsts if first is not None]
        self._check_customers()
        if not answered:
            raise TownError(f"no sale within {PATIENCE_S:g} s after {trader} was taken away")
        return (min(answered) - at_s) * 1000

    def allow_all(self) -> None:
        for prober in self._probers:
            prober.avoid(())


def measure_living(town: BenchTown, plan: Plan, kinds: Sequence[Kind]) -> list[Failover]:
    """Resignations and stops, which leave as many peers as there were."""
    watch = _Watch(town)
    found = []
    try:
        for kind in kinds:
            once = _resign if kind == "resigned" else _stop
            count = plan.failovers if kind != "resigned" else max(plan.failovers, plan.elections)
            pauses = []
            for _ in range(count):
                pauses.append(once(watch))
                # A term that ends before the messages of its election are counted leaves no count of them.
                elections.settle(town)
            found.append(_summed(kind, town.peers, pauses))
    finally:
        watch.stop()
    return found


def measure_killed(
    open_town: Callable[[int], BenchTown],
    peers: int,
    plan: Plan,
    last_look: Callable[[BenchTown], None] = lambda _: None,
) -> tuple[Failover, list[int | None]]:
    """Kills, in as many towns as it takes; returns what the audits of these said as well.

    `last_look` is called with each town once nobody is killed in it any more.
    """
    pauses: list[float] = []
    codes: list[int | None] = []
    while len(pauses) < plan.failovers:
        with open_town(peers) as town:
            watch = _Watch(town)
            try:
                count = min(max(1, peers // 3), plan.failovers - len(pauses))
                pauses += [_kill(watch) for _ in range(count)]
                last_look(town)
            finally:
                watch.stop()
        codes.append(town.audit_code)
    return _summed("killed", peers, pauses), codes


def _summed(kind: Kind, peers: int, pauses: list[float]) -> Failover:
    return Failover(kind=kind, peers=peers, pauses_ms=[round(p, 3) for p in pauses], summary=summarize(pauses))


def _kill(watch: _Watch) -> float:
    pause_ms = watch.pause_after(lambda trader: os.kill(watch.peers[trader].pid, signal.SIGKILL), hides=True)
    watch.wait_calm()
    return pause_ms


def _stop(watch: _Watch) -> float:
    stopped: list[int] = []

    def stop(trader: str) -> None:
        stopped.append(watch.peers[trader].pid)
        os.kill(stopped[0], signal.SIGSTOP)

    try:
        return watch.pause_after(stop, hides=True)
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
        watch.allow_all()
        _wait_for_all(watch)
        watch.wait_calm()


def _wait_for_all(watch: _Watch) -> None:
    """Waits until one who was stopped counts as there again, everywhere."""
    lines = [RpcConnection(peer.uri, 2.0) for peer in watch.peers.values()]
    try:
        everybody = len(watch.peers)
        wait_for(
            lambda: all(len(line.call("status")["up"]) == everybody for line in lines),
            "the stopped peer is back in everybody's eyes",
        )
    finally:
        for line in lines:
            line.close()


def _resign(watch: _Watch) -> float:
    def resign(trader: str) -> None:
        line = RpcConnection(watch.peers[trader].uri, 5.0)
        line.call("resign")
        line.close()

    pause_ms = watch.pause_after(resign, hides=False)
    watch.wait_calm()
    return pause_ms
