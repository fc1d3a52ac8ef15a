"""A trader makes way, once others can serve: without it nobody buys or nobody sells, or it is far from the books."""

from __future__ import annotations

from random import Random

import msgspec

from peers.core.context import Context
from peers.core.leadership.elections.eligibility import Eligibility
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


def away(member: Member, books_s: float) -> Member:
    return msgspec.structs.replace(member, books_s=books_s)


def eligibility(me: Member, *others: Member) -> Eligibility:
    ctx = Context(me, rules(), Random(1))
    ctx.members = Membership([me, *others], [])
    return Eligibility(ctx)


def test_who_is_far_from_the_books_stands_behind_who_is_near() -> None:
    me = away(peer(4), 0.04)
    found = eligibility(me, peer(0), peer(1, "seller"), away(peer(2), 0.004), away(peer(3, "seller"), 0.04))
    assert found.eligible(after_term=1, attempt=0) == [0, 1, 2]
    assert found.is_far_from_the_books()


def test_where_all_who_may_serve_are_far_the_nearest_of_them_serve() -> None:
    near, *far = away(peer(0), 0.001), away(peer(1, "seller"), 0.04), away(peer(2, "seller"), 0.08)
    found = eligibility(away(peer(3), 0.042), near, *far)
    found.bar((0,), 1, 1)
    assert found.eligible(after_term=1, attempt=0) == [1, 3]


def test_who_is_far_stays_in_office_where_the_near_ones_are_needed_in_the_market() -> None:
    found = eligibility(away(peer(2), 0.04), peer(0, "seller"), away(peer(1), 0.04))
    assert not found.is_far_from_the_books()


def test_from_the_third_attempt_on_anybody_may_serve() -> None:
    found = eligibility(away(peer(2), 0.04), peer(0), peer(1, "seller"))
    assert found.eligible(after_term=1, attempt=2) == [0, 1, 2]
