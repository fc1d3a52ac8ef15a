"""The town's side of the forkserver: orders peers, hands out their channels, hears of births and deaths."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from peers.errors import TownError
from peers.processes import log_of_program
from peers.runtime.spec import PeerSpec
from peers.town.processes.forkserver import Born, Died, FromForkserver, Preloaded
from peers.town.processes.packets import PacketStream
from peers.waiting import await_until

OnNews = Callable[[Born | Died | None], None]


class ForkserverClient:
    """The forkserver as a subprocess, for one terminal."""

    def __init__(self, target: str, log: Path) -> None:
        self._target = target
        self._log = log
        # By name of a peer, who ordered it.
        self._orderers: dict[str, OnNews] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._stream: PacketStream | None = None
        self._ready = asyncio.Event()

    def launch(self) -> None:
        """Starts it without waiting; `wait_ready` must follow before the first order. TownError if it cannot be
        started."""
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-P", "-m", "peers.town.processes.forkserver", str(theirs.fileno()), self._target]
        try:
            with theirs, log_of_program(self._log) as log:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                    # macOS ends a child of fork in which its own frameworks find that they were in use before; here
                    # they are not, or only asked (for names, for proxies) by what starts no thread.
                    env={**os.environ, "OBJC_DISABLE_INITIALIZE_FORK_SAFETY": "YES"},
                )
        except OSError as error:
            ours.close()
            raise TownError(f"the peers' forkserver cannot be started ({error.strerror or error})") from error
        self._stream = PacketStream(ours)
        asyncio.get_running_loop().add_reader(ours.fileno(), self._hear)

    async def wait_ready(self, timeout_s: float = 30.0) -> None:
        """Returns once peers can be ordered. TownError if the forkserver does not come up."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._ready.wait()
        except TimeoutError as error:
            raise TownError(f"the peers' forkserver did not come up in {timeout_s:g} s; see {self._log}") from error
        if self._stream is None:
            raise TownError(f"the peers' forkserver could not start; see {self._log}")

    async def order(self, spec: PeerSpec, on_news: OnNews) -> socket.socket:
        """Has a peer born; returns the town's end of its channel. TownError if the forkserver is gone.

        `on_news` is called in the event loop with what becomes of it, and with None when the forkserver is gone."""
        if self._stream is None:
            raise TownError(f"the peers' forkserver is gone; see {self._log}")
        self._orderers[spec.name] = on_news
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                await self._stream.send_with_file(msgspec.json.encode(spec), theirs.fileno())
            except ConnectionError as error:
                ours.close()
                raise TownError(f"the peers' forkserver is gone; see {self._log}") from error
        return ours

    def alive(self) -> bool:
        return self._stream is not None

    def kill_all(self) -> None:
        """Kills the forkserver and every peer at once."""
        if self._process is not None and self._process.poll() is None:
            # The forkserver and its peers are all in the one process group that was made for them.
            # On macOS it is a PermissionError where those that are left have ended, and wait to be buried.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def close(self, timeout_s: float = 5.0) -> None:
        """Lets it end, now that its peers have; kills what is left."""
        self._let_go()
        if self._process is None:
            return
        process = self._process
        if not await await_until(lambda: process.poll() is not None, timeout_s, look_s=0.005):
            self.kill_all()
            process.wait()

    def _hear(self) -> None:
        assert self._stream is not None
        packets = self._stream.receive()
        if packets is None:
            self._let_go()
            self._ready.set()
            for on_news in dict.fromkeys(self._orderers.values()):
                on_news(None)
            return
        for packet in packets:
            news: FromForkserver = msgspec.json.decode(packet, type=FromForkserver)
            if isinstance(news, Preloaded):
                self._ready.set()
            else:
                self._orderers[news.name](news)

    def _let_go(self) -> None:
        if self._stream is not None:
            asyncio.get_running_loop().remove_reader(self._stream.socket.fileno())
            self._stream.close()
            self._stream = None
