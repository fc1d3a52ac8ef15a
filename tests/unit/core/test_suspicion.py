"""When a neighbour's silence counts against it, and when against ourselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import pytest

from peers.core.commands import Command, Say, Send, SetTimer
from peers.core.gossip import ALONE_FOR, UNHEARD_FOR
from peers.core.inputs import Input, Now, Received, Start, TimerFired
from peers.core.membership import Edge, Snapshot
from peers.core.messages import Beat, ClockNews
from peers.core.peer import Peer
from peers.core.reports import Lost
from tests.unit.core.words import T0_MS, at, peer, rules

MEMBERS = (peer(0), peer(1, "seller"), peer(2), peer(3, "seller"))
TWO, ONE = ((0, 1), (0, 2), (1, 3)), ((0, 2), (1, 2), (1, 3))
RULES = rules()
BEAT_S, SUSPECT_S = RULES.timing.beat_s, RULES.timing.suspect_s


class Listener:
    """Rank 0. Of its neighbours 2 is silent after its first word; `speaks` are heard whenever the timer fires."""

    def __init__(self, edges: Sequence[Edge] = TWO, *, speaks: Sequence[int] = (1,), first_word: bool = True) -> None:
        self.peer = Peer(MEMBERS[0], RULES, Random(0), trades=False)
        self.now_s = 100.0
        self.due_s = 0.0
        self.lost: list[str] = []
        self.beaten_to: list[int] = []
        self.answers: Callable[[int], bool] = lambda _rank: False
        self._speaks = speaks
        snapshot = Snapshot(members=MEMBERS, edges=tuple(edges), term=1, trader="seller1")
        self._take(Start(snapshot=snapshot))
        for rank in self.peer.ctx.neighbours if first_word else ():
            self.hears(rank)

    def _take(self, event: Input) -> None:
        for command in self.peer.handle(event, Now(mono_s=self.now_s, wall_ms=T0_MS)):
            self._carry_out(command)

    def _carry_out(self, command: Command) -> None:
        if isinstance(command, SetTimer) and command.timer == "beat":
            self.due_s = self.now_s + command.after_s
        elif isinstance(command, Say) and isinstance(command.report, Lost):
            self.lost.append(command.report.lost)
        elif isinstance(command, Send) and isinstance(command.message, Beat):
            self.beaten_to.append(command.to.rank)
            if self.answers(command.to.rank):
                self.hears(command.to.rank)

    def hears(self, sender: int) -> None:
        self._take(Received(sender=sender, incarnation=1, message=ClockNews(clock=at(1))))

    def beat(self, late_s: float = 0.0) -> None:
        self.now_s = self.due_s + late_s
        for rank in self._speaks:
            self.hears(rank)
        self._take(TimerFired(timer="beat"))

    def until_lost(self, late_s: float = 0.0) -> float:
        """How long it takes to lose somebody."""
        began_s = self.now_s
        while not self.lost:
            assert self.now_s < began_s + 100 * SUSPECT_S
            self.beat(late_s)
        assert self.lost[0] == "buyer2"
        return self.now_s - began_s


def test_who_is_on_time_suspects_in_time() -> None:
    assert SUSPECT_S < Listener().until_lost() <= SUSPECT_S + BEAT_S


@pytest.mark.parametrize("late_s", [0.05, 0.2, 0.45])
def test_the_later_our_own_timer_the_longer_the_patience_but_not_without_end(late_s: float) -> None:
    lost_after_s = Listener().until_lost(late_s)
    assert SUSPECT_S + 4 * late_s < lost_after_s < SUSPECT_S + 4 * late_s + 2 * (BEAT_S + late_s)


def test_lateness_is_soon_forgiven() -> None:
    listener = Listener()
    listener.beat(SUSPECT_S * 0.4)
    assert listener.until_lost() < SUSPECT_S * 2


def test_a_neighbour_that_was_heard_of_late_makes_us_patient_with_the_other() -> None:
    listener = Listener()
    listener.beat()
    listener.now_s += 0.7 * SUSPECT_S
    listener.due_s = listener.now_s + BEAT_S
    assert listener.until_lost() > SUSPECT_S * 1.2


def test_silence_while_we_slept_says_nothing_at_all() -> None:
    listener = Listener()
    listener.beat(30.0)
    assert SUSPECT_S < listener.until_lost() < 5 * SUSPECT_S


def test_one_that_may_be_starting_yet_is_given_more_time_but_not_for_ever() -> None:
    lost_after_s = Listener(first_word=False).until_lost()
    assert UNHEARD_FOR * SUSPECT_S < lost_after_s <= UNHEARD_FOR * SUSPECT_S + BEAT_S


def test_who_hears_nobody_takes_it_for_its_own_trouble_first() -> None:
    listener = Listener(speaks=())
    listener.lost.append("buyer2")
    began_s = listener.now_s
    while len(listener.lost) == 1:
        listener.beat()
    assert listener.now_s - began_s > ALONE_FOR * SUSPECT_S


def test_who_has_but_one_neighbour_asks_somebody_else_whether_it_is_its_own_trouble() -> None:
    cut_off, well = Listener(ONE, speaks=()), Listener(ONE, speaks=())
    well.answers = lambda rank: rank != 2
    assert cut_off.until_lost() > ALONE_FOR * SUSPECT_S
    assert well.until_lost() <= SUSPECT_S + 2 * BEAT_S
    assert {1, 3} & set(cut_off.beaten_to)
    assert len([rank for rank in cut_off.beaten_to if rank != 2]) < 3 * ALONE_FOR  # not at every beat
