"""A trader that is about to leave: until it has left it is there, whatever others take it for."""

from __future__ import annotations

import msgspec

from peers.core.calls import Buy
from peers.core.commands import Command, Stop
from peers.core.inputs import Input, Leave, Now, Received, RequestReceived
from peers.core.messages import MemberNews
from tests.unit.core.town import Town
from tests.unit.core.words import T0_MS, rules, wants


def test_it_counts_itself_among_those_that_are_there_until_it_has_left() -> None:
    town = Town(("buyer", "seller"), settings=rules(resign_after_sales=0))
    town.calm(2.0)
    rank = town.trader()
    trader, me, other = town.peers[rank], town.members[rank], town.members[1 - rank]
    now = Now(mono_s=3600.0, wall_ms=T0_MS + 3_600_000)

    def takes_in(event: Input) -> list[Command]:
        return trader.handle(event, now)

    takes_in(RequestReceived(call_id=1, call=Buy(request=wants("late", buyer=other.name))))
    assert Stop() not in takes_in(Leave()), "an entry is under way"
    for each in (other, me):
        known = next(m for m in trader.snapshot().members if m.rank == each.rank)
        gone = msgspec.structs.replace(known, up=False)
        assert Stop() not in takes_in(Received(sender=other.rank, incarnation=1, message=MemberNews(members=(gone,))))
    assert trader.status().up == (me.name,)
