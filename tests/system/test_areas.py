"""A town with two posts: both trade, one dies without the other, a search covers both, the audit too."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from db.mongod.process import MongodProcess
from peers.customer import Customer
from peers.rpc.rpc_connection import RpcConnection
from tests.helpers.waiting import wait_until
from tests.system.helpers.town import BAZAAR
from tests.system.helpers.towns import RunningTown, bazaar

Document = dict[str, Any]
NORTH, SOUTH = "north", "south"


class TwoPosts:
    """A town with the areas north and south, and ways to look at it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._clients: list[MongoClient[Document]] = []

    def start(self, *options: str) -> RunningTown:
        command = [*BAZAAR, "run", "localhost", "8", "--dir", str(self.directory), "--quiet", *options]
        town = RunningTown(command, self.directory, self.directory.parent / f"out{len(self._clients)}.txt")
        town.says("the markets open")
        self._clients.append(MongoClient(town.state()["mongo_uri"], serverSelectionTimeoutMS=5000))
        return town

    def join(self, *options: str) -> RunningTown:
        """As another machine would: with a directory of its own, and only the name server to go by."""
        state = json.loads((self.directory / "town.json").read_text())
        options = ("--nameserver", f"{state['nameserver_host']}:{state['nameserver_port']}", *options)
        own = self.directory.parent / "joined"
        command = [*BAZAAR, "run", "localhost", "1", "--dir", str(own), "--quiet", *options]
        town = RunningTown(command, own, self.directory.parent / "joined.txt")
        town.says("Ctrl-C ends what this terminal started")
        return town

    def close(self) -> None:
        for client in self._clients:
            client.close()

    def status(self) -> Document:
        status: Document = json.loads(bazaar("status", "--json", "--dir", str(self.directory)).stdout)
        return status

    def books(self, area: str) -> Any:
        return self._clients[-1][f"bazaar_{area}"]

    def post(self, area: str) -> Document:
        return self.books(area).posts.find_one({"_id": "main"}) or {}

    def trader(self, area: str, *, after: int = 0) -> Document:
        """Waits for a trader of a term after that one; returns the post then."""

        def look() -> Document | None:
            post = self.post(area)
            return post if post.get("term", 0) > after else None

        return wait_until(look, f"a trader of {area} after term {after}")

    def sells(self, area: str, more: int = 3) -> None:
        """Waits until so many more sales are recorded there."""
        before = self._sales(area)
        wait_until(lambda: self._sales(area) >= before + more, f"{more} more sales in {area}")

    def _sales(self, area: str) -> int:
        return int(self.books(area).requests.count_documents({"status": "sold"}))

    def shop(self, *arguments: str, says: str = "") -> subprocess.CompletedProcess[str]:
        command = self.shop_command(*arguments)
        return subprocess.run(command, input=says, capture_output=True, text=True, timeout=60, check=False)

    def shop_command(self, *arguments: str) -> list[str]:
        """Of `ben`, unless another is named, or many come."""
        name = () if {"--name", "--stress"} & {*arguments} else ("--name", "ben")
        return [*BAZAAR, "shop", *arguments, *name, "--dir", str(self.directory)]

    def bought(self, area: str) -> set[str]:
        """The ids of what ben has bought there."""
        sold = {"buyer": "ben", "status": "sold"}
        return {each["_id"] for each in self.books(area).requests.find(sold)}

    def customer(self, area: str, name: str) -> Customer:
        state = json.loads((self.directory / "town.json").read_text())
        return Customer(state["nameserver_host"], state["nameserver_port"], name=name, area=area)


@pytest.fixture
def posts(tmp_path: Path) -> Iterator[TwoPosts]:
    posts = TwoPosts(tmp_path / "town")
    yield posts
    posts.close()


def _ask(peer: Document, method: str, *arguments: object) -> Any:
    connection = RpcConnection(peer["uri"], 5.0)
    try:
        return connection.call(method, *arguments)
    finally:
        connection.close()


def _of(status: Document, area: str) -> list[Document]:
    return [peer for peer in status["peers"] if peer["area"] == area and peer["alive"]]


def test_two_posts_trade_fail_and_are_searched_apart_and_audited_together(posts: TwoPosts) -> None:
    options = ("--roles", "merchants=8", "--set", "market.resign_after_sales=0", "--think-s", "0.25")
    town = posts.start("--areas", "north,south", *options)
    try:
        for area in (NORTH, SOUTH):
            posts.trader(area)
            posts.sells(area)
        _a_trader_dies_in_one_area_only(posts)
        _a_search_covers_both(posts)
        _a_shop_is_that_of_an_area(posts)
        _who_joins_belongs_to_the_area_it_names(posts)
        assert bazaar("audit", "--dir", str(posts.directory)).returncode == 0
        terms = {area: posts.post(area)["term"] for area in (NORTH, SOUTH)}
        town.interrupt()
        assert town.wait() == 0, town.text
        assert "over all posts" in town.text
        town.left_nothing()
        _opened_again_both_go_on(posts, terms)
    finally:
        town.kill()


def _a_trader_dies_in_one_area_only(posts: TwoPosts) -> None:
    before = {area: posts.post(area) for area in (NORTH, SOUTH)}
    pids = {peer["name"]: peer["pid"] for peer in posts.status()["peers"]}
    os.kill(pids[before[NORTH]["trader"]], signal.SIGKILL)
    after = posts.trader(NORTH, after=before[NORTH]["term"])
    assert after["trader"] != before[NORTH]["trader"]
    for area in (NORTH, SOUTH):
        posts.sells(area)
    south = posts.post(SOUTH)
    assert (south["term"], south["trader"]) == (before[SOUTH]["term"], before[SOUTH]["trader"])
    status = posts.status()
    assert {area["name"]: area["trader"] for area in status["areas"]} == {
        NORTH: after["trader"],
        SOUTH: south["trader"],
    }
    for peer in status["peers"]:
        here = {each["name"] for each in _of(status, peer["area"])}
        assert {*peer["neighbours"]} <= here or not peer["alive"], "a graph is of one area"


def _a_search_covers_both(posts: TwoPosts) -> None:
    for area, price in ((NORTH, "7.00"), (SOUTH, "8.00")):
        with posts.customer(area, f"warehouse-{area}") as warehouse:
            warehouse.deposit("boar", 500, price)
    status = posts.status()
    asked = _of(status, NORTH)[0]
    found = _ask(asked, "search_areas", "boar")
    assert (found["areas"], found["missing"]) == ([NORTH, SOUTH], [])
    sellers = {offer["area"]: offer["seller"] for offer in found["offers"] if offer["seller"].startswith("warehouse")}
    assert sellers == {NORTH: "warehouse-north", SOUTH: "warehouse-south"}
    assert {each["area"] for each in _ask(asked, "search_areas", "boar", [SOUTH])["offers"]} == {SOUTH}
    assert all("area" not in offer for offer in _ask(asked, "search", "boar")), "the old search is as it was"
    with posts.customer(SOUTH, "anna") as anna:
        assert anna.buy("boar")["seller"] in {offer["seller"] for offer in found["offers"] if offer["area"] == SOUTH}
    with pytest.raises(Exception, match="must be a list of north, south"):
        _ask(asked, "search_areas", "boar", ["east"])
    with _frozen(status, SOUTH):
        found = _ask(asked, "search_areas", "boar")
        assert [each["area"] for each in found["missing"]] == [SOUTH]
        assert {offer["area"] for offer in found["offers"]} == {NORTH}
    posts.sells(SOUTH)


def _a_shop_is_that_of_an_area(posts: TwoPosts) -> None:
    for area in (NORTH, SOUTH):
        with posts.customer(area, f"olga-{area}") as olga:
            olga.deposit("fish", 500, "7.00")
    bought = posts.shop("--area", SOUTH, "buy", "fish", "--json")
    assert (bought.returncode, bought.stderr) == (0, "")
    wait_until(lambda: len(posts.bought(SOUTH)) == 1, "the purchase in the books of the south")
    everywhere = posts.shop("search", "fish", "all")
    assert everywhere.returncode == 0, everywhere.stderr
    assert everywhere.stderr == "you trade in north; south is there too (--area NAME)\n"
    for area in (NORTH, SOUTH):
        assert re.search(rf"^{area} +fish +7\.00 +\d+ +olga-{area}$", everywhere.stdout, re.MULTILINE)
    nowhere = posts.shop("--area", "east", "look")
    assert nowhere.returncode == 2
    assert "the town has no area east: it has north, south" in nowhere.stderr
    crowd = posts.shop("--stress", "2", "--duration", "0.5", "--json")
    assert "the customers are spread over north, south" in crowd.stderr
    assert all(json.loads(crowd.stdout)["areas"][area] for area in (NORTH, SOUTH)), crowd.stdout
    _ask_in_vain(posts, SOUTH)
    posts.sells(SOUTH)
    again = posts.shop("--area", NORTH, says="again\npurchases\ntrader\n")
    assert again.returncode == 0, again.stderr
    assert "you had asked to buy 2 fish in south at" in again.stderr
    assert again.stdout.count(" of south)") >= 2
    assert "is in office in north" in again.stdout
    wait_until(lambda: len(posts.bought(SOUTH)) == 2, "what was asked for again, in the books of the south")
    assert not posts.bought(NORTH)


def _ask_in_vain(posts: TwoPosts, area: str) -> None:
    """Has ben ask for two fish of an area where nobody answers any more, and leave."""
    command = posts.shop_command("--area", area, "--patience", "3")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as visit:
        assert visit.stdin is not None
        assert visit.stdout is not None
        visit.stdin.write("trader\n")
        visit.stdin.flush()
        assert f"is in office in {area}" in visit.stdout.readline()
        with _frozen(posts.status(), area):
            said, _ = visit.communicate("buy fish 2\n", timeout=60)
            assert visit.returncode == 3, said
            unheard = posts.shop("--area", area, "--patience", "1", "--name", "dora", "buy", "fish")
            assert unheard.returncode == 2, "nothing was sent"
            assert "nothing was asked for" in unheard.stdout
            found = posts.shop("--area", area, "search", "fish", "all", "--name", "dora").stdout
            assert "olga-north" in found, "who is not heard in the south asks in the north"
            assert f"{area} did not answer" in found


@contextmanager
def _frozen(status: Document, area: str) -> Iterator[None]:
    """All peers of an area are, meanwhile."""
    pids = [peer["pid"] for peer in _of(status, area)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def _who_joins_belongs_to_the_area_it_names(posts: TwoPosts) -> None:
    refused = bazaar("run", "localhost", "1", "--dir", str(posts.directory), "--area", "east")
    assert refused.returncode == 2
    assert "it has north, south" in refused.stderr
    joined = posts.join("--area", SOUTH)
    try:
        newcomer = max(posts.status()["peers"], key=lambda peer: int(peer["rank"]))
        assert newcomer["area"] == SOUTH
        seen = json.loads(bazaar("status", "--json", "--dir", str(joined.directory)).stdout)
        assert [(each["name"], each["trader"]) for each in seen["areas"]][1] == (SOUTH, posts.post(SOUTH)["trader"])

        def sees_both() -> bool:
            return bool(_ask(newcomer, "search_areas", "boar")["areas"] == [NORTH, SOUTH])

        wait_until(sees_both, "a newcomer whose own name server lists the other area, too")
        joined.interrupt()
        assert joined.wait() == 0, joined.text
    finally:
        joined.kill()


def _opened_again_both_go_on(posts: TwoPosts, terms: dict[str, int]) -> None:
    """Without being told again which areas there are; a third may come. Then an id is recorded in two of them."""
    town = posts.start("--roles", "merchants=8", "--area", "east=own")
    try:
        for area in (NORTH, SOUTH):
            posts.trader(area, after=terms[area])
            posts.sells(area)
        twice = posts.books(NORTH).requests.find_one({"status": "sold"})
        posts.books(SOUTH).requests.insert_one({**twice, "seq": 1_000_000})
        audit = bazaar("audit", "--json", "--dir", str(posts.directory))
        report = json.loads(audit.stdout)
        assert audit.returncode == report["exit_code"] == 1
        assert report["areas"][NORTH]["answer"] == "holds"
        (violation,) = report["over_all"]["invariants"]["decided_once"]["violations"]
        assert violation["documents"] == [twice["_id"]]
        posts.books(SOUTH).requests.delete_one({"_id": twice["_id"]})
        town.interrupt()
        assert town.wait() == 0, town.text
        town.left_nothing()
    finally:
        town.kill()
    at_rest = bazaar("audit", "--dir", str(posts.directory))
    assert at_rest.returncode == 0, at_rest.stdout
    assert "east:" in at_rest.stdout, "the area whose mongod is its own"
    assert "audit of 3 posts: holds" in at_rest.stdout


def test_an_area_is_not_opened_in_other_books_than_those_that_its_journals_are_of(tmp_path: Path) -> None:
    place = tmp_path / "town"
    command = ("run", "localhost", "8", "--dir", str(place), "--quiet", "--purchases", "6", "--think-s", "0.05")
    with MongodProcess(tmp_path / "books") as mongod:
        east = ("--area", f"east={mongod.uri}")
        opened = bazaar(*command, "--areas", "west", *east)
        assert opened.returncode == 0, opened.stdout + opened.stderr
        (place / "areas" / "east" / "town.json").write_bytes(b"")
        refused = bazaar(*command)
        assert refused.returncode == 2, refused.stdout + refused.stderr
        assert "the books of east are empty" in refused.stdout + refused.stderr
        assert "--area east=mongodb://" in refused.stdout + refused.stderr
        again = bazaar(*command, *east)
        assert again.returncode == 0, again.stdout + again.stderr
        assert "audit: holds" in again.stdout


@pytest.mark.long
def test_a_town_is_not_opened_in_books_of_its_own_where_its_journals_are_of_others(tmp_path: Path) -> None:
    place = tmp_path / "town"
    command = ("run", "localhost", "5", "--dir", str(place), "--quiet", "--purchases", "3", "--think-s", "0.05")
    with MongodProcess(tmp_path / "books") as mongod:
        opened = bazaar(*command, "--mongo", mongod.uri)
        assert opened.returncode == 0, opened.stdout + opened.stderr
        (place / "town.json").write_bytes(b"")
        refused = bazaar(*command)
        assert refused.returncode == 2, refused.stdout + refused.stderr
        assert "give the address of those by --mongo" in refused.stdout + refused.stderr
        again = bazaar(*command, "--mongo", mongod.uri)
        assert again.returncode == 0, again.stdout + again.stderr
