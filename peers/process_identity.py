"""Which process that is: a number alone may have passed to another by now.

No clock on the wall is asked, for one that is set must not make strangers of processes that live. Linux counts the
ticks from the boot of the machine to the start of a process; elsewhere the kernel keeps the time at which it began.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import psutil

from peers.boot import boot

_PROC = Path("/proc")
_STATE, _START = 0, 19
"""Where the two stand in /proc/PID/stat, counted from behind the name of the program, which may hold anything."""


def identity_of(pid: int) -> str:
    """Returns what no other process ever has, and "" if none with that number runs, or it cannot be told."""
    try:
        if not _PROC.joinpath("self", "stat").exists():
            return repr(psutil.Process(pid).create_time())
        fields = (_PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
    except (OSError, psutil.Error):
        return ""
    # One that has ended stays until its parent has asked how; it does nothing any more.
    return "" if fields[_STATE] in (b"Z", b"X") else f"{_place()}/{fields[_START].decode()}"


def has_ended(pid: int, identity: str) -> bool:
    """Whether the process that had this number and this identity ("": unknown) has certainly ended. Of one in another
    container or on another machine, which has written to the same folder, nothing is certain here."""
    if "/" in identity and identity.rpartition("/")[0] != _place():
        return False
    now = identity_of(pid)
    # An earlier version of ours knew processes by the time of their start only, which is compared with nothing else.
    if identity and now and ("/" in identity) == ("/" in now):
        return now != identity
    return not psutil.pid_exists(pid) or _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.AccessDenied:
        return False
    except psutil.NoSuchProcess:
        return True


@cache
def _place() -> str:
    """Within what the numbers of processes mean the same: the boot of a machine, and a container there."""
    try:
        return f"{boot()}/{(_PROC / 'self' / 'ns' / 'pid').readlink()}"
    except OSError:
        return f"{boot()}/"
