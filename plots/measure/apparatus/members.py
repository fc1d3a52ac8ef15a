"""A replica set for an experiment: its members are killed, frozen and cut off, and come back.

It is set up as a town sets up its own, but for the links in front of its members (`links`), and it is a database that
the town is only given: so it is the experiment that brings a member back, and when.
"""

from __future__ import annotations

import os
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from db.mongod.process import MongodProcess
from db.mongod.replica_set import PARAMETERS
from db.mongod.single_members import address_of_set, begin_set, is_whole, takes_writes
from peers.errors import TownError
from peers.waiting import wait_until
from plots.measure.apparatus.links import HOST, Links
from plots.results.experiments.replication import Blow

_PATIENCE_S = 60.0


class Members:
    """`size` members in `directory`, which is emptied first: an experiment that was interrupted has left a set there
    that cannot be begun again. Used as a context manager; all of them follow one primary on entry."""

    def __init__(self, directory: Path, size: int = 3) -> None:
        self._directory = directory
        self._processes = [
            MongodProcess(directory / f"member-{number}", founds=False, parameters=PARAMETERS)
            for number in range(1, size + 1)
        ]
        self._links: Links | None = None
        self._hit: tuple[int, Blow] | None = None

    def __enter__(self) -> Members:
        if self._directory.exists():
            shutil.rmtree(self._directory)
        try:
            with ThreadPoolExecutor(len(self._processes)) as pool:
                list(pool.map(MongodProcess.start, self._processes))
            self._links = Links([process.port for process in self._processes])
            begin_set(self._processes[0].port, self._addresses)
            self.wait_whole()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends all of it."""
        if self._links is not None:
            self._links.close()
        for process in self._processes:
            process.kill()

    @property
    def _addresses(self) -> list[str]:
        assert self._links is not None
        return [f"{HOST}:{port}" for port in self._links.ports]

    def uri(self, database: str) -> str:
        """The address of a database there, for a town."""
        return address_of_set(self._addresses, database)

    # -- looking -------------------------------------------------------------------------------------------

    def wait_whole(self) -> None:
        """Returns once all members follow one primary and have what it has. TownError if that takes too long."""
        if not wait_until(self._is_whole, _PATIENCE_S, look_s=0.1):
            raise TownError(f"the members do not all follow one primary within {_PATIENCE_S:g} s")

    def _is_whole(self) -> bool:
        return is_whole([process.port for process in self._processes])

    def primary(self, *, other_than: int | None = None) -> int:
        """The number of the present primary, which is not to be `other_than`; that one is not even asked. TownError
        if there is none for long."""

        def look() -> int | None:
            for number, process in enumerate(self._processes):
                if number != other_than and takes_writes(process.port):
                    return number + 1  # So that the first is not taken for none.
            return None

        found = wait_until(look, _PATIENCE_S, look_s=0.05)
        if found is None:
            raise TownError(f"the members have no primary within {_PATIENCE_S:g} s")
        return found - 1

    # -- breaking ------------------------------------------------------------------------------------------

    def strike(self, number: int, blow: Blow) -> None:
        """Has that befall a member."""
        self._hit = (number, blow)
        if blow == "killed":
            self._processes[number].kill()
        elif blow == "frozen":
            os.kill(self._pids[number], signal.SIGSTOP)
        else:
            assert self._links is not None
            self._links.cut(number, "members" if blow == "split" else "everybody", self._pids)

    def heal(self) -> None:
        """Undoes the last blow; the member finds its way back by itself."""
        if self._hit is None:
            return
        (number, blow), self._hit = self._hit, None
        if blow == "killed":
            self._processes[number].start()
        elif blow == "frozen":
            os.kill(self._pids[number], signal.SIGCONT)
        else:
            assert self._links is not None
            self._links.heal()

    @property
    def _pids(self) -> tuple[int, ...]:
        return tuple(process.pid or 0 for process in self._processes)
