"""A thread of the trader is held, for as long as the test wants: trade goes on, with that trader or with another."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from nameserver.process import NameServerProcess
from peers.core.commands import Command
from peers.core.inputs import Input, Now
from peers.core.ledger.log import TradeEntry
from peers.core.ledger.port import Append, Operation
from peers.core.reports import Answered, Elected
from tests.helpers.hosting import Market, running_market
from tests.helpers.waiting import wait_until

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def trading(tmp_path: Path, nameserver: NameServerProcess) -> Iterator[Market]:
    """Four peers that trade."""
    with running_market(tmp_path, nameserver) as market:
        for rank, role in enumerate(("buyer", "seller", "merchant", "buyer")):
            rules = {"think_s": 0.01, "resign_after_sales": 0, "stock": 1000}
            market.add(market.spec(rank, role, market=rules))  # type: ignore[arg-type]
        market.open(((0, 1), (1, 2), (2, 3)))
        wait_for_sales(market)
        yield market


def wait_for_sales(market: Market, more: int = 20) -> None:
    goal = len(market.reports(Answered)) + more
    wait_until(lambda: len(market.reports(Answered)) >= goal, what=f"{more} more outcomes", deadline_s=30)


def test_trade_goes_on_while_the_thread_that_commits_is_held(trading: Market) -> None:
    held, is_held = threading.Event(), threading.Event()

    def hold_one(operation: Operation) -> None:
        if isinstance(operation, Append) and isinstance(operation.entry, TradeEntry) and not is_held.is_set():
            is_held.set()
            held.wait(40)

    terms = len(trading.reports(Elected))
    trading.books.before = hold_one
    try:
        wait_until(is_held.is_set, what="a thread held")
        wait_for_sales(trading)
        assert len(trading.reports(Elected)) == terms, "it takes no election"
    finally:
        held.set()
    wait_for_sales(trading)
    assert len(trading.reports(Elected)) == terms


def test_another_trader_is_elected_while_the_core_of_the_first_is_held(trading: Market) -> None:
    trader = trading.wait_for_trader()
    host, held, is_held = trading.hosts[trader], threading.Event(), threading.Event()
    handle = host._runner.core.handle

    def hold(event: Input, now: Now) -> list[Command]:
        is_held.set()
        held.wait(40)
        return handle(event, now)

    host._runner.core.handle = hold  # type: ignore[method-assign]
    try:
        wait_until(is_held.is_set, what="the core held")
        wait_until(lambda: trading.reports(Elected)[-1].peer != trader, what="another trader", deadline_s=30)
        wait_for_sales(trading)
    finally:
        held.set()
    wait_for_sales(trading)
