"""A program from outside: nothing but Pyro5, pymongo and what `peers/rpc/README.md` says. Exits 0 if all of it holds.

Usage: python outsider.py NAMESERVER_HOST NAMESERVER_PORT MONGO_URI
"""

from __future__ import annotations

import itertools
import sys
import time
import uuid
from decimal import Decimal
from typing import Any

import Pyro5.api
import Pyro5.errors
from pymongo import MongoClient

host, port, mongo_uri = sys.argv[1], int(sys.argv[2]), sys.argv[3]
books = MongoClient[dict[str, Any]](mongo_uri).bazaar
run = uuid.uuid4().hex[:8]
ticks = itertools.count(1)


def stamp() -> dict[str, int]:
    return {"lamport": next(ticks)}


def trader() -> Any:
    with Pyro5.api.locate_ns(host, port) as names:
        return Pyro5.api.Proxy(names.lookup("bazaar.trader"))


def asked(method: str, argument: object) -> Any:
    """Asks whoever is trader, with the same id, until there is an answer."""
    end = time.monotonic() + 20
    while True:
        try:
            with trader() as proxy:
                return getattr(proxy, method)(argument)
        except (RuntimeError, Pyro5.errors.CommunicationError, Pyro5.errors.NamingError) as error:
            if time.monotonic() > end:
                raise
            time.sleep(max(0.05, getattr(error, "retry_after_ms", 0) / 1000))


def failure(kind: type[Exception], method: str, *arguments: object, peer: Any = None) -> Any:
    """Returns the error that the call must end with, asked of whoever is trader or of `peer`."""
    try:
        given = asked(method, *arguments) if peer is None else getattr(peer, method)(*arguments)
    except kind as error:
        return error
    raise AssertionError((method, arguments, given))


def refused_for(field: str, method: str, argument: object) -> None:
    """The call must fail, and say which field is to be mended."""
    told = failure(ValueError, method, argument)
    assert (told.error, told.field) == ("BadRequest", field), (method, argument, vars(told))
    assert str(told) == f"{field}: {told.why}"


def sent_to_the_trader(peer: Any, method: str, *arguments: object) -> None:
    """A peer that is not in office must say who is, and where."""
    told = failure(RuntimeError, method, *arguments, peer=peer)
    assert told.error == "NotTrader", (method, vars(told))
    with Pyro5.api.Proxy(told.trader_uri) as named:
        assert named.ping() == told.trader
    assert told.trader in str(told)
    assert told.trader_uri in str(told)


def request(**changes: object) -> dict[str, Any]:
    number = uuid.uuid4().hex[:8]
    base = {"request_id": f"out/{run}:{number}", "buyer": "outsider", "item": "fish", "quantity": 1, "clock": stamp()}
    return {**base, **changes}


def offer(**changes: object) -> dict[str, Any]:
    number = uuid.uuid4().hex[:8]
    base = {"deposit_id": f"dep/{run}:{number}", "seller": "outside-seller", "item": "fish", "quantity": 3}
    return {**base, "price": "7.20", "clock": stamp(), **changes}


def check_peers() -> None:
    with Pyro5.api.locate_ns(host, port) as names:
        listed = names.list(prefix="bazaar.", return_metadata=True)
    assert "bazaar.trader" in listed
    for name, (uri, metadata) in listed.items():
        if name == "bazaar.trader":
            continue
        assert "bazaar.peer" in metadata, metadata
        assert any(m.startswith("rank:") for m in metadata)
        with Pyro5.api.Proxy(uri) as peer:
            assert peer.ping() == name.removeprefix("bazaar.")
            heartbeat = peer.heartbeat()
            assert set(heartbeat) == {"peer", "term", "trader"}, heartbeat
            status = peer.status()
            wanted = {"name", "rank", "role", "term", "trader", "clock", "neighbours", "in_office", "counters"}
            assert wanted <= set(status), wanted - set(status)
            assert len(status["neighbours"]) <= 3
            assert f"rank:{status['rank']}" in metadata
            assert f"role:{status['role']}" in metadata


def in_the_books(request_id: str) -> dict[str, Any]:
    """The books follow the log, within moments."""
    deadline_s = time.monotonic() + 5.0
    while time.monotonic() < deadline_s:
        document: dict[str, Any] | None = books.requests.find_one({"_id": request_id})
        if document is not None:
            return document
    raise AssertionError(f"{request_id} was told of, and is not in the books")


def check_trade(serializer: str) -> None:
    Pyro5.api.config.SERIALIZER = serializer
    put = offer(item="boar", quantity=2, price="0.05")
    recorded = asked("deposit", put)
    assert (recorded["deposit_id"], recorded["price"], recorded["quantity"]) == (put["deposit_id"], "0.05", 2)
    assert recorded["_id"] == put["deposit_id"]
    assert asked("deposit", put)["deposit_id"] == put["deposit_id"]
    refused_for("deposit_id", "deposit", {**put, "quantity": 5})
    on_offer = asked("search", "boar")
    assert any({"item", "seller", "price", "remaining"} <= set(o) for o in on_offer), on_offer
    wanted = request(item="boar")
    outcome = asked("buy", wanted)
    assert outcome["request_id"] == outcome["_id"] == wanted["request_id"]
    document = in_the_books(wanted["request_id"])
    assert document["status"] == outcome["status"] == "sold", outcome
    for field in ("seq", "term", "trader", "seller", "deposit", "order", "arrival"):
        assert outcome[field] == document[field], field
    for field in ("price", "amount", "commission", "earned"):
        assert isinstance(outcome[field], str)
        assert Decimal(outcome[field]) == document[field].to_decimal(), field
    assert asked("buy", wanted) == outcome
    assert asked("outcome", wanted["request_id"]) == outcome
    assert asked("outcome", f"never-{run}") is None
    refused_for("request_id", "buy", {**wanted, "quantity": 2})
    assert asked("buy", request(item="boar", quantity=1_000_000))["status"] == "unavailable"


def check_limits(serializer: str) -> None:
    Pyro5.api.config.SERIALIZER = serializer
    for quantity in (0, -1, 1_000_001, "1", 1.0, True, None):
        refused_for("quantity", "buy", request(quantity=quantity))
        refused_for("quantity", "deposit", offer(quantity=quantity))
    for price in ("0", "-1", "7.201", "1000000.01", "7,20", 7, 7.2, None):
        refused_for("price", "deposit", offer(price=price))
    for word in ("", "a b", "x" * 101, "ä", 7, None):
        refused_for("request_id", "buy", request(request_id=word))
        refused_for("deposit_id", "deposit", offer(deposit_id=word))
        refused_for("request_id", "outcome", word)
        refused_for("buyer", "buy", request(buyer=word))
    refused_for("seller", "deposit", offer(seller="a/b"))
    for item in ("dodo", "", 7, None):
        refused_for("item", "buy", request(item=item))
    clocks: list[object] = [{"lamport": -1}, {"lamport": "1"}, {"lamport": 2**53}, {"vector": {}}, {}, 7, None]
    for clock in clocks:
        refused_for("clock", "buy", request(clock=clock))
    refused_for("request", "buy", [])
    refused_for("offer", "deposit", "fish")


def check_unknown_method() -> None:
    with trader() as proxy:
        assert "sell" in str(failure(AttributeError, "sell", "fish", peer=proxy))


def check_not_in_office() -> None:
    with Pyro5.api.locate_ns(host, port) as names:
        listed = names.list(prefix="bazaar.")
    office = listed.pop("bazaar.trader")
    other = next(uri for uri in listed.values() if uri != office)
    with Pyro5.api.Proxy(other) as peer:
        sent_to_the_trader(peer, "buy", request())
        sent_to_the_trader(peer, "deposit", offer())
        peer.search()
        assert peer.outcome(f"never-{run}") is None
        sent_to_the_trader(peer, "resign")


def check_resignation() -> None:
    before = books.posts.find_one({"_id": "main"})
    assert before is not None
    with trader() as proxy:
        proxy.resign()
    bought = asked("buy", request())
    assert bought["term"] > before["term"], (bought, before)


check_peers()
for one in ("serpent", "json", "msgpack"):
    check_trade(one)
    check_limits(one)
    check_not_in_office()
check_unknown_method()
check_resignation()
assert not [m for m in sys.modules if m.split(".")[0] in ("peers", "db", "nameserver")]
print("the contract holds")
