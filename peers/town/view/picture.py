"""Has the graph drawn as a picture, by a process of lowest priority, so that it costs the market next to nothing."""

from __future__ import annotations

import asyncio
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec

from peers.processes import log_of_program
from peers.town.files.directory import Directory

_CALM_S = 1.0
"""After this long, every peer has begun to trade. No setting: it only keeps drawing out of the opening."""


class Painter:
    """Draws `network.png` from `network.json`, if that is `wanted`; one picture at a time, the latest wish last.
    `warn` is told, in one line, the first time that one cannot be drawn."""

    def __init__(self, directory: Directory, warn: Callable[[str], None], *, wanted: bool) -> None:
        self._directory = directory
        self._warn = warn
        self._has_warned = False
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

    def _warn_once(self, line: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            self._warn(line)

    async def _paint(self) -> None:
        while True:
            self._again = False
            command = [sys.executable, "-P", "-m", "plots.draw.network"]
            command += [str(self._directory.network_json), str(self._directory.network_png)]
            if self._trader is not None:
                command += ["--trader", self._trader]
            try:
                with log_of_program(self._directory.logs / "picture.log") as log:
                    self._process = await asyncio.create_subprocess_exec(
                        *command, "--nice", stdin=DEVNULL, stdout=log, stderr=log, start_new_session=True
                    )
            except (OSError, RuntimeError) as error:  # No process, or no thread to wait for its end.
                self._warn_once(f"the graph cannot be drawn ({error}); network.json has it")
                return
            await self._process.wait()
            if not self._again:
                return
