"""How a seller behaves: it deposits something else when sold out, and never just because the trader changed."""

from __future__ import annotations

import msgspec

from peers.core.calls import Call, MakeDeposit, Standing, StandingReply
from peers.core.inputs import Quiesce
from peers.core.market.records import Deposit, Offer, Outcome
from peers.core.reports import Deposited, Earned, Rejected
from peers.errors import BadRequest, NotTrader
from tests.unit.core.shop import NEIGHBOUR, Shop
from tests.unit.core.words import decided, deposited, peer, rules, wants

ME = peer(1, "seller")
SETTINGS = rules(stock=3, period_s=60.0, restock_probability=0.0)


def offer_of(call: Call) -> Offer:
    assert isinstance(call, MakeDeposit), call
    return call.offer


def standing(*sales: Outcome, left: tuple[Deposit, ...] = ()) -> StandingReply:
    return StandingReply(sales=sales, deposits=left)


def opened() -> tuple[Shop, Offer]:
    """A seller whose first deposit is recorded."""
    shop = Shop(ME, SETTINGS)
    shop.is_answered(standing())
    offer = offer_of(shop.asked)
    shop.is_answered(deposited(offer))
    return shop, offer


def sale_of(offer: Offer, seq: int, quantity: int = 1) -> Outcome:
    return decided(wants(f"r{seq}", offer.item, quantity, clock=seq), offer, seq=seq)


def deposits_asked(shop: Shop) -> list[Offer]:
    return [call.offer for _, _, call in shop.asks if isinstance(call, MakeDeposit)]


def test_a_seller_asks_how_it_stands_and_then_deposits() -> None:
    shop = Shop(ME, SETTINGS)
    assert shop.asked == Standing(seller="seller1", after_seq=0)
    shop.is_answered(standing())
    offer = offer_of(shop.asked)
    assert (offer.seller, offer.quantity) == ("seller1", 3)
    assert 5 <= offer.price <= 10
    shop.is_answered(deposited(offer))
    assert len(shop.said(Deposited)) == 1
    assert deposits_asked(shop) == [offer]


def test_one_who_still_has_goods_deposits_nothing() -> None:
    shop = Shop(ME, SETTINGS)
    _, offer = opened()
    shop.is_answered(standing(left=(deposited(offer),)))
    assert deposits_asked(shop) == []


def test_it_hears_of_each_sale_and_what_it_earned() -> None:
    shop, offer = opened()
    shop.is_told(sale_of(offer, 1), sale_of(offer, 2))
    earned = [r for r in shop.said(Earned) if isinstance(r, Earned)]
    assert [(r.outcome.seq, r.left) for r in earned] == [(1, 2), (2, 1)]
    assert all(r.outcome.sale is not None and r.earned == r.outcome.sale.earned for r in earned)
    assert shop.peer.status().counters["sold"] == 2


def test_a_sale_told_twice_is_heard_once() -> None:
    shop, offer = opened()
    for _ in range(2):
        shop.is_told(sale_of(offer, 1))
    assert len(shop.said(Earned)) == 1


def test_sold_out_it_deposits_another_item() -> None:
    shop, offer = opened()
    shop.is_told(*(sale_of(offer, seq) for seq in (1, 2)))
    assert len(deposits_asked(shop)) == 1
    shop.is_told(sale_of(offer, 3))
    again = offer_of(shop.asked)
    assert again.item != offer.item
    assert again.deposit_id != offer.deposit_id


def test_it_does_not_deposit_again_because_the_trader_changed() -> None:
    shop, offer = opened()
    for term in range(2, 6):
        shop.loses_the_trader(term - 1)
        shop.gets_a_trader(term=term)
        assert isinstance(shop.asked, Standing)
        shop.is_answered(standing(left=(deposited(offer),)))
    assert deposits_asked(shop) == [offer]


def test_a_deposit_that_was_not_answered_is_asked_of_the_next_trader_under_the_same_id() -> None:
    shop = Shop(ME, SETTINGS)
    shop.is_answered(standing())
    offer = offer_of(shop.asked)
    shop.loses_the_trader()
    shop.gets_a_trader()
    assert offer_of(shop.asked) == offer
    assert shop.asked_whom == NEIGHBOUR.name
    shop.is_answered(deposited(offer))
    assert isinstance(shop.asked, Standing)
    shop.is_answered(standing(left=(deposited(offer),)))
    assert deposits_asked(shop) == [offer, offer]


def test_sales_it_was_not_told_of_it_learns_from_the_next_trader() -> None:
    shop, offer = opened()
    shop.is_told(sale_of(offer, 1))
    shop.loses_the_trader()
    shop.gets_a_trader()
    shop.is_answered(standing(sale_of(offer, 1), sale_of(offer, 2), left=(deposited(offer, remaining=1),)))
    assert [r.outcome.seq for r in shop.said(Earned) if isinstance(r, Earned)] == [1, 2]
    shop.time_comes("period")
    assert shop.asked == Standing(seller="seller1", after_seq=2)


def test_a_sale_told_before_the_standing_arrives_is_not_forgotten() -> None:
    shop, offer = opened()
    shop.time_comes("period")
    assert isinstance(shop.asked, Standing)
    as_read = standing(sale_of(offer, 1), sale_of(offer, 2), left=(deposited(offer, remaining=1),))
    shop.is_told(sale_of(offer, 3))  # It was sold after the books were read, and told before they came.
    shop.is_answered(as_read)
    assert offer_of(shop.asked).item != offer.item  # The seller knows that its goods are sold out.


def test_a_sale_told_before_the_deposit_is_answered_counts() -> None:
    shop = Shop(ME, SETTINGS)
    shop.is_answered(standing())
    offer = offer_of(shop.asked)
    shop.is_told(*(sale_of(offer, seq) for seq in (1, 2, 3)))
    shop.is_answered(deposited(offer))
    assert offer_of(shop.asked).item != offer.item


def test_by_chance_it_deposits_more() -> None:
    shop = Shop(ME, rules(restock_probability=1.0, period_s=60.0))
    shop.is_answered(standing())
    offer = offer_of(shop.asked)
    shop.is_answered(deposited(offer))
    shop.time_comes("period")
    more = offer_of(shop.asked)
    assert more.item != offer.item
    shop.is_answered(deposited(more))
    assert isinstance(shop.asked, Standing)


def test_it_has_one_thing_asked_at_a_time_and_one_deposit_due() -> None:
    shop = Shop(ME, rules(restock_probability=1.0, period_s=60.0))
    for _ in range(5):
        shop.time_comes("period")
    shop.is_answered(standing())
    offer = offer_of(shop.asked)
    shop.is_answered(deposited(offer))
    assert {o.deposit_id for o in deposits_asked(shop)} == {offer.deposit_id}


def test_a_seller_turned_away_tries_again_with_the_period() -> None:
    shop = Shop(ME, SETTINGS)
    shop.is_answered(standing())
    shop.is_answered(BadRequest(field="price", why="is out of bounds"))
    assert len(shop.said(Rejected)) == 1
    asked = len(shop.asks)
    shop.time_comes("period")
    assert len(shop.asks) == asked + 1


def test_a_refusal_that_names_the_trader_is_followed_at_once() -> None:
    shop = Shop(ME, SETTINGS)
    shop.is_answered(NotTrader(trader=NEIGHBOUR.name, term=2))
    assert shop.asked_whom == NEIGHBOUR.name


def test_goods_are_stamped_with_a_clock_that_ticks() -> None:
    shop, offer = opened()
    shop.is_told(*(sale_of(offer, seq) for seq in (1, 2, 3)))
    assert offer_of(shop.asked).sort_key > offer.sort_key
    assert msgspec.structs.asdict(offer_of(shop.asked).clock)["lamport"] > 1


def test_before_the_market_closes_it_hears_of_its_sales_and_deposits_nothing_more() -> None:
    shop, offer = opened()
    asked = len(shop.asks)
    shop.happens(Quiesce())
    shop.is_told(sale_of(offer, 1, quantity=offer.quantity))
    assert len(shop.said(Earned)) == 1
    assert len(shop.asks) == asked
