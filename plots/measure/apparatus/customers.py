"""The customer processes of the bench: what each does, and the crowd that commands them.

Each process keeps one connection and asks one thing after another. What it was told goes into a journal that the
audit reads, but after the turn: writing is not what is measured.
"""

from __future__ import annotations

import itertools
import math
import multiprocessing
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import msgspec
import numpy as np

from peers.customer import Customer
from peers.errors import TownError
from peers.runtime.journal import Journal
from plots.measure.apparatus.etcd_client import Address, EtcdWriter
from plots.measure.apparatus.floor import echo_proxy
from plots.measure.apparatus.stats import Turn
from plots.results.latency import Values

ITEM = "fish"
PUT_VALUE = b"x" * 200
"""What is put into etcd, under a key of its own each time."""

_HEAD_START_S = 0.05  # In this time, all have read their orders before the turn begins.
_PATIENCE_S = 60.0  # A turn's figures may come so much later than its last request is due.


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """One customer process. `uri` of an echo, or members of `etcd`, or else the town's name server and directory."""

    name: str
    uri: str | None = None
    etcd: tuple[Address, ...] = ()
    nameserver: tuple[str, int] = ("", 0)
    directory: str = ""
    clock: str = "lamport"
    area: str = ""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One turn: from `start_s` on (monotonic), until `end_s` or `count` requests, or one at each of `due_s`."""

    start_s: float
    end_s: float = math.inf
    count: float = math.inf
    due_s: tuple[float, ...] | None = None


class _Task(Protocol):
    """What a customer does over and over."""

    def once(self) -> None: ...

    def after_turn(self) -> None: ...

    def close(self) -> None: ...


class Echo:
    """Asks an echo server to say a request again. For the thread that makes it, as proxies are."""

    def __init__(self, spec: Spec) -> None:
        assert spec.uri is not None
        self._proxy = echo_proxy(spec.uri)
        self._payload = {
            "request_id": f"{spec.name}-1a2b3c4d-12345",
            "buyer": spec.name,
            "item": ITEM,
            "quantity": 1,
            "clock": {"lamport": 12345},
        }

    def once(self) -> None:
        self._proxy.echo(self._payload)

    def after_turn(self) -> None:
        """Nothing to write down."""

    def close(self) -> None:
        self._proxy._pyroRelease()


class Buying:
    """Buys, and journals afterwards."""

    def __init__(self, spec: Spec) -> None:
        self.customer = Customer(*spec.nameserver, name=spec.name, clock=spec.clock, area=spec.area)
        self._journal = Journal(Path(spec.directory), spec.name)
        self._told: list[tuple[int, dict[str, Any]]] = []

    def once(self) -> None:
        outcome = self.customer.buy(ITEM)
        self._told.append((time.time_ns() // 1_000_000, outcome))

    def after_turn(self) -> None:
        for at_ms, outcome in self._told:
            self._journal.write(at_ms, "told", outcome=outcome)
        self._told.clear()

    def close(self) -> None:
        self.customer.close()
        self._journal.close()


class Putting:
    """Puts one key after another into etcd, some two hundred bytes under each."""

    def __init__(self, spec: Spec) -> None:
        self._writer = EtcdWriter(spec.etcd)
        self._keys = (f"{spec.name}/{number}".encode() for number in itertools.count())

    def once(self) -> None:
        self._writer.put(next(self._keys), PUT_VALUE)

    def after_turn(self) -> None:
        """Nothing to write down."""

    def close(self) -> None:
        self._writer.close()


def live(spec: Spec, orders: Connection) -> None:
    """The main program of a customer process: ends when its orders do."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    task = _task_of(spec)
    task.once()
    # The process that gives the orders may be gone, even before the first one.
    with suppress(EOFError, ConnectionError):
        orders.send(None)
        while True:
            order: Order = orders.recv()
            took = _closed(task, order) if order.due_s is None else _open(task, order)
            orders.send_bytes(took.tobytes())
            task.after_turn()
            orders.send(None)
    task.close()


def _task_of(spec: Spec) -> _Task:
    if spec.uri is not None:
        return Echo(spec)
    return Putting(spec) if spec.etcd else Buying(spec)


def _closed(task: _Task, order: Order) -> Values:
    """As much as possible; returns pairs of end and latency, in seconds."""
    _sleep_until(order.start_s)
    rows: list[tuple[float, float]] = []
    began = time.monotonic()
    while began < order.end_s and len(rows) < order.count:
        task.once()
        ended = time.monotonic()
        rows.append((ended, ended - began))
        began = ended
    return np.asarray(rows, dtype=np.float64).reshape(-1, 2)


def _open(task: _Task, order: Order) -> Values:
    """One request whenever one is due, at once where one is overdue; latency counts from when it was due."""
    rows: list[tuple[float, float]] = []
    for due_s in order.due_s or ():
        at_s = order.start_s + due_s
        _sleep_until(at_s)
        task.once()
        ended = time.monotonic()
        rows.append((ended, ended - at_s))
    return np.asarray(rows, dtype=np.float64).reshape(-1, 2)


def _sleep_until(at_s: float) -> None:
    wait_s = at_s - time.monotonic()
    if wait_s > 0:
        time.sleep(wait_s)


class Crowd:
    """Customer processes, connected and warm. The first so many of them take part in a turn."""

    def __init__(self, specs: Sequence[Spec]) -> None:
        forks = multiprocessing.get_context("forkserver")
        self._members = []
        for spec in specs:
            ours, theirs = forks.Pipe()
            process = forks.Process(target=live, args=(spec, theirs), name=spec.name, daemon=True)
            process.start()
            theirs.close()
            self._members.append((process, ours))
        for _, orders in self._members:
            _hear(orders)

    def __enter__(self) -> Crowd:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for _, orders in self._members:
            orders.close()
        for process, _ in self._members:
            if kind is not None:
                process.kill()  # It may be in the midst of a turn that nobody waits for any more.
            process.join(5.0)
            if process.is_alive():
                process.kill()
                process.join()

    def __len__(self) -> int:
        return len(self._members)

    @property
    def pids(self) -> list[int]:
        """The processes of the customers."""
        return [process.pid for process, _ in self._members if process.pid is not None]

    def closed(self, customers: int, duration_s: float) -> Turn:
        """All ask one thing after another for so long."""
        start_s = time.monotonic() + _HEAD_START_S
        # What was still under way at the end counts, and so does the time it took.
        return self._turn([Order(start_s=start_s, end_s=start_s + duration_s)] * customers)

    def counted(self, customers: int, requests: int) -> Turn:
        """All together ask for so much, one thing after another each."""
        start_s = time.monotonic() + _HEAD_START_S
        return self._turn([Order(start_s=start_s, count=share) for share in shares(requests, customers)])

    def open(self, schedules: Sequence[Values]) -> Turn:
        """Each asks by its schedule."""
        start_s = time.monotonic() + _HEAD_START_S
        return self._turn([Order(start_s=start_s, due_s=tuple(map(float, due_s))) for due_s in schedules])

    def open_each(self, schedules: Sequence[Values]) -> tuple[float, list[Values]]:
        """The same; returns when it began (monotonic), and of each customer rows of end (monotonic) and latency."""
        start_s = time.monotonic() + _HEAD_START_S
        return start_s, self._rows([Order(start_s=start_s, due_s=tuple(map(float, due_s))) for due_s in schedules])

    def _turn(self, orders: Sequence[Order]) -> Turn:
        rows = np.concatenate(self._rows(orders))
        if not rows.size:
            raise TownError("nobody was answered in a whole turn")
        return Turn(took_s=float(rows[:, 0].max()) - orders[0].start_s, latencies_ms=rows[:, 1] * 1000.0)

    def _rows(self, orders: Sequence[Order]) -> list[Values]:
        """Has the orders carried out; returns rows of end (monotonic) and latency, both in s, for each customer."""
        chosen = self._members[: len(orders)]
        for (_, channel), order in zip(chosen, orders, strict=True):
            channel.send(order)
        lasts_s = max(order.due_s[-1] if order.due_s else 0.0 for order in orders)
        rows = [np.frombuffer(_hear_bytes(channel, lasts_s)).reshape(-1, 2) for _, channel in chosen]
        for _, channel in chosen:
            _hear(channel)
        return rows


def shares(requests: int, customers: int) -> list[int]:
    """Shares requests out to customers: as many to each, one more to the first where that does not come out even."""
    each, more = divmod(requests, customers)
    return [each + (place < more) for place in range(customers)]


def _hear(channel: Connection) -> None:
    _wait(channel)
    try:
        channel.recv()
    except EOFError as error:
        raise TownError("a customer process ended; its traceback is above") from error


def _hear_bytes(channel: Connection, lasts_s: float) -> bytes:
    _wait(channel, _PATIENCE_S + lasts_s)
    try:
        return channel.recv_bytes()
    except EOFError as error:
        raise TownError("a customer process ended; its traceback is above") from error


def _wait(channel: Connection, patience_s: float = _PATIENCE_S) -> None:
    if not channel.poll(patience_s):
        raise TownError(f"a customer process said nothing for {patience_s:g} s")
