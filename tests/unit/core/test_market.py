"""The one rule of the market, held against an oracle that knows no index, no heap and no shortcut."""

from __future__ import annotations

from decimal import Decimal

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from peers.core.market import BUYER_IN_OFFICE, NOT_ON_OFFER, Ruling, Stock, decide
from peers.core.records import Deposit, Offer, PurchaseRequest
from tests.unit.core.words import T0_MS, accepted, deposited, offers, wants

TRADER = "merchant2"
ITEMS = ["fish", "salt"]
people = st.sampled_from(["merchant0", "merchant1", TRADER, "merchant3", "outsider"])
some_offers = st.lists(
    st.builds(
        lambda item, quantity, cents, seller, clock: (item, quantity, cents, seller, clock),
        st.sampled_from(ITEMS), st.integers(1, 5), st.integers(1, 999), people, st.integers(0, 4),
    ),
    max_size=10,
)  # fmt: skip
some_wishes = st.lists(st.tuples(st.sampled_from(ITEMS), st.integers(1, 4), people, st.integers(0, 4)), max_size=14)


def make_offers(drawn: list[tuple[str, int, int, str, int]]) -> list[Offer]:
    return [
        offers(f"d{n}", item, quantity, str(Decimal(cents) / 100), seller=seller, clock=clock)
        for n, (item, quantity, cents, seller, clock) in enumerate(drawn)
    ]


def make_wishes(drawn: list[tuple[str, int, str, int]]) -> list[PurchaseRequest]:
    return [
        wants(f"r{n}", item, quantity, buyer=buyer, clock=clock)
        for n, (item, quantity, buyer, clock) in enumerate(drawn)
    ]


def rank(name: str) -> int:
    return int(name.removeprefix("merchant")) if name.startswith("merchant") else 10**9


def oracle(goods: list[Offer], wishes: list[PurchaseRequest]) -> dict[str, tuple[str, Decimal] | None]:
    """Who buys from which deposit for how much, worked out the slow way."""
    left = {offer.deposit_id: offer.quantity for offer in goods}
    result: dict[str, tuple[str, Decimal] | None] = {}
    by_clock = sorted(wishes, key=lambda w: (w.clock.time, rank(w.buyer), w.buyer, w.request_id))
    for wish in by_clock:
        best: Offer | None = None
        for offer in goods:
            if offer.item != wish.item or left[offer.deposit_id] < wish.quantity:
                continue
            if offer.seller in (wish.buyer, TRADER) or wish.buyer == TRADER:
                continue
            mine = (offer.clock.time, rank(offer.seller), offer.seller, offer.deposit_id)
            if best is None or mine < (best.clock.time, rank(best.seller), best.seller, best.deposit_id):
                best = offer
        if best is None:
            result[wish.request_id] = None
        else:
            left[best.deposit_id] -= wish.quantity
            result[wish.request_id] = (best.deposit_id, best.price * wish.quantity)
    return result


def rule(wish: PurchaseRequest, stock: Stock, *, seq: int = 1, trader: str = TRADER) -> Ruling:
    rate = Decimal("0.20")
    return decide(accepted(wish), stock, seq=seq, term=3, trader=trader, now_ms=T0_MS, commission_rate=rate)


@settings(max_examples=200)
@given(some_offers, some_wishes)
def test_decisions_are_those_of_the_oracle(
    goods: list[tuple[str, int, int, str, int]], wishes: list[tuple[str, int, str, int]]
) -> None:
    offered, asked = make_offers(goods), make_wishes(wishes)
    stock = Stock(map(deposited, offered))
    found = {}
    for seq, wish in enumerate(sorted(asked, key=lambda w: w.order), 1):
        outcome = rule(wish, stock, seq=seq).outcome
        sale = outcome.sale
        assert outcome.seq == seq
        assert (outcome.term, outcome.trader, outcome.request) == (3, TRADER, wish)
        assert (outcome.reason is None) == (sale is not None)
        found[wish.request_id] = None if sale is None else (sale.deposit, sale.amount)
        if sale is not None:
            assert sale.commission + sale.earned == sale.amount == sale.price * wish.quantity
    assert found == oracle(offered, asked)


def test_the_seller_with_the_lowest_clock_sells_and_price_does_not_matter() -> None:
    stock = Stock([deposited(offers("late", price="5", clock=2)), deposited(offers("early", price="9", clock=1))])
    outcome = rule(wants("r"), stock).outcome
    assert outcome.sale is not None
    assert outcome.sale.deposit == "early"
    assert (outcome.sale.amount, outcome.sale.commission, outcome.sale.earned) == (
        Decimal("9.00"), Decimal("1.80"), Decimal("7.20"),
    )  # fmt: skip


def test_one_who_does_not_hold_enough_is_passed_over() -> None:
    stock = Stock([deposited(offers("small", quantity=2, clock=1)), deposited(offers("large", quantity=5, clock=2))])
    first, second = rule(wants("r1", quantity=3), stock), rule(wants("r2", quantity=2), stock)
    assert first.source is not None
    assert second.source is not None
    assert [first.source.offer.deposit_id, second.source.offer.deposit_id] == ["large", "small"]


def test_nobody_buys_from_itself() -> None:
    stock = Stock([deposited(offers("mine", seller="merchant1"))])
    outcome = rule(wants("r", buyer="merchant1"), stock).outcome
    assert (outcome.status, outcome.reason) == ("unavailable", NOT_ON_OFFER)


def test_the_goods_of_the_trader_in_office_wait() -> None:
    stock = Stock([deposited(offers("the trader's", seller=TRADER))])
    assert rule(wants("r1"), stock).outcome.status == "unavailable"
    assert rule(wants("r2"), stock, trader="merchant3").outcome.status == "sold"


def test_the_trader_in_office_buys_nothing() -> None:
    outcome = rule(wants("r", buyer=TRADER), Stock([deposited(offers("d"))])).outcome
    assert (outcome.status, outcome.reason) == ("unavailable", BUYER_IN_OFFICE)


# -- the stock -----------------------------------------------------------------------------------------------


def shown(stock: Stock) -> dict[str, int]:
    return {d.offer.deposit_id: d.remaining for d in stock.on_offer()}


@given(some_offers, st.lists(st.tuples(st.sampled_from(ITEMS), st.integers(1, 4), people), max_size=20))
def test_giving_back_undoes_taking(
    goods: list[tuple[str, int, int, str, int]], takes: list[tuple[str, int, str]]
) -> None:
    stock = Stock(map(deposited, make_offers(goods)))
    before = stock.on_offer()
    taken: list[tuple[Deposit, int]] = []
    for item, quantity, buyer in takes:
        found = stock.find(item, quantity, frozenset((buyer,)))
        if found is not None:
            stock.take(found, quantity)
            taken.append((found, quantity))
    total = sum(d.remaining for d in before)
    assert sum(shown(stock).values()) == total - sum(quantity for _, quantity in taken)
    assert all(left > 0 for left in shown(stock).values())
    for deposit, quantity in taken:
        stock.give_back(deposit, quantity)
    assert stock.on_offer() == before


@given(some_offers)
def test_adding_twice_changes_nothing(goods: list[tuple[str, int, int, str, int]]) -> None:
    deposits = [deposited(offer) for offer in make_offers(goods)]
    once, twice = Stock(deposits), Stock(deposits)
    for deposit in deposits:
        twice.add(msgspec.structs.replace(deposit, remaining=1))
    assert once.on_offer() == twice.on_offer()


def test_an_empty_deposit_is_not_on_offer() -> None:
    stock = Stock([deposited(offers("d"), remaining=0)])
    assert stock.on_offer() == ()
    assert stock.get("d") is None


def test_an_emptied_deposit_is_gone_and_given_back_in_two_parts_is_whole() -> None:
    stock = Stock([deposited(offers("d", quantity=5))])
    for quantity in (2, 3):
        found = stock.find("fish", quantity, frozenset())
        assert found is not None
        stock.take(found, quantity)
    assert stock.find("fish", 1, frozenset()) is None
    whole = deposited(offers("d", quantity=5))
    stock.give_back(whole, 2)
    stock.give_back(whole, 3)
    assert stock.get("d") == whole


def test_what_is_on_offer_is_shown_lowest_first_within_an_item() -> None:
    goods = [offers("d3", "salt", clock=3), offers("d1", "salt", clock=1), offers("d2", clock=2)]
    stock = Stock(map(deposited, goods))
    assert [d.offer.deposit_id for d in stock.on_offer("salt")] == ["d1", "d3"]
    assert [d.offer.deposit_id for d in stock.on_offer()] == ["d2", "d1", "d3"]
    assert stock.on_offer("boar") == ()


def test_a_deposit_removed_is_gone() -> None:
    stock = Stock([deposited(offers("d")), deposited(offers("e"))])
    stock.remove("d")
    assert list(shown(stock)) == ["e"]
