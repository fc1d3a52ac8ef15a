"""What all tests may ask for."""

from __future__ import annotations

import signal

pytest_plugins = ["tests.fixtures_golden", "tests.fixtures_mongo"]

# Tests end towns by Ctrl-C, which a background job, and whatever it starts, would ignore.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
