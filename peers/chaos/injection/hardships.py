"""Hardships: disks that are full, bad or slow, and memory that is not to be had. Each is real, and needs no root.

A peer's disk is full by a limit that the kernel keeps; bad or slow where the peer calls the kernel. The disk of a
`mongod` is full by the same limit, bad because `strace` has its syncs fail, and slow by a fail point of its own that
holds whoever flushes its journal.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import time
from contextlib import ExitStack, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from db.audit.journals import FOLDER
from db.mongod.slow_disk import NoFailPoint, hold_syncs
from peers.chaos.events import Injected
from peers.chaos.injection.limits import files_up_to, no_more_memory
from peers.chaos.injection.strength import between
from peers.chaos.injection.targets import NoTarget
from peers.chaos.plan import Planned
from peers.runtime.spec import EatMemory, SpoilDisk
from peers.town.terminals.town import Town

if TYPE_CHECKING:
    from db.mongod.process import MongodProcess

# None of these is an option: what a strength of 0 and of 1 mean is part of what a seed stands for.
_ROOM = 300  # A full disk takes up to so many bytes more, so that a line is torn.
_TAKES_S = (0.02, 0.4)  # A write or a sync on a slow disk of a peer takes so long.
_HELD_S = (0.05, 1.0)  # A sync of a slow disk of mongod takes so long.
_SPARE = (4 << 20, 1 << 12)  # A squeezed peer is left with so many bytes.
_LOOK_S = 0.02
_ASK_S = 1.0


class Hardships:
    """Carries these faults out on one town."""

    def __init__(self, town: Town) -> None:
        self._town = town

    async def inflict(self, planned: Planned, fault: Injected) -> None:
        """Returns when it is over and undone. NoTarget if it cannot be done."""
        kind, strength, lasts_s = planned.kind, planned.strength or 0.0, planned.lasts_s
        if kind == "full-disk":
            await self._fill(fault.peers[0], round(_ROOM * strength), lasts_s)
        elif kind in ("bad-disk", "slow-disk"):
            takes_s = between(_TAKES_S, strength) if kind == "slow-disk" else 0.0
            order = SpoilDisk(seconds=lasts_s, fails=kind == "bad-disk", takes_s=takes_s)
            self._town.processes.tell(fault.peers[0], order)
            await asyncio.sleep(lasts_s)
        elif kind == "mongod-full-disk":
            await self._fill_mongod(fault, lasts_s)
        elif kind == "mongod-bad-disk":
            await self._fail_syncs(fault, lasts_s)
        elif kind == "mongod-slow-disk":
            await self._slow_mongod(between(_HELD_S, strength), lasts_s)
        else:
            await self._squeeze(fault, round(between(_SPARE, strength)), lasts_s)

    async def _squeeze(self, fault: Injected, spare: int, lasts_s: float) -> None:
        """Lets a peer have hardly any more memory, whether or not it dies of that."""
        name, processes = fault.peers[0], self._town.processes
        pid = processes.pid(name)
        processes.tell(name, EatMemory(seconds=lasts_s, spare=spare))
        with no_more_memory(pid):
            until_s = time.monotonic() + lasts_s
            while time.monotonic() < until_s and processes.pid(name) == pid:
                await asyncio.sleep(_LOOK_S)
        if processes.pid(name) != pid:
            fault.seen = f"{name} ended for want of memory"

    async def _fill(self, name: str, room: int, lasts_s: float) -> None:
        spec = self._town.processes.spec(name)
        journal = Path(spec.directory) / FOLDER / f"{name}.jsonl"
        with files_up_to(self._town.processes.pid(name), journal.stat().st_size + room):
            await asyncio.sleep(lasts_s)

    # -- of the database -------------------------------------------------------------------------------------

    def _mongod(self) -> MongodProcess:
        """The one that takes the writes."""
        replicas = self._town.services.replicas
        mongod = replicas.primary if replicas is not None else None
        if mongod is None or not mongod.alive():
            raise NoTarget("it does not run just now")
        return mongod

    async def _slow_mongod(self, held_s: float, lasts_s: float) -> None:
        try:
            await asyncio.to_thread(hold_syncs, self._mongod().direct_uri, held_s, lasts_s)
        except NoFailPoint as error:
            raise NoTarget(str(error)) from error

    async def _fill_mongod(self, fault: Injected, lasts_s: float) -> None:
        """Leaves no room; it ends for that, and whatever is started in its place finds none either meanwhile."""
        mongod = self._mongod()
        first, until_s = mongod.pid, time.monotonic() + lasts_s
        with ExitStack() as limits:
            limited: set[int] = set()
            while time.monotonic() < until_s:
                pid = mongod.pid
                if pid is not None and pid not in limited and mongod.alive():
                    limited.add(pid)
                    with suppress(NoTarget) if pid != first else nullcontext():
                        limits.enter_context(files_up_to(pid, 0))
                await asyncio.sleep(_LOOK_S)
        _note_end(mongod, first, fault)

    async def _fail_syncs(self, fault: Injected, lasts_s: float) -> None:
        """Has every sync of it fail. It must end of that, for what it could not sync may be gone."""
        mongod = self._mongod()
        strace, first = shutil.which("strace"), mongod.pid
        if strace is None:
            raise NoTarget("there is no strace here, which has the syncs of another process fail")
        calls, nowhere = "fsync,fdatasync", subprocess.DEVNULL
        command = [strace, "-f", "-qq", "-o", os.devnull, "-p", str(first)]
        command += ["-e", f"trace={calls}", "-e", f"fault={calls}:error=EIO"]
        tracer = subprocess.Popen(command, stdin=nowhere, stdout=nowhere, stderr=nowhere)
        try:
            until_s = time.monotonic() + lasts_s
            while time.monotonic() < until_s and tracer.poll() is None:
                await asyncio.sleep(_LOOK_S)
        finally:
            if tracer.poll() is None:
                tracer.send_signal(signal.SIGINT)  # It lets go of what it traced.
            with suppress(subprocess.TimeoutExpired):
                tracer.wait(_ASK_S)
            tracer.kill()
            tracer.wait()
        _note_end(mongod, first, fault)
        if not fault.seen:
            raise NoTarget("strace could not take hold of it, or it synced nothing")


def _note_end(mongod: MongodProcess, pid: int | None, fault: Injected) -> None:
    if mongod.pid != pid or not mongod.alive():
        fault.seen = f"mongod (process {pid}) ended of it"
