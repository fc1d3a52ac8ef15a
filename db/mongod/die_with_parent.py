"""Runs a program that must not outlive the process that asked for it: `die_with_parent.py PARENT PROGRAM ARGUMENTS…`.

The kernel is asked to kill this process when the thread that started it ends, then the program takes its place
under the same process id. Run as a file of its own, because code of ours between fork and exec (`preexec_fn`) can
deadlock in a process with threads. Where the kernel offers nothing of the kind, the program just runs.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ties this process to its parent and becomes the program."""
    parent, program = int(sys.argv[1]), sys.argv[2]
    if sys.platform == "linux":
        # A stopped process acts on no milder signal than SIGKILL; what was acknowledged is in its journal.
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit(1)  # The parent died before this process was tied to it.
    os.execv(program, sys.argv[2:])


if __name__ == "__main__":
    main()
