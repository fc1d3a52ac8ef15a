"""The main program of a peer's process: the channel to its town, signals, beginning and end.

Called in a child of a forkserver that has imported this module, which starts nothing and connects to nothing.
The peer ends when the town says so, when the channel ends (the town is gone: at once), or on SIGTERM (it leaves the
market first). Ctrl-C is for the town.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import time
import traceback
import zlib
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Literal, cast

import msgspec

from db.ledger.mongo import MongoLedger
from db.ledger.searching import NearestStock
from peers.books_address import without_secrets
from peers.core.ledger.port import Ledger
from peers.core.settings import make_settings
from peers.points import NO_MEMORY
from peers.rpc.security.tls import TlsFiles, secure
from peers.rpc.shortcuts import call_directly
from peers.runtime.faults.chaos_peer import ChaosPeer
from peers.runtime.hosting.host import PeerHost
from peers.runtime.logs import Log, open_log
from peers.runtime.spec import (
    Begin,
    Believed,
    CutLinks,
    EatMemory,
    Finish,
    Finished,
    LieInWait,
    PeerSpec,
    Quiesce,
    Ready,
    SetClock,
    SpoilDisk,
    TellBelief,
    ToPeer,
)
from peers.runtime.town_reporter import TownReporter
from peers.runtime.warm_up import warm_up
from peers.runtime.whole import Wholeness, wants_memory

LEAVE_WITHIN_S = 3.0
"""How long a peer may take to leave the market before it ends without. No setting: whoever ends it waits as long."""

FAULT = 70
"""The exit code of a peer that met a bug, and must not go on."""

End = Literal["finished", "left", "orphaned"]

_orders = msgspec.json.Decoder(cast("type[ToPeer]", ToPeer))


def prepare() -> None:
    """To be called before the first fork; what it starts has ended when it returns."""
    with contextlib.suppress(OSError):  # Without loopback or a place for files there is none; it only saves time.
        warm_up()


def run_peer(spec: PeerSpec, channel: socket.socket) -> None:
    """Runs a peer; returns when it has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if spec.tls is not None:
        secure(TlsFiles(Path(spec.tls)))
    if spec.advertised is not None:
        call_directly(spec.advertised, spec.host)
    log = open_log(Path(spec.directory), spec.name)

    def fault(error: BaseException) -> None:
        _die(log, error)

    Wholeness(fault)
    orders = _Orders(channel)
    try:
        _run_whole(spec, channel, orders, log, fault)
    except BaseException as error:
        if wants_memory(error):
            _die(log, error)
        raise


def _run_whole(
    spec: PeerSpec,
    channel: socket.socket,
    orders: _Orders,
    log: Log,
    fault: Callable[[BaseException], None],
) -> None:
    chaos = ChaosPeer(spec.switch, spec.name, log) if spec.switch is not None else None
    reporter = TownReporter(channel, log, quiet=spec.quiet)
    settings = make_settings(spec.settings)
    rules, area = settings.ledger, spec.area if settings.market.one_stock else ""
    nearest = None
    if rules.read_preference == "nearest":
        nearest = NearestStock(spec.mongo_uri, spec.database, rules.max_staleness_s, area=area)

    def make_ledger() -> Ledger:
        return MongoLedger(
            spec.mongo_uri,
            spec.database,
            warn=log.error,
            keep_entries=rules.keep_entries,
            write_level=rules.write_level,
        )

    host = PeerHost(
        spec,
        make_ledger=chaos.around_ledger(make_ledger) if chaos else make_ledger,
        log=log,
        on_report=chaos.around_reports(reporter.report) if chaos else reporter.report,
        on_stop=orders.departed,
        on_fault=fault,
        nearest=nearest,
    )
    host.register()
    reporter.say(Ready(member=host.member, pid=os.getpid()))
    how = _live(host, orders, reporter, chaos)
    if how == "orphaned":
        return  # It ends at once: whatever is under way, the ledger keeps it whole.
    host.stop(farewell=how == "left")
    reporter.say(Finished(name=spec.name))
    reporter.close(0.5)


def _live(host: PeerHost, orders: _Orders, reporter: TownReporter, chaos: ChaosPeer | None) -> End:
    """Returns when it is time to end, and how it came to that."""
    begun = False
    while True:
        order = orders.next(None)
        if isinstance(order, Begin):
            host.begin(order.snapshot, starts_election=order.starts_election)
            begun = True
        elif isinstance(order, Quiesce):
            host.rest()
        elif isinstance(order, CutLinks):
            host.cut_links(order)
        elif isinstance(order, LieInWait | SetClock | SpoilDisk | EatMemory):
            if chaos is not None:
                chaos.obey(order)
        elif isinstance(order, TellBelief):
            if begun:
                reporter.say(_belief(host, order.unless))
        elif isinstance(order, Finish):
            return "left" if order.leave and begun and _leave(host, orders) else "finished"
        else:
            return "orphaned"


def _belief(host: PeerHost, unless: int) -> Believed:
    snapshot = host.snapshot()
    checksum = zlib.crc32(msgspec.msgpack.encode(snapshot))
    return Believed(name=host.name, checksum=checksum, snapshot=None if checksum == unless else snapshot)


def _leave(host: PeerHost, orders: _Orders) -> bool:
    """Leaves the market; gives up after a while."""
    host.leave()
    deadline_s = time.monotonic() + LEAVE_WITHIN_S
    while not orders.has_departed and time.monotonic() < deadline_s:
        if orders.next(deadline_s - time.monotonic()) is None and not orders.has_departed:
            return False
    return orders.has_departed


class _Orders:
    """What the main thread waits for: lines of the channel, SIGTERM, and the core having left."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        # The beginning of a line whose end has not come yet.
        self._rest = b""
        self._lines: list[bytes] = []
        self._told_to_leave = False
        self.has_departed = False
        self._ears, self._mouth = os.pipe()
        os.set_blocking(self._mouth, False)
        signal.signal(signal.SIGTERM, self._on_sigterm)
        # The kernel may hand the signal to any thread, and then only this wakes the main one.
        signal.set_wakeup_fd(self._mouth, warn_on_full_buffer=False)

    def departed(self) -> None:
        """The core has left the market. From any thread."""
        self.has_departed = True
        with contextlib.suppress(BlockingIOError):  # A full pipe wakes the main thread as well.
            os.write(self._mouth, b".")

    def _on_sigterm(self, _signal: int, _frame: FrameType | None) -> None:
        self._told_to_leave = True

    def next(self, timeout_s: float | None) -> ToPeer | None:
        """The next order; None at the end of the channel, when the time is up, or when the core has left."""
        while True:
            if self._lines:
                order: ToPeer = _orders.decode(self._lines.pop(0))
                return order
            if self._told_to_leave:
                self._told_to_leave = False
                return Finish(leave=True)
            ready = self._wait(timeout_s)
            if not ready:
                return None
            if self._ears in ready:
                os.read(self._ears, 100)
                if self.has_departed:
                    return None
            if self._channel in ready and not self._read():
                return None

    def _wait(self, timeout_s: float | None) -> list[socket.socket | int]:
        waiting: list[socket.socket | int] = [self._channel, self._ears]
        return select.select(waiting, [], [], timeout_s)[0]

    def _read(self) -> bool:
        """Takes in what came; False at the end."""
        try:
            chunk = self._channel.recv(1 << 16)
        except OSError:
            return False
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        self._lines += [line for line in lines if line]
        return bool(chunk)


def _die(log: Log, error: BaseException | None) -> None:
    """A bug, or no more memory: says so wherever it may be read, and ends the process before it can do harm."""
    code = NO_MEMORY if wants_memory(error) else FAULT
    what = "the machine gives no more memory or threads" if code == NO_MEMORY else "a bug"
    try:
        trace = "".join(traceback.format_exception(error)) if error is not None else "no traceback"
        log.error(f"{what}; the peer ends", traceback=trace)
        print(without_secrets(trace), file=sys.stderr, flush=True)
    finally:  # What says it may want memory, too. A peer of which a thread is missing would be worse than none.
        os._exit(code)
