"""The two forms of documents: how money and times of day are written in each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

from bson.decimal128 import Decimal128

Document = dict[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_TWO_PLACES = (6176 - 2) << 113
"""The exponent for two places, shifted to where a Decimal128 holds it (IEEE 754)."""


@lru_cache(maxsize=4096)
def decimal128(money: Decimal) -> Decimal128:
    """Returns `money` (not negative, exact to the cent) as MongoDB keeps it.

    It is made and remembered here because bson's own way shows up in the time of a large commit.

    ValueError for what is no money.
    """
    cents = money * 100
    whole = int(cents)
    if whole != cents or whole < 0:
        raise ValueError(f"{money} is not money: not negative, and exact to the cent")
    return Decimal128.from_bid((_TWO_PLACES | whole).to_bytes(16, "little"))


@lru_cache(maxsize=1024)
def date(ms: int) -> datetime:
    """Returns a time of day given in milliseconds since 1970."""
    return _EPOCH + timedelta(milliseconds=ms)


@dataclass(frozen=True, kw_only=True)
class Form:
    """How money and times of day are written."""

    money: Callable[[Decimal], object]
    date: Callable[[int], object]


BSON = Form(money=decimal128, date=date)
PLAIN = Form(money=lambda money: money, date=date)


def money_from(value: Decimal128 | Decimal | str) -> Decimal:
    return value.to_decimal() if isinstance(value, Decimal128) else Decimal(value)


def ms_from(value: datetime | str) -> int:
    """Returns a time of day, in any of the forms, in milliseconds since 1970."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return (moment - _EPOCH) // _MILLISECOND
