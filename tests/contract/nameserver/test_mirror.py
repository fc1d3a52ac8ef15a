"""A machine's name server lists what its peers believe, and leaves alone what is not theirs to say."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from nameserver.client import NameServerClient, Registered, RegisteredTrader
from nameserver.process import NameServerProcess
from peers.core.membership.members import Member
from peers.town.machines.mirror import Wanted, bring_up_to_date, copy_area
from tests.unit.core.words import peer

CARD = {"town": "t", "settings": "{}"}
NOTHING = Wanted(nameserver=1, here=(), elsewhere=(), gone=(), trader=None, term=0, card=CARD)


@pytest.fixture
def names(nameserver: NameServerProcess) -> Iterator[NameServerClient]:
    with NameServerClient(nameserver.host, nameserver.port, 5.0) as client:
        yield client
        for listed in client.peers():
            client.unregister(listed)


def of(rank: int, port: int = 1000, *, up: bool = True) -> Member:
    return msgspec.structs.replace(peer(rank, up=up), uri=f"PYRO:buyer{rank}@192.0.2.{rank}:{port}")


def wants(**changes: object) -> Wanted:
    return msgspec.structs.replace(NOTHING, **changes)


def listed(names: NameServerClient) -> dict[str, str]:
    return {each.name: each.uri for each in names.peers()}


def test_who_is_missing_is_listed_with_rank_and_role(names: NameServerClient) -> None:
    bring_up_to_date(names, wants(here=(of(1),), elsewhere=(of(2),)), ours=["buyer1"])
    assert [(each.name, each.rank, each.role) for each in names.peers()] == [
        ("buyer1", 1, "buyer"),
        ("buyer2", 2, "buyer"),
    ]
    assert (names.card() or {}).items() >= CARD.items()


def test_one_elsewhere_that_has_moved_is_listed_at_its_new_address(names: NameServerClient) -> None:
    bring_up_to_date(names, wants(elsewhere=(of(2),)), ours=())
    bring_up_to_date(names, wants(elsewhere=(of(2, 2000),)), ours=())
    assert listed(names) == {"buyer2": of(2, 2000).uri}


def test_one_here_knows_best_itself_where_it_is(names: NameServerClient) -> None:
    names.register(of(1, 2000))
    bring_up_to_date(names, wants(here=(of(1),)), ours=["buyer1"])
    assert listed(names) == {"buyer1": of(1, 2000).uri}


def test_who_is_gone_is_taken_away_and_strangers_are_left_alone(names: NameServerClient) -> None:
    for rank in (1, 2, 3):
        names.register(of(rank))
    bring_up_to_date(names, wants(gone=(of(1, up=False), of(2, up=False))), ours=["buyer1"])
    # The first is this machine's own: it takes itself away, and may be back by now.
    assert listed(names).keys() == {"buyer1", "buyer3"}


def test_a_trader_elsewhere_is_listed_by_its_term_and_taken_away_when_it_is_gone(names: NameServerClient) -> None:
    there = of(2)
    bring_up_to_date(names, wants(elsewhere=(there,), trader=there, term=7), ours=())
    trader = names.trader()
    assert trader is not None
    assert (trader.uri, trader.term) == (there.uri, 7)
    bring_up_to_date(names, wants(elsewhere=(of(3),), trader=of(3), term=6), ours=())
    assert names.trader() == trader, "an older term takes nothing from a newer one"
    bring_up_to_date(names, wants(gone=(msgspec.structs.replace(there, up=False),)), ours=())
    assert names.trader() is None


def test_the_trader_here_lists_itself(names: NameServerClient) -> None:
    names.register_trader(of(1), 3)
    bring_up_to_date(names, wants(here=(of(1),), elsewhere=(of(2),), gone=(of(3),)), ours=["buyer1"])
    trader = names.trader()
    assert trader is not None
    assert trader.uri == of(1).uri
    names.unregister_trader(of(1))


def test_a_card_that_is_there_is_kept(names: NameServerClient) -> None:
    bring_up_to_date(names, wants(), ours=())
    names.say_closing()
    bring_up_to_date(names, wants(), ours=())
    assert "closing" in (names.card() or {})


def test_each_area_has_a_trader_and_none_is_taken_for_a_peer(names: NameServerClient) -> None:
    north, south = (msgspec.structs.replace(of(rank), area=area) for rank, area in ((1, "north"), (2, "south")))
    bring_up_to_date(names, wants(elsewhere=(north,), trader=north, term=3, area="north"), ours=())
    bring_up_to_date(names, wants(elsewhere=(south,), trader=south, term=8, area="south"), ours=())
    assert [(peer.name, peer.area) for peer in names.peers()] == [("buyer1", "north"), ("buyer2", "south")]
    found = [names.trader(area) for area in ("north", "south")]
    assert [(each.uri, each.term) for each in found if each] == [(north.uri, 3), (south.uri, 8)]
    assert names.trader() is None, "a town with areas has no other trader"
    bring_up_to_date(names, wants(gone=(north,), area="north"), ours=())
    assert names.trader("north") is None
    assert names.trader("south") is not None


def test_an_area_of_others_is_listed_as_they_list_it(names: NameServerClient) -> None:
    there = [msgspec.structs.replace(of(rank), area="west") for rank in (1, 2)]
    source = _Listing(there, trader=there[1], term=4)
    copy_area(names, "west", source)  # type: ignore[arg-type]
    assert [(peer.name, peer.area) for peer in names.peers()] == [("buyer1", "west"), ("buyer2", "west")]
    trader = names.trader("west")
    assert trader is not None
    assert (trader.uri, trader.term) == (there[1].uri, 4)
    moved = msgspec.structs.replace(of(2, port=2000), area="west")
    copy_area(names, "west", _Listing([moved], trader=None, term=0))  # type: ignore[arg-type]
    assert {peer.name: peer.uri for peer in names.peers()} == {"buyer2": moved.uri}
    assert names.trader("west") is None


class _Listing:
    """What another machine lists."""

    def __init__(self, members: list[Member], *, trader: Member | None, term: int) -> None:
        self._members, self._trader, self._term = members, trader, term

    def peers(self) -> list[Registered]:
        return [
            Registered(name=each.name, uri=each.uri, rank=each.rank, role=each.role, area=each.area)
            for each in self._members
        ]

    def trader(self, area: str) -> RegisteredTrader | None:
        assert area == "west"
        return RegisteredTrader(uri=self._trader.uri, term=self._term) if self._trader is not None else None
