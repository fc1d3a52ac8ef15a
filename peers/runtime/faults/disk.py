"""The disk of one peer of a chaos town, which may fail for a while, or be slow.

All of a peer's code writes to files, and has them synced, through these functions of `os`. What is no file (a pipe,
say) is left alone.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable

from peers.runtime.spec import SpoilDisk


class Disk:
    """The disk as this process sees it, sound until it is spoilt. From any thread."""

    def __init__(self) -> None:
        self._order = SpoilDisk(seconds=0.0)
        self._until_s = 0.0
        straight = os.write

        def write(file: int, data: bytes, /) -> int:
            self._suffer(file)
            return straight(file, data)

        os.write = write  # type: ignore[assignment]
        os.fsync = self._spoilt(os.fsync)  # type: ignore[assignment]
        os.fdatasync = self._spoilt(os.fdatasync)  # type: ignore[assignment]

    def spoil(self, order: SpoilDisk) -> None:
        """Is as ordered from now on, instead of what was ordered before."""
        self._order, self._until_s = order, time.monotonic() + order.seconds

    def _spoilt(self, sync: Callable[[int], None]) -> Callable[[int], None]:
        def synced(file: int) -> None:
            self._suffer(file)
            sync(file)

        return synced

    def _suffer(self, file: int) -> None:
        if time.monotonic() >= self._until_s or not stat.S_ISREG(os.fstat(file).st_mode):
            return
        if self._order.takes_s:
            time.sleep(self._order.takes_s)
        if self._order.fails:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
