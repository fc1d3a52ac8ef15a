"""When a neighbour's silence counts against it, and when against ourselves."""

from __future__ import annotations

from random import Random

import pytest

from peers.core.commands import Command, Publish, SetTimer
from peers.core.inputs import Input, Now, Received, Start, TimerFired
from peers.core.membership.members import Snapshot
from peers.core.messages import ClockNews
from peers.core.peer import Peer
from peers.core.reports import Lost
from tests.unit.core.words import T0_MS, at, peer, rules

MEMBERS = (peer(0), peer(1, "seller"), peer(2))
RULES = rules()
BEAT_S, SUSPECT_S = RULES.timing.heartbeat_interval_s, RULES.timing.suspect_s


class Listener:
    """Rank 0 with neighbours 1, which is heard whenever the timer fires, and 2, which says something once at most."""

    def __init__(self, *, heard: bool = True) -> None:
        self.peer = Peer(MEMBERS[0], RULES, Random(0), trades=False)
        self.now_s = 100.0
        self.due_s = 0.0
        self.lost_after_s: float | None = None
        self._began_s = self.now_s
        self._take(Start(snapshot=Snapshot(members=MEMBERS, edges=((0, 1), (0, 2)), term=1, trader="seller1")))
        if heard:
            self._hears(2)

    def _take(self, event: Input) -> None:
        for command in self.peer.handle(event, Now(mono_s=self.now_s, wall_ms=T0_MS)):
            self._look_at(command)

    def _look_at(self, command: Command) -> None:
        if isinstance(command, SetTimer) and command.timer == "heartbeat":
            self.due_s = self.now_s + command.after_s
        elif isinstance(command, Publish) and isinstance(command.report, Lost):
            assert command.report.lost == "buyer2"
            self.lost_after_s = self.now_s - self._began_s

    def beat(self, late_s: float = 0.0) -> None:
        self.now_s = self.due_s + late_s
        self._hears(1)
        self._take(TimerFired(timer="heartbeat"))

    def _hears(self, sender: int) -> None:
        self._take(Received(sender=sender, incarnation=1, message=ClockNews(clock=at(1))))

    def until_lost(self, late_s: float, beats: int = 200) -> float | None:
        for _ in range(beats):
            self.beat(late_s)
            if self.lost_after_s is not None:
                break
        return self.lost_after_s


def test_who_is_on_time_suspects_in_time() -> None:
    lost_after_s = Listener().until_lost(0.0)
    assert lost_after_s is not None
    assert SUSPECT_S < lost_after_s <= SUSPECT_S + BEAT_S


@pytest.mark.parametrize("late_s", [0.05, 0.2, 0.45])
def test_the_later_our_own_timer_the_longer_the_patience_but_not_without_end(late_s: float) -> None:
    lost_after_s = Listener().until_lost(late_s)
    assert lost_after_s is not None
    assert SUSPECT_S + 4 * late_s < lost_after_s < SUSPECT_S + 4 * late_s + 2 * (BEAT_S + late_s)


def test_lateness_is_soon_forgiven() -> None:
    listener = Listener()
    listener.beat(SUSPECT_S * 0.4)
    lost_after_s = listener.until_lost(0.0)
    assert lost_after_s is not None
    assert lost_after_s < SUSPECT_S * 2


def test_a_neighbour_that_was_heard_of_late_makes_us_patient_with_the_other() -> None:
    listener = Listener()
    listener.beat()
    listener.now_s += 0.7 * SUSPECT_S
    listener.due_s = listener.now_s + BEAT_S
    lost_after_s = listener.until_lost(0.0)
    assert lost_after_s is not None
    assert lost_after_s > SUSPECT_S * 1.5


def test_one_that_may_be_starting_yet_is_given_more_time_but_not_for_ever() -> None:
    lost_after_s = Listener(heard=False).until_lost(0.0)
    assert lost_after_s is not None
    assert 5 * SUSPECT_S < lost_after_s < 20 * SUSPECT_S


def test_silence_while_we_slept_says_nothing_at_all() -> None:
    listener = Listener()
    listener.beat(30.0)
    woke_s = listener.now_s
    listener.until_lost(0.0)
    assert listener.lost_after_s is not None
    assert listener.now_s - woke_s > SUSPECT_S
    assert listener.now_s - woke_s < 5 * SUSPECT_S
