"""Has the graph drawn as a picture, by a process of lowest priority, so that it costs the market next to nothing."""

from __future__ import annotations

import asyncio
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from contextlib import suppress
from importlib.util import find_spec

from peers.town.files.directory import Directory

_CALM_S = 1.0
"""After this long, every peer has begun to trade. No setting: it only keeps drawing out of the opening."""


class Painter:
    """Draws `network.png` from `network.json`, if that is `wanted`; one picture at a time, the latest wish last."""

    def __init__(self, directory: Directory, *, wanted: bool) -> None:
        self._directory = directory
        # Where what draws is not installed, as in the image for containers, there is nothing to want.
        self._wanted = wanted and find_spec("matplotlib") is not None
        self._opened_s = time.monotonic()
        # The graph as it was last painted.
        self._drawn: dict[str, list[str]] | None = None
        self._task: asyncio.Task[None] | None = None
        self._process: Process | None = None
        self._again = False
        self._trader: str | None = None

    def open(self) -> None:
        """The market opens, which takes all processors for a while."""
        self._opened_s = time.monotonic()

    def follow(self, trader: str | None) -> None:
        """Paints the graph if it has changed, once the opening is over."""
        if not self._wanted or trader is None or time.monotonic() - self._opened_s <= _CALM_S:
            return
        graph = self._directory.read_network()
        if graph != self._drawn:
            self._drawn = graph
            self._paint_soon(trader)

    def close_market(self, trader: str | None) -> None:
        """Paints what there is, if nothing was painted yet: a run this short never calmed down."""
        if self._wanted and trader is not None and self._drawn is None:
            self._paint_soon(trader)

    def _paint_soon(self, trader: str) -> None:
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
