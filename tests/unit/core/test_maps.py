"""When two neighbours whose maps of members differ exchange them: once nothing is under way any more."""

from __future__ import annotations

from random import Random

import msgspec

from peers.core.commands import Send
from peers.core.inputs import Now, Received, Start
from peers.core.membership.gossip import PASSED_BY_AFTER
from peers.core.membership.members import Snapshot
from peers.core.messages import Heartbeat, LinkMessage, MemberNews
from peers.core.peer import Peer
from tests.unit.core.words import T0_MS, at, peer, rules

MEMBERS = (peer(0), peer(1, "seller"), peer(2))


class Neighbour:
    """Rank 0, which 1 beats to."""

    def __init__(self) -> None:
        self.now_s = 0.1
        self.peer_settings = rules()
        self.peer = Peer(MEMBERS[0], self.peer_settings, Random(0), trades=False)
        snapshot = Snapshot(members=MEMBERS, edges=((0, 1), (1, 2)), term=1, trader="seller1")
        self.peer.handle(Start(snapshot=snapshot), Now(mono_s=0.0, wall_ms=T0_MS))

    def hears(self, message: LinkMessage) -> list[LinkMessage]:
        event = Received(sender=1, incarnation=1, message=message)
        commands = self.peer.handle(event, Now(mono_s=self.now_s, wall_ms=T0_MS))
        return [c.message for c in commands if isinstance(c, Send) and c.to.rank == 1]

    def gives_its_map(self, digest: int) -> bool:
        said = self.hears(Heartbeat(clock=at(1), term=1, trader=1, incarnation=1, digest=digest))
        return any(isinstance(message, MemberNews) and message.whole for message in said)


def test_maps_that_stay_different_are_exchanged() -> None:
    neighbour = Neighbour()
    assert [neighbour.gives_its_map(7) for _ in range(4)] == [False, True, False, True]


def test_while_theirs_changes_news_is_under_way() -> None:
    neighbour = Neighbour()
    assert not any(neighbour.gives_its_map(digest) for digest in range(1, 20))


def test_while_ours_changes_news_is_under_way() -> None:
    neighbour = Neighbour()
    for incarnation in range(2, 20):
        assert not neighbour.gives_its_map(7)
        neighbour.hears(MemberNews(members=(msgspec.structs.replace(MEMBERS[2], incarnation=incarnation),)))
    assert not neighbour.gives_its_map(7)
    assert neighbour.gives_its_map(7)


def test_one_that_news_passes_by_is_given_the_map_though_ours_goes_on_changing() -> None:
    neighbour = Neighbour()
    given_s = []
    for incarnation in range(2, 20):
        neighbour.now_s += neighbour.peer_settings.timing.heartbeat_interval_s
        if neighbour.gives_its_map(7):
            given_s.append(neighbour.now_s)
        neighbour.hears(MemberNews(members=(msgspec.structs.replace(MEMBERS[2], incarnation=incarnation),)))
    assert given_s
    assert given_s[0] > PASSED_BY_AFTER * neighbour.peer_settings.timing.suspect_s
