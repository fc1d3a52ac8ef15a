"""Whom a fault hits: the trader where it must be, never the last who could trade, never one that is hit already."""

from __future__ import annotations

import pytest

from peers.chaos.injection.targets import NoTarget, Present, choose
from peers.chaos.kinds import BETWEEN, Between, Kind
from peers.core.names import Role

RUNNING: dict[str, Role] = {
    "buyer0": "buyer",
    "seller1": "seller",
    "buyer2": "buyer",
    "seller3": "seller",
    "merchant4": "merchant",
    "seller5": "seller",
}
TOWN = Present(running=RUNNING, trader="seller5", ended=("buyer6", "seller7"))


@pytest.mark.parametrize(
    "kind", ["kill-trader", "cut-trader", "cut-database", "cut-customers", "crash-at", "resign", "squeeze-trader"]
)
def test_the_trader_is_hit(kind: Kind) -> None:
    assert choose(kind, 0.5, TOWN) == ("seller5",)


@pytest.mark.parametrize(
    "kind", ["kill-peer", "stop-peer", "cut-peer", "cut-nameserver", "hang-peer", "squeeze-peer"]
)
def test_the_pick_decides_which_other_is_hit(kind: Kind) -> None:
    hit = {choose(kind, pick / 100, TOWN)[0] for pick in range(101)}
    assert hit == RUNNING.keys() - {"seller5"}
    assert choose(kind, 0.3, TOWN) == choose(kind, 0.3, TOWN)


def test_two_are_killed_the_trader_among_them() -> None:
    first, second = choose("kill-two", 0.9, TOWN)
    assert first == "seller5"
    assert second in RUNNING
    assert second != first


def test_one_that_ended_comes_back() -> None:
    assert {choose("come-back", pick, TOWN) for pick in (0.0, 0.99, 1.0)} == {("buyer6",), ("seller7",)}
    with pytest.raises(NoTarget, match="ended"):
        choose("come-back", 0.5, Present(running=RUNNING, trader=None))


@pytest.mark.parametrize(
    "kind", ["join", "kill-mongod", "step-down", "kill-member", "kill-nameserver", "cut-primary", "mongod-full-disk"]
)
def test_some_faults_hit_no_peer(kind: Kind) -> None:
    assert choose(kind, 0.5, Present(running={}, trader=None)) == ()


@pytest.mark.parametrize("trader", [None, "seller9"])
def test_nobody_in_office(trader: str | None) -> None:
    with pytest.raises(NoTarget, match="office"):
        choose("kill-trader", 0.5, Present(running=RUNNING, trader=trader))


def test_nobody_is_hit_twice_at_once() -> None:
    present = Present(running=RUNNING, trader="seller5", disturbed=frozenset(["seller5", "buyer0"]))
    with pytest.raises(NoTarget, match="disturbed"):
        choose("stop-trader", 0.5, present)
    assert all(choose("kill-peer", pick / 10, present) != ("buyer0",) for pick in range(10))


@pytest.mark.parametrize("kind", ["kill-trader", "kill-peer", "kill-two", "stop-trader", "cut-peer", "leave"])
def test_three_are_left(kind: Kind) -> None:
    few = {name: RUNNING[name] for name in ("buyer0", "seller1", "seller5")}
    with pytest.raises(NoTarget, match="would be left"):
        choose(kind, 0.5, Present(running=few, trader="seller5"))


def test_somebody_to_buy_is_left() -> None:
    sellers: dict[str, Role] = {f"seller{rank}": "seller" for rank in range(5)}
    with pytest.raises(NoTarget, match="no buyer"):
        choose("kill-peer", 0.0, Present(running={**sellers, "buyer9": "buyer"}, trader="seller0"))
    assert choose("kill-peer", 0.99, Present(running={**sellers, "merchant9": "merchant"}, trader="seller0"))


@pytest.mark.parametrize("between", BETWEEN)
def test_the_wires_say_whom_a_fault_hits(between: Between) -> None:
    hit = choose("delay", 0.0, TOWN, between)
    assert hit == (() if between == "all" else ("seller5",) if "trader" in between else ("buyer0",))


def test_two_are_split_off_whoever_they_are() -> None:
    hit = [choose("split", pick / 100, TOWN) for pick in range(101)]
    assert all(len(set(pair)) == 2 for pair in hit)
    assert {name for pair in hit for name in pair} == set(RUNNING)


def test_who_may_take_office_next_must_not_be_missed() -> None:
    few = {name: RUNNING[name] for name in ("buyer0", "seller1", "buyer2", "seller5")}
    assert choose("kill-trader", 0.5, Present(running=few, trader="seller5")) == ("seller5",)
    with pytest.raises(NoTarget, match="would be left"):
        choose("crash-taking-office", 0.5, Present(running=few, trader="seller5"))
