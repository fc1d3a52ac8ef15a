"""Has the graph drawn as a picture, by a process of lowest priority, so that it costs the market next to nothing."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import DEVNULL, Process
from contextlib import suppress
from importlib.util import find_spec

from peers.town.directory import Directory


class Painter:
    """Draws `network.png` from `network.json`; one picture at a time, the latest wish is served last."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._task: asyncio.Task[None] | None = None
        self._process: Process | None = None
        self._again = False
        self._trader: str | None = None

    def paint(self, trader: str | None) -> None:
        """Wishes for a picture with this trader marked. Where what draws is not installed, as in the image for
        containers, that is all."""
        if find_spec("matplotlib") is None:
            return
        self._trader = trader
        if self._task is not None and not self._task.done():
            self._again = True
            return
        self._task = asyncio.get_running_loop().create_task(self._paint())

    async def close(self, timeout_s: float = 10.0) -> None:
        """Lets the picture under way be finished, within reason."""
        if self._task is None:
            return
        self._again = False
        try:
            async with asyncio.timeout(timeout_s):
                await self._task
        except TimeoutError:
            self.kill()

    def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()

    async def _paint(self) -> None:
        while True:
            self._again = False
            command = [sys.executable, "-P", "-m", "plots.draw.network"]
            command += [str(self._directory.network_json), str(self._directory.network_png)]
            if self._trader is not None:
                command += ["--trader", self._trader]
            try:
                log = (self._directory.logs / "picture.log").open("ab")
            except OSError:
                return  # Where there is no place for a log, there is none for a picture.
            with log:
                self._process = await asyncio.create_subprocess_exec(
                    *command, "--nice", stdin=DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
            await self._process.wait()
            if not self._again:
                return
