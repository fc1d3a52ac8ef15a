"""What a planned fault of the network means on a town's switch: whose wires, which way, and how bad."""

from __future__ import annotations

from typing import Any

import pytest

from peers.chaos.injection.wires import Parties, wire_fault
from peers.chaos.kinds import Between, Kind
from peers.chaos.plan import Planned
from peers.chaos.switch.faults import hits

PARTIES = Parties(peers=["buyer0", "seller1", "seller2", "buyer3"], mongods=("mongod2", "mongod"))


def planned(kind: Kind, **what: Any) -> Planned:
    return Planned(number=4, at_s=1.0, kind=kind, pick=0.5, lasts_s=2.0, **what)


def both_ways(kind: Kind, one: str, other: str, *, hit: tuple[str, ...] = ("seller1",), **what: Any) -> bool:
    fault = wire_fault(planned(kind, **what), hit, ("buyer0",), PARTIES)
    assert (fault.number, fault.seconds) == (4, 2.0)
    there, back = hits(fault, one, other), hits(fault, other, one)
    assert there == back
    return there


def test_a_cut_from_everybody_is_from_all_that_there_are() -> None:
    for other in ("buyer0", "seller2", "mongod", "customers", "nameserver", "who knows"):
        assert both_ways("cut-trader", "seller1", other, everyone=True)
    assert not both_ways("cut-trader", "seller2", "mongod", everyone=True)


def test_a_cut_from_neighbours_leaves_all_else() -> None:
    assert both_ways("cut-peer", "seller1", "buyer0", everyone=False)
    for other in ("seller2", "mongod", "customers", "nameserver"):
        assert not both_ways("cut-peer", "seller1", other, everyone=False)


def test_the_database_is_cut_off_with_all_its_members_or_the_primary_alone() -> None:
    assert both_ways("cut-database", "seller1", "mongod", everyone=True)
    assert both_ways("cut-database", "seller1", "mongod2", everyone=False)
    assert not both_ways("cut-database", "seller1", "mongod", everyone=False)
    assert not both_ways("cut-database", "seller2", "mongod2", everyone=True)


def test_a_split_has_two_sides_that_both_reach_all_else() -> None:
    two = ("seller1", "buyer0")
    assert both_ways("split", "seller1", "seller2", hit=two)
    assert both_ways("split", "buyer0", "buyer3", hit=two)
    assert not both_ways("split", "buyer0", "seller1", hit=two)
    assert not both_ways("split", "buyer0", "mongod", hit=two)


@pytest.mark.parametrize(
    ("between", "other"),
    [
        ("trader and database", "mongod"),
        ("trader and customers", "customers"),
        ("trader and peers", "buyer3"),
        ("peer and peers", "buyer3"),
        ("peer and name server", "nameserver"),
        ("all", "who knows"),
    ],
)
def test_wires_are_hit_by_the_name_of_what_they_are_between(between: Between, other: str) -> None:
    assert both_ways("jam", "seller1", other, hit=() if between == "all" else ("seller1",), between=between)
    if between != "all":
        assert not both_ways("jam", "seller2", other, between=between)


def test_a_strength_is_how_bad_it_is() -> None:
    def bad(kind: Kind, strength: float) -> tuple[float, float, float, float]:
        fault = wire_fault(planned(kind, strength=strength, between="all"), (), (), PARTIES)
        return fault.delay_s, fault.apart_s, fault.loss, fault.bytes_a_second

    for place, kind in enumerate[Kind](("delay", "reorder", "loss", "slow-wire")):
        mild, severe = bad(kind, 0.0), bad(kind, 1.0)
        assert [each > 0 for each in mild] == [number == place for number in range(4)]
        assert mild[place] > severe[place] if kind == "slow-wire" else mild[place] < severe[place]


def test_either_end_of_a_half_open_connection_may_be_the_one_that_is_not_told() -> None:
    def kept(way: str) -> tuple[str, ...]:
        what = planned("half-open", way=way, between="trader and database")
        return wire_fault(what, ("seller1",), (), PARTIES).ones

    assert kept("out") == kept("both") == ("seller1",)
    assert kept("in") == ("mongod2", "mongod")


@pytest.mark.parametrize(("kind", "cut_off"), [("cut-primary", "mongod2"), ("cut-member", "mongod")])
def test_a_member_is_cut_from_the_others_or_from_everybody(kind: Kind, cut_off: str) -> None:
    assert both_ways(kind, "mongod", "mongod2", hit=(), everyone=False)
    assert not both_ways(kind, cut_off, "seller1", hit=(), everyone=False)
    assert both_ways(kind, cut_off, "seller1", hit=(), everyone=True)
    assert both_ways("cut-members", "mongod", "mongod2", hit=())
    assert not both_ways("cut-members", cut_off, "seller1", hit=())
