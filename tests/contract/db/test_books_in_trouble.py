"""Making the books while the database is in trouble: what is lost is made again, what stays wrong is told once."""

from __future__ import annotations

from typing import Any, cast

import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from db.ledger.backlog import Round
from db.ledger.connection import is_passing
from db.ledger.maker import catch_up, say_made
from db.ledger.mongo import MongoLedger
from db.schema.documents import entry_document
from peers.core.market.records import Post
from peers.errors import LedgerError
from tests.fixtures.mongo import Books, MakeLedger
from tests.helpers.deals import office, stock
from tests.helpers.failpoints import failing
from tests.helpers.log_trader import (
    LogTrader,
    assert_books_follow,
    load,
    made,
    state_in,
    summary,
    trade_a_while,
)
from tests.helpers.relay import Loss, Relay
from tests.helpers.waiting import wait_until

Client = MongoClient[dict[str, Any]]

BOOKS = ("requests", "deposits", "posts")
FISH = stock("d1", 1_000_000)


@pytest.mark.parametrize("loss", ["request", "answer"])
@pytest.mark.parametrize("collection", BOOKS)
def test_lost_answers_of_the_books_writes_do_no_harm(
    make_ledger: MakeLedger, relay: Relay, books: Books, collection: str, loss: Loss
) -> None:
    trader = LogTrader(make_ledger(relay.uri)).take_office()
    number = trade_a_while(trader, 10)
    kinds = {"requests": b"insert", "deposits": b"update", "posts": b"update"}
    word = kinds[collection] + b"\x00" + (len(collection) + 1).to_bytes(4, "little") + collection.encode() + b"\x00"
    for i in range(1, 4):
        relay.lose(loss, word, stays_cut=False)
        number = _sell_some(trader, number)
        wait_until(lambda: made(books) == trader.state.place)
        assert relay.has_lost == i
    trader.ledger.close()
    assert_books_follow(books)


def _sell_some(trader: LogTrader, number: int) -> int:
    plenty = stock("plenty1", 1000)
    for _ in range(3):
        trader.sell(number, plenty)
        number += 1
    return number


@pytest.mark.parametrize("command", ["insert", "update"])
@pytest.mark.parametrize(
    ("code", "mode"),
    # After the first two errors the driver takes the server for gone until it has looked again, so they are few.
    [(91, {"times": 3}), (189, {"times": 3}), (6, "alwaysOn"), (262, "alwaysOn")],
)
def test_the_books_are_made_once_the_trouble_has_passed(
    ledger: MongoLedger, books: Books, mongo_client: Client, command: str, code: int, mode: object
) -> None:
    trader = LogTrader(ledger).take_office()
    number = trade_a_while(trader, 10)
    wait_until(lambda: made(books) == trader.state.place)
    collection = "requests" if command == "insert" else "deposits"
    with failing(mongo_client, [command], mode, errorCode=code, namespace=f"{books.name}.{collection}"):
        _sell_some(trader, number)
        if mode == "alwaysOn":
            assert state_in(load(ledger)) == summary(trader.state)
            assert made(books) < trader.state.place
    wait_until(lambda: made(books) == trader.state.place)
    ledger.close()
    assert_books_follow(books)


def test_trouble_with_the_books_that_stays_is_told_once(
    make_ledger: MakeLedger, books: Books, mongo_client: Client
) -> None:
    told: list[str] = []
    trader = LogTrader(make_ledger(warn=told.append)).take_office()
    trader.write(deposits=(FISH,))
    with failing(mongo_client, ["insert"], errorCode=13, namespace=f"{books.name}.requests"):
        trader.sell(1, FISH)
        wait_until(lambda: told)
        trader.sell(2, FISH)
        assert state_in(load(trader.ledger)) == summary(trader.state)
    wait_until(lambda: made(books) == trader.state.place)
    assert len(told) == 1
    assert "the books cannot be made" in told[0]
    trader.ledger.close()
    assert_books_follow(books)


def test_a_log_that_is_not_sound_is_not_made_into_books(books: Books, settled: Books, ledger: MongoLedger) -> None:
    books.log.insert_one(entry_document(0, office(1)))
    books.log.insert_one(entry_document(1, office(5)))
    with pytest.raises(LedgerError, match=r"not sound.*bazaar audit"):
        catch_up(settled)
    assert made(books) == -1
    assert len(load(ledger).entries) == 2


class _Interrupted:
    """A database whose primary steps down in the middle of a command."""

    def __init__(self, code: int) -> None:
        self._code = code

    def command(self, _command: object) -> dict[str, Any]:
        return {"n": 0, "writeErrors": [{"index": 0, "code": self._code, "errmsg": "operation was interrupted"}]}


def test_a_primary_that_steps_down_in_the_middle_of_a_command_is_no_trouble_that_stays() -> None:
    gathered = Round(first=1, last=1, post=Post())
    with pytest.raises(PyMongoError) as interrupted:
        say_made(cast("Books", _Interrupted(11602)), gathered)
    assert is_passing(interrupted.value)
    with pytest.raises(LedgerError):
        say_made(cast("Books", _Interrupted(121)), gathered)
