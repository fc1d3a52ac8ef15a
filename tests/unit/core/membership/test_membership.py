"""The laws of the map of members: merging is the same in any order, and a false report can be refuted."""

from __future__ import annotations

from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peers.core.commands import Command, Publish, Send
from peers.core.inputs import Now, Received, Start
from peers.core.membership.members import Edge, Member, Membership, Snapshot
from peers.core.messages import MemberNews
from peers.core.peer import Peer
from peers.core.reports import Returned
from tests.unit.core.words import peer, rules

records = st.builds(
    lambda rank, incarnation, up, uri: msgspec.structs.replace(peer(rank, incarnation=incarnation, up=up), uri=uri),
    st.integers(0, 5),
    st.integers(1, 4),
    st.booleans(),
    st.sampled_from(["at home", "where a liar is"]),
)
news = st.lists(records, max_size=12)


def map_after(records: list[Member]) -> Membership:
    members = Membership([], [])
    for record in records:
        members.merge([record])
    return members


@given(told=news, data=st.data())
def test_members_are_the_same_in_whatever_order_and_however_often_they_are_told(
    told: list[Member], data: st.DataObject
) -> None:
    repeats = data.draw(st.lists(st.sampled_from(told))) if told else []
    again = data.draw(st.permutations(told + repeats))
    assert map_after(list(again)).all() == map_after(told).all()
    assert map_after(list(again)).digest() == map_after(told).digest()


@given(one=news, two=news)
def test_maps_that_exchange_all_they_know_become_equal(one: list[Member], two: list[Member]) -> None:
    here, there = map_after(one), map_after(two)
    here.merge(there.all())
    there.merge(here.all())
    assert here.all() == there.all()


@given(told=news)
def test_hearing_it_twice_is_no_news(told: list[Member]) -> None:
    members = Membership([], [])
    members.merge(told)
    assert members.merge(told) == []
    assert members.merge(members.all()) == []


@given(one=news, two=news)
def test_digests_differ_where_maps_differ(one: list[Member], two: list[Member]) -> None:
    here, there = map_after(one), map_after(two)
    assert (here.digest() == there.digest()) == (here.all() == there.all())


@given(told=news)
def test_who_is_up_is_what_the_newest_record_says(told: list[Member]) -> None:
    members = map_after(told)
    for rank in range(6):
        heard = [record for record in told if record.rank == rank]
        newest = max(heard, key=lambda r: (r.incarnation, not r.up), default=None)
        assert members.is_up(rank) == (newest is not None and newest.up)


edges = st.lists(st.tuples(st.integers(0, 5), st.integers(6, 9)), max_size=8)


@given(first=edges, told=st.lists(edges, max_size=4), data=st.data())
def test_edges_of_several_beginnings_are_the_same_in_whatever_order_they_are_told(
    first: list[Edge], told: list[list[Edge]], data: st.DataObject
) -> None:
    one, other = Membership([], sorted(set(first))), Membership([], sorted(set(first)))
    for each in told:
        one.merge_edges(each)
    for each in data.draw(st.permutations(told)):
        other.merge_edges(each)
    assert one.edges == other.edges
    assert set(one.edges) == set(first).union(*told)
    assert one.digest() == other.digest()


@given(first=edges, more=edges)
def test_edges_are_news_once_and_only_if_they_are_new(first: list[Edge], more: list[Edge]) -> None:
    members = Membership([peer(0)], sorted(set(first)))
    before, digest = members.edges, members.digest()
    is_news = not set(more) <= set(first)
    assert members.merge_edges(more) == is_news
    assert (members.edges != before) == is_news
    assert (members.digest() != digest) == is_news
    assert not members.merge_edges(more)
    assert not members.merge_edges(members.edges)


def test_gone_beats_up_within_one_incarnation_and_a_later_incarnation_beats_both() -> None:
    up, gone, back = peer(1), peer(1, up=False), peer(1, incarnation=2)
    assert gone.is_newer_than(up)
    assert not up.is_newer_than(gone)
    assert back.is_newer_than(gone)
    assert not gone.is_newer_than(back)


def started(*members: Member) -> Peer:
    quiet = Peer(members[0], rules(), Random(1), trades=False)
    edges = tuple((0, m.rank) for m in members[1:])
    quiet.handle(Start(snapshot=Snapshot(members=members, edges=edges)), Now(mono_s=0.0, wall_ms=0))
    return quiet


def hears(listener: Peer, sender: Member, *news: Member) -> list[Command]:
    message = MemberNews(members=news)
    event = Received(sender=sender.rank, incarnation=sender.incarnation, message=message)
    return listener.handle(event, Now(mono_s=0.1, wall_ms=100))


def test_who_hears_that_it_is_gone_comes_back_with_the_next_incarnation() -> None:
    me, neighbour = peer(0), peer(1)
    listener = started(me, neighbour)
    commands = hears(listener, neighbour, msgspec.structs.replace(me, up=False))
    assert listener.view.me.incarnation == 2
    assert listener.view.is_up(0)
    assert any(isinstance(c, Publish) and isinstance(c.report, Returned) for c in commands)
    told = [c.message for c in commands if isinstance(c, Send) and isinstance(c.message, MemberNews)]
    assert MemberNews(members=(listener.view.me,)) in told


@pytest.mark.parametrize("elsewhere", ["a liar is here", "where a liar is"])
def test_who_is_said_to_be_elsewhere_in_the_same_incarnation_puts_that_right(elsewhere: str) -> None:
    me, neighbour = msgspec.structs.replace(peer(0), uri="home"), peer(1)
    listener = started(me, neighbour)
    false = msgspec.structs.replace(me, uri=elsewhere)
    answers = [c.message for c in hears(listener, neighbour, false) if isinstance(c, Send) and c.to.rank == 1]
    told = [record for message in answers if isinstance(message, MemberNews) for record in message.members]
    assert told[0].uri == "home"
    assert told[0].is_newer_than(false)


def test_an_old_report_of_my_end_needs_no_refutation() -> None:
    me, neighbour = peer(0, incarnation=5), peer(1)
    listener = started(me, neighbour)
    hears(listener, neighbour, peer(0, incarnation=4, up=False))
    assert listener.view.me.incarnation == 5


def test_news_is_passed_on_once_and_not_back() -> None:
    me, sender, other = peer(0), peer(1), peer(2)
    listener = started(me, sender, other)
    newcomer = peer(7)
    first = [c for c in hears(listener, sender, newcomer) if isinstance(c, Send)]
    assert other.rank in {c.to.rank for c in first}
    assert sender.rank not in {c.to.rank for c in first if c.message == MemberNews(members=(newcomer,))}
    assert not [c for c in hears(listener, sender, newcomer) if isinstance(c, Send)]
