"""The views for people at the Mongo shell."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from bson.decimal128 import Decimal128

from db.ledger.mongo import MongoLedger
from tests.fixtures.mongo import Books
from tests.helpers.deals import T0_MS, accepted, stock, unavailable
from tests.helpers.log_trader import LogTrader

Document = dict[str, Any]

FISH = stock("d1", 9)


@pytest.fixture
def market_day(ledger: MongoLedger) -> None:
    trader = LogTrader(ledger).take_office()
    ten, two, gone = (stock(f"d{i}", 5, seller=f"seller{i}", price=f"{i}.50") for i in (10, 2, 3))
    day = [
        trader.sale(1, 1, two, quantity=2),
        unavailable(accepted(2), 2),
        trader.sale(3, 3, gone, quantity=5),
        trader.sale(4, 4, ten),
    ]
    trader.write(*day, deposits=(ten, two, gone))
    trader.write(queued=(accepted(17), accepted(6), accepted(9)))
    ledger.close()


@pytest.mark.usefixtures("market_day")
def test_the_views_show_the_market(books: Books) -> None:
    assert [each["_id"] for each in books.queue.find()] == ["r6", "r9", "r17"]
    assert [(each["seq"], each["seller"]) for each in books.sales.find()] == [
        (1, "seller2"),
        (3, "seller3"),
        (4, "seller10"),
    ]
    assert list(books.market.find()) == [
        {
            "_id": "fish",
            "item": "fish",
            "stock": 7,
            "sellers": ["seller2", "seller10"],
            "lowest_price": Decimal128("2.50"),
        }
    ]


@pytest.mark.usefixtures("market_day")
def test_the_earnings_add_up(books: Books) -> None:
    earnings = {each["peer"]: each for each in books.earnings.find()}
    assert list(earnings) == ["buyer0", "buyer1", "merchant9", "seller2", "seller3", "seller10"]
    assert earnings["seller2"] == {
        "_id": "seller2",
        "peer": "seller2",
        "sold": 2,
        "bought": 0,
        "spent": Decimal128("0.00"),
        "earned": Decimal128("4.00"),
        "commission": Decimal128("0.00"),
    }
    assert earnings["buyer0"]["bought"] == 5
    assert earnings["merchant9"]["commission"] == Decimal128("6.60")

    def total(field: str) -> Decimal:
        return sum((each[field].to_decimal() for each in earnings.values()), Decimal(0))

    assert total("spent") == total("earned") + total("commission") == Decimal("33.00")


def test_dates_are_dates(ledger: MongoLedger, books: Books) -> None:
    LogTrader(ledger).take_office()
    ledger.close()
    post, entry = books.posts.find_one(), books.log.find_one()
    assert post is not None
    assert entry is not None
    assert post["since"] == entry["written_at"] == datetime.fromtimestamp((T0_MS + 1) / 1000, UTC)
