"""What a terminal takes for true of the market: the newest word of a peer that is not cut off itself."""

from __future__ import annotations

import msgspec
import pytest

from peers.core.membership.members import Member, Snapshot
from peers.runtime.spec import Believed
from peers.town.processes.belief import Belief
from tests.unit.core.words import peer

OURS = ("buyer0", "buyer1", "buyer2")


def at(member: Member, nameserver: str) -> Member:
    return msgspec.structs.replace(member, nameserver=nameserver)


def says(*members: Member, checksum: int = 1, name: str = "buyer0", trader: str | None = None) -> Believed:
    return Believed(
        name=name, checksum=checksum, snapshot=Snapshot(members=members, edges=(), term=checksum, trader=trader)
    )


def test_before_anybody_said_anything_nobody_is_up() -> None:
    belief = Belief()
    assert belief.up() == []
    assert belief.question().unless == 0


def test_what_a_newcomer_was_handed_holds_until_a_peer_says_more() -> None:
    belief = Belief()
    belief.begin_with(Snapshot(members=(peer(7),), edges=()))
    assert belief.up() == [peer(7)]
    belief.hear(says(peer(0), peer(1), peer(2), peer(8)), OURS)
    assert belief.up() == [peer(0), peer(1), peer(2), peer(8)]


def test_who_counts_as_gone_is_not_up() -> None:
    belief = Belief()
    belief.hear(says(peer(0), peer(1), peer(2), peer(8, up=False)), OURS)
    assert belief.up() == [peer(0), peer(1), peer(2)]


def test_what_is_known_already_need_not_be_said_again() -> None:
    belief = Belief()
    belief.hear(says(peer(0), peer(1), checksum=77), OURS)
    assert belief.question().unless == 77
    belief.hear(Believed(name="buyer1", checksum=77, snapshot=None), OURS)
    assert belief.up() == [peer(0), peer(1)]
    assert belief.question().unless == 77


@pytest.mark.parametrize(
    ("seen", "is_believed"),
    [((), False), ((0,), False), ((0, 1), True), ((0, 1, 2), True)],
)
def test_a_peer_that_sees_less_than_half_of_ours_is_cut_off_and_not_believed(
    seen: tuple[int, ...], is_believed: bool
) -> None:
    belief = Belief()
    belief.hear(says(*map(peer, range(3)), peer(9)), OURS)
    cut_off = [peer(rank, up=rank in seen) for rank in range(3)]
    belief.hear(says(*cut_off, peer(9, up=False), checksum=2), OURS)
    assert (peer(9) not in belief.up()) == is_believed
    assert belief.question().unless == (2 if is_believed else 1)


def test_where_all_of_ours_have_ended_the_last_word_counts() -> None:
    belief = Belief()
    belief.hear(says(peer(8), peer(9)), ours=())
    assert belief.up() == [peer(8), peer(9)]


def test_name_servers_are_remembered_the_latest_last_also_of_those_who_are_not_believed() -> None:
    belief = Belief()
    belief.hear(says(at(peer(0), "a:1"), at(peer(1), "b:1"), peer(2)), OURS)
    belief.hear(says(at(peer(0), "a:1"), peer(1), peer(2), checksum=2), OURS)
    assert list(belief.nameservers) == ["b:1", "a:1"]
    belief.hear(says(at(peer(8), "c:1"), checksum=3), OURS)
    assert list(belief.nameservers) == ["b:1", "a:1", "c:1"]
    belief.hear(says(at(peer(8, up=False), "d:1"), checksum=4), OURS)
    assert "d:1" not in belief.nameservers


@pytest.mark.parametrize(
    "forged", ["x", "127.0.0.3", ":9090", "127.0.0.3:0", "127.0.0.3:65536", "127.0.0.3:nine", "\x1b[2J:9"]
)
def test_a_name_server_at_no_address_is_not_heard_of(forged: str) -> None:
    liar = at(peer(8), forged)
    belief = Belief()
    belief.begin_with(Snapshot(members=(liar,), edges=()))
    assert belief.up() == [at(liar, "")]
    belief.hear(says(peer(0), peer(1), at(peer(2), "[::1]:9090"), liar), OURS)
    assert belief.up() == [peer(0), peer(1), at(peer(2), "[::1]:9090"), at(liar, "")]
    assert list(belief.nameservers) == ["[::1]:9090"]
