"""One town over several hosts: opened, looked at, audited and ended."""

from __future__ import annotations

import itertools
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from peers.town.files.directory import graph_is_sound
from tests.helpers.waiting import wait_until
from tests.system.helpers.hosts import NAME_SERVER_PORT, Host, Network, graph_of

_SOON_S = 3.0
"""Within this time there is trade again, whatever happens to a host, on a machine with nothing else to do."""


def soon_s(network: Network) -> float:
    """Within this time there is trade again on this machine, as busy as it is: as many times as long as a round of
    who watches the books takes here, beside one at rest."""
    return _SOON_S * network.slowness()


def opened(network: Network, peers: int, *options: str) -> None:
    """Opens a town on the first host, lets the others join one after the other, and waits until it trades."""
    hosts = network.machines
    hosts[0].run(peers, "--nameserver-port", str(NAME_SERVER_PORT), *options)
    hosts[0].says("the market opens")
    for before, host in itertools.pairwise(hosts):
        host.join(before, peers)
        host.says(f"{peers} peers have joined")
    settled(hosts, len(hosts) * peers)
    network.wait_for_trade(time.time())


def settled(hosts: list[Host], peers: int, *, deadline_s: float = 30.0) -> None:
    """Waits until each of these hosts knows all peers, sees them alive, and their graph is sound.

    The state files are looked at first: each status takes the processor that the town needs to settle."""

    def joined_up() -> bool:
        graph = {name: links for host in hosts for name, links in host.links().items()}
        return len(graph) == peers and graph_is_sound(graph)

    wait_until(joined_up, f"{peers} peers in one graph, by their own state files", deadline_s=deadline_s)
    with ThreadPoolExecutor(len(hosts)) as pool:  # Most of a status is the start of its process.
        for looked in [pool.submit(_see_all, host, peers, deadline_s) for host in hosts]:
            looked.result()


def _see_all(host: Host, peers: int, deadline_s: float) -> None:
    seen: list[dict[str, Any]] = []

    def look() -> bool:
        seen[:] = host.status().get("peers", [])
        graph = graph_of(seen)
        return len(graph) == peers == len(seen) and graph_is_sound(graph)

    try:
        wait_until(look, f"{peers} peers in one graph", deadline_s=deadline_s)
    except AssertionError as error:
        raise AssertionError(f"{error}, seen from {host.address}: {seen}") from error


def audited(host: Host, *lost: Host) -> None:
    """Audits the whole town there: nothing is violated, and only of hosts that are `lost` nobody can tell."""
    done = host.bazaar("audit")
    assert done.returncode == (2 if lost else 0), done.stdout + done.stderr
    _only_lost(done.stdout, lost)


def ended(hosts: list[Host], *lost: Host) -> None:
    """Ends the town host by host, in order; each judges as in `audited`."""
    for host in hosts:
        assert host.process is not None
        host.process.send_signal(signal.SIGINT)
        assert host.process.wait(60) == (2 if lost else 0), host.text
        _only_lost(host.text, lost)


def _only_lost(said: str, lost: tuple[Host, ...]) -> None:
    assert "violated" not in said, said
    missing = [line for line in said.splitlines() if "; not all could be had: " in line]
    assert len(missing) == len(lost), said
    for host in lost:
        assert any(line.startswith(f"journals of {host.address}") for line in missing), said


def note(what: str, **seconds: float) -> None:
    """For who runs this with -s: the figures."""
    print(f"{what}: " + ", ".join(f"{name} {value:.2f} s" for name, value in seconds.items()))


def host_of(network: Network, name: str, asked: Host) -> Host:
    """The host on which the peer of this name is, as another host's status says."""
    machine = next(peer["machine"] for peer in asked.status()["peers"] if peer["name"] == name)
    return next(host for host in network.machines if host.address == machine)


def changes_of_trader(network: Network, since_s: float) -> int:
    """How many terms have begun after `since_s`, as far as was noted."""
    terms = [sight["term"] for sight in network.sightings() if sight["term"] is not None]
    before = [sight["term"] for sight in network.sightings() if sight["at_s"] <= since_s]
    return int(terms[-1] - before[-1])


def rate(network: Network, since_s: float, until_s: float) -> float:
    """How many decisions a second there were meanwhile."""
    seen = [sight for sight in network.sightings() if since_s <= sight["at_s"] <= until_s]
    return float((seen[-1]["seq"] - seen[0]["seq"]) / (seen[-1]["at_s"] - seen[0]["at_s"]))


def passed(seconds: float, since_s: float) -> None:
    """Returns so many seconds after `since_s`."""
    wait_until(lambda: time.time() - since_s >= seconds, f"{seconds:g} seconds")
