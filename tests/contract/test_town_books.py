"""What the town asks of a real database: the post, ranks nobody else gets, and how a run went."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from db.address import check_reachable, database_of
from db.ledger.mongo import MongoLedger
from db.mongod.process import MongodProcess
from peers.core.market.records import Post
from peers.errors import LedgerError
from peers.town.database.books import Books
from tests.fixtures import mongo as fixtures_mongo
from tests.helpers.deals import stock
from tests.helpers.log_trader import LogTrader, trade_a_while


@pytest.fixture
def town_books(mongod: MongodProcess, books: fixtures_mongo.Books) -> Iterator[Books]:
    made = Books(mongod.uri, books.name)
    yield made
    made.close()


def test_empty_books(town_books: Books) -> None:
    assert town_books.open() == Post()
    assert town_books.queued() == 0
    assert town_books.sold_after(0) == 0
    tally = town_books.tally(Post())
    assert (tally.purchases, tally.peers, tally.terms, tally.elections) == (0, {}, 0, {})


def test_ranks_are_given_once(town_books: Books) -> None:
    assert town_books.draw_ranks(6) == range(6)
    with ThreadPoolExecutor(8) as pool:
        drawn = list(pool.map(town_books.draw_ranks, [3] * 20))
    assert sorted(rank for ranks in drawn for rank in ranks) == list(range(6, 66))


def test_the_way_to_the_books_is_measured(town_books: Books) -> None:
    assert town_books.distance_s == 0.0
    began_s = time.perf_counter()
    town_books.measure_distance()
    assert 0 < town_books.distance_s < time.perf_counter() - began_s


def test_books_say_which_town_they_are_of(town_books: Books) -> None:
    assert town_books.town() == town_books.town() != ""


def test_a_run_is_summed_up(town_books: Books, ledger: MongoLedger) -> None:
    trader = LogTrader(ledger).take_office()
    shelf = stock("d1", 10)
    trader.write(trader.sale(1, 1, shelf), deposits=(shelf,))
    town_books.catch_up()
    since = town_books.post()
    assert (since.term, since.trader, since.seq) == (1, "merchant9", 1)
    trader.write(trader.sale(2, 2, shelf), trader.decline(3, 3), trader.sale(4, 4, shelf))
    town_books.catch_up()
    assert town_books.sold_after(since.seq) == 2
    trader.sell(5, shelf)
    town_books.catch_up()
    assert town_books.sold_after(since.seq) == 3
    tally = town_books.tally(since)
    assert (tally.purchases, tally.unavailable) == (3, 1)
    assert {name: peer.bought for name, peer in tally.peers.items() if peer.bought} == {"buyer2": 2, "buyer1": 1}
    seller, in_office = tally.peers["seller1"], tally.peers["merchant9"]
    assert (seller.sold, seller.earned, in_office.commission) == (3, 3 * Decimal("5.76"), 3 * Decimal("1.44"))
    assert tally.first_ms is not None
    assert tally.last_ms is not None
    assert tally.last_ms - tally.first_ms == 3


def test_a_run_is_summed_up_though_the_last_trader_made_no_books(town_books: Books, ledger: MongoLedger) -> None:
    """It was killed: what it had acknowledged is in the log, and the town makes the books of it."""
    trader = LogTrader(ledger, makes_books=False).take_office()
    number = trade_a_while(trader, 30)
    tally = town_books.tally(Post())
    assert (tally.purchases + tally.unavailable, tally.terms) == (trader.state.post.seq, 1)
    assert town_books.queued() == len(trader.state.queue) > 0
    trader.sell(number, stock("plenty1", 1000))
    opened = town_books.open()
    assert (opened.term, opened.trader, opened.seq) == (1, "merchant9", trader.state.post.seq)


def test_what_is_no_database(mongod: MongodProcess) -> None:
    assert database_of("mongodb://127.0.0.1:1/shop?replicaSet=a") == "shop"
    assert database_of("mongodb://127.0.0.1:1") == "bazaar"
    for bad in ("127.0.0.1:27017", "mongodb://", "mongodb://h:port"):
        with pytest.raises(LedgerError, match="--mongo"):
            database_of(bad)
    check_reachable(mongod.uri)
    with pytest.raises(LedgerError, match="no database answers at"):
        check_reachable("mongodb://127.0.0.1:1")
