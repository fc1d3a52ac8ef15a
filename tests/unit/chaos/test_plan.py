"""The plan of a chaos run: the same from the same seed, every fault in it, and never too few peers left."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from peers.chaos.kinds import ALL_KINDS, BETWEEN, FAMILIES, MEMBER_KINDS, SERVICES, Kind, choose_kinds, service_of
from peers.chaos.options import ChaosOptions
from peers.chaos.plan import LEAST_ALIVE, MOST_MORE, Plan, Planned, disturbs, draw_plan
from peers.chaos.tuning import draw_tuning
from peers.core.settings import changed, make_settings
from peers.errors import SettingsError
from peers.points import Point

FIRST_OF_SEED_7 = [(2.5, "cut-trader"), (5.296, "jam"), (5.783, "kill-peer"), (7.11, "full-disk")]
SEEDS = range(150)
OF_ONE_MEMBER = set(ALL_KINDS) - MEMBER_KINDS
_TAKES = {"kill-trader": 1, "kill-peer": 1, "kill-two": 2, "leave": 1, "crash-at": 1, "crash-taking-office": 2}


def test_the_same_seed_is_the_same_plan() -> None:
    assert draw_plan(7, 60, 6) == draw_plan(7, 60, 6)
    assert msgspec.json.encode(draw_plan(7, 60, 6)) == msgspec.json.encode(draw_plan(7, 60, 6))


def test_another_seed_is_another_plan() -> None:
    assert len({msgspec.json.encode(draw_plan(seed, 60, 6).faults) for seed in SEEDS}) == len(SEEDS)


def test_this_plan_stays_what_it_is() -> None:
    """A seed that once found something must go on finding it: whoever changes the drawing should know."""
    plan = draw_plan(7, 60, 6)
    assert [(fault.at_s, fault.kind) for fault in plan.faults[:4]] == FIRST_OF_SEED_7


def test_a_plan_survives_the_disk() -> None:
    plan = draw_plan(3, 60, 6)
    assert msgspec.json.decode(msgspec.json.encode(plan), type=Plan) == plan


@pytest.mark.parametrize("peers", [5, 6, 9, 20])
def test_enough_peers_are_left_at_any_time(peers: int) -> None:
    for seed in SEEDS:
        alive = peers
        gone = 0
        until_s: list[float] = []
        for fault in draw_plan(seed, 120, peers).faults:
            disturbed = sum(end_s > fault.at_s for end_s in until_s)
            taken = _TAKES.get(fault.kind, 0)
            came = fault.kind in ("join", "come-back")
            assert fault.kind != "come-back" or gone > 0
            alive += came - taken
            gone += taken - (fault.kind == "come-back")
            if taken:
                assert alive - disturbed >= LEAST_ALIVE, f"seed {seed}, fault {fault.number}"
            if service_of(fault.kind) is None:
                until_s += [fault.at_s + fault.lasts_s] * disturbs(fault.kind)
            assert alive <= peers + MOST_MORE + gone


@pytest.mark.parametrize("seed", SEEDS)
def test_three_minutes_have_every_kind_of_fault(seed: int) -> None:
    kinds = {fault.kind for fault in draw_plan(seed, 180, 6).faults}
    assert len(kinds) >= len(OF_ONE_MEMBER) - 3  # The deck may not have come round.


def test_over_many_seeds_nothing_is_missing_and_some_faults_overlap() -> None:
    plans = [draw_plan(seed, 60, 6) for seed in SEEDS]
    faults = [fault for plan in plans for fault in plan.faults]
    assert {fault.kind for fault in faults} == OF_ONE_MEMBER
    assert sum(any(_overlap(plan)) for plan in plans) > len(plans) * 0.9
    assert {fault.way for fault in faults} == {"out", "in", "both", None}
    assert {fault.between for fault in faults} == {*BETWEEN, None}
    assert {fault.point for fault in faults} == {*get_args(Point), None}


def test_a_member_that_takes_no_writes_is_hit_where_there_is_one() -> None:
    kinds = {fault.kind for seed in SEEDS for fault in draw_plan(seed, 60, 6, replicas=3).faults}
    assert kinds == set(ALL_KINDS)


def test_each_seed_has_a_pace_of_its_own_and_an_hour_has_enough_faults_whatever_the_seed() -> None:
    lengths = [len(draw_plan(seed, 60, 6).faults) for seed in SEEDS]
    assert max(lengths) > 1.5 * min(lengths)
    assert all(1650 <= len(draw_plan(seed, 3600, 8).faults) <= 2050 for seed in range(10))


def test_each_seed_has_timings_of_its_own_and_every_one_of_them_will_do() -> None:
    drawn = {seed: draw_tuning(seed) for seed in range(500)}
    assert all(draw_tuning(seed) == drawn[seed] == draw_plan(seed, 10, 6).tuning for seed in range(10))
    assert len(set(drawn.values())) == len(drawn)
    for changes in drawn.values():
        make_settings(changed({}, changes))


def _overlap(plan: Plan) -> list[Planned]:
    ends_s = 0.0
    found = []
    for fault in plan.faults:
        if fault.at_s < ends_s:
            found.append(fault)
        ends_s = max(ends_s, fault.at_s + fault.lasts_s)
    return found


def test_faults_are_numbered_in_order_and_leave_the_end_quiet() -> None:
    for seed in SEEDS:
        faults = draw_plan(seed, 60, 6).faults
        assert [fault.number for fault in faults] == list(range(1, len(faults) + 1))
        times = [fault.at_s for fault in faults]
        assert times == sorted(times)
        assert times[-1] <= 57
        assert len(faults) >= 12


def test_a_service_is_back_before_it_is_hit_again() -> None:
    for seed in SEEDS:
        hits = [f.at_s for f in draw_plan(seed, 300, 6).faults if f.kind in SERVICES["mongod"]]
        assert all(later - earlier >= 6 for earlier, later in pairwise(hits))


def test_only_chosen_faults() -> None:
    kinds = choose_kinds("stop,kill-mongod")
    assert set(kinds) == {"stop-trader", "stop-peer", "kill-mongod"}
    assert {fault.kind for fault in draw_plan(1, 120, 6, kinds).faults} == set(kinds)


def test_who_may_kill_lets_come_back() -> None:
    kinds = choose_kinds("kill")
    assert "come-back" in kinds
    faults = draw_plan(1, 300, 6, kinds).faults
    assert len(faults) > 60
    assert {fault.kind for fault in faults} == set(kinds)


def test_all_faults_where_none_are_named() -> None:
    assert choose_kinds(None, replicas=3) == ALL_KINDS
    every: tuple[Kind, ...] = choose_kinds(",".join(FAMILIES), replicas=3)
    assert every == ALL_KINDS
    assert set(choose_kinds(None)) == OF_ONE_MEMBER == set(draw_plan(1, 60, 6).kinds)


@pytest.mark.parametrize("text", ["members", "kill-member", "mongod,cut-primary", "kill,members"])
def test_faults_of_members_that_were_named_need_members(text: str) -> None:
    with pytest.raises(SettingsError, match="add --replicas 3"):
        choose_kinds(text)
    assert MEMBER_KINDS & set(choose_kinds(text, replicas=3))


def test_a_family_that_has_some_for_members_is_what_is_left_without_any() -> None:
    assert set(choose_kinds("mongod")) == {"kill-mongod", "stop-mongod", "step-down"}


@pytest.mark.parametrize("kind", sorted(OF_ONE_MEMBER - {"come-back"}))
def test_every_kind_that_may_be_named_alone_comes_up(kind: Kind) -> None:
    """Else a run takes its time and could not tell."""
    for seed in range(5):
        assert kind in {fault.kind for fault in draw_plan(seed, 10, 5, choose_kinds(kind)).faults}


def test_a_choice_that_never_comes_up_is_refused(tmp_path: Path) -> None:
    options = ChaosOptions(duration_s=60, peers=6, seed=1, kinds=choose_kinds("come-back"), out=tmp_path)
    with pytest.raises(SettingsError, match="come-back alone never comes up"):
        options.check()


@pytest.mark.parametrize("text", ["earthquake", "kill,earthquake", "", " , "])
def test_unknown_faults_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="--faults"):
        choose_kinds(text)
