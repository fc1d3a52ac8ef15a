"""Purchases one after another in towns of both clocks, once all peers have dealt and so are in the clock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import msgspec

from db.queries import Queries
from nameserver.client import NameServerClient
from peers.customer import Customer
from peers.errors import TownError, WireError
from peers.rpc.rpc_connection import CallFailed, RpcConnection
from plots.measure.apparatus.customers import ITEM
from plots.measure.apparatus.towns import BenchTown, wait_for
from plots.measure.experiments.workshop import Workshop
from plots.results.experiments.clocks import DATA, ClocksPlan, Stamped
from plots.results.rows import write_rows

_WARM_UP = 20  # Purchases that open connections and fill caches, and are not recorded.
_TURN = 25  # Purchases in one town before it is the other's turn.
_TIMEOUT_S = 5.0
_NEWS_S = 10.0
"""So long at most is waited for the news of all clocks to reach the trader. No setting: the data say what came."""

_DEALS_ONCE = ("--set", "market.max_purchases=1", "--set", "market.restock_probability=0")


def measure(plan: ClocksPlan, shop: Workshop) -> None:
    """Measures all sizes: of each, towns of all clocks side by side, in turns, so that a drifting machine hits both
    alike. While one is asked, the others do nothing."""
    rows: list[Stamped] = []
    for peers in plan.sizes:
        with shop.step(plan.title(peers)), ExitStack() as towns:
            customers = {clock: towns.enter_context(_customer(clock, peers, shop)) for clock in plan.clocks}
            for customer in customers.values():
                _buy(customer, range(_WARM_UP), "", 0)
            for first in range(1, plan.purchases + 1, _TURN):
                shop.done(first / plan.purchases)
                numbers = range(first, min(first + _TURN, plan.purchases + 1))
                for clock, customer in customers.items():
                    rows += _buy(customer, numbers, clock, peers)
    write_rows(shop.out / DATA, Stamped, rows)


@contextmanager
def _customer(clock: str, peers: int, shop: Workshop) -> Iterator[Customer]:
    """A customer of a town of its own, all of whose peers have dealt."""
    options = ("--clock", clock, *_DEALS_ONCE)
    with shop.town(f"{peers} peers, {clock}", peers, clock=clock, options=options, trades=True) as town:
        _wait_dealt(town)
        with town.customer("customer") as customer:
            yield customer


def _wait_dealt(town: BenchTown) -> None:
    """Waits until every buyer has bought, and the trader knows the clocks of all who dealt."""
    # The trader of the moment does not buy, and the last one may not have either.
    buyers = sum(peer.role == "buyer" for peer in town.everybody().values()) - 1
    wait_for(lambda: town.look(Queries.post).seq >= buyers, "every buyer has bought once")
    if town.clock == "vector":
        with suppress(TownError):
            wait_for(lambda: _names_known(town) >= town.peers - 1, "the trader knows all clocks", _NEWS_S)


def _names_known(town: BenchTown) -> int:
    """How many names the trader's clock has; 0 while there is no trader."""
    names = NameServerClient(*town.nameserver, _TIMEOUT_S)
    try:
        listed = names.trader()
    finally:
        names.close()
    if listed is None:
        return 0
    line = RpcConnection(listed.uri, _TIMEOUT_S)
    try:
        return len(line.call("status")["clock"].get("vector", ()))
    except (CallFailed, WireError):
        return 0
    finally:
        line.close()


def _buy(customer: Customer, numbers: range, clock: str, peers: int) -> list[Stamped]:
    """Buys once for each number, one after another."""
    rows: list[Stamped] = []
    for number in numbers:
        began = time.perf_counter_ns()
        outcome = customer.buy(ITEM)
        latency_ms = (time.perf_counter_ns() - began) / 1e6
        stamp = outcome["clock"]
        rows.append(
            Stamped(
                clock=clock,
                peers=peers,
                number=number,
                latency_ms=latency_ms,
                clock_bytes=len(msgspec.msgpack.encode(stamp)),
                entries=len(stamp.get("vector", (0,))),
            )
        )
    return rows
