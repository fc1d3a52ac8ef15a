"""Links that are cut on the town's order: what each way of cutting lets through, and that it heals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from nameserver.process import NameServerProcess
from peers.core.reports import Lost, Returned
from peers.runtime.links.cuts import Cuts
from peers.runtime.spec import CutLinks
from tests.helpers.hosting import Market, running_market
from tests.helpers.waiting import wait_until

pytestmark = pytest.mark.timeout(60)

QUICK = {"heartbeat_interval_s": 0.05, "suspect_s": 0.4, "call_timeout_s": 0.5}


@pytest.fixture
def market(tmp_path: Path, nameserver: NameServerProcess) -> Iterator[Market]:
    """Three peers in a row; buyer2, at one end, is in office."""
    with running_market(tmp_path, nameserver) as market:
        for rank, role in enumerate(("buyer", "seller", "buyer")):
            market.add(market.spec(rank, role, trades=False, timing=QUICK, market={"resign_after_sales": 0}))  # type: ignore[arg-type]
        market.open(((0, 1), (1, 2)))
        assert market.wait_for_trader() == "buyer2"
        wait_until(lambda: all(h.status().trader == "buyer2" for h in market.hosts.values()), what="the news of it")
        yield market


@pytest.mark.parametrize(("way", "seconds"), [("out", 1.5), ("in", 4.0), ("both", 1.5)])
def test_a_cut_peer_counts_as_gone_until_it_is_back(
    market: Market, way: Literal["out", "in", "both"], seconds: float
) -> None:
    # A peer that hears nobody, but is heard, takes longer to find the others gone.
    market.hosts["buyer0"].cut_links(CutLinks(seconds=seconds, way=way))
    wait_until(lambda: market.reports(Lost), what="a loss noticed")
    wait_until(lambda: market.reports(Returned), what="somebody back who had been taken for gone")

    def all_see_all() -> bool:
        return all(len(host.status().up) == 3 for host in market.hosts.values())

    wait_until(all_see_all, what="one market of three again", deadline_s=20.0)


def test_only_the_named_neighbour_is_cut_off() -> None:
    cuts = Cuts()
    cuts.apply(CutLinks(neighbours=(3,), seconds=60.0, way="out"))
    assert cuts.mutes(3)
    assert not cuts.deafens(3)
    assert not cuts.mutes(4)


def test_a_cut_is_over_some_time() -> None:
    cuts = Cuts()
    assert not cuts.mutes(1)
    cuts.apply(CutLinks(seconds=0.0))
    assert not cuts.mutes(1)
    assert not cuts.deafens(1)


def test_nobody_can_cut_links_over_the_network(market: Market) -> None:
    from Pyro5.api import Proxy
    from Pyro5.errors import PyroError

    with Proxy(market.hosts["buyer0"].member.uri) as proxy, pytest.raises((PyroError, AttributeError)):
        proxy.cut_links(None)
