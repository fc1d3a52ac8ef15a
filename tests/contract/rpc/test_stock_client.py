"""What a client that has only Pyro5 sees of real peers: by serpent and by msgpack the same, all of it readable."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nameserver.process import NameServerProcess
from peers.core.membership.members import Member
from peers.core.settings import Settings
from peers.rpc.security.certificates import ensure_certificates, issue_client
from peers.rpc.security.tls import TlsFiles
from peers.runtime.spec import PeerSpec
from tests.helpers.bare_python import run_bare
from tests.helpers.hosting import Busy, Market, running_market
from tests.helpers.waiting import wait_until

pytestmark = pytest.mark.timeout(60)

GUIDE = (Path(__file__).parents[3] / "peers" / "rpc" / "README.md").read_text()
SERIALIZERS = ["serpent", "msgpack"]

# This makes the calls that are given as JSON, and prints as JSON what each gave or how it failed.
CLIENT = """
import json, sys
import Pyro5.api

uri, calls = sys.argv[1], json.loads(sys.argv[2])
seen = []
with Pyro5.api.Proxy(uri) as proxy:
    for method, arguments in calls:
        try:
            seen.append({"gave": getattr(proxy, method)(*arguments)})
        except Exception as error:
            kinds = [each.__module__ + "." + each.__name__ for each in type(error).__mro__]
            seen.append({"kind": kinds[0], "kinds": kinds, "said": str(error), "attributes": vars(error)})
print(json.dumps(seen))
"""
Seen = dict[str, Any]


@pytest.fixture
def market(tmp_path: Path, nameserver: NameServerProcess) -> Iterator[Market]:
    """Two peers; buyer1 is in office."""
    with running_market(tmp_path, nameserver) as market:
        for rank in (0, 1):
            market.add(market.spec(rank, "buyer", trades=False, market={"resign_after_sales": 0}))
        market.open(((0, 1),))
        assert market.wait_for_trader() == "buyer1"
        wait_until(lambda: market.hosts["buyer0"].status().trader == "buyer1", what="the news of it")
        yield market


def see(market: Market, name: str, serializer: str, *calls: tuple[str, list[object]]) -> list[Seen]:
    uri = market.hosts[name].member.uri
    seen: list[Seen] = json.loads(run_bare(market.directory, CLIENT, uri, json.dumps(calls), serializer=serializer))
    assert len(seen) == len(calls)
    return seen


def request(**changes: object) -> dict[str, object]:
    return {
        "request_id": "me/2026:1", "buyer": "me", "item": "fish", "quantity": 1, "clock": {"lamport": 1}, **changes
    }  # fmt: skip


def offer(**changes: object) -> dict[str, object]:
    return {
        "deposit_id": "you/1:d", "seller": "you", "item": "fish", "quantity": 3, "price": "7.20",
        "clock": {"lamport": 1}, **changes,
    }  # fmt: skip


WRONG: list[tuple[str, object, str, str]] = [
    ("buy", request(quantity=0), "quantity", "must be a whole number from 1 to 1000000, not 0"),
    ("buy", request(quantity=2_000_000), "quantity", "not 2000000"),
    ("buy", request(quantity="1"), "quantity", "not '1'"),
    ("deposit", offer(price="7.201"), "price", "exact to the cent, not '7.201'"),
    ("deposit", offer(price="1000000.01"), "price", "at most 1000000.00"),
    ("deposit", offer(price=7.2), "price", 'a text such as "7.20"'),
    ("buy", request(item="dodo"), "item", "must be one of fish, salt, boar, not 'dodo'"),
    ("buy", request(request_id="a b"), "request_id", "must be 1 to 100 of A-Z a-z 0-9 _ . : / -, not 'a b'"),
    ("deposit", offer(deposit_id="x" * 101), "deposit_id", "must be 1 to 100 of"),
    ("buy", request(buyer="../me"), "buyer", "must be 1 to 64 of A-Z a-z 0-9 _ . : -, not '../me'"),
    ("buy", request(clock={"lamport": -1}), "clock", "not {'lamport': -1}"),
    ("buy", request(clock={"vector": {"me": 1}}), "clock", 'must be {"lamport": number}'),
    ("buy", request(clock={"lamport": 2**40}), "clock", "ahead of the market's"),
    ("buy", {"buyer": "me"}, "request_id", "is missing"),
    ("buy", request(extra=1), "request", "and no other"),
    ("buy", [1], "request", "must be one dict"),
    ("deposit", offer(seller="buyer1"), "seller", "sells nothing"),
    ("outcome", 7, "request_id", "must be 1 to 100 of"),
    ("search", "dodo", "item", "must be one of fish, salt, boar"),
]


@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_what_is_wrong_is_a_value_error_that_names_the_field(market: Market, serializer: str) -> None:
    calls: list[tuple[str, list[object]]] = [(method, [argument]) for method, argument, _, _ in WRONG]
    seen = see(market, "buyer1", serializer, *calls)
    for (_, _, field, why), each in zip(WRONG, seen, strict=True):
        assert each["kind"] == "builtins.ValueError"
        assert each["attributes"]["error"] == "BadRequest"
        assert each["attributes"]["field"] == field
        assert why in each["attributes"]["why"]
        assert each["said"] == f"{field}: {each['attributes']['why']}"
        assert set(each["attributes"]) == {"error", "field", "why"}


@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_an_id_used_again_for_something_else_is_refused(market: Market, serializer: str) -> None:
    first, other = see(market, "buyer1", serializer, ("buy", [request()]), ("buy", [request(item="salt")]))
    assert first["gave"]["request_id"] == first["gave"]["_id"] == "me/2026:1"
    assert other["attributes"]["field"] == "request_id"
    assert "used before" in other["said"]


@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_one_who_is_not_the_trader_says_who_is_and_where(market: Market, serializer: str) -> None:
    calls: list[tuple[str, list[object]]] = [("buy", [request()]), ("deposit", [offer()]), ("resign", [])]
    where = market.hosts["buyer1"].member.uri
    for each in see(market, "buyer0", serializer, *calls):
        assert each["kind"] == "builtins.RuntimeError"
        assert each["attributes"] == {"error": "NotTrader", "trader": "buyer1", "term": 1, "trader_uri": where}
        assert each["said"] == f"not in office: ask buyer1, the trader of term 1, at {where}"


@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_a_closed_post_says_when_to_come_again(
    tmp_path: Path, nameserver: NameServerProcess, serializer: str
) -> None:
    def busy(me: Member, settings: Settings, spec: PeerSpec) -> Busy:
        del settings, spec
        return Busy(me)

    with running_market(tmp_path, nameserver) as market:
        market.add(market.spec(0, "buyer"), busy)
        market.open(())
        refused, served = see(market, "buyer0", serializer, ("buy", [request()]), ("buy", [request()]))
    assert refused["kind"] == "builtins.RuntimeError"
    assert refused["attributes"] == {
        "error": "PostClosed", "why": "too many wait already", "retry_after_ms": Busy.TOLD_MS
    }  # fmt: skip
    assert "ask again in 300 ms with the same id" in refused["said"]
    assert served["gave"]["request_id"] == "me/2026:1"


@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_a_method_that_there_is_not(market: Market, serializer: str) -> None:
    unknown, private, known = see(market, "buyer1", serializer, ("sell", [1]), ("_on_buy", [1]), ("ping", []))
    assert unknown["kind"] == "builtins.AttributeError"
    assert "sell" in unknown["said"]
    assert private["kind"] == "builtins.AttributeError"
    assert known == {"gave": "buyer1"}


@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_a_name_that_is_not_listed(market: Market, serializer: str) -> None:
    uri = f"PYRO:Pyro.NameServer@{market.nameserver.host}:{market.nameserver.port}"
    calls = json.dumps([("lookup", ["bazaar.nobody"]), ("register", [])])
    unknown, malformed = json.loads(run_bare(market.directory, CLIENT, uri, calls, serializer=serializer))
    assert unknown["kind"] == "Pyro5.errors.NamingError"
    assert "bazaar.nobody" in unknown["said"]
    assert malformed["kind"] == "builtins.TypeError"
    assert "_pyroTraceback" not in unknown["attributes"].keys() | malformed["attributes"].keys()


def test_both_serializers_see_the_same(market: Market) -> None:
    calls: list[tuple[str, list[object]]] = [
        ("deposit", [offer()]), ("deposit", [offer()]), ("buy", [request()]), ("outcome", ["me/2026:1"]),
        ("outcome", ["never"]), ("search", []), ("search", ["salt"]), ("heartbeat", []), ("ping", []),
    ]  # fmt: skip
    # From now on everything is recorded, so that both serializers are only told it again.
    see(market, "buyer1", "serpent", *calls)
    by_serpent, by_msgpack = (see(market, "buyer1", each, *calls) for each in SERIALIZERS)
    assert by_serpent == by_msgpack
    deposit, _, outcome, recorded, never, rows, none, heartbeat, _ = [each["gave"] for each in by_serpent]
    assert set(deposit) == fields_in_guide("A **deposit**")
    assert deposit["deposit_id"] == deposit["_id"] == "you/1:d"
    assert outcome == recorded
    assert set(outcome) == OUTCOME
    assert (outcome["status"], outcome["price"], outcome["commission"], outcome["earned"]) == (
        "sold", "7.20", "1.44", "5.76"
    )  # fmt: skip
    assert never is None
    assert [set(row) for row in rows] == [{"item", "seller", "price", "remaining", "deposit_id"}]
    assert rows[0]["remaining"] == 2
    assert none == []
    assert heartbeat == {"peer": "buyer1", "term": 1, "trader": "buyer1"}


@pytest.mark.parametrize("serializer", SERIALIZERS)
@pytest.mark.parametrize("asked", ["buyer0", "buyer1"])
def test_a_search_says_as_of_what_it_is_and_is_no_older_than_what_the_caller_was_told(
    market: Market, serializer: str, asked: str
) -> None:
    deposited, bought = see(market, "buyer1", serializer, ("deposit", [offer()]), ("buy", [request()]))
    assert bought["gave"]["seq"] == 1
    (found,) = see(market, asked, serializer, ("browse", ["fish"]))
    browsed = found["gave"]
    assert set(browsed) == {"rows", "term", "seq", "place", "area", "within_ms"}
    assert (browsed["term"], browsed["seq"], browsed["area"], browsed["within_ms"]) == (1, 1, "", 500)
    assert browsed["place"] > deposited["gave"]["place"]
    assert [row["remaining"] for row in browsed["rows"]] == [2]
    since = {field: browsed[field] for field in ("term", "seq", "place")}
    again, part, ahead, outcome, wrong = see(
        market,
        asked,
        serializer,
        ("browse", ["fish", since]),
        ("search", ["fish", {"seq": 1}]),
        ("search", ["fish", {"term": 1, "seq": 2}]),
        ("outcome", [request()["request_id"], since]),
        ("search", ["fish", {"seq": "1"}]),
    )
    assert again["gave"]["rows"] == part["gave"] == browsed["rows"]
    assert (ahead["attributes"]["error"], ahead["kind"]) == ("PostClosed", "builtins.RuntimeError")
    assert outcome["gave"] == bought["gave"]
    assert (wrong["attributes"]["error"], wrong["attributes"]["field"]) == ("BadRequest", "since")


OUTCOME = {
    "_id", "request_id", "buyer", "item", "quantity", "clock", "order", "status", "queued_at", "queued_term",
    "arrival", "seq", "term", "trader", "decided_at", "seller", "deposit", "price", "amount", "commission", "earned",
}  # fmt: skip


def fields_in_guide(beginning: str) -> set[str]:
    """The names in backquotes of the sentence that begins so, but for those of methods."""
    start = GUIDE.index(beginning)
    sentence = GUIDE[start : GUIDE.index(". A **", start)]
    return set(re.findall(r"`(\w+)`", sentence)) - {"buy"} - ({"deposit"} if "deposit" in beginning else set())


def test_the_guide_names_every_field_of_an_outcome() -> None:
    part = GUIDE[GUIDE.index("An **outcome**") : GUIDE.index("A **deposit**")]
    named = set(re.findall(r"`(\w+)`", "\n".join(re.findall(r"(?m)^\| (.*?) \|", part))))
    assert named == OUTCOME | {"reason", "taken_back"}


def test_the_guides_words_on_tls_let_a_stock_client_in(tmp_path: Path) -> None:
    files = TlsFiles(tmp_path)
    assert ensure_certificates(files, ["127.0.0.2"])
    (tmp_path / "anna.pem").write_bytes(issue_client(files, "anna"))
    setting_up = re.findall(r"```python\n(.*?)```", GUIDE, flags=re.DOTALL)[-1]
    calling = "import sys\nwith Pyro5.api.Proxy(sys.argv[1]) as proxy:\n    print(proxy.echo('fish'))\n"
    command = [sys.executable, "-m", "tests.contract.rpc.tls_echo", "serve", "127.0.0.2", str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        uri = f"PYRO:echo@127.0.0.2:{server.stdout.readline().strip()}"
        try:
            assert run_bare(tmp_path, setting_up + calling, uri) == "fish\n"
        finally:
            server.stdin.close()
