"""The switch as the chaos run sees it: starts the process, tells it what is wrong, hears what that did."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from peers.chaos.switch.faults import Ended, Listening, Places, ToSwitch, WireFault, to_run
from peers.errors import TownError

# Neither is an option: it starts in a tenth of a second, and reports at once.
_START_S = 20.0
_REPORT_S = 2.0


class SwitchClient:
    """One switch. Used within one event loop. `members`: the ports of the members of the books, which call each other
    through it."""

    def __init__(self, seed: int, log: Path, members: Sequence[int] = ()) -> None:
        self._seed = seed
        self._members = members
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._hearing: asyncio.Task[None] | None = None
        self._listening: asyncio.Future[int] | None = None
        self._waiting: dict[int, asyncio.Future[Ended]] = {}
        self._places = Places(names={})

    async def start(self) -> int:
        """Returns the port that it listens at. TownError if it does not come up."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "peers.chaos.switch.process", str(self._seed)),
                *map(str, self._members),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # The terminal's Ctrl-C is for the run alone.
            )
        self._listening = asyncio.get_running_loop().create_future()
        self._hearing = asyncio.create_task(self._hear())
        try:
            return await asyncio.wait_for(asyncio.shield(self._listening), _START_S)
        except TimeoutError as error:
            raise TownError(f"the switch did not come up; see {self._log}") from error

    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.returncode is None

    async def gone(self) -> None:
        """Returns once the process has ended."""
        if self._process is not None:
            await self._process.wait()

    def tell_places(self, places: Places) -> None:
        """Says who listens at which port, and who the members are, if that is news."""
        if places != self._places:
            self._places = places
            self._tell(places)

    async def suffer(self, fault: WireFault) -> Ended:
        """Has the wires be like that; returns what it did when it is over. TownError if the switch is gone."""
        ended = self._waiting[fault.number] = asyncio.get_running_loop().create_future()
        self._tell(fault)
        try:
            return await asyncio.wait_for(ended, fault.seconds + _REPORT_S)
        except TimeoutError as error:
            raise TownError(f"the switch does not answer; see {self._log}") from error
        finally:
            self._waiting.pop(fault.number, None)

    def _tell(self, what: ToSwitch) -> None:
        if not self.alive() or self._process is None or self._process.stdin is None:
            raise TownError(f"the switch is gone; see {self._log}")
        self._process.stdin.write(msgspec.json.encode(what) + b"\n")

    async def _hear(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        assert self._listening is not None
        while line := await self._process.stdout.readline():
            said = to_run.decode(line)
            if isinstance(said, Listening):
                self._listening.set_result(said.port)
            elif said.number in self._waiting and not self._waiting[said.number].done():
                self._waiting[said.number].set_result(said)

    async def close(self) -> None:
        """Ends it, and with it every connection that goes through it."""
        if self._process is None:
            return
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), _REPORT_S)
        except TimeoutError:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        if self._hearing is not None:
            await self._hearing
