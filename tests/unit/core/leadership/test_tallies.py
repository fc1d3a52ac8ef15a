"""The sums of what an election cost go home, or come to an end, whatever is said of who is trader."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from peers.core.commands import Command, Send
from peers.core.inputs import Now, Received, Start, TimerFired
from peers.core.membership.members import Snapshot
from peers.core.messages import Coordinator, Tally
from peers.core.peer import Peer
from tests.unit.core.words import T0_MS, peer, rules

MEMBERS = (peer(0), peer(1, "seller"), peer(2), peer(3, "seller"))
NOW = Now(mono_s=0.1, wall_ms=T0_MS)


def a_peer(rank: int) -> Peer:
    one = Peer(MEMBERS[rank], rules(), Random(rank), trades=False)
    snapshot = Snapshot(members=MEMBERS, edges=((0, 1), (0, 2), (1, 3)), term=1, trader="buyer2")
    one.handle(Start(snapshot=snapshot), Now(mono_s=0.0, wall_ms=T0_MS))
    return one


def test_a_sum_that_is_sent_in_a_circle_comes_to_an_end() -> None:
    """Each of two peers was told by the other who is trader now, so each takes the other for the way home."""
    pair = (a_peer(0), a_peer(1))
    for rank, one in enumerate(pair):
        announced = Coordinator(term=2, trader=2, incarnation=5)
        one.handle(Received(sender=1 - rank, incarnation=1, message=announced), NOW)
    waiting = [(0, send) for send in tallies_of(pair[0].handle(TimerFired(timer="tally"), NOW))]
    waiting += [(1, send) for send in tallies_of(pair[1].handle(TimerFired(timer="tally"), NOW))]
    assert [send.to.rank for _, send in waiting] == [1, 0]
    passed_on = 0
    while waiting:
        sender, send = waiting.pop()
        event = Received(sender=sender, incarnation=1, message=send.message)
        # The way back doubles whatever it carries.
        for _ in range(2):
            commands = pair[send.to.rank].handle(event, NOW)
            waiting += [(send.to.rank, each) for each in tallies_of(commands)]
        passed_on += 1
        assert passed_on < 4 * len(MEMBERS)


def tallies_of(commands: Sequence[Command]) -> list[Send]:
    return [each for each in commands if isinstance(each, Send) and isinstance(each.message, Tally)]
