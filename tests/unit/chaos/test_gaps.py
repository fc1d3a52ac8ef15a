"""Time without trade, and which fault it is put down to."""

from __future__ import annotations

import pytest

from peers.chaos.gaps import by_kind, gaps, pauses, without_trade
from tests.unit.chaos.made_up import fault, sale, steady


def test_time_without_trade() -> None:
    found = without_trade(pauses(steady(20, [(5, 6), (10, 12.5)]), 20))
    assert found.pauses == 2
    assert found.total_s == pytest.approx(3.5)
    assert found.worst_s == pytest.approx(2.5)
    assert found.worst_at_s == pytest.approx(10)


def test_the_beginning_and_the_end_count() -> None:
    found = without_trade(pauses([sale(4.0), sale(4.1)], 10))
    assert found.total_s == pytest.approx(9.9)
    assert found.worst_s == pytest.approx(5.9)


def test_no_trade_at_all() -> None:
    found = without_trade(pauses([], 10))
    assert (found.total_s, found.worst_s, found.pauses) == (10, 10, 1)


def test_what_was_sold_outside_the_chaos_does_not_count() -> None:
    assert without_trade(pauses([sale(-1.0), sale(11.0)], 10)).worst_s == 10


def test_the_gap_of_a_killed_trader() -> None:
    (gap,) = gaps([fault("kill-trader", 5.0)], pauses(steady(20, [(5, 5.7)]), 20))
    assert gap.gap_s == pytest.approx(0.7)
    assert gap.failover
    assert gap.alone


def test_a_longer_pause_after_the_failover_is_another_matter() -> None:
    (gap,) = gaps([fault("kill-trader", 5.0)], pauses([*steady(20, [(5, 5.3)]), sale(20.0)], 30))
    assert gap.gap_s == pytest.approx(0.3)


def test_a_late_witness_makes_no_failover() -> None:
    told_late = [sale(1.0, term=1), sale(1.1, term=2), sale(1.2, term=1), sale(1.3, term=2)]
    assert sum(pause.failover for pause in pauses(told_late, 2)) == 1


def test_a_fault_that_did_not_hit_the_trader_and_cost_nothing() -> None:
    (gap,) = gaps([fault("kill-nameserver", 5.0)], pauses(steady(20, [(10, 13)]), 20))
    assert gap.gap_s == pytest.approx(0.05)
    assert not gap.failover


def test_faults_that_share_a_pause_are_not_alone() -> None:
    both = [fault("stop-trader", 5.0, 8.0, number=1), fault("stop-mongod", 5.5, 6.0, number=2)]
    found = gaps(both, pauses(steady(20, [(5, 6.5)]), 20))
    assert [gap.alone for gap in found] == [False, False]
    assert [gap.gap_s for gap in found] == pytest.approx([1.5, 1.5])


def test_what_was_skipped_has_no_gap() -> None:
    assert gaps([fault("resign", 5.0, skipped="nobody is in office")], pauses(steady(20), 20)) == []


def test_kinds_are_summed_up_by_those_that_came_alone() -> None:
    faults = [
        fault("kill-trader", 5.0, number=1),
        fault("kill-trader", 10.0, number=2),
        fault("kill-trader", 15.0, number=3),
        fault("stop-mongod", 15.1, 16.9, number=4),
    ]
    found = by_kind(gaps(faults, pauses(steady(20, [(5, 5.2), (10, 10.4), (15, 17)]), 20)))
    (kill,) = (each for each in found if each.kind == "kill-trader")
    assert (kill.faults, kill.failovers, kill.alone) == (3, 3, 2)
    assert (kill.median_s, kill.worst_s) == pytest.approx((0.3, 0.4))
    assert kill.worst_of_all_s == pytest.approx(2.0)
