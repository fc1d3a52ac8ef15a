"""Whole hosts that are killed, with the trader on them, and two of five at once: the others trade on."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.system.helpers.hosts import NAME_SERVER_PORT, network_of
from tests.system.helpers.town_of_hosts import audited, ended, host_of, note, opened, settled, soon_s

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

PEERS = 2
HOSTS = 5


@pytest.mark.long
def test_the_traders_host_is_killed_and_then_two_of_five_at_once(tmp_path: Path) -> None:
    with network_of(tmp_path, HOSTS) as (network, hosts):
        opened(network, PEERS, "--merchants", "--set", "market.resign_after_sales=0")
        lost = host_of(network, network.trader(), hosts[0])
        left = [host for host in hosts if host is not lost]
        at_s = time.time()
        lost.kill()
        network.wait_for_trade(time.time())
        settled(left, len(left) * PEERS)
        note("the trader's host killed", longest=network.longest_gap_s(at_s))
        assert network.longest_gap_s(at_s) < soon_s(network)
        audited(left[0], lost)

        # It comes back, and the trader of now goes together with another host.
        said, back_s = len(lost.text), time.time()
        lost.run(PEERS, "--nameserver-port", str(NAME_SERVER_PORT))
        lost.says("have joined it again", after=said)
        settled(hosts, HOSTS * PEERS)
        note("it is back", settled=time.time() - back_s)
        first = host_of(network, network.trader(), hosts[0])
        second = next(host for host in hosts if host is not first)
        left = [host for host in hosts if host not in (first, second)]
        at_s = time.time()
        first.kill()
        second.kill()
        network.wait_for_trade(time.time())
        for host in left:
            host.says(f"{first.address} is away")
            host.says(f"{second.address} is away")
        settled(left, len(left) * PEERS)
        note("two of five killed", longest=network.longest_gap_s(at_s), settled=time.time() - at_s)
        assert network.longest_gap_s(at_s) < soon_s(network)
        audited(left[0], first, second)
        ended(left, first, second)
