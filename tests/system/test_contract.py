"""The public API, from outside: programs with nothing but Pyro5 and pymongo; and malformed input of every kind."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import Pyro5.api
import Pyro5.errors
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from peers.errors import BadRequest, wire_error_of
from tests.helpers.bare_python import run_bare
from tests.system.helpers.town import Town, running_town

pytestmark = pytest.mark.system

HUGE = "x" * 100_000  # What is larger than a call may be (128 KiB in serpent) ends the connection.
GOOD_REQUEST = {"request_id": "r", "buyer": "b", "item": "fish", "quantity": 1, "clock": {"lamport": 1}}
GOOD_OFFER = {
    "deposit_id": "d",
    "seller": "s",
    "item": "fish",
    "quantity": 1,
    "price": "7.20",
    "clock": {"lamport": 1},
}
ROTTEN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(max_value=0),
    st.integers(min_value=2**53 + 1, max_value=2**63 - 1),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from(["", " ", HUGE, "NaN", "-1", "1e3", "7.201", "dodo", "\x00", "🐗"]),
    st.lists(st.integers(0, 3), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(0, 3), max_size=3),
)
FREE = ("request_id", "deposit_id", "buyer", "seller")
PLAIN = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
GUIDE = (Path(__file__).parents[2] / "peers" / "rpc" / "README.md").read_text()


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with running_town(tmp_path_factory.mktemp("contract"), 4, "--no-trade") as town:
        yield town


@pytest.fixture(scope="module")
def trader_uri(town: Town) -> str:
    state = town.status()
    return next(str(p["uri"]) for p in state["peers"] if p["name"] == state["trader"])


def books_of(town: Town) -> tuple[int, int, int]:
    return (
        town.books.requests.count_documents({}),
        town.books.deposits.count_documents({}),
        int(town.post()["term"]),
    )


def is_bad_request(call: Any, argument: object) -> bool:
    try:
        call(argument)
    except ValueError as error:
        return isinstance(wire_error_of(error), BadRequest)
    return False


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_malformed_calls_change_nothing_and_kill_nobody(data: st.DataObject, town: Town, trader_uri: str) -> None:
    method, good = data.draw(st.sampled_from([("buy", GOOD_REQUEST), ("deposit", GOOD_OFFER)]))
    field = data.draw(st.sampled_from(sorted(good)))
    how = data.draw(st.sampled_from(["rotten", "missing", "extra", "not a dict"]))
    if how == "rotten":
        # Any plain word is good as an id or a name, so it is not rotten.
        rotten = ROTTEN.filter(lambda v: not (isinstance(v, str) and PLAIN.fullmatch(v))) if field in FREE else ROTTEN
        argument: object = {**good, field: data.draw(rotten)}
    elif how == "missing":
        argument = {k: v for k, v in good.items() if k != field}
    elif how == "extra":
        argument = {**good, "extra": data.draw(ROTTEN)}
    else:
        argument = data.draw(ROTTEN)
    before = books_of(town)
    Pyro5.api.config.SERIALIZER = data.draw(st.sampled_from(["serpent", "json", "msgpack"]))
    with Pyro5.api.Proxy(trader_uri) as proxy:
        assert is_bad_request(getattr(proxy, method), argument), argument if HUGE not in repr(argument) else field
    assert books_of(town) == before


@pytest.mark.parametrize("method", ["search", "outcome"])
@pytest.mark.parametrize("argument", [7, "", "dodo", HUGE, {"a": 1}, ["fish"], float("nan")])
def test_malformed_questions(trader_uri: str, method: str, argument: object) -> None:
    if method == "outcome" and argument == "dodo":
        pytest.skip("an id like any other")
    with Pyro5.api.Proxy(trader_uri) as proxy:
        assert is_bad_request(getattr(proxy, method), argument)


@pytest.mark.parametrize("sent", [b"", b"PYRO", b"GET / HTTP/1.0\r\n\r\n", b"\xff" * 5000])
def test_a_caller_that_hangs_up_half_way(town: Town, trader_uri: str, sent: bytes) -> None:
    host, port = trader_uri.rsplit("@", 1)[1].rsplit(":", 1)
    before = books_of(town)
    with socket.create_connection((host, int(port)), timeout=5) as raw:
        raw.sendall(sent)
    with Pyro5.api.Proxy(trader_uri) as proxy:
        assert proxy.ping()
    assert books_of(town) == before


def test_marshal_is_refused(trader_uri: str) -> None:
    Pyro5.api.config.SERIALIZER = "marshal"
    try:
        with Pyro5.api.Proxy(trader_uri) as proxy, pytest.raises(Pyro5.errors.PyroError):
            proxy.buy(GOOD_REQUEST)
    finally:
        Pyro5.api.config.SERIALIZER = "serpent"


@pytest.mark.parametrize("serializer", ["serpent", "msgpack"])
def test_the_session_of_the_guide_goes_as_it_says(town: Town, serializer: str) -> None:
    session, printed = re.search(r"```python\n(.*?)```\s+It prints:\s+```text\n(.*?)```", GUIDE, re.DOTALL).groups()  # type: ignore[union-attr]
    names = town.status()["nameserver"]
    assert run_bare(town.directory, session, names["host"], names["port"], serializer=serializer) == printed


def test_an_outside_program_can_trade_and_check_the_books(town: Town) -> None:
    state = town.status()
    program = (Path(__file__).parent / "helpers" / "outsider.py").read_text()
    names = state["nameserver"]
    arguments = names["host"], names["port"], state["mongo_uri"]
    said = run_bare(town.directory, program, *arguments, besides=("pymongo", "bson"))
    assert said == "the contract holds\n"
    assert town.stop() == 0, town.output()[-4000:]
