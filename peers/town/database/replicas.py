"""Books in several `mongod`: those of them that run on this machine, and the care for the set that they belong to.

The design. A town with `--replicas 3` opens with one `mongod`, a replica set of one, and is open as soon as that is.
On one machine the others are started behind it, while the market is open already. On several machines each of the
next that join by an invitation brings one, until there are three; the invitation holds the key that members have in
common. A member that joins copies the books first and has no vote: of two that vote, the loss of either would stop
trade. Once three have the books, all three vote, and any one of them may be lost; which that are just now, every
terminal says whenever it changes. `db.mongod.votes` decides that, `db.mongod.replica_set` has the server do it.

What a machine knows of the set is kept in `replication.json`: how many members it is to have, which run here,
and where the others were last. So a machine that comes back starts its member before it looks for anybody, for the
others may be waiting for just that one. A member whose disk was lost does not come back as if nothing had happened:
what it voted for, and has forgotten, might be acknowledged. It is taken out of the set, and joins anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import msgspec

from db.mongod.process import MongodProcess
from db.mongod.replica_set import PARAMETERS, ReplicaSet, call_elsewhere, set_uri
from db.mongod.votes import HandOver, SetView, next_step_to_leave, next_vote, what_may_be_lost
from peers.endpoints import split_endpoint, try_to_bind
from peers.errors import LedgerError, TownError
from peers.town.database.record_again import restore_replication
from peers.town.database.replication import Replication, members_elsewhere, read_replication, write_replication

# None of these is a setting: they say how soon a change of the set is seen, and bound what is waited for.
_LOOK_S = 0.5
_AGAIN_S = 0.1
_EXPEL_S = 20.0
_LEAVE_S = 10.0
_MOST_STEPS = 12
_SILENT = 3


class Teller(Protocol):
    """Whoever is told how the set is: a console."""

    def say(self, line: str, style: str = "") -> None:
        """Takes a line in."""

    def warn(self, line: str) -> None:
        """Takes a line in about something that failed."""


class Replicas:
    """The members of the set that run here, the founder first if this is its machine. `uri`: the address of any
    member, as `MongodProcess.uri` has it; `record`: what is known of the set from before."""

    def __init__(
        self,
        home: Path,
        console: Teller,
        processes: list[MongodProcess],
        record: Replication,
        uri: str | None = None,
    ) -> None:
        self._home = home
        self._console = console
        self.processes = processes
        self._given = uri
        self._before = record
        self.record = record
        self._set: ReplicaSet | None = None
        self._said = ""
        self._refused: dict[MongodProcess, str] = {}  # Why a member could not be started, as was said last.
        self._primary: str | None = None
        self._is_safe = False
        self._silent = 0  # So many looks in a row were not answered.
        self._ended = threading.Event()

    @property
    def uri(self) -> str:
        """The address of the whole set, by all members that are known."""
        given = self._given or self.processes[0].uri
        if not self.is_several:
            return given
        return set_uri(given, tuple(dict.fromkeys((*self._own(), *self.record.known))))

    @property
    def is_several(self) -> bool:
        """Whether it is to be a set of several members."""
        return self.record.wanted > 1

    @property
    def has_others(self) -> bool:
        """Whether other machines have members too."""
        return bool(set(self.record.known) - set(self._own()))

    def _own(self) -> tuple[str, ...]:
        return tuple(each.address for each in self.processes if each.port)

    # -- at the beginning ----------------------------------------------------------------------------------

    def open(self) -> str:
        """Starts the first member, and those that were in the set before; returns the address of the set, which takes
        writes then. LedgerError if it does not come to that."""
        self.start_those_of_before()
        self.processes[0].start()
        if self.is_several:
            self.wait_for_primary()
        return self.uri

    def start_those_of_before(self) -> None:
        """Starts all members that have books already. LedgerError if one cannot be started."""
        there = [each for each in self.processes if each.dbpath.is_dir()]
        if not there:
            return
        with ThreadPoolExecutor(len(there)) as pool:
            list(pool.map(MongodProcess.start, there))
        moved = {old: new for old, new in zip(self._before.own, self._own(), strict=False) if old != new}
        if moved and set(self._before.known) == set(self._before.own):  # They all run here.
            call_elsewhere(there[0].uri, moved)
            self._note(self._own())

    def wait_for_primary(self) -> None:
        """Returns once the set takes writes: at once where it is a set of one, else when a majority is there.

        LedgerError if it is ended before."""
        while not self._ended.is_set():
            with suppress(LedgerError):
                view = self._look()
                self._take_moved(view)
                if view.primary is not None:
                    self._note(view.addresses)
                    return
                self._say(what_may_be_lost(view, self.record.wanted))
            self._ended.wait(_AGAIN_S)
        raise LedgerError("the books had no primary until the end")

    def join(self) -> None:
        """Starts an empty member here, where there is to be one and the set has a place for it; `keep` has it let in.

        LedgerError if the set does not answer, or it cannot be started."""
        if not self.processes or self.processes[0].dbpath.is_dir():
            return
        ours = self.processes[0]
        replica_set = self._connected()
        view = replica_set.look()
        if ours.address in view.addresses:  # Its disk was lost, or there would have been books.
            deadline_s = time.monotonic() + _EXPEL_S
            while not replica_set.expel(ours.address):
                if time.monotonic() > deadline_s:
                    raise LedgerError(f"{ours.address} has lost its books, and the set cannot let it go just now")
                time.sleep(_AGAIN_S)
        elif len(view.replicas) >= self.record.wanted:
            self.processes.clear()
            return
        ours.start()

    @property
    def primary(self) -> MongodProcess | None:
        """Who takes the writes, as last seen; None if it runs elsewhere, or nobody does."""
        if not self.is_several:
            return self.processes[0]
        return next((each for each in self.processes if each.address == self._primary), None)

    @property
    def is_safe(self) -> bool:
        """Whether one more member might be lost, as last seen."""
        return self._is_safe

    def died(self) -> list[MongodProcess]:
        """Returns those that ran here and do not any more."""
        return [each for each in self.processes if each.pid is not None and not each.alive()]

    # -- while it runs -------------------------------------------------------------------------------------

    async def keep(self) -> None:
        """Has the members here belong to the set, sees to the votes, and says what may be lost, for ever."""
        while True:
            await asyncio.to_thread(self._care)
            await asyncio.sleep(_LOOK_S)

    def _care(self) -> None:
        self._start_further()
        try:
            view = self._bring_in(self._look())
            self._primary = view.primary.address if view.primary is not None else None
            self._is_safe = view.spare > 0
            self._say(what_may_be_lost(view, self.record.wanted), good=self._is_safe)
            self._silent = 0
        except LedgerError as error:
            self._primary, self._is_safe, self._silent = None, False, self._silent + 1
            if self._silent > _SILENT:  # Fewer come with every change of the primary.
                self._say(f"no member of the books answers, and trade waits for one: {error}")

    def _start_further(self) -> None:
        """Starts those that were never started yet; which of them cannot be is said once, and it is tried again."""
        for process in self.processes:
            try:
                if process.pid is None and not self._ended.is_set():
                    process.start()
            except LedgerError as error:
                if self._refused.get(process) != str(error):
                    self._console.warn(f"a member of the books cannot be started: {error}; it is tried again")
                self._refused[process] = str(error)

    def _bring_in(self, view: SetView) -> SetView:
        """Lets in those of our members that are not in yet, and has votes given where that is ours to do."""
        strangers = [each for each in self._own() if not view.has(each)]
        for address in strangers:
            if not self._connected().admit(address, most=self.record.wanted, formerly=self._formerly(address)):
                self._check_place(address)
        if strangers:
            view = self._look()
        for _ in range(_MOST_STEPS):
            vote = next_vote(view)
            if vote is None or view.primary is None or view.primary.address not in self._own():
                break
            if not self._connected().give(vote):
                time.sleep(_AGAIN_S)
            view = self._look()
        self._note(view.addresses)
        return view

    def _take_moved(self, view: SetView) -> None:
        for address in self._own():
            formerly = self._formerly(address)
            if formerly is not None and address not in view.addresses and view.primary is not None:
                self._connected().admit(address, most=self.record.wanted, formerly=formerly)

    def _formerly(self, address: str) -> str | None:
        """Where a member of ours listened before, if that is somewhere else."""
        before = dict(zip(self._own(), self._before.own, strict=False)).get(address)
        return None if before == address else before

    def _check_place(self, address: str) -> None:
        """Ends a member that came too late: others have taken the last places meanwhile."""
        view = self._look()
        if address in view.addresses or len(view.replicas) < self.record.wanted:
            return
        for process in [each for each in self.processes if each.address == address]:
            self.processes.remove(process)
            process.kill()
            shutil.rmtree(process.dbpath, ignore_errors=True)

    def _look(self) -> SetView:
        return self._connected().look()

    def _connected(self) -> ReplicaSet:
        if self._set is None:
            self._set = ReplicaSet(self.uri)
        return self._set

    def _note(self, addresses: tuple[str, ...]) -> None:
        record = msgspec.structs.replace(self.record, own=self._own(), known=addresses)
        if record != self.record:
            self.record = record
            with suppress(OSError):  # Without it, a machine that comes back finds the others by its invitation.
                write_replication(self._home, record)

    def _say(self, line: str, *, good: bool = False) -> None:
        if line != self._said and not self._ended.is_set():
            self._said = line
            self._console.say(line, "green" if good else "yellow")

    # -- the end -------------------------------------------------------------------------------------------

    def leave(self) -> None:
        """Gives up the votes of the members here, as far as that works within seconds: whoever stays has a majority
        without them then, and trade goes on."""
        deadline_s = time.monotonic() + _LEAVE_S
        ours = self._own()
        while time.monotonic() < deadline_s:
            with suppress(LedgerError):
                view = self._look()
                step = next_step_to_leave(view, ours)
                if step is None and (view.primary is not None or view.spare < 0):
                    return
                if isinstance(step, HandOver):
                    self._connected().hand_over()
                elif step is not None:
                    is_ours = any(each.number == step.number and each.address in ours for each in view.replicas)
                    self._connected().give(step, leaves=is_ours)
            time.sleep(_AGAIN_S)

    def end(self) -> None:
        """Has whatever waits for the set stop that."""
        self._ended.set()

    def close(self, timeout_s: float = 5.0) -> None:
        """Ends the members here, all at once: asked first, killed after `timeout_s`."""
        self.end()
        if self._set is not None:
            self._set.close()
        if self.processes:
            with ThreadPoolExecutor(len(self.processes)) as pool:
                list(pool.map(lambda each: each.stop(timeout_s), self.processes))

    def kill(self) -> None:
        """Ends the members here at once."""
        self.end()
        for process in self.processes:
            process.kill()


@contextlib.contextmanager
def books_at_rest(home: Path, console: Teller) -> Iterator[str]:
    """Starts the books that a town has left in `home`, all their members; gives their address, and ends them at last.

    LedgerError if they cannot be started, TownError if other machines have some of the members, or nobody knows in
    which they are."""
    restore_replication(home, console.warn)
    record = read_replication(home) or Replication(wanted=1)
    if members_elsewhere(home):
        raise TownError(
            f"the books in {home} are in members on several machines, which decide together what stands: "
            "audit while the town runs"
        )
    replicas = Replicas(home, console, all_here(home, record), record)
    try:
        yield replicas.open()
    finally:
        replicas.close()


def all_here(
    home: Path,
    record: Replication,
    parameters: Mapping[str, object] = MappingProxyType({}),
    *,
    called: str | None = None,
    ports: Sequence[int] = (),
    preferred: int = 0,
) -> list[MongodProcess]:
    """All members of a set on one machine, each in a directory of its own, at these ports, or at those of before; a
    single one is at the port `preferred` if that is free. `parameters`: what else they are started with; `called`:
    the address they are called by, where it is another than the one they listen at."""
    ports = list(ports) or [split_endpoint(each)[1] for each in record.own]
    ports += [0] * (record.wanted - len(ports))
    if record.wanted == 1:
        return [MongodProcess(home, preferred=preferred, parameters=parameters)]
    return [
        MongodProcess(
            home if not number else home / str(number + 1),
            port=_if_free(port),
            called=called,
            founds=not number,
            parameters={**PARAMETERS, **parameters},
        )
        for number, port in enumerate(ports)
    ]


def _if_free(port: int) -> int:
    try:
        return try_to_bind("127.0.0.1", port) if port else 0
    except OSError:
        return 0
