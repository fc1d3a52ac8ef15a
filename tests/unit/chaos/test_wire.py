"""When what is sent arrives: in order, late by what was said, and after a cut when the kernel tries again."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from peers.chaos.switch.faults import WireFault, hits
from peers.chaos.switch.wire import RECONNECT_S, RESEND_S, AtWork, Wire


def wire(*faults: WireFault, began_s: float = 0.0, seed: int = 1) -> Wire:
    made = Wire(1, Random(seed))
    made.suffer(AtWork(fault=fault, until_s=began_s + fault.seconds) for fault in faults)
    return made


def fault(**what: float | bool | str) -> WireFault:
    return WireFault(number=1, ones=("a",), seconds=10.0, **what)  # type: ignore[arg-type]


def test_a_sound_wire_takes_no_time() -> None:
    sound = wire()
    assert sound.is_sound
    assert sound.arrives_s(5.0, 100) == 5.0
    assert sound.again_s(5.0, 5.0) is None
    assert sound.jammed_until_s(5.0) is None


def test_delay_and_jitter_keep_the_order() -> None:
    late = wire(fault(delay_s=0.1, jitter_s=0.3))
    arrivals = [late.arrives_s(n / 100, 100) for n in range(200)]
    assert all(0.1 <= at_s - n / 100 <= 0.4 for n, at_s in enumerate(arrivals))
    assert all(earlier <= later for earlier, later in pairwise(arrivals))
    assert max(at_s - n / 100 for n, at_s in enumerate(arrivals)) > 0.3


def test_what_is_lost_comes_when_it_is_sent_again_and_all_else_waits_behind_it() -> None:
    lossy = wire(fault(loss=0.5))
    late_s = {round(lossy.arrives_s(100.0 * n, 100) - 100.0 * n, 6) for n in range(1, 500)}
    assert sorted(late_s) == pytest.approx([0.0, RESEND_S, 3 * RESEND_S, 7 * RESEND_S, 15 * RESEND_S])
    again = wire(fault(loss=0.5))
    at_once = [again.arrives_s(1.0, 100) for _ in range(50)]
    assert at_once == sorted(at_once)


def test_a_slow_wire_takes_its_time_for_each_byte() -> None:
    slow = wire(fault(bytes_a_second=1000.0))
    assert slow.arrives_s(1.0, 500) == pytest.approx(1.5)
    assert slow.arrives_s(1.1, 500) == pytest.approx(2.0)
    assert slow.arrives_s(5.0, 500) == pytest.approx(5.5)


def test_a_slow_wire_is_as_quick_as_its_other_faults_let_it_be_once_it_is_slow_no_more() -> None:
    slow, late = (AtWork(fault=each, until_s=10.0) for each in (fault(bytes_a_second=10.0), fault(delay_s=0.1)))
    both = Wire(1, Random(1))
    assert not both.suffer([slow, late])
    assert both.arrives_s(1.0, 500) > 50.0
    assert both.suffer([late])
    assert both.arrives_s(2.0, 500) == pytest.approx(2.1)
    assert not both.suffer([])


def test_connections_are_apart_by_different_times_each_always_by_the_same() -> None:
    apart = fault(apart_s=1.0)
    offsets = []
    for seed in range(20):
        one = wire(apart, seed=seed)
        first = one.arrives_s(1.0, 10) - 1.0
        assert one.arrives_s(9.0, 10) - 9.0 == pytest.approx(first)
        offsets.append(first)
    assert max(offsets) - min(offsets) > 0.5


def test_after_a_cut_it_arrives_when_the_kernel_tries_again() -> None:
    cut = wire(WireFault(number=1, ones=("a",), seconds=2.0, cut=True))
    tries = [0.0]
    while (again := cut.again_s(0.0, tries[-1])) is not None:
        tries.append(again)
    assert tries == pytest.approx([0.0, RESEND_S, 3 * RESEND_S, 7 * RESEND_S, 15 * RESEND_S])
    assert tries[-2] < 2.0 <= tries[-1]
    assert cut.again_s(0.0, 0.0, RECONNECT_S) == pytest.approx(1.0)
    assert cut.again_s(0.0, 1.0, RECONNECT_S) == pytest.approx(3.0)
    assert cut.again_s(1.5, 2.0) is None
    assert [len(each.touched) for each in cut.faults] == [1]


def test_a_jam_is_over_when_it_was_said() -> None:
    jam = wire(fault(jam=True))
    assert jam.jammed_until_s(3.0) == pytest.approx(10.0)
    assert jam.jammed_until_s(10.0) is None
    assert jam.again_s(1.0, 1.0) is None


def test_a_fault_that_does_nothing_touches_nothing() -> None:
    lossy = wire(fault(loss=0.0))
    lossy.arrives_s(1.0, 10)
    assert not lossy.faults[0].touched


@pytest.mark.parametrize(("way", "there", "back"), [("out", True, False), ("in", False, True), ("both", True, True)])
def test_a_fault_has_a_direction(way: str, there: bool, back: bool) -> None:
    one = WireFault(number=1, ones=("a", "b"), others=("c",), way=way, seconds=1.0, cut=True)  # type: ignore[arg-type]
    assert hits(one, "a", "c") is there
    assert hits(one, "c", "b") is back
    assert not hits(one, "a", "b")
    assert not hits(one, "d", "c")


def test_with_no_others_named_all_are_meant() -> None:
    alone = WireFault(number=1, ones=("a",), way="out", seconds=1.0, cut=True)
    assert hits(alone, "a", "anybody")
    assert hits(alone, "a", "")
    assert not hits(alone, "anybody", "a")
