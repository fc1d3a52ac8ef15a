"""What is too large for the database is refused for good, and said to be."""

from __future__ import annotations

import msgspec
import pytest

from peers.core.ledger.port import Append, Appended, TooLarge
from peers.core.market.records import Deposit
from peers.core.membership.clocks import VectorStamp
from peers.core.names import WriteLevel
from tests.fixtures.mongo import Books, MakeLedger
from tests.helpers.deals import stock
from tests.helpers.log_trader import LogTrader, assert_books_follow


def clock(entries: int) -> VectorStamp:
    return VectorStamp(vector={f"{number:04d}" + "x" * 60: 1 for number in range(entries)})


def large(deposit_id: str, entries: int = 1000) -> Deposit:
    """A deposit with a clock of so many names."""
    deposit = stock(deposit_id, 5)
    return msgspec.structs.replace(deposit, offer=msgspec.structs.replace(deposit.offer, clock=clock(entries)))


@pytest.mark.parametrize("level", ["majority", "one"])
@pytest.mark.parametrize(
    ("deposits", "entries"),
    # The driver refuses what is larger by more than some kilobytes, and the server what is larger at all.
    [(300, 1000), (239, 900)],
    ids=["by the driver", "by the server"],
)
def test_an_entry_larger_than_the_database_takes_is_refused_for_good_and_the_place_is_free(
    make_ledger: MakeLedger, books: Books, level: WriteLevel, deposits: int, entries: int
) -> None:
    told: list[str] = []
    trader = LogTrader(make_ledger(warn=told.append, write_level=level)).take_office()
    goods = (large("d0", entries), *(large(f"d{number}") for number in range(1, deposits)))
    entry = trader.entry(deposits=goods)
    for _ in range(2):  # However often it is tried.
        assert isinstance(trader.ledger.perform(Append(place=trader.state.place + 1, entry=entry)), TooLarge), (
            "it is known what became of it"
        )
    assert "too large" in told[0]
    assert trader.append(trader.entry(deposits=goods[:50])) == Appended()
    trader.ledger.close()
    assert_books_follow(books)
