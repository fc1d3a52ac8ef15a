"""Runs a program that must not outlive the process that asked for it: `die_with_parent.py PARENT PROGRAM ARGUMENTS…`.

The kernel is asked to kill this process when the thread that started it ends, then the program takes its place
under the same process id. Run as a file of its own, because code of ours between fork and exec (`preexec_fn`) can
deadlock in a process with threads. Where the kernel offers nothing of the kind, as that of macOS, a small process
looks several times a second whether the parent is still there. `BAZAAR_WITHOUT=pdeathsig` has that one do it
anywhere, for tests.
"""

import ctypes
import os
import signal
import sys
import time

_PR_SET_PDEATHSIG = 1
_LOOK_S = 0.2


def main() -> None:
    """Ties this process to its parent and becomes the program."""
    parent, program = int(sys.argv[1]), sys.argv[2]
    prctl = None if os.environ.get("BAZAAR_WITHOUT") == "pdeathsig" else getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        # A stopped process acts on no milder signal than SIGKILL; what was acknowledged is in its journal.
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)  # The parent died before this process was tied to it.
    if prctl is None:
        ours = os.getpid()
        if os.fork() == 0:
            _watch(parent, ours)
    os.execv(program, sys.argv[2:])


def _watch(parent: int, program: int) -> None:
    """In a child of the program: kills it once the parent is gone, and ends with it."""
    os.closerange(0, 64)  # Whoever reads what the program says must see the end of that when it ends.
    while os.getppid() == program:
        try:
            os.kill(parent, 0)
        except OSError:
            # It is still the program whose child this is, so nobody else can have its number.
            os.kill(program, signal.SIGKILL)
            break
        time.sleep(_LOOK_S)
    os._exit(0)


if __name__ == "__main__":
    main()
