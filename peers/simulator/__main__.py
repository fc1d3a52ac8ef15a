"""`python -m peers.simulator` is `bazaar simulate`."""

from __future__ import annotations

import sys

from peers.cli.main import main

main(["simulate", *sys.argv[1:]])
