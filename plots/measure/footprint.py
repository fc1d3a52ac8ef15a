"""What a town costs that does nothing: memory of a peer, and processor time of all peers."""

from __future__ import annotations

import time

import numpy as np
import psutil

from peers.errors import TownError
from plots.measure.apparatus.towns import BenchTown, cpu_s, pss_mb
from plots.measure.plan import Plan
from plots.results.life import Footprint

_SETTLE_S = 2.0  # After the opening, until nothing is left to be done.


def measure(town: BenchTown, plan: Plan) -> Footprint:
    """Looks at all peers over some idle seconds. TownError if one of them does not run."""
    time.sleep(_SETTLE_S)
    processes = [psutil.Process(peer.pid) for peer in town.residents().values()]
    if len(processes) != town.peers:
        raise TownError(f"{len(processes)} of {town.peers} peers run in {town.directory.path}")
    before, began = sum(map(cpu_s, processes)), time.monotonic()
    time.sleep(plan.idle_s)
    used = (sum(map(cpu_s, processes)) - before) / (time.monotonic() - began)
    # This comes after the idle seconds, for reading it makes the kernel walk through all pages of the peers.
    pss = [pss_mb(process.memory_full_info()) for process in processes]
    return Footprint(
        peers=town.peers,
        pss_mb=float(np.mean(pss)),
        pss_max_mb=max(pss),
        idle_cores=used,
        idle_cores_a_peer=used / len(processes),
    )
