"""A trader without whom nobody buys, or nobody sells, makes way once somebody else can serve."""

from __future__ import annotations

from random import Random

from peers.core.context import Context
from peers.core.leadership.eligibility import Eligibility
from peers.core.membership.members import Member, Membership
from tests.unit.core.words import peer, rules


def is_needed(me: Member, *others: Member) -> bool:
    ctx = Context(me, rules(), Random(1))
    ctx.members = Membership([me, *others], [])
    return Eligibility(ctx).is_needed_in_the_market()


def test_the_only_seller_is_needed_where_two_buy() -> None:
    assert is_needed(peer(1, "seller"), peer(0), peer(2))


def test_one_of_two_sellers_may_stay() -> None:
    assert not is_needed(peer(1, "seller"), peer(0), peer(2, "seller"))


def test_nobody_makes_way_where_there_is_nobody_to_make_way_for() -> None:
    assert not is_needed(peer(1, "seller"), peer(0))


def test_those_that_are_gone_serve_nobody() -> None:
    assert is_needed(peer(1, "seller"), peer(0), peer(2), peer(3, "seller", up=False))
