"""One log and one stock for several areas: what it adds up to, and what does not follow in it."""

from __future__ import annotations

import pytest

from peers.core.ledger.post_state import PostState, UnsoundLog
from peers.core.market.records import Post
from tests.helpers.deals import accepted, office
from tests.helpers.shared_log import FISH, NORTH, SOUTH, decided, shared_log, takes_office, trades


def after(*entries: object) -> PostState:
    state = PostState()
    for entry in entries:
        state.take_in(entry)  # type: ignore[arg-type]
    return state


def test_each_area_has_a_post_and_a_queue_and_all_have_one_stock() -> None:
    state = after(*shared_log())
    north, south = state.post.of(NORTH), state.post.of(SOUTH)
    assert (north.term, north.trader, south.term, south.trader) == (2, "merchant9", 1, "merchant9")
    assert (state.post.seq, state.post.arrival) == (2, 4)
    assert [each.request.request_id for each in state.queue_of(NORTH)] == ["r4"]
    assert [each.request.request_id for each in state.queue_of(SOUTH)] == ["r3"]
    held = state.stock.get(FISH.offer.deposit_id)
    assert held is not None
    assert held.remaining == 7


def test_the_log_says_where_the_trader_of_an_area_is_called() -> None:
    holder = after(takes_office(NORTH)).post.holder(NORTH)
    assert holder is not None
    assert holder.uri == "PYRO:merchant8@host:1"


def test_an_area_without_an_election_has_a_post_without_a_trader() -> None:
    post = after(takes_office(NORTH)).post
    assert post.of(SOUTH) == Post(areas=post.areas)
    assert post.in_office() == ("merchant8",)


def test_a_log_that_is_not_shared_is_what_it_was() -> None:
    post = after(office(1)).post
    assert (post.term, post.areas, post.of("") is post) == (1, (), True)


@pytest.mark.parametrize(
    "entry",
    [
        takes_office(SOUTH, 2),
        takes_office(NORTH, 1),
        trades(NORTH, queued=(accepted(5),), trader="merchant9"),
        trades(SOUTH, queued=(accepted(5),)),
        trades(NORTH, decided(NORTH, 5, 2, FISH)),
    ],
    ids=["skips a term", "begins again", "of another trader", "nobody in office there", "skips a number"],
)
def test_what_does_not_follow_is_refused(entry: object) -> None:
    with pytest.raises(UnsoundLog):
        after(takes_office(NORTH), trades(NORTH, deposits=(FISH,)), entry)
