"""Those that count as gone are asked now and then whether they are there: each in turn, and few at a time."""

from __future__ import annotations

from random import Random

import pytest

from peers.core.commands import Command, Send, SetTimer
from peers.core.inputs import Input, Now, Received, Start, TimerFired
from peers.core.membership.knocking import KNOCK_ROUNDS, MOST_AT_ONCE
from peers.core.membership.members import Snapshot
from peers.core.messages import ClockNews, MemberNews
from peers.core.peer import Peer
from tests.unit.core.words import T0_MS, at, peer, rules

RULES = rules()


class Survivor:
    """Peer `rank` of two that are left, of a market where `gone` others once were."""

    def __init__(self, gone: int, rank: int = 0) -> None:
        others = [peer(number, up=False) for number in range(2, 2 + gone)]
        self.peer = Peer(peer(rank), RULES, Random(0), trades=False)
        self.other = 1 - rank
        self.now_s = self.due_s = 100.0
        snapshot = Snapshot(members=(peer(0), peer(1), *others), edges=((0, 1),), term=1, trader="buyer1")
        self.take(Start(snapshot=snapshot))

    def take(self, event: Input) -> list[Command]:
        commands = self.peer.handle(event, Now(mono_s=self.now_s, wall_ms=T0_MS))
        for command in commands:
            if isinstance(command, SetTimer) and command.timer == "heartbeat":
                self.due_s = self.now_s + command.after_s
        return commands

    def round(self) -> list[int]:
        """One heartbeat; returns who was asked."""
        self.now_s = self.due_s
        self.take(Received(sender=self.other, incarnation=1, message=ClockNews(clock=at(1))))
        commands = self.take(TimerFired(timer="heartbeat"))
        return [
            each.to.rank
            for each in commands
            if isinstance(each, Send) and isinstance(each.message, MemberNews) and each.to.rank > 1
        ]

    def rounds(self, seconds: float) -> list[list[int]]:
        end_s, asked = self.now_s + seconds, []
        while self.now_s < end_s:
            asked.append(self.round())
        return [each for each in asked if each]


@pytest.mark.parametrize("gone", [1, 3, 10, MOST_AT_ONCE * KNOCK_ROUNDS, 100])
def test_all_have_their_turn_and_few_are_asked_at_a_time(gone: int) -> None:
    suspect_s = RULES.timing.suspect_s
    rounds = Survivor(gone).rounds(suspect_s * (gone + KNOCK_ROUNDS))
    at_once = min(-(-gone // KNOCK_ROUNDS), MOST_AT_ONCE)
    assert {len(asked) for asked in rounds} == {at_once}
    until_all = -(-gone // at_once)
    assert set().union(*rounds[:until_all]) == set(range(2, 2 + gone))


def test_only_the_lowest_asks() -> None:
    assert Survivor(5, rank=1).rounds(RULES.timing.suspect_s * 8) == []


def test_nobody_is_asked_where_nobody_is_gone() -> None:
    assert Survivor(0).rounds(RULES.timing.suspect_s * 8) == []
