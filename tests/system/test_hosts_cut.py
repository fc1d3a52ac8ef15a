"""Hosts cut off from each other, from the database, or one way only: trade goes on, under one trader, and they meet.

One town stands all of it, one cut after the other. What is printed (with -s) is the longest time without trade from
the cut, and from its end.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.helpers.waiting import wait_until
from tests.system.helpers.hosts import DATABASE, Host, Network, network_of
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

SEED = 4
PEERS = 3
CUT_S = 5.0
_STEADY_S = 3.0


@pytest.fixture(scope="module")
def whole_town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """A town over three hosts, on a switch. Its trader leaves only if it must."""
    print(f"seed {SEED}")
    with network_of(tmp_path_factory.mktemp("hosts"), 3, seed=SEED) as (network, hosts):
        opened(network, PEERS, "--merchants", "--set", "market.resign_after_sales=0")
        yield network
        audited(hosts[0])
        ended([*reversed(hosts)])


@pytest.fixture
def town(whole_town: Network) -> Network:
    """The town, whole again whatever became of the test before."""
    assert whole_town.switch is not None
    whole_town.switch.heal()
    whole_town.wait_for_trade(time.time())
    return whole_town


def sides(town: Network) -> tuple[Host, list[Host]]:
    """The trader's host, and the others."""
    trader = host_of(town, town.trader(), town.machines[0])
    return trader, [host for host in town.machines if host is not trader]


@contextmanager
def cut(town: Network, what: str, ways: set[tuple[int, int]], *, changes: int) -> Iterator[float]:
    """Cuts these ways for a while, during which the test looks at it; then all meet again. There is trade soon after
    the cut and soon after its end, under one new trader at most. The books are audited once, at the end of all."""
    assert town.switch is not None
    at_s = time.time()
    for sender, receiver in sorted(ways):
        town.switch.one_way(sender, receiver, cut=True)
    yield at_s
    passed(CUT_S, at_s)
    longest_s, changed = town.longest_gap_s(at_s), changes_of_trader(town, at_s)
    healed_s = time.time()
    town.switch.heal()
    settled(town.machines, 3 * PEERS)
    again_s = time.time() - healed_s
    town.wait_for_trade(time.time())
    after_s, changed_after = town.longest_gap_s(healed_s), changes_of_trader(town, healed_s)
    note(what, longest=longest_s, whole_again=again_s, longest_after=after_s)
    print(f"{what}: {changed} changes of trader, {changed_after} after it")
    assert longest_s < soon_s(town)
    assert after_s < soon_s(town)
    assert changed + changed_after <= changes, f"{changed} in the cut, {changed_after} after it"


def both_ways(host: Host, others: set[int]) -> set[tuple[int, int]]:
    return {way for other in others for way in ((host.number, other), (other, host.number))}


def test_the_traders_host_is_cut_off_from_the_others(town: Network) -> None:
    """It is at work in the books, which the others see: they leave it its office, and trade goes on at its host."""
    host, others = sides(town)
    with cut(town, "trader from the others", both_ways(host, {each.number for each in others}), changes=1):
        pass


@pytest.mark.parametrize("way", ["database", "database and the others"])
def test_the_traders_host_is_cut_off_from_the_database(town: Network, way: str) -> None:
    host, others = sides(town)
    trader, said = town.trader(), len(host.text)
    cut_from = {DATABASE} if way == "database" else {DATABASE, *(each.number for each in others)}
    with cut(town, f"trader from the {way}", both_ways(host, cut_from), changes=1) as at_s:
        wait_until(lambda: town.trader() != trader, "another trader", deadline_s=10)
        assert host_of(town, town.trader(), others[0]) is not host
        town.wait_for_trade(at_s)
        host.says(f"{trader} leaves office", after=said, deadline_s=10)
        host.says("books away)", after=said, deadline_s=1)


@pytest.mark.parametrize("way", ["heard by nobody", "hears nobody"])
@pytest.mark.parametrize("who", ["the trader's host", "another host"])
def test_a_host_is_cut_off_one_way(town: Network, who: str, way: str) -> None:
    trader, others = sides(town)
    host = trader if who == "the trader's host" else others[0]
    rest = {each.number for each in town.machines if each is not host} | {DATABASE}
    hears_not = {(other, host.number) for other in rest}
    ways = hears_not if way == "hears nobody" else {(b, a) for a, b in hears_not}
    with cut(town, f"{who} {way}", ways, changes=1 if host is trader else 0):
        pass


def test_two_hosts_are_cut_from_each_other_and_reach_the_third_and_the_books(town: Network) -> None:
    trader, (other, _) = sides(town)
    with cut(town, "two hosts from each other", both_ways(trader, {other.number}), changes=1):
        pass


def test_sides_that_are_cut_from_each_other_trade_on(town: Network) -> None:
    """Those on the trader's side buy as before. The others cannot reach the trader, and wait."""
    trader, others = sides(town)
    near, far = [trader, others[0]], others[1]
    before_s = time.time()
    passed(_STEADY_S, before_s)
    before = rate(town, before_s, time.time())
    with cut(town, "sides", both_ways(far, {host.number for host in near}), changes=1) as at_s:
        passed(CUT_S - 0.5, at_s)
        during = rate(town, at_s + 1.0, time.time())
        print(f"sides: {before:.1f} decisions a second before, {during:.1f} during the cut, by two of three hosts")
        assert during > before / 3
