"""Buys one after another in the town of the directory that it is given, as often as its standard input says.

It prints the median in milliseconds, and purchases a second. It is a process, for TLS is set for a whole one.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

from peers.customer import Customer
from peers.rpc.security.tls import TlsFiles, secure
from peers.town.files.directory import Directory


def main(directory: Path) -> None:
    state = Directory(directory).read_town()
    assert state is not None
    if state.tls:
        secure(TlsFiles(directory / "tls"))
    where = (state.nameserver_host, state.nameserver_port)
    # Nobody buys from himself.
    with Customer(*where, name="seller-of-all") as seller, Customer(*where, name="sequential-buyer") as buyer:
        for _ in range(2):
            seller.deposit("fish", 1_000_000, "0.01")
        print("ready", flush=True)
        for line in sys.stdin:
            took_ms, began_s = [], time.perf_counter()
            for _ in range(int(line)):
                asked_s = time.perf_counter()
                assert buyer.buy("fish")["status"] == "sold"
                took_ms.append((time.perf_counter() - asked_s) * 1000)
            print(statistics.median(took_ms), len(took_ms) / (time.perf_counter() - began_s), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
