"""Hosts over real Pyro5: a small market trades, notices deaths, survives its trader, answers as the contract says."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

from nameserver.client import NameServerClient
from nameserver.names import NAME_SERVER_OBJECT, PREFIX
from nameserver.process import NameServerProcess
from peers.core.calls import AsOf, Status
from peers.core.commands import Command
from peers.core.inputs import Input, Now
from peers.core.ledger.log import TradeEntry
from peers.core.ledger.port import Append, Operation
from peers.core.membership.members import Member, Snapshot
from peers.core.reports import Answered, Departed, Earned, Elected, Lost
from peers.core.settings import Settings
from peers.customer import Customer
from peers.endpoints import endpoint
from peers.errors import BadRequest, NotTrader, PostClosed
from peers.rpc import wire
from peers.rpc.forms import public_form
from peers.rpc.rpc_connection import CallFailed, RpcConnection
from peers.runtime.spec import PeerSpec
from tests.helpers.hosting import Busy, Market
from tests.helpers.waiting import wait_until

pytestmark = pytest.mark.timeout(60)

PATIENT = {"heartbeat_interval_s": 10.0, "suspect_s": 60.0}
"""Beats so far apart that nothing in a test can come from one."""


@pytest.fixture
def quiet(market: Market) -> Market:
    """Three peers in a row that do not trade by themselves; buyer2 is in office."""
    for rank, role in enumerate(("buyer", "seller", "buyer")):
        market.add(market.spec(rank, role, trades=False, timing=PATIENT, market={"resign_after_sales": 0}))  # type: ignore[arg-type]
    market.open(((0, 1), (1, 2)))
    assert market.wait_for_trader() == "buyer2"
    wait_until(lambda: all(h.status().trader == "buyer2" for h in market.hosts.values()), what="the news of it")
    return market


@pytest.fixture
def customer(quiet: Market) -> Iterator[Customer]:
    with Customer(quiet.nameserver.host, quiet.nameserver.port, directory=quiet.directory) as customer:
        wait_until(lambda: "bazaar.trader" in names(quiet), what="the trader's name")
        yield customer


def names(market: Market) -> dict[str, Any]:
    """All that the name server lists of ours: address and tags by name; what anybody with Pyro5 would see."""
    where = endpoint(market.nameserver.host, market.nameserver.port)
    connection = RpcConnection(f"PYRO:{NAME_SERVER_OBJECT}@{where}", 5.0)
    try:
        listed: dict[str, Any] = connection.call("list", prefix=PREFIX, return_metadata=True)
        return listed
    finally:
        connection.close()


def call(market: Market, name: str, method: str, *arguments: object) -> Any:
    line = RpcConnection(market.hosts[name].member.uri, 5.0)
    try:
        return line.call(method, *arguments)
    finally:
        line.close()


def request(number: int, **changes: object) -> dict[str, object]:
    good = {"request_id": f"r{number}", "buyer": "b", "item": "fish", "quantity": 1, "clock": {"lamport": number}}
    return {**good, **changes}


# -- trade ---------------------------------------------------------------------------------------------------------


def test_a_small_market_trades_and_keeps_journals(market: Market) -> None:
    for rank, role in enumerate(("buyer", "seller", "buyer")):
        spec = market.spec(rank, role, market={"think_s": 0.0, "resign_after_sales": 5})  # type: ignore[arg-type]
        market.add(spec)
    market.open(((0, 1), (1, 2)))
    wait_until(lambda: len(market.reports(Earned)) >= 30, what="thirty sales that sellers know of")
    assert len({e.term for e in market.reports(Elected)}) >= 4
    for name in list(market.hosts):
        market.close(name)
    told = {a.outcome.request.request_id: a.outcome for a in market.reports(Answered)}
    recorded = {d["_id"]: d for d in market.books.books.documents()["requests"]}
    assert {request_id: recorded[request_id]["seq"] for request_id in told} == {k: o.seq for k, o in told.items()}
    lines = [
        json.loads(line) for p in (market.directory / "journals").iterdir() for line in p.read_text().splitlines()
    ]
    assert {line["kind"] for line in lines} == {"asked", "told", "deposited", "offered", "earned"}
    assert sum(line["kind"] == "told" for line in lines) == len(market.reports(Answered))
    asked = next(line for line in lines if line["kind"] == "asked")
    assert set(asked) == {"at_ms", "boot", "mono_us", "peer", "kind", "request"}
    assert set(asked["request"]) == {"request_id", "buyer", "item", "quantity", "clock"}


def test_the_contract_of_a_trader(quiet: Market, customer: Customer) -> None:
    deposit = customer.deposit("fish", 3, "7.20", deposit_id="d1")
    assert (deposit["_id"], deposit["price"], deposit["remaining"]) == ("d1", "7.20", 3)
    outcome = customer.buy("fish", request_id="r1")
    # Nobody buys what he has deposited himself.
    assert (outcome["status"], outcome["trader"], outcome["seq"]) == (
        "unavailable",
        "buyer2",
        1,
    )
    bought = call(quiet, "buyer2", "buy", request(9, quantity=2))
    assert (bought["status"], bought["earned"], bought["seller"]) == ("sold", "11.52", customer.name)
    assert call(quiet, "buyer2", "buy", request(9, quantity=2)) == bought
    for name in quiet.hosts:
        assert call(quiet, name, "outcome", "r9") == bought
        assert call(quiet, name, "outcome", "never") is None
        assert [row["remaining"] for row in call(quiet, name, "search", "fish")] == [1]
        assert call(quiet, name, "ping") == name
        assert call(quiet, name, "heartbeat") == {"peer": name, "term": 1, "trader": "buyer2"}
        status = call(quiet, name, "status")
        assert (status["trader"], status["in_office"]) == ("buyer2", name == "buyer2")


def test_a_peer_not_in_office_names_the_trader(quiet: Market) -> None:
    offer = public_form.Reader(Settings()).offer(
        {"deposit_id": "d", "seller": "s", "item": "fish", "quantity": 1, "price": "1", "clock": {"lamport": 1}}
    )
    for method, *arguments in (("buy", request(1)), ("deposit", public_form.offer_dict(offer.offer)), ("resign",)):
        with pytest.raises(NotTrader) as raised:
            call(quiet, "buyer0", str(method), *arguments)
        assert (raised.value.trader, raised.value.term) == ("buyer2", 1)


def traded(market: Market) -> dict[str, object]:
    """The books without the records of elections, which are counted for some time after."""
    return {name: rows for name, rows in market.books.books.documents().items() if name != "elections"}


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("buy", ()),
        ("buy", ({}, {})),
        ("buy", ("x",)),
        ("buy", (request(1, quantity=0),)),
        ("deposit", ({"price": 7.2},)),
        ("outcome", ()),
        ("outcome", (7,)),
        ("search", ("dodo",)),
        ("search", ("fish", "salt")),
        ("ping", (1,)),
        ("resign", (1,)),
        ("deliver", ()),
        ("deliver", ("text",)),
        ("deliver", (b"rubbish",)),
        ("told", (b"rubbish",)),
        ("standing", ("s",)),
        ("introduce", (b"\x00",)),
        ("deliver", (wire.pack([wire.FORM + 1, 0, 0, []]),)),
    ],
)
def test_malformed_calls_are_bad_requests(quiet: Market, method: str, arguments: tuple[object, ...]) -> None:
    before = traded(quiet)
    with pytest.raises(BadRequest):
        call(quiet, "buyer2", method, *arguments)
    assert traded(quiet) == before


def test_a_lone_purchase_is_committed_by_the_thread_that_took_it_in(quiet: Market, customer: Customer) -> None:
    customer.buy("fish")
    # The first entry is the one with which the trader took office.
    appends = [thread for operation, thread in quiet.books.threads if operation == "Append"]
    assert appends[1:] == ["reactor"]


def test_many_callers_share_commits_and_each_gets_its_own_answer(quiet: Market, customer: Customer) -> None:
    customer.deposit("fish", 1000, "1.00")

    def buy(number: int) -> dict[str, Any]:
        outcome: dict[str, Any] = call(quiet, "buyer2", "buy", request(number + 1, buyer=f"b{number}"))
        return outcome

    with ThreadPoolExecutor(32) as pool:
        outcomes = list(pool.map(buy, range(200)))
    assert [outcome["_id"] for outcome in outcomes] == [f"r{n + 1}" for n in range(200)]
    assert sorted(outcome["seq"] for outcome in outcomes) == list(range(1, 201))
    counters = quiet.hosts["buyer2"].status().counters
    assert counters["decisions"] == 200


def hold_decisions(market: Market) -> threading.Event:
    """Lets no decision be written until the event is set."""
    gate = threading.Event()

    def hold(operation: Operation) -> None:
        if isinstance(operation, Append) and isinstance(operation.entry, TradeEntry):
            gate.wait(10)

    market.books.before = hold
    return gate


def test_what_cannot_be_decided_in_time_is_asked_for_again(market: Market) -> None:
    timing = {**PATIENT, "call_timeout_s": 0.5}
    market.add(market.spec(0, "buyer", trades=False, timing=timing))
    market.open(())
    market.wait_for_trader()
    gate = hold_decisions(market)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(call, market, "buyer0", "buy", request(1))
        wait_until(lambda: market.hosts["buyer0"]._runner.calls.any_wait, what="the first being decided")
        with pytest.raises(PostClosed, match="not decided yet"):
            call(market, "buyer0", "buy", request(2))
        assert call(market, "buyer0", "outcome", "r2") is None
        with pytest.raises(PostClosed, match="not decided yet"):
            first.result()
        gate.set()
    assert call(market, "buyer0", "buy", request(1))["seq"] == 1
    assert call(market, "buyer0", "buy", request(2))["_id"] == "r2"


# -- too many at once ----------------------------------------------------------------------------------------------


def test_where_too_many_wait_more_are_told_when_to_come_again(market: Market) -> None:
    market.add(market.spec(0, "buyer", trades=False, timing={**PATIENT, "max_pending": 1}))
    market.open(())
    market.wait_for_trader()
    gate = hold_decisions(market)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(call, market, "buyer0", "buy", request(1))
        wait_until(lambda: market.hosts["buyer0"]._runner.calls.any_wait, what="the first being decided")
        with pytest.raises(PostClosed, match="too many wait") as raised:
            call(market, "buyer0", "buy", request(2))
        gate.set()
        assert first.result()["seq"] == 1
    assert raised.value.retry_after_ms >= 1
    assert call(market, "buyer0", "buy", request(2))["seq"] == 2


def test_a_customer_comes_again_no_sooner_than_it_was_told(market: Market) -> None:
    cores: list[Busy] = []

    def busy(me: Member, settings: Settings, spec: PeerSpec) -> Busy:
        del settings, spec
        cores.append(Busy(me))
        return cores[-1]

    market.add(market.spec(0, "buyer"), busy)
    market.open(())
    with Customer(market.nameserver.host, market.nameserver.port) as customer:
        wait_until(lambda: "bazaar.trader" in names(market), what="the trader's name")
        assert customer.buy("fish")["status"] == "unavailable"
    (first_s, first), (again_s, again) = cores[0].asked
    assert again == first
    assert again_s - first_s >= Busy.TOLD_MS / 1000


# -- the graph -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["buyer0", "buyer2"])
def test_a_death_is_noticed_at_once_from_either_end_of_an_edge(quiet: Market, name: str) -> None:
    died_s = time.monotonic()
    quiet.close(name)
    wait_until(lambda: [lost.lost for lost in quiet.reports(Lost)] == [name], what="the loss", deadline_s=2)
    assert time.monotonic() - died_s < 4  # Closing takes a while itself; a beat would have taken ten seconds.
    left = set(quiet.hosts)
    trader = quiet.wait_for_trader()
    wait_until(lambda: all(h.status().trader == trader for h in quiet.hosts.values()), what="a trader")
    for host in quiet.hosts.values():
        assert set(host.status().neighbours) == left - {host.name}


def test_trade_goes_on_with_the_next_trader(quiet: Market, customer: Customer) -> None:
    customer.deposit("fish", 5, "2.00")
    call(quiet, "buyer2", "buy", request(1))
    quiet.close("buyer2")
    outcome = customer.buy("salt")
    assert (outcome["trader"], outcome["term"], outcome["seq"]) == (quiet.trader(), 2, 2)
    assert call(quiet, "buyer0", "outcome", "r1")["term"] == 1


def test_a_trader_resigns_when_asked(quiet: Market, customer: Customer) -> None:
    call(quiet, "buyer2", "resign")
    assert customer.buy("salt")["trader"] == "buyer0"  # Of the others, seller1 is the only one who sells.
    office = quiet.hosts["buyer0"].member.uri
    wait_until(lambda: names(quiet).get("bazaar.trader", (None,))[0] == office, what="its name")


def test_who_has_left_office_is_not_named_as_the_trader(quiet: Market, customer: Customer) -> None:
    """It is there still, answers, and passes on what it is asked to whoever is in office now."""
    assert customer.trader().name == "buyer2"
    call(quiet, "buyer2", "resign")
    customer.search()
    found = customer.trader()
    assert (found.name, found.term, found.uri) == ("buyer0", 2, quiet.hosts["buyer0"].member.uri)


def test_a_peer_leaves_in_order(quiet: Market) -> None:
    quiet.hosts["buyer2"].leave()
    wait_until(lambda: "buyer2" in quiet.stopped, what="buyer2 has left")
    quiet.hosts.pop("buyer2").close()
    assert [r.peer for r in quiet.reports(Departed)] == ["buyer2"]
    trader = quiet.wait_for_trader()
    wait_until(lambda: all(h.status().trader == trader for h in quiet.hosts.values()), what="the news of it")
    left = ("buyer0", "seller1")
    wait_until(lambda: all(h.status().up == left for h in quiet.hosts.values()), what="everybody knows")


def test_a_newcomer_is_introduced(quiet: Market) -> None:
    newcomer = quiet.add(quiet.spec(3, "seller", trades=False, timing=PATIENT))
    packed = call(quiet, "buyer0", "introduce", wire.pack(wire.Newcomer(member=newcomer.member)))
    snapshot = wire.unpack_snapshot(packed)
    assert (snapshot.trader, snapshot.term) == ("buyer2", 1)
    newcomer.begin(snapshot)
    four = {"buyer0", "seller1", "buyer2", "seller3"}
    wait_until(lambda: all(set(h.status().up) == four for h in quiet.hosts.values()), what="everybody knows")
    assert newcomer.status().trader == "buyer2"
    assert newcomer.status().neighbours


# -- the name server -----------------------------------------------------------------------------------------------


def test_names_come_back_when_the_name_server_does(quiet: Market, nameserver: NameServerProcess) -> None:
    def listed() -> dict[str, Any]:
        try:
            return names(quiet)
        except CallFailed:
            return {}

    four = {"bazaar.buyer0", "bazaar.seller1", "bazaar.buyer2", "bazaar.trader"}
    wait_until(lambda: set(listed()) == four, what="all names")
    nameserver.kill()
    assert call(quiet, "buyer2", "buy", request(1))["seq"] == 1
    nameserver.start()
    wait_until(lambda: set(listed()) == four, what="all names again", deadline_s=3)
    with NameServerClient(nameserver.host, nameserver.port) as client:
        client.unregister_trader(quiet.hosts["buyer2"].member)  # A predecessor that is late may do that.
    wait_until(lambda: set(listed()) == four, what="the trader's name again", deadline_s=3)
    uri, tags = listed()["bazaar.trader"]
    assert uri == quiet.hosts["buyer2"].member.uri
    assert set(tags) == {"bazaar.peer", "rank:2", "role:buyer", "term:1"}


# -- bugs ----------------------------------------------------------------------------------------------------------


class Broken:
    """A core with a bug."""

    def __init__(self, me: Member) -> None:
        self._me = me

    def handle(self, event: Input, now: Now) -> list[Command]:
        raise ZeroDivisionError(f"at {now.mono_s} with {event}")

    def status(self) -> Status:
        raise NotImplementedError

    def as_of(self, area: str) -> AsOf | None:
        del area
        return None

    def snapshot(self) -> Snapshot:
        return Snapshot(members=(self._me,), edges=())


def test_a_bug_in_the_core_stops_the_peer(market: Market) -> None:
    def broken(me: Member, settings: Settings, spec: PeerSpec) -> Broken:
        del settings, spec
        return Broken(me)

    host = market.add(market.spec(0, "buyer"), broken)
    with pytest.raises(CallFailed):
        call(market, "buyer0", "buy", request(1))
    assert [type(error) for error in market.faults] == [ZeroDivisionError]
    market.faults.clear()
    with pytest.raises(PostClosed):
        call(market, "buyer0", "buy", request(2))
    assert msgspec.structs.asdict(host.member)["name"] == "buyer0"
