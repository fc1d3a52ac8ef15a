"""Money: exact to the cent, and split so that nothing is lost or made."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peers.core.market.limits import MAX_PRICE
from peers.core.market.money import CENT, split, to_money

prices = st.decimals(min_value=0, max_value=MAX_PRICE, places=2)
quantities = st.integers(1, 1_000_000)
rates = st.decimals(min_value=0, max_value=1, places=4)


@given(price=prices, quantity=quantities, rate=rates)
def test_commission_and_earnings_add_up_to_the_cent(price: Decimal, quantity: int, rate: Decimal) -> None:
    amount = price * quantity
    commission, earned = split(amount, rate)
    assert commission + earned == amount
    assert Fraction(amount) == Fraction(price) * quantity
    assert commission == commission.quantize(CENT)
    assert earned == earned.quantize(CENT)
    assert 0 <= commission <= amount


@given(price=prices, quantity=quantities, rate=rates)
def test_the_commission_is_the_exact_one_rounded_half_up(price: Decimal, quantity: int, rate: Decimal) -> None:
    exact = Fraction(price) * quantity * Fraction(rate)
    commission, _ = split(price * quantity, rate)
    assert abs(Fraction(commission) - exact) <= Fraction(1, 200)
    if (exact * 100) % 1 == Fraction(1, 2):
        assert Fraction(commission) > exact


@pytest.mark.parametrize(
    ("amount", "rate", "commission", "earned"),
    [
        ("9.00", "0.20", "1.80", "7.20"),
        ("0.01", "0.20", "0.00", "0.01"),
        ("0.03", "0.50", "0.02", "0.01"),
        ("5.00", "0", "0.00", "5.00"),
        ("5.00", "1", "5.00", "0.00"),
        ("10.05", "0.3333", "3.35", "6.70"),
    ],
)
def test_what_a_trader_keeps_and_a_seller_gets(amount: str, rate: str, commission: str, earned: str) -> None:
    assert split(Decimal(amount), Decimal(rate)) == (Decimal(commission), Decimal(earned))
    assert [str(part) for part in split(Decimal(amount), Decimal(rate))] == [commission, earned]


@given(cents=st.integers(0, 10**8))
def test_money_is_taken_as_it_is_written(cents: int) -> None:
    money = Decimal(cents).scaleb(-2).quantize(CENT, rounding=ROUND_HALF_UP)
    assert to_money(str(money)) == money
    assert str(to_money(str(money))) == f"{cents // 100}.{cents % 100:02d}"


@pytest.mark.parametrize(("text", "money"), [("7", "7.00"), (7, "7.00"), ("7.2", "7.20"), ("7.2000", "7.20")])
def test_money_has_two_places(text: str | int, money: str) -> None:
    assert str(to_money(text)) == money


@pytest.mark.parametrize(
    "text",
    [
        "7.001",
        "0.009",
        "NaN",
        "sNaN",
        "-NaN",
        "Infinity",
        "-Infinity",
        "1e30",
        "1e999999",
        "9" * 40,
        "",
        "six",
        "7,20",
    ],
)
def test_what_is_not_exact_money_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="exact to the cent"):
        to_money(text)
