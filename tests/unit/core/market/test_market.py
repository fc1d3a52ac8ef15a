"""The one rule of the market, held against an oracle that knows no index, no heap and no shortcut."""

from __future__ import annotations

from decimal import Decimal
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peers.core.market import runs
from peers.core.market.records import Deposit, Offer, Outcome, PurchaseRequest
from peers.core.market.rules import BUYER_IN_OFFICE, NOT_ON_OFFER, decide
from peers.core.market.stock import Draft, Stock
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


def rule(wish: PurchaseRequest, goods: Draft | Stock, *, seq: int = 1, trader: str = TRADER) -> Outcome:
    rate, draft = Decimal("0.20"), Draft(goods) if isinstance(goods, Stock) else goods
    return decide(accepted(wish), draft, seq=seq, term=3, trader=trader, now_ms=T0_MS, commission_rate=rate)


@settings(max_examples=200)
@given(some_offers, some_wishes, st.integers(0, 10))
def test_decisions_are_those_of_the_oracle(
    goods: list[tuple[str, int, int, str, int]], wishes: list[tuple[str, int, str, int]], there_already: int
) -> None:
    """Whether a deposit is in stock or comes in with the same entry makes no difference."""
    offered, asked = make_offers(goods), make_wishes(wishes)
    stock = Stock(map(deposited, offered[:there_already]))
    before, draft = stock.on_offer(), Draft(stock, map(deposited, offered[there_already:]))
    found = {}
    for seq, wish in enumerate(sorted(asked, key=lambda w: w.sort_key), 1):
        outcome = rule(wish, draft, seq=seq)
        sale = outcome.sale
        assert outcome.seq == seq
        assert (outcome.term, outcome.trader, outcome.request) == (3, TRADER, wish)
        assert (outcome.reason is None) == (sale is not None)
        found[wish.request_id] = None if sale is None else (sale.deposit, sale.amount)
        if sale is not None:
            assert sale.commission + sale.earned == sale.amount == sale.price * wish.quantity
    assert found == oracle(offered, asked)
    assert stock.on_offer() == before


def test_the_seller_with_the_lowest_clock_sells_and_price_does_not_matter() -> None:
    stock = Stock([deposited(offers("late", price="5", clock=2)), deposited(offers("early", price="9", clock=1))])
    outcome = rule(wants("r"), stock)
    assert outcome.sale is not None
    assert outcome.sale.deposit == "early"
    assert (outcome.sale.amount, outcome.sale.commission, outcome.sale.earned) == (
        Decimal("9.00"), Decimal("1.80"), Decimal("7.20"),
    )  # fmt: skip


def test_one_who_does_not_hold_enough_is_passed_over() -> None:
    stock = Stock([deposited(offers("small", quantity=2, clock=1)), deposited(offers("large", quantity=5, clock=2))])
    draft = Draft(stock)
    first, second = rule(wants("r1", quantity=3), draft), rule(wants("r2", quantity=2), draft)
    assert [outcome.sale and outcome.sale.deposit for outcome in (first, second)] == ["large", "small"]


def test_nobody_buys_from_itself() -> None:
    stock = Stock([deposited(offers("mine", seller="merchant1"))])
    outcome = rule(wants("r", buyer="merchant1"), stock)
    assert (outcome.status, outcome.reason) == ("unavailable", NOT_ON_OFFER)


def test_the_goods_of_the_trader_in_office_wait() -> None:
    stock = Stock([deposited(offers("the trader's", seller=TRADER))])
    assert rule(wants("r1"), stock).status == "unavailable"
    assert rule(wants("r2"), stock, trader="merchant3").status == "sold"


def test_the_trader_in_office_buys_nothing() -> None:
    outcome = rule(wants("r", buyer=TRADER), Stock([deposited(offers("d"))]))
    assert (outcome.status, outcome.reason) == ("unavailable", BUYER_IN_OFFICE)


# -- the stock -----------------------------------------------------------------------------------------------


def shown(stock: Stock) -> dict[str, int]:
    return {d.offer.deposit_id: d.remaining for d in stock.on_offer()}


@given(some_offers, st.lists(st.tuples(st.integers(0, 9), st.integers(1, 4)), max_size=20))
def test_what_is_taken_is_gone_and_only_that(
    goods: list[tuple[str, int, int, str, int]], takes: list[tuple[int, int]]
) -> None:
    deposits = [deposited(offer) for offer in make_offers(goods)]
    stock, left = Stock(deposits), {each.offer.deposit_id: each.remaining for each in deposits}
    for number, quantity in takes:
        deposit_id = f"d{number}"
        deposit = stock.get(deposit_id)
        assert (deposit.remaining if deposit else 0) == left.get(deposit_id, 0)
        if deposit is not None and deposit.remaining >= quantity:
            stock.take(deposit, quantity)
            left[deposit_id] -= quantity
    assert shown(stock) == {deposit_id: rest for deposit_id, rest in left.items() if rest}


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


def test_what_is_on_offer_is_shown_lowest_first_within_an_item() -> None:
    goods = [offers("d3", "salt", clock=3), offers("d1", "salt", clock=1), offers("d2", clock=2)]
    stock = Stock(map(deposited, goods))
    assert [d.offer.deposit_id for d in stock.on_offer("salt")] == ["d1", "d3"]
    assert [d.offer.deposit_id for d in stock.on_offer()] == ["d2", "d1", "d3"]
    assert stock.on_offer("boar") == ()


# -- many deposits -------------------------------------------------------------------------------------------


@settings(max_examples=200)
@patch.object(runs, "LONGEST", 3)
@given(
    st.lists(st.tuples(st.integers(1, 4), people, st.integers(0, 9)), max_size=30),
    st.lists(st.tuples(st.integers(1, 6), people, st.integers(0, 3)), max_size=30),
    st.integers(0, 30),
    st.lists(st.tuples(st.integers(0, 29), st.integers(0, 6)), max_size=5, unique_by=lambda each: each[0]),
)
def test_what_is_found_in_runs_is_the_lowest_that_has_enough(
    goods: list[tuple[int, str, int]],
    wishes: list[tuple[int, str, int]],
    there_already: int,
    counted: list[tuple[int, int]],
) -> None:
    """However the deposits are cut into runs, and whatever was sold, taken back and found missing before."""
    deposits = {
        f"d{n}": deposited(offers(f"d{n}", quantity=quantity, seller=seller, clock=clock))
        for n, (quantity, seller, clock) in enumerate(goods)
    }
    names = list(deposits)
    recounts = [msgspec.structs.replace(deposits[names[n]], remaining=left) for n, left in counted if n < len(names)]
    stock = Stock(deposits[name] for name in names[:there_already])
    recounts = [each for each in recounts if each.offer.deposit_id in names[:there_already]]
    left = {name: deposit.remaining for name, deposit in deposits.items()}
    for quantity, buyer, drafts in wishes:
        draft, in_draft = Draft(stock, [deposits[name] for name in names[there_already:]], recounts), dict(left)
        in_draft.update((each.offer.deposit_id, each.remaining) for each in recounts)
        for more in range(drafts + 1):
            wanted = max(1, quantity - more)
            suits = [
                deposit.offer
                for name, deposit in deposits.items()
                if in_draft[name] >= wanted and deposit.offer.seller not in (buyer, TRADER)
            ]
            lowest = min(suits, key=lambda offer: offer.sort_key, default=None)
            found = draft.find("fish", wanted, (buyer, TRADER))
            assert (None if found is None else found.offer) == lowest
            if found is not None:
                draft.take(found, wanted)
                in_draft[found.offer.deposit_id] -= wanted
        here = draft.find("fish", 1, (TRADER,))
        known = None if here is None else stock.get(here.offer.deposit_id)
        if known is not None:  # One unit of it is sold for good.
            stock.take(known, 1)
            left[known.offer.deposit_id] -= 1
    assert shown(stock) == {name: left[name] for name in names[:there_already] if left[name]}


class Looks:
    """How many deposits were looked at."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.number = 0
        holding = Stock.holding

        def counted(stock: Stock, deposit_id: str) -> tuple[Deposit, int]:
            self.number += 1
            return holding(stock, deposit_id)

        monkeypatch.setattr(Stock, "holding", counted)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    return Looks(monkeypatch)


MANY = 5000


def many(quantity: int, *, seller: str = "outsider") -> list[Deposit]:
    return [deposited(offers(f"d{n}", quantity=quantity, seller=seller, clock=n)) for n in range(MANY)]


@pytest.mark.parametrize("comes_in", [False, True], ids=["in stock", "in the same entry"])
def test_requests_that_nothing_can_fill_do_not_look_at_all_deposits_each(looks: Looks, comes_in: bool) -> None:
    draft = Draft(Stock(), many(2)) if comes_in else Draft(Stock(many(2)))
    for n in range(256):
        assert draft.find("fish", 3, (f"buyer{n}", TRADER)) is None
    assert looks.number < MANY


def test_a_request_for_more_than_most_have_does_not_look_at_all_that_have_less(looks: Looks) -> None:
    draft = Draft(Stock([*many(1), deposited(offers("last", quantity=1000, clock=MANY))]))
    for n in range(256):
        found = draft.find("fish", 2, (f"buyer{n}", TRADER))
        assert found is not None
        assert found.offer.deposit_id == "last"
        draft.take(found, 2)
    assert looks.number < 256 * runs.LONGEST


def test_one_who_has_brought_all_there_is_and_buys_it_does_not_look_at_all_of_it_each_time(looks: Looks) -> None:
    draft = Draft(Stock(many(1)))
    for _ in range(256):
        assert draft.find("fish", 1, ("outsider", TRADER)) is None
    assert looks.number == MANY


def test_requests_that_empty_all_deposits_before_them_do_not_look_at_these_again(looks: Looks) -> None:
    draft = Draft(Stock(many(1)))
    for n in range(2000):
        found = draft.find("fish", 1, (f"buyer{n}", TRADER))
        assert found is not None
        draft.take(found, 1)
    assert looks.number < 2000 * runs.LONGEST


def test_stock_that_was_sold_is_passed_over_again(looks: Looks) -> None:
    stock = Stock(many(2))
    for deposit in stock.on_offer():
        stock.take(deposit, 1)
    assert Draft(stock).find("fish", 2, (TRADER,)) is None
    assert looks.number == 0
