"""Ending: how a process that we started is ended, and what ends ours."""

from __future__ import annotations

import signal
import subprocess


def heeded(*numbers: signal.Signals) -> list[signal.Signals]:
    """Returns those of these signals that this process may act on.

    Whoever started it may have had it ignore some: `nohup` the end of its terminal, a shell the Ctrl-C that is not
    for its background jobs. That is for us to respect."""
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]


def end(process: subprocess.Popen[bytes], timeout_s: float) -> None:
    """Returns once `process` has ended: it is asked to, and killed after `timeout_s`."""
    if process.poll() is None:
        process.terminate()
        process.send_signal(signal.SIGCONT)  # a stopped one would not hear it
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()
