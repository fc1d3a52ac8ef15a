"""Three hosts with one town: any of them may be killed, cut off or started again, the first too."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.processes import words_of
from tests.helpers.waiting import wait_until
from tests.system.helpers.hosts import NAME_SERVER_PORT, Host, Network, network_of
from tests.system.helpers.town_of_hosts import audited, ended, note, opened, settled, soon_s

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

PEERS = 3

Town = tuple[Network, list[Host]]


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """A town over three hosts that trades, behind TLS."""
    with network_of(tmp_path, 3) as (network, hosts):
        opened(network, PEERS)
        yield network, hosts


def test_the_first_host_is_killed_whole(town: Town) -> None:
    network, (first, second, third) = town
    at_s = time.time()
    first.kill()
    took_s = network.wait_for_trade(time.time())
    second.says(f"{first.address} is away")
    third.says(f"{first.address} is away")
    settled([second, third], 2 * PEERS)
    note("first host killed", trade=took_s, longest=network.longest_gap_s(at_s))
    assert network.longest_gap_s(at_s) < soon_s(network)
    audited(third, first)

    # Another joins the town by way of a host that is left, and is not kept waiting by those who are gone.
    began_s = time.time()
    first.directory.rename(first.directory.with_suffix(".old"))
    first.join(third, PEERS)
    first.says("3 peers have joined")
    joined_s = time.time() - began_s
    settled([first, second, third], 3 * PEERS)
    note("a newcomer", joined=joined_s, settled=time.time() - began_s)
    audited(first, first)  # What the one before it was told went with its disk.
    ended([first, second, third], first)


@pytest.mark.long
def test_a_host_is_cut_off_for_eight_seconds(town: Town) -> None:
    network, (first, second, third) = town
    at_s = time.time()
    first.cut_off()
    wait_until(lambda: time.time() - at_s > 8, "eight seconds")
    cut_s = network.longest_gap_s(at_s)
    healed_s = time.time()
    first.reconnect()
    settled([first, second, third], 3 * PEERS)
    note("cut for eight seconds", longest=cut_s, healed=time.time() - healed_s, after=network.longest_gap_s(healed_s))
    assert cut_s < soon_s(network)
    assert network.longest_gap_s(healed_s) < soon_s(network)
    for host in (first, second, third):
        assert host.process is not None
        assert host.process.poll() is None, host.text
    second.says(f"{first.address} is back")
    audited(second)
    ended([third, second, first])


@pytest.mark.long
def test_a_name_server_is_frozen(town: Town) -> None:
    network, (first, second, third) = town
    at_s = time.time()
    frozen = [pid for pid in first.pids() if "nameserver" in words_of(pid)]
    first.signal(signal.SIGSTOP, frozen)
    first.says("the name server is back")
    settled([first, second, third], 3 * PEERS)
    note("name server frozen", longest=network.longest_gap_s(at_s), mended=time.time() - at_s)
    assert network.longest_gap_s(at_s) < soon_s(network)
    audited(first)
    ended([third, second, first])


@pytest.mark.long
@pytest.mark.parametrize("away_s", [0.0, 12.0])
def test_the_first_host_is_killed_and_comes_back(town: Town, away_s: float) -> None:
    network, (first, second, third) = town
    at_s = time.time()
    ranks = {peer["rank"] for peer in first.status()["peers"]}
    first.kill()
    wait_until(lambda: time.time() - at_s >= away_s, "the time it is away")
    said = len(first.text)
    back_s = time.time()
    first.run(PEERS, "--nameserver-port", str(NAME_SERVER_PORT))
    first.says("have joined it again", after=said)
    settled([first, second, third], 3 * PEERS)
    note(f"back after {away_s:g} s", joined=time.time() - back_s, longest=network.longest_gap_s(at_s))
    assert network.longest_gap_s(at_s) < soon_s(network)
    own = {peer["rank"] for peer in first.status()["peers"] if peer["machine"] == first.address}
    assert len(own) == PEERS
    assert not own & ranks
    audited(first)
    ended([first, second, third])


def test_two_halves_that_began_apart_become_one(town: Town) -> None:
    """The first host begins anew while it reaches the books and nobody else: two graphs on the same books."""
    network, (first, second, third) = town
    first.kill()
    first.cut_from(second, third)
    settled([second, third], 2 * PEERS)
    said = len(first.text)
    first.run(PEERS, "--nameserver-port", str(NAME_SERVER_PORT))
    first.says("the market opens", after=said)
    settled([first], PEERS)
    at_s = time.time()
    first.meet_again()
    second.says(f"{first.address} is back")
    met_s = time.time() - at_s
    settled([first, second, third], 3 * PEERS)
    network.wait_for_trade(time.time())
    note("halves met", met=met_s, settled=time.time() - at_s, longest=network.longest_gap_s(at_s))
    audited(first)
    audited(third)
    ended([third, second, first])
