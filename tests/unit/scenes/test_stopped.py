"""Whether a process has stopped is known where the kernel tells of each thread, and where it does not."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from peers.scenes.stage import has_stopped_whole
from tests.helpers.waiting import wait_until


@pytest.mark.parametrize("system", ["/proc", "/no such place"])
def test_a_stopped_process_is_told_from_one_that_runs(system: str) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        try:
            assert not has_stopped_whole(process.pid, Path(system))
            process.send_signal(signal.SIGSTOP)
            wait_until(lambda: has_stopped_whole(process.pid, Path(system)))
            process.send_signal(signal.SIGCONT)
            wait_until(lambda: not has_stopped_whole(process.pid, Path(system)))
        finally:
            process.kill()
