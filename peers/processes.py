"""How a process that we start gets its log and is ended, and which signals may end ours."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


def heeded(*numbers: signal.Signals) -> list[signal.Signals]:
    """Returns those of these signals that this process may act on.

    Whoever started it may have had it ignore some, and that is respected: `nohup` does so with a terminal's end."""
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]


def end(process: subprocess.Popen[bytes], timeout_s: float) -> None:
    """Returns once `process` has ended: it is asked to, and killed after `timeout_s`."""
    if process.poll() is None:
        process.terminate()
        process.send_signal(signal.SIGCONT)  # A stopped process acts on a signal only once it goes on.
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


@contextlib.contextmanager
def log_of_program(path: Path | None) -> Iterator[BinaryIO | int]:
    """Gives what a program is to have as its output: the log at `path`, to append to, in a folder that is made anew
    where somebody removed it. DEVNULL without a path, or where it cannot be opened: no log is no reason to do without
    the program."""
    log: BinaryIO | int = subprocess.DEVNULL
    if path is not None:
        with contextlib.suppress(OSError):
            path.parent.mkdir(exist_ok=True)
            log = path.open("ab")
    try:
        yield log
    finally:
        if not isinstance(log, int):
            log.close()
