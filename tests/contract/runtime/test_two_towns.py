"""Two towns on one machine: a peer of the one comes to the port that one of the same name had in the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from nameserver.process import NameServerProcess
from peers.core.reports import Lost
from peers.endpoints import split_endpoint
from tests.helpers.hosting import Market, running_market
from tests.helpers.waiting import wait_until


@pytest.fixture
def other(tmp_path: Path, nameserver: NameServerProcess) -> Iterator[Market]:
    (tmp_path / "other").mkdir()
    with running_market(tmp_path / "other", nameserver) as market:
        yield market


def test_they_stay_two(market: Market, other: Market) -> None:
    ours = market.add(msgspec.structs.replace(market.spec(0, "buyer"), town="ours"))
    spec = market.spec(1, "seller")
    gone = market.add(msgspec.structs.replace(spec, town="ours"))
    known = gone.member
    market.close(known.name)
    port = split_endpoint(known.uri.rpartition("@")[2])[1]
    theirs = other.add(msgspec.structs.replace(spec, town="theirs", ports=(port, port)))
    other.open(())
    market.open(((0, 1),), others=(known,))
    lost = wait_until(lambda: market.reports(Lost), what="the neighbour counts as gone")
    assert [each.lost for each in lost] == [known.name]
    assert ours.status().up == ("buyer0",)
    assert theirs.status().up == ("seller1",)
