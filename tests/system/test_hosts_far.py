"""Hosts far from each other, or from the database: that alone is no fault, and who is near the database serves."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.helpers.waiting import wait_until
from tests.system.helpers.hosts import DATABASE, network_of
from tests.system.helpers.town_of_hosts import (
    audited,
    changes_of_trader,
    ended,
    host_of,
    note,
    opened,
    passed,
    rate,
    settled,
    soon_s,
)

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

SEED = 7
PEERS = 3
LOSS = 0.01
LASTS_S = 12.0
_STAYS_S = 6.0  # Three of the periods at whose end a trader may make way.
ALARMS = ("is gone", "is away", "leaves office", "had been taken for gone", "starts an election")


@pytest.mark.parametrize("delays_s", [(0.08,), pytest.param((0.02, 0.08), marks=pytest.mark.long)])
def test_delay_and_loss_between_hosts_raise_no_alarm(tmp_path: Path, delays_s: tuple[float, ...]) -> None:
    print(f"seed {SEED}")
    with network_of(tmp_path, 3, seed=SEED) as (network, hosts):
        opened(network, PEERS, "--merchants", "--set", "market.resign_after_sales=0")
        switch = network.switch
        assert switch is not None
        for delay_s in delays_s:
            switch.all_ways(switch.numbers, switch.numbers, delay_s=delay_s, loss=LOSS)
            at_s, said = time.time(), [len(host.text) for host in hosts]
            passed(LASTS_S, at_s)
            longest_s, sold = network.longest_gap_s(at_s), rate(network, at_s, time.time())
            alarms = [
                line
                for host, after in zip(hosts, said, strict=True)
                for line in host.text[after:].splitlines()
                if any(alarm in line for alarm in ALARMS)
            ]
            note(f"{delay_s * 1000:g} ms each way, loss {LOSS:g}", longest=longest_s)
            print(f"{delay_s * 1000:g} ms each way: {sold:.1f} decisions a second")
            assert not alarms, alarms
            assert changes_of_trader(network, at_s) == 0
            assert longest_s < soon_s(network)
        switch.heal()
        settled(hosts, 3 * PEERS)
        audited(hosts[0])
        ended([*reversed(hosts)])


@pytest.mark.long
def test_the_trader_ends_up_near_the_database(tmp_path: Path) -> None:
    """The first host and the last, which has the highest ranks, are far from the database; the second one is near."""
    with network_of(tmp_path, 3, seed=SEED) as (network, (first, second, third)):
        switch = network.switch
        assert switch is not None
        switch.all_ways([first.number, third.number], [DATABASE], delay_s=0.02)
        opened(network, PEERS, "--merchants", "--set", "market.resign_after_sales=0", "--set", "market.period_s=2")
        wait_until(lambda: host_of(network, network.trader(), second) is second, "a trader near the database")
        assert "far from the books" in first.text + third.text
        at_s = time.time()
        passed(_STAYS_S, at_s)
        assert changes_of_trader(network, at_s) == 0, "who is far neither asks for the post nor gets it"
        note("near the database", longest=network.longest_gap_s(at_s))
        audited(first)
        ended([third, second, first])
