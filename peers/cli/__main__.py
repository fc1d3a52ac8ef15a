"""The program `bazaar`, also as `python -m peers.cli` for where it is not on the PATH.

What it imports takes a few tenths of a second. Whoever types Ctrl-C by then, or right at the end, is to get neither a
traceback nor Python's own exit code 1, which would say that an invariant is violated.
"""

from __future__ import annotations

import os
import signal
from typing import NoReturn


def main() -> NoReturn:
    """Runs the command that the program was called with; ends the process with its exit code."""
    # Nothing is running yet that would have to be ended.
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    from peers.cli.main import main as program

    try:
        program()
    except KeyboardInterrupt:  # One more, when all is done but to leave.
        os._exit(130)


if __name__ == "__main__":
    main()
