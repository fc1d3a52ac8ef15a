"""What is too large for the database is refused for good, and said to be; and large clocks do not stop the books."""

from __future__ import annotations

import msgspec
import pytest

from db.ledger.mongo import MongoLedger
from peers.core.ledger.port import Append, Appended, TooLarge
from peers.core.market.records import Deposit
from peers.core.membership.clocks import VectorStamp
from peers.core.names import WriteLevel
from tests.fixtures.mongo import Books, MakeLedger
from tests.helpers.deals import accepted, stock
from tests.helpers.log_trader import LogTrader, assert_books_follow, made
from tests.helpers.waiting import wait_until


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


def test_the_books_are_made_of_more_large_clocks_than_one_message_holds(ledger: MongoLedger, books: Books) -> None:
    """Some 60 megabytes wait when the books begin to be made, and a server takes 48 in a message."""
    trader = LogTrader(ledger, makes_books=False).take_office()
    changes = []
    for number in range(0, 800, 40):
        requests = [accepted(each, request_id=f"r{each}") for each in range(number, number + 40)]
        queued = tuple(
            msgspec.structs.replace(each, request=msgspec.structs.replace(each.request, clock=clock(1000)))
            for each in requests
        )
        entry = trader.entry(queued=queued)
        assert isinstance(ledger.perform(Append(place=trader.state.place + 1, entry=entry)), Appended)
        changes.append(trader.state.take_in(entry))
    for each in changes:
        ledger.perform(each)
    wait_until(lambda: made(books) == trader.state.place)
    assert books["requests"].count_documents({}) == 800
    ledger.close()
    assert_books_follow(books)
