"""The database is away from every host: nobody elects or burns the processor, all wait and say for what, and there is
trade soon after it is back.

`BAZAAR_BOOKS_AWAY_S=60` has it away for a minute, instead of as long as a test that runs each time may take.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import psutil
import pytest

from tests.system.helpers.hosts import DATABASE, Host, network_of
from tests.system.helpers.town_of_hosts import (
    audited,
    changes_of_trader,
    ended,
    note,
    opened,
    passed,
    settled,
    soon_s,
)

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

PEERS = 3
AWAY_S = float(os.environ.get("BAZAAR_BOOKS_AWAY_S", "10"))
CALM_S = 4.0
"""So long after the loss, whoever was to notice it has."""


def used_s(hosts: list[Host]) -> float:
    """The processor time that all processes of these hosts have used so far, in seconds."""
    used = 0.0
    for host in hosts:
        for pid in host.pids():
            times = psutil.Process(pid).cpu_times()
            used += times.user + times.system
    return used


def test_nobody_reaches_the_database_for_a_while(tmp_path: Path) -> None:
    with network_of(tmp_path, 3, seed=1) as (network, hosts):
        opened(network, PEERS, "--merchants", "--set", "market.resign_after_sales=0")
        switch = network.switch
        assert switch is not None
        said = {host.address: len(host.text) for host in hosts}
        busy_s, from_s = used_s(hosts), time.time()
        passed(CALM_S, from_s)
        busy = (used_s(hosts) - busy_s) / CALM_S
        at_s = time.time()
        switch.all_ways([host.number for host in hosts], [DATABASE], cut=True)
        passed(CALM_S, at_s)
        idle_s, elections = used_s(hosts), _elections(hosts)
        passed(AWAY_S, at_s)
        idle = (used_s(hosts) - idle_s) / (AWAY_S - CALM_S)
        assert _elections(hosts) == elections, "nobody elects what nobody could hold"
        for host in hosts:
            host.says("the books cannot be reached", after=said[host.address], deadline_s=1)
        assert idle < busy, f"{idle:.2f} seconds of processor a second to wait, {busy:.2f} to trade"
        back_s = time.time()
        switch.heal()
        took_s = network.wait_for_trade(back_s)
        note(f"database away for {AWAY_S:g} s", trade_after=took_s)
        print(f"processors used: {busy:.2f} in trade, {idle:.2f} without the database")
        assert took_s < soon_s(network)
        for host in hosts:
            host.says("the books are back", after=said[host.address])
        settled(hosts, 3 * PEERS)
        assert changes_of_trader(network, at_s) <= 2
        audited(hosts[0])
        ended([*reversed(hosts)])


def _elections(hosts: list[Host]) -> int:
    return sum(host.text.count("starts an election") for host in hosts)
