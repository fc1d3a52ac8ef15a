"""What the kernel lets a process have, lowered for a while from outside: room on its disk, and memory.

A limit on the size of files makes writes fail where a full disk would: at once, or in the middle of a line. One on
the address space makes the kernel refuse memory, and the stacks of threads. Neither needs any right over the machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

from peers.chaos.injection.targets import NoTarget


@contextmanager
def files_up_to(pid: int, size: int) -> Iterator[None]:
    """Meanwhile that process can write to no file beyond so many bytes. NoTarget where there is no such limit."""
    with _lowered(pid, "RLIMIT_FSIZE", size):
        yield


@contextmanager
def no_more_memory(pid: int) -> Iterator[None]:
    """Meanwhile that process gets no more than it has. NoTarget where there is no such limit."""
    # The first keeps it from new pieces, such as the stacks of threads, the second from growing those it has.
    with _lowered(pid, "RLIMIT_AS", 1), _lowered(pid, "RLIMIT_DATA", 1):
        yield


@contextmanager
def _lowered(pid: int, name: str, soft: int) -> Iterator[None]:
    limit = getattr(psutil, name, None)
    if limit is None:
        raise NoTarget("this system lets nobody limit another process")
    try:
        process = psutil.Process(pid)
        before = process.rlimit(limit)
        process.rlimit(limit, (soft, before[1]))
    except psutil.NoSuchProcess as error:
        raise NoTarget(f"process {pid} has just ended") from error
    except psutil.AccessDenied as error:
        raise NoTarget(f"process {pid} cannot be limited: {error}") from error
    try:
        yield
    finally:
        with suppress(psutil.Error):
            process.rlimit(limit, before)
