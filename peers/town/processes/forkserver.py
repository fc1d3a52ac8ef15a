"""The process that peers are forked from: `python -m peers.town.processes.forkserver FD MODULE:FUNCTION`.

Importing what a peer needs takes a tenth of a second and megabytes; doing it once and forking makes a hundred peers
start in about a second and share most of their memory. For that this process stays single-threaded and holds no
connection. The town sends one packet a peer, with the peer's end of its channel attached, and hears in return of
every birth and death. When the town is gone, peers that have not ended by themselves are killed.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import importlib
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import msgspec

from peers.books_address import without_secrets
from peers.runtime.spec import PeerSpec
from peers.town.processes.packets import PacketStream

_GRACE_S = 3.0
"""Given to the peers to end by themselves once the town is gone. No setting: one that is told to takes less."""


class Preloaded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Everything is imported; peers can be born."""


class Born(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    name: str
    pid: int


class Died(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """`code` is the exit code, or minus the signal that ended it."""

    name: str
    pid: int
    code: int


FromForkserver = Preloaded | Born | Died
PeerMain = Callable[[PeerSpec, socket.socket], object]


class _Forkserver:
    def __init__(self, town: PacketStream, target: PeerMain, wakeup: socket.socket) -> None:
        self._town = town
        self._target = target
        self._wakeup = wakeup
        self._children: dict[int, str] = {}

    def run(self) -> None:
        """Forks and buries until the town is gone, then sees the last ones out."""
        self._say(Preloaded())
        while True:
            ready, _, _ = select.select([self._town.socket, self._wakeup], [], [])
            if self._wakeup in ready:
                _drain(self._wakeup)
                self._bury()
            if self._town.socket in ready and not self._take_orders():
                break
        deadline = time.monotonic() + _GRACE_S
        while self._children and time.monotonic() < deadline:
            select.select([self._wakeup], [], [], 0.1)
            _drain(self._wakeup)
            self._bury()
        for pid in self._children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _take_orders(self) -> bool:
        """Forks the peers that are ordered; False once the town is gone."""
        orders = self._town.receive()
        if orders is None:
            return False
        for order in orders:
            channel = socket.socket(fileno=self._town.files.popleft())
            spec = msgspec.json.decode(order, type=PeerSpec)
            pid = os.fork()
            if pid == 0:
                self._become_peer(spec, channel)
            channel.close()
            self._children[pid] = spec.name
            self._say(Born(name=spec.name, pid=pid))
        return True

    def _become_peer(self, spec: PeerSpec, channel: socket.socket) -> NoReturn:
        """In the child: lets go of what is the forkserver's, and never returns into it."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._town.close()  # And the channels of peers that are born after this one.
            self._wakeup.close()
            _redirect_output(Path(spec.directory) / "logs" / f"{spec.name}.log")
            faulthandler.enable()
            self._target(spec, channel)
            code = 0
        except SystemExit as exit_:
            code = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
        except BaseException:  # noqa: BLE001 - the last frame of the process: whatever it was goes into its log
            print(without_secrets(traceback.format_exc()), file=sys.stderr, end="")
        finally:
            with contextlib.suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _bury(self) -> None:
        while self._children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            name = self._children.pop(pid)
            self._say(Died(name=name, pid=pid, code=os.waitstatus_to_exitcode(status)))

    def _say(self, news: FromForkserver) -> None:
        with contextlib.suppress(ConnectionError):
            self._town.send(msgspec.json.encode(news))


def _redirect_output(log: Path) -> None:
    """What a peer prints, and what Python or a library prints for it, is kept."""
    log.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(fd, 1)
    os.dup2(fd, 2)
    os.close(fd)


def _drain(wakeup: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError):
        while wakeup.recv(4096):
            pass


def main() -> None:
    """Imports what peers need, freezes it, and serves the town."""
    town = PacketStream(socket.socket(fileno=int(sys.argv[1])))
    name, _, function = sys.argv[2].partition(":")
    module = importlib.import_module(name)
    target: PeerMain = getattr(module, function)
    # The terminal's Ctrl-C is for the town alone; the town then tells the peers to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    wakeup, signalled = socket.socketpair()
    wakeup.setblocking(False)
    signalled.setblocking(False)
    signal.set_wakeup_fd(signalled.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda _signal, _frame: None)
    prepare: Callable[[], None] | None = getattr(module, "prepare", None)
    if prepare is not None:
        prepare()
    gc.collect()
    # Without this, the first garbage collection in every child would write to all these pages, and so copy them.
    gc.freeze()
    _Forkserver(town, target, wakeup).run()


if __name__ == "__main__":
    main()
