"""How a process that we started is ended, and which signals may end ours."""

from __future__ import annotations

import signal
import subprocess


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
