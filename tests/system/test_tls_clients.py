"""Who may do what in a town that speaks TLS: clients by Pyro5's own settings, and the machines of others.

One town serves all of these tests; none of them ends it.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from peers.rpc.security.certificates import ensure_certificates
from peers.rpc.security.tls import TlsFiles
from tests.helpers.bare_python import run_bare
from tests.system.helpers.town import BAZAAR, bazaar
from tests.system.helpers.towns import ROOT
from tests.system.test_tls_town import HOST, opened, run_town

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

Town = tuple[Path, dict[str, Any]]
"""Its directory, and what `bazaar status` says of it."""

PUBLIC = {"ping", "heartbeat", "status", "search", "browse", "search_areas", "outcome", "buy", "deposit"}

# What is tried, one line of JSON each: what it was, and what it ended with.
_TRIES = """
import json, sys
import Pyro5.api

host, port, name = sys.argv[1], int(sys.argv[2]), sys.argv[3]
names = Pyro5.api.locate_ns(host, port)
uris = names.list(prefix="bazaar.")
trader = Pyro5.api.Proxy(uris["bazaar.trader"])

def tried(what, call, *arguments, **named):
    try:
        answer = call(*arguments, **named)
    except Exception as error:
        answer = [type(error).__name__, getattr(error, "error", ""), getattr(error, "field", ""), str(error)[:200]]
    print(json.dumps([what, answer]))

def request(id_, buyer):
    return {"request_id": id_, "buyer": buyer, "item": "salt", "quantity": 1, "clock": {"lamport": 1}}

def offer(id_, seller):
    goods = {"item": "salt", "quantity": 5, "price": "2.00"}
    return {"deposit_id": id_, "seller": seller, "clock": {"lamport": 1}, **goods}

"""


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    place = tmp_path_factory.mktemp("clients")
    running = run_town(place, "town", HOST, "3", "--tls", "--no-trade")
    try:
        opened(running)
        yield running.directory, json.loads(bazaar("status", "--json", "--dir", running.directory).stdout)
    finally:
        running.process.terminate()
        assert running.process.wait(60) == 0, running.text


def client_file(town: Town, name: str, place: Path) -> dict[str, str]:
    """Has a client invited, brings its file, and returns the environment by which Pyro5 takes it."""
    file = place / f"{name}.pem"
    invited = bazaar("invite", "--client", name, "--out", file, "--dir", town[0])
    assert invited.returncode == 0, invited.stderr
    assert f"client-{name}" in invited.stdout
    assert file.stat().st_mode & 0o077 == 0
    settings = re.search(r"^(PYRO_\S+=\S+ ?)+$", invited.stdout, re.MULTILINE)
    assert settings is not None
    return dict(word.split("=") for word in settings[0].split())


def tried(town: Town, place: Path, program: str, environment: dict[str, str]) -> dict[str, Any]:
    names = town[1]["nameserver"]
    said = run_bare(place, _TRIES + program, names["host"], names["port"], "-", environment=environment)
    return dict(json.loads(line) for line in said.splitlines())


def is_refused(answer: object) -> bool:
    return isinstance(answer, list) and answer[:2] == ["PermissionError", "NotAllowed"]


def other_machine(town: Town, place: Path) -> dict[str, str]:
    """The certificate of another machine of the town, at an address of its own."""
    files = TlsFiles(place / "other")
    files.directory.mkdir()
    for name in ("ca.pem", "ca.key"):
        shutil.copy(town[0] / "tls" / name, files.directory / name)
    ensure_certificates(files, ["127.0.0.3"])
    return by_machine(files)


def by_machine(files: TlsFiles) -> dict[str, str]:
    return {"PYRO_SSL": "true", "PYRO_SSL_CACERTS": str(files.authority), "PYRO_SSL_CLIENTCERT": str(files.member)}


def test_the_program_of_the_readme_trades_with_a_clients_file_and_nothing_else(town: Town, tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text()
    program = re.findall(r"```python\n(import Pyro5\.api\n.*?)```", text, flags=re.DOTALL)[-1]
    names = town[1]["nameserver"]
    assert '"127.0.0.1", 41607' in program
    program = program.replace('"127.0.0.1", 41607', f'"{names["host"]}", {names["port"]}')
    said = run_bare(tmp_path, program, environment=client_file(town, "anna", tmp_path))
    assert said.count("'buyer': 'client-anna'") == 2, said


@pytest.mark.parametrize("serializer", ["serpent", "msgpack"])
def test_the_session_of_the_guide_goes_over_tls_as_it_says(town: Town, tmp_path: Path, serializer: str) -> None:
    guide = (ROOT / "peers" / "rpc" / "README.md").read_text()
    session, printed = re.search(r"```python\n(.*?)```\s+It prints:\s+```text\n(.*?)```", guide, re.DOTALL).groups()  # type: ignore[union-attr]
    names, mine = town[1]["nameserver"], by_machine(TlsFiles(town[0] / "tls"))
    said = run_bare(tmp_path, session, names["host"], names["port"], serializer=serializer, environment=mine)
    assert said == printed


def test_a_client_looks_and_trades_in_its_own_name_and_does_nothing_else(town: Town, tmp_path: Path) -> None:
    by_bert = """
tried("deposit", lambda: trader.deposit(offer("client-bert-d", "client-bert"))["seller"])
tried("looks", lambda: [len(trader.search("salt")), trader.ping(), trader.status()["in_office"]])
tried("beat", lambda: trader.heartbeat()["term"] > 0)
tried("areas", lambda: sorted(trader.search_areas("salt")))
tried("own outcome", lambda: trader.outcome("client-bert-none"))
tried("whose outcome", lambda: trader.outcome("client-anna-t1"))
tried("as a peer", trader.buy, request("x1", "buyer0"))
tried("as another", trader.buy, request("x2", "client-anna"))
tried("as anybody", trader.deposit, offer("x3", "anna"))
tried("id of a peer", trader.buy, request("buyer0-1-1", "client-bert"))
tried("id of another", trader.deposit, offer("client-anna-d9", "client-bert"))
for method in sorted(trader._pyroMethods):
    tried("may " + method, getattr(trader, method))
tried("batch", lambda: [list(batch()) for batch in [Pyro5.api.BatchProxy(trader)] if batch.resign() is None])
tried("register", names.register, "bazaar.mine", str(uris["bazaar.trader"]))
tried("remove", names.remove, "town.card")
tried("remove all", names.remove, prefix="bazaar.")
tried("tags", names.set_metadata, "bazaar.trader", ["x"])
"""
    anna = client_file(town, "anna", tmp_path)
    assert tried(
        town, tmp_path, 'tried("buys", lambda: trader.buy(request("client-anna-t1", "client-anna"))["buyer"])', anna
    ) == {"buys": "client-anna"}
    got = tried(town, tmp_path, by_bert, client_file(town, "bert", tmp_path))
    assert got.pop("deposit") == "client-bert"
    rows, peer, in_office = got.pop("looks")
    assert (rows > 0, peer, in_office, got.pop("beat")) == (True, town[1]["trader"], True, True)
    assert {"areas", "missing", "offers"} <= {*got.pop("areas")}
    assert got.pop("own outcome") is None
    allowed = {what.removeprefix("may ") for what, answer in got.items() if not is_refused(answer)} - {"batch"}
    assert allowed == PUBLIC
    refused = {what: answer for what, answer in got.items() if what.removeprefix("may ") not in PUBLIC}
    assert len(refused) > 15
    for what, answer in refused.items():
        assert is_refused(answer) or what == "batch", (what, answer)
    assert got["batch"][0] == "PermissionError"
    assert got["as another"][2:] == [
        "buyer",
        "buyer: must be client-bert, whose certificate was shown, not client-anna",
    ]


def test_another_machine_speaks_for_its_own_and_changes_no_entry_here(town: Town, tmp_path: Path) -> None:
    program = """
peer = next(name for name in uris if name.startswith(("bazaar.buyer", "bazaar.seller")))
plain = peer.removeprefix("bazaar.")
here, there = str(uris[peer]), "PYRO:x@127.0.0.3:4711"
tried("own customer", lambda: trader.buy(request("carl-1", "carl"))["buyer"])
tried("outcome", lambda: trader.outcome("carl-1")["buyer"])
tried("as a peer here", trader.buy, request("y1", plain))
tried("id of a peer here", trader.deposit, offer(plain + "-1-d1", "carl"))
tried("as a client", trader.buy, request("y2", "client-anna"))
tried("as nobody", trader.buy, request("y3", "buyer99"))
tried("end", names.remove, "town.card")
tried("other card", names.register, "town.card", there, metadata=["closing:yes"])
tried("take away", names.remove, peer)
tried("lead away", names.register, peer, there)
tried("trader", names.register, "bazaar.trader", there)
tried("new", names.register, "bazaar.new", there)
tried("all", names.remove, regex=".*")
tried("tags", names.set_metadata, peer, ["rank:7"])
tried("name server", names.remove, "Pyro.NameServer")
"""
    got = tried(town, tmp_path, program, other_machine(town, tmp_path))
    assert got.pop("own customer") == got.pop("outcome") == "carl"
    assert got.pop("as nobody")[1] == "PostClosed"
    for what, answer in got.items():
        assert is_refused(answer), (what, answer)
    assert all(peer["alive"] for peer in json.loads(bazaar("status", "--json", "--dir", town[0]).stdout)["peers"])


def test_a_machine_may_change_entries_that_lead_to_itself(town: Town, tmp_path: Path) -> None:
    ours = by_machine(TlsFiles(town[0] / "tls"))
    there = "PYRO:x@127.0.0.3:4711"
    made = f'tried("made", names.register, "bazaar.visitor", "{there}")'
    assert tried(town, tmp_path, made, ours) == {"made": None}
    program = f"""
tried("moved", names.register, "bazaar.visitor", "{there}2", metadata=["x:1"])
tried("away", names.register, "bazaar.visitor", uris["bazaar.trader"])
tried("gone", names.remove, "bazaar.visitor")
"""
    got = tried(town, tmp_path, program, other_machine(town, tmp_path))
    assert (got["moved"], got["away"][1], got["gone"]) == (None, "NotAllowed", 1)


def test_by_hand_and_in_a_program_a_client_trades_under_its_own_name(town: Town, tmp_path: Path) -> None:
    names = town[1]["nameserver"]
    client_file(town, "dora", tmp_path)
    where = ("--client", tmp_path / "dora.pem", "--nameserver", f"{names['host']}:{names['port']}")
    done = subprocess.run(
        [*map(str, (*BAZAAR, "shop", *where, "--dir", tmp_path / "elsewhere", "--json"))],
        input="sell boar 2 5.00\nbuy fish\npurchases\nearnings\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    sold, bought, purchases, earnings = map(json.loads, done.stdout.splitlines())
    assert sold["deposit"]["seller"] == "client-dora", done
    assert bought["outcome"]["buyer"] == "client-dora", done
    assert [each["request_id"] for each in purchases["purchases"]] == [bought["outcome"]["request_id"]], done
    assert "not for clients" in str(earnings), done

    program = f"""
from peers.customer import Customer, show_certificate
with Customer("{names["host"]}", {names["port"]}, name=show_certificate("{tmp_path / "dora.pem"}")) as dora:
    print(dora.name, dora.deposit("fish", 1, "3.00")["seller"])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "client-dora client-dora\n", done.stderr


def test_who_comes_to_the_shop_without_a_certificate_is_told_what_it_lacks(town: Town, tmp_path: Path) -> None:
    names = town[1]["nameserver"]
    done = bazaar("shop", "trader", "--nameserver", f"{names['host']}:{names['port']}", "--dir", tmp_path)
    assert done.returncode == 2
    assert "TLS was not spoken: if that town has certificates, come with --client FILE" in done.stderr
