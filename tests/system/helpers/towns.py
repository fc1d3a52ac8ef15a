"""Starts towns as real processes, waits for what they say, and sees whether they leave anything behind."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from tests.helpers.processes import family_of, is_at_work, kill
from tests.helpers.waiting import wait_until

ROOT = Path(__file__).parents[3]
PATIENCE_S = 60.0

_STUB = (
    "import sys, msgspec; from pathlib import Path; from peers.errors import BazaarError; "
    "from peers.town.plan.options import RunOptions; from peers.town.terminals.run import run; "
    "given = {'host': '127.0.0.1', 'target': 'tests.system.helpers.stub_peer:run_stub'}; "
    "given |= msgspec.json.decode(sys.argv[1]); "
    "options = RunOptions(**given, directory=Path(sys.argv[2])); "
    "sys.exit(run(options))"
)

# A session of its own has no terminal until it takes one.
_SHELL = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"


class RunningTown:
    """One terminal: its process, what it has said, and all the processes it ever had. `stdin`: an open file."""

    def __init__(
        self, command: list[str], directory: Path, out: Path, stdin: int = subprocess.DEVNULL, /, **environment: str
    ) -> None:
        self.directory = directory
        self.out = out
        with out.open("wb") as to:
            self.process = subprocess.Popen(
                command,
                stdin=stdin,
                stdout=to,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            )
        self.family: set[psutil.Process] = set()

    @property
    def text(self) -> str:
        return self.out.read_text()

    def says(self, words: str, patience_s: float = PATIENCE_S) -> None:
        """Waits until it has said `words`."""

        def look() -> bool:
            has_ended = self.process.poll() is not None  # Asked first, for its last words may be the ones.
            said = words in self.text
            assert said or not has_ended, f"ended without {words!r}:\n{self.text}"
            return said

        wait_until(look, f"{words!r} in:\n{self.text}", deadline_s=patience_s)

    def note_family(self) -> list[psutil.Process]:
        """Remembers all processes it has now: none if it has just ended."""
        now = family_of(self.process.pid)
        self.family.update(now)
        return now

    def interrupt(self) -> None:
        self.note_family()
        self.process.send_signal(signal.SIGINT)

    def wait(self, patience_s: float = PATIENCE_S) -> int:
        """Waits for the end; returns the exit code."""
        try:
            return self.process.wait(patience_s)
        except subprocess.TimeoutExpired as late:
            raise AssertionError(f"did not end in {patience_s:g} s:\n{self.text}") from late

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads((self.directory / "town.json").read_text())
        return state

    def peers(self) -> dict[str, dict[str, Any]]:
        """State files by name. One may vanish between listing and reading: then look again."""
        found = {}
        for path in (self.directory / "peers").glob("[!.]*.json"):
            try:
                found[path.stem] = json.loads(path.read_text())
            except FileNotFoundError:
                return self.peers()
        return found

    def network(self) -> dict[str, list[str]]:
        path = self.directory / "network.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def left_nothing(self, patience_s: float = 10.0) -> None:
        """Fails if one of the processes seen is still there."""
        assert self.family, "no process was noted while it ran"
        wait_until(lambda: not self.left(), f"left running: {self.left()}", deadline_s=patience_s)

    def left(self) -> list[psutil.Process]:
        """Those of the processes seen that are still there."""
        return [each for each in self.family if is_at_work(each)]

    def kill(self) -> None:
        """For the end of a test that failed."""
        if self.process.poll() is None:
            self.note_family()
            self.process.kill()
            self.process.wait()
        for each in self.left():
            kill(each)


def stub_town(directory: Path, n: int = 4, *, ignores: str = "", **options: object) -> RunningTown:
    """A town whose peers only speak the channel. `ignores`: signals it is started to ignore, as in "HUP INT"."""
    given = json.dumps({"n": n, **options})
    out = directory.parent / f"{directory.name}-{time.monotonic_ns()}.out"
    command = [sys.executable, "-c", _STUB, given, str(directory)]
    if ignores:
        command = ["sh", "-c", f"trap '' {ignores}; exec \"$@\"", "sh", *command]
    return RunningTown(command, directory, out)


class Window:
    """A terminal window: an interactive shell, and what was typed into it. `shell` is that, and has what is run."""

    def __init__(self, command: Sequence[str], directory: Path, out: Path) -> None:
        self._screen, keyboard = os.openpty()
        try:
            shell = [sys.executable, "-c", _SHELL, "bash", "--norc", "--noprofile", "-i"]
            self.shell = RunningTown(shell, directory, out, keyboard)
        finally:
            os.close(keyboard)
        os.write(self._screen, f"cd {ROOT}; {shlex.join(command)}\n".encode())

    def close(self) -> None:
        """Closes it as a click does: the shell hangs up its jobs, and the kernel does again when the shell ends."""
        if self._screen >= 0:
            os.close(self._screen)
            self._screen = -1


def bazaar(*arguments: str, patience_s: float = PATIENCE_S) -> subprocess.CompletedProcess[str]:
    """Runs a command that ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", "peers.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=patience_s,
        check=False,
        cwd=ROOT,
    )
