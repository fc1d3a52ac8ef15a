"""A seller that sells more than one answer about its standing holds: it hears of all, and falls behind in nothing."""

from __future__ import annotations

import pickle

from peers.core.calls import MakeDeposit, Standing, StandingReply
from peers.core.ledger.port import MOST_SALES
from peers.core.market.records import Offer, Outcome
from tests.unit.core.customers.test_seller import ME, deposits_asked, offer_of, sale_of, standing
from tests.unit.core.shop import Shop
from tests.unit.core.words import deposited, offers, rules

SETTINGS = rules(stock=10, period_s=60.0, restock_probability=0.0)


class Market:
    """A trader that answers a seller, and sells all that it deposits."""

    def __init__(self) -> None:
        self.shop = Shop(ME, SETTINGS)
        self.sales: list[Outcome] = []
        self.offers: dict[str, Offer] = {}
        self.left: dict[str, int] = {}
        self._answered = 0
        self.answer()

    def answer(self) -> None:
        """Answers whatever the seller asks, as long as it asks."""
        while len(self.shop.asks) > self._answered:
            self._answered = len(self.shop.asks)
            asked = self.shop.asked
            if isinstance(asked, MakeDeposit):
                self.offers[asked.offer.deposit_id] = asked.offer
                self.left[asked.offer.deposit_id] = asked.offer.quantity
                self.shop.is_answered(deposited(asked.offer))
            else:
                assert isinstance(asked, Standing)
                self.shop.is_answered(self.standing(asked.after_seq))

    def standing(self, after_seq: int) -> StandingReply:
        held = tuple(deposited(self.offers[each], remaining=left) for each, left in self.left.items() if left)
        return StandingReply(sales=tuple(self.sales[after_seq : after_seq + MOST_SALES]), deposits=held)

    def sell(self, units: int, *, told: bool = True) -> None:
        """Sells so many units out of what is deposited, a deposit at a time."""
        while units:
            deposit_id = next(each for each, left in self.left.items() if left)
            sold = min(units, self.left[deposit_id])
            first = len(self.sales) + 1
            self.sales += [sale_of(self.offers[deposit_id], seq) for seq in range(first, first + sold)]
            self.left[deposit_id] -= sold
            units -= sold
            if told:
                self.shop.is_told(*self.sales[-sold:])
                self.answer()

    def one_period(self, units: int) -> None:
        self.sell(units)
        self.shop.time_comes("period")
        self.answer()

    @property
    def heard_of(self) -> int:
        return self.shop.peer.status().counters["sold"]


def test_sales_it_was_not_told_of_it_learns_at_once_however_many_they_are() -> None:
    shop = Shop(ME, rules(stock=3000, period_s=60.0, restock_probability=0.0))
    shop.is_answered(standing())
    offer = offer_of(shop.asked)
    shop.is_answered(deposited(offer))
    sales = [sale_of(offer, seq) for seq in range(1, 2502)]
    shop.time_comes("period")
    for first in (0, 1000, 2000):
        assert shop.asked == Standing(seller=ME.name, after_seq=first)
        page = sales[first : first + MOST_SALES]
        shop.is_answered(standing(*page, left=(deposited(offer, remaining=499),)))
        assert shop.peer.status().counters["sold"] == first + len(page)
    assert len(deposits_asked(shop)) == 1, "there is some left, and it knows"
    assert len([call for _, _, call in shop.asks if isinstance(call, Standing)]) == 4, "it has heard of all"


def test_what_it_was_told_of_is_not_taken_off_its_deposits_once_more() -> None:
    market = Market()
    market.one_period(2 * MOST_SALES + 5)
    asked = len(deposits_asked(market.shop))
    market.sell(4)
    assert len(deposits_asked(market.shop)) == asked, "one is left of the last deposit"
    market.sell(1)
    assert len(deposits_asked(market.shop)) == asked + 1


def test_an_answer_that_never_gets_any_further_is_not_asked_for_again_and_again() -> None:
    shop = Shop(ME, SETTINGS)
    offer = offers("d1", quantity=2000)
    page = standing(*(sale_of(offer, seq) for seq in range(1, MOST_SALES + 1)))
    shop.is_answered(page)
    shop.is_answered(page)
    assert isinstance(shop.asked, MakeDeposit), "a trader that says the same again has said all it knows"


def test_what_it_keeps_of_its_sales_does_not_grow_with_them() -> None:
    market = Market()
    sizes = []
    for _ in range(4):
        market.one_period(2 * MOST_SALES)
        assert market.heard_of == len(market.sales)
        sizes.append(len(pickle.dumps(market.shop.peer)))
    assert max(sizes[1:]) < sizes[0] + 1000, "2,000 sales out of 200 deposits are worth far more than that"
