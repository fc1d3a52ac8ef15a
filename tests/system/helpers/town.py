"""A town under test: the real command, real processes, and words to break it and look at it with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

import psutil
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from tests.helpers.processes import family_of, is_at_work, kill, words_of
from tests.helpers.waiting import DEADLINE_S, wait_until

T = TypeVar("T")
BAZAAR = (sys.executable, "-m", "peers.cli")


def bazaar(*arguments: object, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
    """Runs one command to its end."""
    return subprocess.run(
        [*BAZAAR, *map(str, arguments)], capture_output=True, text=True, timeout=timeout_s, check=False
    )


def processes_of(place: Path) -> list[psutil.Process]:
    """Whoever was told of that place, or of one in it."""
    return [p for p in psutil.process_iter() if any(str(place) in word for word in words_of(p.pid))]


class Town:
    """A running `bazaar run`, in a directory of its own."""

    def __init__(self, directory: Path, process: subprocess.Popen[str], output: IO[str]) -> None:
        self.directory = directory
        self._process = process
        self._output = output
        self._books: MongoClient[dict[str, Any]] | None = None

    # -- looking -------------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """What `bazaar status --json` says; {} while there is no town yet."""
        done = bazaar("status", "--json", "--dir", self.directory)
        status: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 and done.stdout else {}
        return status

    def peers(self, *, alive: bool = True) -> dict[str, dict[str, Any]]:
        return {p["name"]: p for p in self.status().get("peers", []) if p["alive"] == alive}

    def pid_of(self, name: str) -> int:
        return next(int(p["pid"]) for p in self.status()["peers"] if p["name"] == name)

    @property
    def books(self) -> Any:
        """The town's database, read as anybody could."""
        if self._books is None:
            state = self.status()
            self._books = MongoClient(state["mongo_uri"], serverSelectionTimeoutMS=2000)
        return self._books["bazaar"]

    def post(self) -> dict[str, Any]:
        """The post of trader as the ledger has it; {} while the ledger cannot be reached."""
        try:
            return self.books.posts.find_one({"_id": "main"}) or {}
        except PyMongoError:
            return {}

    def sales(self) -> int:
        try:
            return int(self.books.requests.count_documents({"status": "sold"}))
        except PyMongoError:
            return 0

    def output(self) -> str:
        self._output.flush()
        return Path(self._output.name).read_text()

    # -- waiting -------------------------------------------------------------------------------------------

    def wait_for_sales(self, more: int, *, deadline_s: float = DEADLINE_S) -> int:
        """Waits until `more` sales have been recorded than now; returns how many there are then."""
        before = self.sales()
        wait_until(lambda: self.sales() >= before + more, what=f"{more} more sales", deadline_s=deadline_s)
        return self.sales()

    def wait_for_trader(self, *, other_than: str | None = None) -> str:
        def found() -> str | None:
            trader = self.post().get("trader")
            return trader if trader and trader != other_than else None

        return wait_until(found, what=f"a trader other than {other_than}")

    # -- breaking ------------------------------------------------------------------------------------------

    def signal(self, name: str, number: signal.Signals) -> int:
        pid = self.pid_of(name)
        os.kill(pid, number)
        return pid

    def child(self, needle: str) -> psutil.Process:
        """The town's child process whose command line contains `needle`."""
        return next(c for c in family_of(self._process.pid) if any(needle in word for word in words_of(c.pid)))

    # -- ending --------------------------------------------------------------------------------------------

    def stop(self) -> int:
        """One Ctrl-C; returns the exit code. Nothing of the town may be left running."""
        family = family_of(self._process.pid)
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        code = self._process.wait(timeout=60)
        left = [process.pid for process in family if is_at_work(process)]
        assert not left, f"left running: {left}\n{self.output()}"
        return code

    def kill(self) -> None:
        if self._books is not None:
            self._books.close()
        for process in family_of(self._process.pid):
            kill(process)
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()


@contextmanager
def running_town(directory: Path, n: int = 6, *options: object) -> Iterator[Town]:
    """Starts a town and waits until it trades; ends it, whatever happens. The output is shown where a test fails."""
    directory.mkdir(parents=True, exist_ok=True)
    command = [*BAZAAR, "run", "localhost", str(n), "--dir", str(directory), *map(str, options)]
    with (directory / "output.txt").open("w+") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, text=True)
        town = Town(directory, process, output)
        try:
            wait_until(lambda: town.status().get("trader"), what="a town with a trader")
            yield town
        except BaseException:
            print(town.output()[-8000:])
            raise
        finally:
            town.kill()
