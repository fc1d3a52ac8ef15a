"""Peers of several machines, each with a way of its own to a real database: who loses it gives way to who has it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from db.ledger.mongo import MongoLedger
from db.mongod.process import MongodProcess
from nameserver.process import NameServerProcess
from peers.core.leadership.reasons import VacancyReason
from peers.core.reports import Answered, Elected, ElectionStarted, LeftOffice
from peers.runtime.spec import CutLinks
from tests.fixtures.mongo import Books
from tests.helpers.hosting import Market, running_market
from tests.helpers.relay import Relay
from tests.helpers.waiting import wait_until

pytestmark = pytest.mark.timeout(90)

PATIENCE_S = 1.0
ROLES = ("buyer", "seller", "merchant", "buyer", "merchant")


class Machines:
    """Five peers, each on a machine of its own as far as the database is concerned."""

    def __init__(self, market: Market, relays: dict[str, Relay]) -> None:
        self.market = market
        self.relays = relays

    def sales(self) -> int:
        return len(self.market.reports(Answered))

    def wait_for_sales(self, more: int = 20) -> float:
        """Returns how long it took, in seconds, until buyers were told so many more outcomes."""
        began_s, goal = time.monotonic(), self.sales() + more
        wait_until(lambda: self.sales() >= goal, what=f"{more} more outcomes", deadline_s=40)
        return time.monotonic() - began_s

    def left(self, reason: VacancyReason) -> list[LeftOffice]:
        return [report for report in self.market.reports(LeftOffice) if report.reason is reason]


@pytest.fixture
def machines(
    tmp_path: Path, nameserver: NameServerProcess, mongod: MongodProcess, books: Books
) -> Iterator[Machines]:
    with ExitStack() as stack:
        ways = [stack.enter_context(Relay(mongod.port)) for _ in ROLES]
        market = stack.enter_context(running_market(tmp_path, nameserver))
        relays: dict[str, Relay] = {}
        for rank, (role, relay) in enumerate(zip(ROLES, ways, strict=True)):
            settings: dict[str, Any] = {"think_s": 0.01, "resign_after_sales": 0, "stock": 1000}
            spec = market.spec(rank, role, market=settings, timing={"ledger_patience_s": PATIENCE_S})  # type: ignore[arg-type]
            market.add(spec, make_ledger=_ledger_by(relay, books.name))
            relays[spec.name] = relay
        market.open(tuple((rank, rank + 1) for rank in range(len(ROLES) - 1)))
        machines = Machines(market, relays)
        machines.wait_for_sales()
        yield machines


def _ledger_by(relay: Relay, name: str) -> Callable[[], MongoLedger]:
    return lambda: MongoLedger(relay.uri, name)


@pytest.mark.parametrize("way", ["swallow", "cut"])
def test_a_trader_that_loses_the_books_gives_way_to_one_that_has_them(machines: Machines, way: str) -> None:
    trader = machines.market.wait_for_trader()
    getattr(machines.relays[trader], way)()
    began_s = time.monotonic()
    wait_until(lambda: machines.market.trader() not in (None, trader), what="another trader", deadline_s=30)
    machines.wait_for_sales(1)
    assert time.monotonic() - began_s < 4 * PATIENCE_S, "its patience, and an election"
    assert [left.peer for left in machines.left(VacancyReason.BOOKS_AWAY)] == [trader]
    machines.relays[trader].heal()
    machines.wait_for_sales()
    assert len(machines.left(VacancyReason.BOOKS_AWAY)) == 1, "who came later had no reason to"


def test_where_nobody_reaches_the_books_all_wait_and_nobody_elects(machines: Machines) -> None:
    for relay in machines.relays.values():
        relay.swallow()
    wait_until(lambda: machines.left(VacancyReason.BOOKS_AWAY), what="the trader giving up", deadline_s=30)
    elected = len(machines.market.reports(Elected))
    started = len(machines.market.reports(ElectionStarted))
    seen_until_s = time.monotonic() + 6 * PATIENCE_S
    wait_until(lambda: time.monotonic() > seen_until_s, what="six times the patience", deadline_s=30)
    assert len(machines.market.reports(Elected)) == elected
    assert len(machines.market.reports(ElectionStarted)) - started <= len(ROLES)
    for relay in machines.relays.values():
        relay.heal()
    assert machines.wait_for_sales(1) < 6 * PATIENCE_S


def test_a_slow_database_is_not_taken_for_one_that_is_away(machines: Machines, mongo_client: Any) -> None:
    terms = len(machines.market.reports(Elected))
    failpoint = {"configureFailPoint": "failCommand", "mode": "alwaysOn"}
    slow = {"failCommands": ["insert"], "blockConnection": True, "blockTimeMS": int(1500 * PATIENCE_S)}
    mongo_client.admin.command({**failpoint, "data": slow})
    try:
        machines.wait_for_sales(2)
    finally:
        mongo_client.admin.command({**failpoint, "mode": "off"})
    assert len(machines.market.reports(Elected)) == terms


def test_sides_that_are_cut_from_each_other_do_not_depose_each_other_for_ever(machines: Machines) -> None:
    """Links are cut, the books are not: there the other side can see that the trader is at work, and leaves it be."""
    trader = machines.market.wait_for_trader()
    cut_s = 8.0
    before_s = machines.wait_for_sales(200)
    mine, *others = sorted(machines.market.hosts.values(), key=lambda host: host.name != trader)
    near, far = [mine, *others[:2]], others[2:]
    terms = len(machines.market.reports(Elected))
    for host in near:
        host.cut_links(CutLinks(neighbours=tuple(each.member.rank for each in far), seconds=cut_s))
    ends_s = time.monotonic() + cut_s
    sold = machines.sales()
    wait_until(lambda: time.monotonic() > ends_s, what="the end of the cut", deadline_s=30)
    rate, rate_before = (machines.sales() - sold) / cut_s, 200 / before_s
    assert len(machines.market.reports(Elected)) - terms <= 1
    assert rate > rate_before / 4, "those on the trader's side go on"
    machines.wait_for_sales()
