"""The arithmetic of the bench: schedules, floors, rates, and the exit code."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peers.errors import SettingsError
from plots.bench.plan import QUICK, SECTIONS, Plan, make_plan
from plots.bench.report import Report, to_json
from plots.bench.schedule import arrivals, deal
from plots.bench.stats import Turn, floor_of, rate_of


def turn(took_s: float, *latencies_ms: float) -> Turn:
    return Turn(took_s=took_s, latencies_ms=np.asarray(latencies_ms))


# -- the open loop -------------------------------------------------------------------------------------------


@given(st.floats(1, 5000), st.floats(0.1, 5), st.integers(0, 1000))
def test_a_schedule_is_in_order_and_within_its_time(rate: float, duration_s: float, seed: int) -> None:
    due_s = arrivals(rate, duration_s, seed)
    assert (np.diff(due_s) >= 0).all()
    assert ((due_s >= 0) & (due_s < duration_s)).all()
    expected = rate * duration_s
    assert abs(due_s.size - expected) <= 6 * expected**0.5 + 6


def test_the_same_seed_makes_the_same_schedule() -> None:
    assert (arrivals(100, 2, 1) == arrivals(100, 2, 1)).all()
    assert not np.array_equal(arrivals(100, 2, 1), arrivals(100, 2, 2))


def test_the_gaps_of_a_schedule_are_those_of_chance() -> None:
    gaps = np.diff(arrivals(1000, 20, 3))
    # Of an exponential distribution mean and deviation are the same; of a steady beat the deviation would be 0.
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.1)


@pytest.mark.parametrize(("rate", "duration_s"), [(0, 1), (-1, 1), (10, 0)])
def test_a_schedule_of_nothing_is_refused(rate: float, duration_s: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        arrivals(rate, duration_s, 1)


@given(st.lists(st.floats(0, 100), max_size=200), st.integers(1, 70))
def test_dealing_loses_nothing_and_keeps_the_order(due_s: list[float], customers: int) -> None:
    dealt = deal(np.sort(np.asarray(due_s, dtype=np.float64)), customers)
    assert len(dealt) == customers
    assert sorted(due_s) == sorted(float(each) for share in dealt for each in share)
    assert all((np.diff(share) >= 0).all() for share in dealt)
    sizes = [share.size for share in dealt]
    assert max(sizes) - min(sizes) <= 1


def test_dealing_needs_somebody() -> None:
    with pytest.raises(ValueError, match="nobody"):
        deal(np.zeros(3), 0)


# -- floors and rates ----------------------------------------------------------------------------------------


def test_a_floor_is_an_echo_and_a_transaction_each() -> None:
    assert floor_of([0.1, 0.3], [2.0, 4.0]).tolist() == pytest.approx([2.1, 4.3])
    with pytest.raises(ValueError, match="as many"):
        floor_of([0.1], [2.0, 4.0])


def test_a_rate_is_over_all_turns_and_weighs_them_by_their_time() -> None:
    rate = rate_of(4, [turn(1.0, 1, 2, 3, 4), turn(3.0, 5, 6)])
    assert rate.customers == 4
    assert rate.per_s == pytest.approx(6 / 4)
    assert rate.worst_turn_per_s == pytest.approx(2 / 3)
    assert rate.best_turn_per_s == pytest.approx(4.0)
    assert rate.latency_ms.count == 6
    assert (rate.latency_ms.p50, rate.latency_ms.max) == (3, 6)


# -- what is measured, and what it comes to ------------------------------------------------------------------


def test_a_plan_has_the_sections_asked_for_in_their_own_order() -> None:
    assert make_plan(quick=False) == Plan()
    assert make_plan(quick=True) == QUICK
    assert make_plan(quick=True, sections=["start", "latency"]).sections == ("latency", "start")
    assert Plan().sections == SECTIONS


def test_a_section_there_is_not_is_refused() -> None:
    with pytest.raises(SettingsError, match="lattency"):
        make_plan(quick=False, sections=["lattency"])


def test_the_full_bench_measures_what_it_promises() -> None:
    plan = Plan()
    assert plan.turns * plan.turn >= 1000
    assert plan.failovers >= 20
    assert plan.customers == (1, 4, 16, 32, 64)


@pytest.mark.parametrize(("codes", "exit_code"), [([], 0), ([0, 0], 0), ([0, 2], 2), ([0, None], 2), ([2, 1, 0], 1)])
def test_the_exit_code_is_that_of_the_worst_audit(codes: list[int | None], exit_code: int) -> None:
    report = Report(machine="", seed=1, audit_codes={str(number): code for number, code in enumerate(codes)})
    assert report.exit_code == exit_code
    assert json.loads(to_json(report))["exit_code"] == exit_code
