"""A peer that is ambushed: dead or held at the very point that was named, once, and only in time."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from peers.points import Point
from peers.runtime.faults.ambush import Ambush
from peers.runtime.faults.wall_clock import WallClock
from peers.runtime.spec import LieInWait, SetClock

_UNDER_WAY: tuple[Point, ...] = ("taking office", "while it is written")

CRASH = """
import sys
from peers.core.ledger.port import Append, Appended
from peers.core.ledger.log import OfficeEntry, TradeEntry
from peers.rpc.deferred_replies import DeferredReplies
from peers.runtime.faults.ambush import Ambush
from peers.runtime.spec import LieInWait

class Ledger:
    def perform(self, operation):
        print(type(getattr(operation, "entry", operation)).__name__, flush=True)
        import time
        time.sleep(0.5)
        print("done", flush=True)
        return Appended()
    def close(self):
        pass

ambush = Ambush(lambda *_, **__: None)
ambush.watch_replies()
ambush.lay(LieInWait(point=sys.argv[1], within_s=60.0))
ledger = ambush.around(Ledger)()
replies = DeferredReplies(60.0, lambda: False)
replies.hand_out()
office = OfficeEntry(entry_id="o", term=1, trader="seller1", written_at_ms=0, reason="start")
ledger.perform(Append(place=1, entry=office))
replies.hand_out()
ledger.perform(Append(place=2, entry=TradeEntry(entry_id="t", term=1, trader="seller1", written_at_ms=0)))
print("answered", flush=True)
replies.hand_out()
print("told", flush=True)
"""


@pytest.mark.parametrize(
    ("point", "before"),
    [
        ("taking office", ["OfficeEntry"]),
        ("before the entry is sent", ["OfficeEntry", "done"]),
        ("while it is written", ["OfficeEntry", "done", "TradeEntry"]),
        ("after the answer", ["OfficeEntry", "done", "TradeEntry", "done"]),
        ("before callers are told", ["OfficeEntry", "done", "TradeEntry", "done", "answered"]),
    ],
)
def test_it_dies_there_and_nowhere_else(point: Point, before: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", CRASH, point], capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    said = done.stdout.split()
    # Where something is under way, it may just have begun.
    assert said == before or (point in _UNDER_WAY and said == before[:-1])


def test_a_thread_is_held_once_and_the_others_go_on() -> None:
    ambush = Ambush(lambda *_, **__: None)
    ambush.lay(LieInWait(point="in the core", within_s=60.0, hold_s=0.3))
    began_s = time.monotonic()
    held = threading.Thread(target=ambush.at, args=("in the core",))
    held.start()
    ambush.at("after the answer")
    assert held.is_alive()
    held.join()
    assert time.monotonic() - began_s >= 0.3
    again_s = time.monotonic()
    ambush.at("in the core")
    assert time.monotonic() - again_s < 0.3


def test_who_does_not_come_in_time_is_not_hit() -> None:
    ambush = Ambush(lambda *_, **__: None)
    ambush.lay(LieInWait(point="after the answer", within_s=0.0))
    ambush.at("after the answer")


def test_a_clock_on_the_wall_is_set_and_drifts(monkeypatch: pytest.MonkeyPatch) -> None:
    true_ns = time.time_ns
    monkeypatch.setattr(time, "time_ns", true_ns)  # It is put back at the end.
    clock = WallClock()
    assert abs(time.time_ns() - true_ns()) < 1e9
    clock.set(SetClock(step_s=-3600.0))
    assert -3601e9 < time.time_ns() - true_ns() < -3599e9
    clock.set(SetClock(drift=1000.0))
    first = time.time_ns() - true_ns()
    second = time.time_ns() - true_ns()
    assert second > first
