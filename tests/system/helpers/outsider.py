"""A program from outside: nothing but Pyro5, pymongo and the names of the contract. Exits 0 if all of it holds.

Usage: python outsider.py NAMESERVER_HOST NAMESERVER_PORT MONGO_URI
"""

from __future__ import annotations

import itertools
import sys
import time
import uuid
from collections.abc import Callable
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
        except Exception as error:
            # Of a class it does not know, bare Pyro5 makes a SerializeError with the name of the class.
            ours = isinstance(error, Pyro5.errors.SerializeError)
            passing = any(word in repr(error) for word in ("NotTrader", "PostClosed"))
            lost = isinstance(error, Pyro5.errors.CommunicationError | Pyro5.errors.NamingError)
            passing = passing or (lost and not ours)
            if not passing or time.monotonic() > end:
                raise
            time.sleep(0.05)


def refused_with(name: str, method: str, argument: object, proxy: Any = None) -> None:
    """The call must fail with our error class of that name."""
    said = what_comes_of(lambda: asked(method, argument) if proxy is None else getattr(proxy, method)(argument))
    assert name in said, (name, method, argument, said)


def what_comes_of(call: Callable[[], object]) -> str:
    """Returns an error, or the answer, as text: bare Pyro5 does not know our classes, but it says their names."""
    try:
        return repr(call())
    except Exception as error:  # noqa: BLE001 - any class at all may come out of bare Pyro5
        return repr(error)


def request(**changes: object) -> dict[str, Any]:
    number = uuid.uuid4().hex[:8]
    base = {"request_id": f"out-{run}-{number}", "buyer": "outsider", "item": "fish", "quantity": 1, "clock": stamp()}
    return {**base, **changes}


def offer(**changes: object) -> dict[str, Any]:
    number = uuid.uuid4().hex[:8]
    base = {"deposit_id": f"dep-{run}-{number}", "seller": "outside-seller", "item": "fish", "quantity": 3}
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
    assert (recorded["_id"], recorded["price"], recorded["quantity"]) == (put["deposit_id"], "0.05", 2), recorded
    assert asked("deposit", put)["_id"] == put["deposit_id"]
    refused_with("BadRequest", "deposit", {**put, "quantity": 5})
    on_offer = asked("search", "boar")
    assert any({"item", "seller", "price", "remaining"} <= set(o) for o in on_offer), on_offer
    wanted = request(item="boar")
    outcome = asked("buy", wanted)
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
    refused_with("BadRequest", "buy", {**wanted, "quantity": 2})
    assert asked("buy", request(item="boar", quantity=1_000_000))["status"] == "unavailable"


def check_not_in_office() -> None:
    with Pyro5.api.locate_ns(host, port) as names:
        listed = names.list(prefix="bazaar.")
    office = listed.pop("bazaar.trader")
    other = next(uri for uri in listed.values() if uri != office)
    with Pyro5.api.Proxy(other) as peer:
        refused_with("NotTrader", "buy", request(), peer)
        refused_with("NotTrader", "deposit", offer(), peer)
        peer.search()
        assert peer.outcome(f"never-{run}") is None
        assert "NotTrader" in what_comes_of(peer.resign)


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
check_not_in_office()
check_resignation()
assert not [m for m in sys.modules if m.split(".")[0] in ("peers", "db", "nameserver")]
print("the contract holds")
