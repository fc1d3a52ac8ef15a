"""What all tests may ask for."""

from __future__ import annotations

import os
import signal

from hypothesis import HealthCheck, settings

from peers.books_address import ENVIRONMENT as BOOKS
from peers.town.machines.invitation import ENVIRONMENT as INVITATION

pytest_plugins = ["tests.fixtures.golden", "tests.fixtures.mongo", "tests.fixtures.audit", "tests.fixtures.market"]

# Tests end towns by Ctrl-C, which a background job and whatever it starts would ignore.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The tests must not write to the books of whoever runs them, nor join the town.
for variable in (BOOKS, INVITATION):
    os.environ.pop(variable, None)

# How long an example takes says how busy the machine is, and nothing of what is tested.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")
