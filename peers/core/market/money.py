"""Money: exact decimals to the cent, and the one place where a price is split.

Nothing here is a float, and nothing rounds twice: the commission is rounded half up to the cent, and what the
seller earns is what is left, so the two always add up to the amount.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

CENT = Decimal("0.01")


def to_money(text: str | int) -> Decimal:
    """Returns `text` ("7.2", "7.20", 7) as a Decimal with two places; ValueError unless it is exact to the cent."""
    try:
        value = Decimal(text)
        exact = value.quantize(CENT)
        if exact == value:
            return exact
    except InvalidOperation:  # It is no number, is infinite, or has too many digits.
        pass
    raise ValueError(f"{text} is not exact to the cent")


def money_text(amount: Decimal) -> str:
    """Returns `amount` as people and programs are told it: "7.20", which `to_money` takes back."""
    return format(amount, ".2f")


def split(amount: Decimal, commission_rate: Decimal) -> tuple[Decimal, Decimal]:
    """Returns `(commission, earned)` of `amount`; `commission_rate` lies in [0, 1]. They add up to `amount`."""
    commission = (amount * commission_rate).quantize(CENT, rounding=ROUND_HALF_UP)
    return commission, amount - commission
