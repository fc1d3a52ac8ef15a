"""Timers: each fires once, when due, as last set; cancelled or set anew under the lock it does not fire."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from peers.core.inputs import TimerName
from peers.rpc.wake_up import WakeUp
from peers.runtime.timers import Timers
from tests.helpers.waiting import wait_until

pytestmark = pytest.mark.timeout(30)


class Clockwork:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.fired: list[tuple[TimerName, float]] = []
        self.timers = Timers(self.lock, self._fire)
        self.timers.start()

    def _fire(self, timer: TimerName) -> None:
        assert self.lock.locked()
        self.fired.append((timer, time.monotonic()))
        if timer == "clock":
            self.timers.cancel("tally")

    def names(self) -> list[TimerName]:
        return [name for name, _ in self.fired]


@pytest.fixture
def clockwork() -> Iterator[Clockwork]:
    clockwork = Clockwork()
    yield clockwork
    with clockwork.lock:
        clockwork.timers.stop()
    clockwork.timers.join()


def test_timers_fire_in_order_when_due(clockwork: Clockwork) -> None:
    began_s = time.monotonic()
    with clockwork.lock:
        clockwork.timers.set("sell", 0.06)
        clockwork.timers.set("buy", 0.03)
        clockwork.timers.set("heartbeat", 0.0)
    wait_until(lambda: len(clockwork.fired) == 3, what="three")
    assert clockwork.names() == ["heartbeat", "buy", "sell"]
    assert clockwork.fired[1][1] - began_s >= 0.03
    assert clockwork.fired[2][1] - began_s >= 0.06


def test_a_nearer_timer_wakes_it_from_waiting_for_a_farther_one(clockwork: Clockwork) -> None:
    with clockwork.lock:
        clockwork.timers.set("period", 100.0)
    with clockwork.lock:
        clockwork.timers.set("heartbeat", 0.001)
    wait_until(clockwork.names, what="the beat", deadline_s=2)
    assert clockwork.names() == ["heartbeat"]


def test_set_anew_or_cancelled_it_does_not_fire_as_before(clockwork: Clockwork) -> None:
    with clockwork.lock:
        clockwork.timers.set("heartbeat", 0.0)
        clockwork.timers.set("buy", 0.0)
        time.sleep(0.02)  # Both timers are overdue, and the thread cannot come to them.
        clockwork.timers.cancel("heartbeat")
        clockwork.timers.set("buy", 0.05)
        clockwork.timers.set("sell", 0.01)
    wait_until(lambda: len(clockwork.fired) == 2, what="two")
    assert clockwork.names() == ["sell", "buy"]


def test_one_that_fires_may_cancel_another_that_is_due_as_well(clockwork: Clockwork) -> None:
    with clockwork.lock:
        clockwork.timers.set("clock", 0.0)
        clockwork.timers.set("tally", 0.001)
        clockwork.timers.set("heartbeat", 0.02)
        time.sleep(0.01)
    wait_until(lambda: "heartbeat" in clockwork.names(), what="the beat")
    assert clockwork.names() == ["clock", "heartbeat"]


def test_a_ring_is_heard_once_whenever_it_came() -> None:
    bell = WakeUp()
    bell.ring()
    bell.ring()
    assert bell.wait(0)
    assert not bell.wait(0)
    threading.Timer(0.01, bell.ring).start()
    assert bell.wait(5)
