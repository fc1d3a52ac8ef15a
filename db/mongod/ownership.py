"""Whose a directory with a mongod in it is: one process at a time, and what a dead one left running is ended."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import psutil

from peers.errors import LedgerError
from peers.files import write_whole
from peers.process_identity import has_ended, identity_of

_OWNER = "mongod.owner"
"""The file that names the process a mongod belongs to: its number, and what no other of that number has."""


def claim(directory: Path, dbpath: Path) -> None:
    """Makes the directory ours, and ends a mongod left behind by a dead owner.

    LedgerError if its owner lives; OSError, or psutil.Error, if the system refuses something of it."""
    owner_file = directory / _OWNER
    stale = _mongod_on(dbpath)
    if stale is not None:
        owner = _read_owner(owner_file)
        if owner is not None:
            raise LedgerError(
                f"{directory} is in use: mongod {stale.pid} belongs to the running process {owner}; "
                "stop that one, or choose another directory"
            )
        _end(stale)
    me = os.getpid()
    write_whole(owner_file, f"{me} {identity_of(me)}\n".encode(), durable=False)


def _mongod_on(dbpath: Path) -> psutil.Process | None:
    """Returns the live mongod that has `dbpath` open, if its lock file names one."""
    try:
        process = psutil.Process(int((dbpath / "mongod.lock").read_text()))
        ours = str(dbpath) in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE
    except (OSError, ValueError, psutil.NoSuchProcess, psutil.AccessDenied):
        return None  # There is no lock, it is empty after a clean end, or the process named has long ended.
    return process if ours else None


def _read_owner(owner_file: Path) -> int | None:
    """Returns the pid of the owner unless it has certainly ended."""
    try:
        pid, _, identity = owner_file.read_text().strip().partition(" ")
        return None if has_ended(int(pid), identity) else int(pid)
    except (OSError, ValueError):
        return None


def _end(process: psutil.Process, timeout_s: float = 5.0) -> None:
    try:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(timeout_s)
    except psutil.TimeoutExpired:
        process.kill()
        process.wait(timeout_s)
    except psutil.NoSuchProcess:
        return


def disown(directory: Path) -> None:
    """Gives the directory back, unless it is another's by now."""
    owner_file = directory / _OWNER
    if _read_owner(owner_file) == os.getpid():
        # Where it has to stay, it names an owner that is soon dead, which is as good as none.
        with contextlib.suppress(OSError):
            owner_file.unlink(missing_ok=True)
