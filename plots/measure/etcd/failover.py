"""How long no put succeeds when the leader of etcd is killed, measured as `plots.measure.failover` does the trader's.

Two clients put one key after another all the time, and know all members. A client waits for an answer only a moment,
then asks the next member: the one it asked may have handed the put to the leader that is gone, and then it is lost.
So what is measured is etcd's own pause, and not a client's patience.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from peers.errors import TownError
from plots.measure.apparatus.customers import PUT_VALUE
from plots.measure.apparatus.etcd_client import Address, EtcdWriter
from plots.measure.etcd.cluster import EtcdCluster
from plots.measure.failover import CALM_S, CUSTOMERS, PATIENCE_S

_TIMEOUT_S = 0.03  # A put takes one or two milliseconds.
_KEPT = 1000  # As many of the last answered puts are remembered.


class PutProber:
    """Puts one key after another, on a thread of its own."""

    def __init__(self, name: str, addresses: Sequence[Address]) -> None:
        self._name = name
        self._writer = EtcdWriter(addresses, timeout_s=_TIMEOUT_S, patience_s=PATIENCE_S)
        self._news = threading.Condition()
        # When each put began, and when it was answered.
        self._answered: deque[tuple[float, float]] = deque(maxlen=_KEPT)
        self._error: BaseException | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped = True
        self._thread.join(PATIENCE_S)

    def first_after(self, at_s: float) -> float:
        """Waits for a put begun after `at_s` (monotonic); returns when it was answered. TownError if none is."""
        with self._news:
            self._news.wait_for(lambda: self._error is not None or self._ended_after(at_s) is not None, PATIENCE_S)
            if self._error is not None:
                raise TownError(f"a client of etcd failed: {self._error}") from self._error
            ended_s = self._ended_after(at_s)
        if ended_s is None:
            raise TownError(f"no put within {PATIENCE_S:g} s after the leader of etcd was killed")
        return ended_s

    def _ended_after(self, at_s: float) -> float | None:
        return next((ended_s for began_s, ended_s in self._answered if began_s > at_s), None)

    def _run(self) -> None:
        try:
            for number in itertools.count():
                if self._stopped:
                    break
                began = time.monotonic()
                self._writer.put(f"{self._name}/{number}".encode(), PUT_VALUE)
                with self._news:
                    self._answered.append((began, time.monotonic()))
                    self._news.notify_all()
        except BaseException as error:  # noqa: BLE001 - told to whoever waits
            with self._news:
                self._error = error
                self._news.notify_all()
        self._writer.close()


@contextmanager
def probing(cluster: EtcdCluster) -> Iterator[list[PutProber]]:
    """Clients that put all the time, each under keys of its own."""
    tag = f"{time.monotonic_ns():x}"
    probers = [PutProber(f"prober{i}-{tag}", cluster.addresses()) for i in range(CUSTOMERS)]
    try:
        for prober in probers:
            prober.start()
        yield probers
    finally:
        for prober in probers:
            prober.stop()


def measure_killed(cluster: EtcdCluster, kills: int) -> list[float]:
    """Kills the leader so often, each time once all three members are well again; returns the pauses in ms."""
    with probing(cluster) as probers:
        return [_kill(cluster, probers) for _ in range(kills)]


def _kill(cluster: EtcdCluster, probers: Sequence[PutProber]) -> float:
    for prober in probers:
        prober.first_after(time.monotonic())
    time.sleep(CALM_S)
    leader = cluster.leader()
    at_s = time.monotonic()
    leader.kill()
    gone_s = time.monotonic()  # A put that began earlier may have been answered by the leader that was killed.
    pause_ms = (min(prober.first_after(gone_s) for prober in probers) - at_s) * 1000
    cluster.restart(leader)
    return pause_ms
