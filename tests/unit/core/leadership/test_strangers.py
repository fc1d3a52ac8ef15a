"""Two that joined at once, and all who knew of both are dead: only the books tell either of the other."""

from __future__ import annotations

from random import Random

import msgspec

from peers.core.inputs import Now, Received, Start
from peers.core.membership.members import Member, Snapshot
from peers.core.messages import MemberNews
from peers.core.peer import Peer
from tests.unit.core.town import Town
from tests.unit.core.words import T0_MS, peer, rules


def strangers() -> Town:
    """Two peers who both know the same dead one, and not each other."""
    town = Town(("buyer",), settings=rules(resign_after_sales=0))
    dead = town.members[0]
    town.calm(2.0)
    town.kill(0)
    for rank in (1, 2):
        me = peer(rank)
        town.peers[rank] = Peer(me, rules(resign_after_sales=0), Random(rank), trades=False)
        town.happens(rank, Start(snapshot=Snapshot(members=(dead, me), edges=(), term=1, trader=dead.name)))
    return town


def test_they_find_each_other_by_the_books_and_one_of_them_holds_the_post_for_good() -> None:
    town = strangers()
    town.calm(10.0)
    assert town.trader() in (1, 2)
    assert all(town.peers[rank].status().up == ("buyer1", "buyer2") for rank in (1, 2))
    term = town.term()
    town.calm(10.0)
    assert town.term() == term


def known_after(member: Member, area: str) -> list[str]:
    """Whom a peer of an area knows once one, who may be of another area, has told it of itself."""
    me = msgspec.structs.replace(peer(0), area=area)
    here = Peer(me, rules(), Random(1), trades=False, area=area)
    now = Now(mono_s=0.0, wall_ms=T0_MS)
    here.handle(Start(snapshot=Snapshot(members=(me,), edges=())), now)
    here.handle(Received(sender=member.rank, incarnation=1, message=MemberNews(members=(member,))), now)
    return list(here.status().up)


def test_nobody_takes_in_one_of_another_area_that_it_is_known_after() -> None:
    assert known_after(msgspec.structs.replace(peer(1), area="north"), "north") == ["buyer0", "buyer1"]
    assert known_after(msgspec.structs.replace(peer(1), area="south"), "north") == ["buyer0"]
