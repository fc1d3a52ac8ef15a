"""A peer is whole, or ends: none goes on without one of its threads, which would answer some and never the others.

Python lets the other threads go on when one ends with an error, and where the machine gives no more memory, it cannot
even say so: what is to be told of it wants memory as well. So each thread is begun by code of ours, which ends the
process with what needs none. One more way is left, for which somebody has to look: a thread that gets no memory at
its very beginning is never heard of, and who started it waits for it for ever, perhaps with a lock in its hand.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from peers.points import NO_MEMORY

# Neither is a setting: a thread begins within a millisecond, on a machine that is overloaded within a second.
_LOOK_S = 1.0
_LOOKS = 5  # So many looks in a row a thread may be about to begin.

OnFault = Callable[[BaseException], None]


def wants_memory(error: BaseException | None) -> bool:
    """Whether that was raised for want of memory. Python says of a thread that it cannot start, and not why."""
    while error is not None:
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
            return True
        if isinstance(error, RuntimeError) and "start new thread" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


class Wholeness:
    """Sees to it in this process; once a process, for it changes how all its threads begin. `on_fault` hears what a
    thread ended with, and ends the process."""

    def __init__(self, on_fault: OnFault) -> None:
        self._on_fault = on_fault
        # By thread that is about to begin, how many looks have found it so.
        self._unborn: dict[threading.Thread, int] = {}
        bootstrap: Callable[[Any], None] = threading.Thread._bootstrap  # type: ignore[attr-defined]

        def guarded(thread: Any) -> None:
            try:
                bootstrap(thread)
            except MemoryError:  # Not even what Python itself does of it has come off.
                os._exit(NO_MEMORY)

        threading.Thread._bootstrap = guarded  # type: ignore[attr-defined]
        run = threading.Thread.run

        def run_whole(thread: threading.Thread) -> None:
            try:
                run(thread)
            except MemoryError as error:
                try:
                    on_fault(error)
                finally:
                    os._exit(NO_MEMORY)

        threading.Thread.run = run_whole  # type: ignore[method-assign, assignment]
        threading.excepthook = lambda args: on_fault(args.exc_value or RuntimeError("a thread ended"))
        threading.Thread(target=self._watch, name="wholeness", daemon=True).start()

    def _watch(self) -> None:
        while True:
            time.sleep(_LOOK_S)
            self.look()

    def look(self) -> None:
        """Whether a thread that was started several looks ago has been heard of by now."""
        unborn = [thread for thread in threading.enumerate() if thread.ident is None]
        self._unborn = {thread: self._unborn.get(thread, 0) + 1 for thread in unborn}
        if any(looks > _LOOKS for looks in self._unborn.values()):
            self._on_fault(MemoryError("a thread was started, and never began"))
