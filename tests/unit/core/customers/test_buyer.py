"""How a buyer behaves: one request at a time, and the same one until it is answered."""

from __future__ import annotations

from typing import Any

import pytest

from peers.core.calls import Buy
from peers.core.commands import Send
from peers.core.inputs import Quiesce, Received
from peers.core.market.records import Outcome, PurchaseRequest
from peers.core.membership.clocks import LamportStamp
from peers.core.messages import ClockNews, MemberNews
from peers.core.reports import Answered, Asked, Rejected, Slept
from peers.errors import BadRequest, NotTrader, PostClosed
from tests.unit.core.shop import NEIGHBOUR, Shop
from tests.unit.core.words import decided, offers, peer, rules

ME = peer(0, "buyer")


def request(shop: Shop) -> PurchaseRequest:
    assert isinstance(shop.asked, Buy)
    return shop.asked.request


def sold(wish: PurchaseRequest) -> Outcome:
    return decided(wish, offers("d", wish.item, 10))


def unavailable(wish: PurchaseRequest) -> Outcome:
    return decided(wish)


def buying(**market: Any) -> Shop:
    shop = Shop(ME, rules(think_s=0.5, period_s=60.0, **market))
    shop.time_comes("buy")
    return shop


def test_a_buyer_stamps_its_request_and_tells_the_market_its_clock_first() -> None:
    shop = buying()
    kinds = [type(c).__name__ for c in shop.commands]
    assert kinds.index("Send") < kinds.index("CallTrader")
    sent = [c.message for c in shop.commands if isinstance(c, Send)]
    assert sent == [ClockNews(clock=request(shop).clock)]
    assert request(shop).clock == LamportStamp(lamport=1)
    assert shop.asked_whom == "merchant9"


def test_a_buyer_has_one_request_at_a_time() -> None:
    shop = buying()
    shop.timers["buy"] = shop.now_s
    shop.time_comes("buy")
    assert len(shop.asks) == 1


def test_sold_it_thinks_and_buys_again_under_another_id() -> None:
    shop = buying()
    first = request(shop)
    shop.is_answered(sold(first))
    assert shop.timers["buy"] == pytest.approx(shop.now_s + 0.5)
    shop.time_comes("buy")
    assert request(shop).request_id != first.request_id
    assert request(shop).sort_key > first.sort_key


@pytest.mark.parametrize("seed", range(8))
def test_what_is_not_to_be_had_is_not_asked_for_next(seed: int) -> None:
    shop = Shop(ME, seed=seed)
    for _ in range(5):
        shop.time_comes("buy")
        missing = request(shop)
        shop.is_answered(unavailable(missing))
        shop.time_comes("buy")
        assert request(shop).item != missing.item
        shop.is_answered(sold(request(shop)))


def test_with_a_single_item_on_the_market_it_asks_for_that_again() -> None:
    shop = buying(items=("fish",))
    shop.is_answered(unavailable(request(shop)))
    shop.time_comes("buy")
    assert request(shop).item == "fish"


def test_hearing_nothing_it_asks_for_the_very_same_and_waits_longer_each_time() -> None:
    shop = buying()
    first, waits = request(shop), []
    for _ in range(6):
        shop.hears_nothing()
        waits.append(shop.timers["ask"] - shop.now_s)
        shop.time_comes("ask")
        assert request(shop) == first
    timing = shop.settings.timing
    assert timing.retry_s / 2 <= waits[0] <= timing.retry_s
    assert timing.retry_max_s / 2 <= waits[-1] <= timing.retry_max_s
    assert shop.peer.status().counters["asked_again"] == 6


def test_a_closed_post_is_asked_again_with_the_same_id() -> None:
    shop = buying()
    first = request(shop)
    shop.is_answered(PostClosed())
    shop.time_comes("ask")
    assert request(shop) == first


def test_a_new_trader_is_asked_for_the_very_same_at_once() -> None:
    shop = buying()
    first = request(shop)
    shop.loses_the_trader()
    shop.gets_a_trader()
    assert (request(shop), shop.asked_whom) == (first, NEIGHBOUR.name)


def test_a_refusal_that_names_the_trader_is_followed_at_once() -> None:
    shop = buying()
    first = request(shop)
    shop.is_answered(NotTrader(trader=NEIGHBOUR.name, term=2))
    assert (request(shop), shop.asked_whom) == (first, NEIGHBOUR.name)
    assert "ask" not in shop.timers


def test_a_refusal_that_names_one_of_the_past_is_not_followed() -> None:
    shop = buying()
    shop.loses_the_trader()
    shop.gets_a_trader(term=5)
    asked = len(shop.asks)
    shop.is_answered(NotTrader(trader="merchant9", term=1))
    assert len(shop.asks) == asked
    assert "ask" in shop.timers


def test_two_answers_to_one_request_are_one_purchase() -> None:
    shop = buying()
    first = request(shop)
    shop.loses_the_trader()
    shop.gets_a_trader()
    (early, _, _), (late, _, _) = shop.asks[-2:]
    assert early != late
    shop.is_answered(sold(first))
    shop.is_answered(sold(first))
    assert len(shop.said(Answered)) == 1
    assert shop.peer.status().counters["bought"] == 1


def test_while_there_is_no_trader_it_stalls_and_then_goes_on() -> None:
    shop = buying()
    shop.is_answered(sold(request(shop)))
    shop.loses_the_trader()
    shop.time_comes("buy")
    assert len(shop.asks) == 1
    assert len(shop.said(Asked)) == 1
    shop.gets_a_trader()
    shop.time_comes("buy")
    assert len(shop.asks) == 2


def test_before_the_first_election_it_stalls_and_then_begins() -> None:
    shop = Shop(ME, with_trader=False)
    shop.time_comes("buy")
    assert shop.asks == []
    shop.gets_a_trader(term=1)
    shop.time_comes("buy")
    assert len(shop.asks) == 1


def test_who_asks_badly_is_told_so_and_leaves_it_for_a_while() -> None:
    shop = buying()
    shop.is_answered(BadRequest(field="item", why="is unknown"))
    assert len(shop.said(Rejected)) == 1
    assert shop.timers["buy"] == pytest.approx(shop.now_s + 60.0)


def test_it_stops_after_so_many_purchases() -> None:
    shop = buying(max_purchases=2)
    shop.is_answered(sold(request(shop)))
    shop.time_comes("buy")
    shop.is_answered(unavailable(request(shop)))
    shop.time_comes("buy")
    shop.is_answered(sold(request(shop)))
    assert "buy" not in shop.timers


def test_it_goes_on_only_by_chance_when_told_to() -> None:
    shop = buying(buy_probability=0.0)
    shop.is_answered(sold(request(shop)))
    assert shop.timers["buy"] == pytest.approx(shop.now_s + 60.0)


def test_a_slow_peer_sleeps_after_so_many_purchases() -> None:
    shop = buying(slow_after=2, slow_sleep_s=30.0)
    shop.is_answered(sold(request(shop)))
    assert shop.said(Slept) == []
    shop.time_comes("buy")
    shop.is_answered(sold(request(shop)))
    assert len(shop.said(Slept)) == 1
    assert shop.timers["buy"] == pytest.approx(shop.now_s + 30.0)


def test_the_clock_of_a_slow_peer_follows_the_market_while_it_sleeps() -> None:
    shop = buying(slow_after=1, slow_sleep_s=30.0)
    shop.is_answered(sold(request(shop)))
    news = ClockNews(clock=LamportStamp(lamport=500))
    shop.happens(Received(sender=NEIGHBOUR.rank, incarnation=1, message=news))
    assert shop.clock == 500
    shop.time_comes("buy")
    assert request(shop).clock == LamportStamp(lamport=501)


def test_a_slow_peer_stops_where_the_others_do() -> None:
    shop = buying(slow_after=1, max_purchases=1)
    shop.is_answered(sold(request(shop)))
    assert "buy" not in shop.timers


def test_a_trader_it_had_not_heard_of_is_asked_as_soon_as_it_has() -> None:
    shop, newcomer = buying(), peer(12, "merchant")
    first = request(shop)
    shop.loses_the_trader()
    shop.gets_a_trader(newcomer)
    assert len(shop.asks) == 1
    shop.hears(MemberNews(members=(newcomer,)))
    assert (request(shop), shop.asked_whom) == (first, newcomer.name)


def test_before_the_market_closes_it_hears_its_answer_and_buys_nothing_more() -> None:
    shop = buying()
    shop.happens(Quiesce())
    shop.is_answered(sold(request(shop)))
    assert len(shop.said(Answered)) == 1
    asked = len(shop.asks)
    shop.time_comes("buy")
    assert len(shop.asks) == asked
