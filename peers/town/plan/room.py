"""What a machine has room for: said before anything is started, with what to do about it.

A container may allow less than its machine has, so both are asked. Where a limit cannot be read, there is none.
"""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from pathlib import Path

import psutil

from peers.errors import SettingsError

# None of these is a setting: they were measured, or are given by the system.
# Megabytes by which each peer shrinks the free memory of a machine; measured with 100 and with 300 peers.
MB_A_PEER = 9
THREADS_A_PEER = 15  # Those of one peer in a busy market, and some to spare.
_OTHER_FILES = 200  # Files the trader has open besides two connections to each of the other peers.
# Version 2 of cgroups has its files at the top; version 1 has them in a folder for each controller.
_CGROUPS = ("", "memory", "pids")
_NO_LIMIT = 1 << 50


def check_room(n: int, cgroup: Path = Path("/sys/fs/cgroup")) -> None:
    """Raises SettingsError if there is no room for `n` peers."""
    needed, free = n * MB_A_PEER, _free_bytes(cgroup) // 1_000_000
    if needed > free:
        raise SettingsError(f"{n} peers need about {needed} MB of memory, and {free} MB are free: start fewer")
    needed, allowed = n * THREADS_A_PEER, _allowed_threads(cgroup)
    if needed > allowed:
        raise SettingsError(
            f"{n} peers need about {needed} threads, and {allowed} are allowed here: start fewer, "
            "or raise the limit (ulimit -u; in a container, its limit of processes)"
        )
    needed, allowed = 2 * n + _OTHER_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if 0 <= allowed < needed:
        raise SettingsError(
            f"a trader of {n} peers has up to {needed} files open, and {allowed} are allowed here: start fewer, "
            "or raise the limit (ulimit -Hn)"
        )


def processors(cgroup: Path = Path("/sys/fs/cgroup")) -> float:
    """Returns how many processors this process may use; a container may be allowed a part of one."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):
        quota, period = (cgroup / "cpu.max").read_text().split()
        return min(there, int(quota) / int(period))
    quota_us, period_us = (_read(cgroup, f"cpu/cpu.cfs_{name}_us") for name in ("quota", "period"))
    return min(there, quota_us / period_us) if 0 < quota_us < _NO_LIMIT and 0 < period_us < _NO_LIMIT else there


def _free_bytes(cgroup: Path) -> int:
    free = psutil.virtual_memory().available
    for limit, used in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
        free = min(free, _read(cgroup, limit) - _read(cgroup, used, otherwise=0) + _cached_bytes(cgroup))
    return max(free, 0)


def _cached_bytes(cgroup: Path) -> int:
    """What counts as used, and is given back when it is needed: pages of files."""
    for part in _CGROUPS:
        with suppress(OSError, ValueError):
            lines = (cgroup / part / "memory.stat").read_text().splitlines()
            return sum(int(line.split()[1]) for line in lines if line.startswith("inactive_file "))
    return 0


def _allowed_threads(cgroup: Path, kernel: Path = Path("/proc/sys/kernel")) -> int:
    of_machine = _read(kernel, "threads-max")
    if of_machine == _NO_LIMIT:
        return _NO_LIMIT  # No Linux: there the limit of a user is one of processes, and threads do not count.
    of_user = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    of_group = _read(cgroup, "pids.max") - _read(cgroup, "pids.current", otherwise=0)
    return min(of_machine, of_group, of_user if of_user >= 0 else _NO_LIMIT)


def _read(directory: Path, name: str, otherwise: int = _NO_LIMIT) -> int:
    """The number in that file, wherever it is."""
    for part in _CGROUPS:
        # The file may be missing, or say "max": then it sets no limit.
        with suppress(OSError, ValueError):
            return min(int((directory / part / name).read_text()), _NO_LIMIT)
    return otherwise
