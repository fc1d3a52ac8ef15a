"""Looking at processes that may end at any moment, also between two questions about them."""

from __future__ import annotations

import contextlib

import psutil


def family_of(pid: int) -> list[psutil.Process]:
    """Returns all processes below this one; none once it has ended."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def is_at_work(process: psutil.Process) -> bool:
    """Returns whether it has not ended."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def words_of(pid: int) -> list[str]:
    """Returns the command line of a process; no words for one that has ended, or may not be looked at."""
    try:
        return psutil.Process(pid).cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return []


def kill(process: psutil.Process) -> None:
    """Ends it at once, if it has not ended by itself."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill()
