"""The rehearsal before the first fork leaves nothing behind that a child would be born with."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import gc, os, threading
from peers.runtime.process import prepare

def open_files():
    paths = [f'/proc/self/fd/{fd}' for fd in os.listdir('/proc/self/fd')]
    return sorted(os.readlink(path) for path in paths if os.path.lexists(path))  # The listing's own is closed.

before = open_files()
prepare()
gc.collect()
assert threading.active_count() == 1, threading.enumerate()
assert open_files() == before, (before, open_files())
"""


def test_no_thread_and_no_connection_outlives_the_rehearsal() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
