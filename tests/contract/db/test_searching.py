"""Searches at the nearest member: what they show, and that the bound on what they miss holds with a member behind."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from db.ledger.mongo import MongoLedger
from db.ledger.searching import NearestStock
from peers.core.calls import AsOf
from tests.helpers.deals import stock
from tests.helpers.log_trader import LogTrader
from tests.helpers.mongod_set import HOST, MongodSet
from tests.helpers.waiting import wait_until

pytestmark = pytest.mark.timeout(120)

BOUND_S = 1.0


@pytest.fixture
def trader(several: MongodSet, name: str) -> Iterator[LogTrader]:
    ledger = MongoLedger(several.uri, name)
    yield LogTrader(ledger).take_office()
    ledger.close()


@contextmanager
def searching_at(several: MongodSet, trader: LogTrader, port: int) -> Iterator[NearestStock]:
    """Searches that ask that member, whichever is nearest."""

    def choose(servers: Sequence[Any]) -> Any:
        return next((each for each in servers if each.address == (HOST, port)), servers[0])

    ledger = trader.ledger
    assert isinstance(ledger, MongoLedger)
    nearest = NearestStock(several.uri, ledger._name, BOUND_S, choose=choose)
    try:
        yield nearest
    finally:
        nearest.close()


def a_secondary(several: MongodSet) -> int:
    primary = several.primary
    return next(port for port in several.ports if port != primary)


def shown(nearest: NearestStock, item: str | None = None) -> set[str] | None:
    found = nearest.search(item)
    return None if found is None else {deposit.offer.deposit_id for deposit in found.deposits}


def test_a_secondary_shows_what_is_on_offer(several: MongodSet, trader: LogTrader) -> None:
    fish = stock("d1", 9)
    trader.write(deposits=(fish, stock("d2", 4)))
    trader.sell(1, fish, quantity=3)
    with searching_at(several, trader, a_secondary(several)) as nearest:
        assert nearest.search(None) is None  # There is no mark yet, and nobody waits for one: the trader is asked.
        found = wait_until(lambda: nearest.search("fish"), deadline_s=10)
        assert {each.offer.deposit_id: each.remaining for each in found.deposits} == {"d1": 6, "d2": 4}
        assert found.as_of == AsOf(term=1, seq=1, place=2)
        assert shown(nearest, "salt") == set()
        assert nearest.answered == 2
        assert nearest.search(None, AsOf(term=1, place=2)) is not None
        assert nearest.search(None, AsOf(term=1, seq=2)) is None  # The caller was told more: the trader is asked.


def test_the_bound_holds_with_a_member_that_is_behind(several: MongodSet, trader: LogTrader) -> None:
    trader.write(deposits=(stock("d0", 1),))
    behind = a_secondary(several)
    with searching_at(several, trader, behind) as nearest, several.direct(behind) as member:
        wait_until(lambda: shown(nearest) == {"d0"}, deadline_s=10)
        member.admin.command("fsync", lock=True)  # It answers, and takes nothing in.
        try:
            written: list[tuple[float, str]] = []
            stale, refused = 0, 0
            deadline_s = time.monotonic() + 3 * BOUND_S
            while time.monotonic() < deadline_s:
                deposit_id = f"d{len(written) + 1}"
                trader.write(deposits=(stock(deposit_id, 1),))
                written.append((time.monotonic(), deposit_id))
                found = shown(nearest)
                ended_s = time.monotonic()
                if found is None:
                    refused += 1
                    continue
                stale += deposit_id not in found
                missed = [each for at_s, each in written if at_s <= ended_s - BOUND_S and each not in found]
                assert not missed, f"it misses {missed}, which stood {BOUND_S} s before"
            assert stale, "it was never behind, so nothing was shown"
            assert refused, "once it is behind by more than the bound, it is not asked any more"
        finally:
            member.admin.command("fsyncUnlock")
        wait_until(lambda: (shown(nearest) or set()) >= {each for _, each in written}, deadline_s=20)


def test_nothing_is_answered_beyond_the_bound_without_a_primary(several: MongodSet, trader: LogTrader) -> None:
    trader.write(deposits=(stock("d0", 1),))
    asked = a_secondary(several)
    with searching_at(several, trader, asked) as nearest:
        wait_until(lambda: shown(nearest) == {"d0"}, deadline_s=10)
        fallen = several.primary
        voter = next(port for port in several.ports if port not in (fallen, asked))
        several.kill(fallen)
        at_s = time.monotonic()
        several.freeze(voter)  # So that no other is elected.
        try:
            while time.monotonic() < at_s + 2 * BOUND_S:
                found = shown(nearest)
                assert found in ({"d0"}, None)
                assert found is None or time.monotonic() < at_s + BOUND_S
        finally:
            several.thaw(voter)
            several.start(fallen)
    several.wait_until_complete()
