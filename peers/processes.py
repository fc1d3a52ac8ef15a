"""Ending a process that we started: asked first, killed if it does not hear."""

from __future__ import annotations

import signal
import subprocess


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
