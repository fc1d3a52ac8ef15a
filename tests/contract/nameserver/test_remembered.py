"""The machines of a town: who answers, who is asked to introduce a newcomer, and who is told that it is over."""

from __future__ import annotations

import contextlib
import itertools
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from nameserver.client import NameServerClient
from nameserver.process import NameServerProcess
from peers.core.membership.members import Member
from peers.endpoints import endpoint, try_to_bind
from peers.errors import TownError
from peers.town.machines.remembered import (
    MOST_REMEMBERED,
    ask,
    ask_any,
    introduce,
    listens,
    meet,
    remembered,
    say_closing,
    who_answers,
)
from tests.helpers.hosting import Market, running_market
from tests.helpers.waiting import wait_until

TOWN = "this-town"


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[list[str]]:
    """Two name servers, nothing on them."""
    running = [NameServerProcess(log=tmp_path / f"{number}.log") for number in range(2)]
    for server in running:
        server.start()
    yield [endpoint(server.host, server.port) for server in running]
    for server in running:
        server.stop()


@pytest.fixture
def silent() -> Iterator[list[socket.socket]]:
    """Addresses of another machine, where calls are taken and never answered."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(socket.create_server(("127.0.0.2", 0))) for _ in range(4)]


def opens(nameserver: str, town: str = TOWN) -> None:
    host, _, port = nameserver.rpartition(":")
    with NameServerClient(host, int(port), 5.0) as names:
        names.leave_card({"town": town, "settings": "{}"})


def nowhere() -> str:
    return endpoint("127.0.0.1", try_to_bind("127.0.0.1", 0))


def test_only_a_town_that_is_open_is_an_answer(servers: list[str]) -> None:
    here, _ = servers
    with pytest.raises(TownError, match="knows of no town that is open"):
        ask(here)
    opens(here)
    assert ask(here).card["town"] == TOWN
    assert say_closing([here, nowhere()], TOWN) == [here]
    with pytest.raises(TownError, match="knows of no town that is open"):
        ask(here)
    with pytest.raises(TownError, match="no name server answers"):
        ask(nowhere())


def test_those_that_answer_are_those_of_this_town_in_the_order_asked(servers: list[str]) -> None:
    here, there = servers
    opens(here)
    opens(there, "another")
    assert [each.nameserver for each in who_answers([nowhere(), there, here, here], TOWN)] == [here]
    opens(there)
    assert [each.nameserver for each in who_answers([there, nowhere(), here], TOWN)] == [there, here]
    assert who_answers([], TOWN) == []


def test_another_town_is_not_told_that_this_one_is_over(servers: list[str]) -> None:
    here, there = servers
    opens(here)
    opens(there, "another")
    assert say_closing(servers, TOWN) == [here]
    assert ask(there).card["town"] == "another"


def test_of_several_machines_of_one_name_any_that_answers_will_do(
    servers: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, _ = servers
    host, _, port = here.rpartition(":")
    opens(here)
    assert ask_any(host, int(port)).nameserver == here
    known = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
    gone = [(*entry[:4], ("127.0.0.3", int(port))) for entry in known]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: gone + known)
    assert ask_any("town", int(port)).nameserver == here
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: gone + gone)
    with pytest.raises(TownError):
        ask_any("town", int(port))


def test_the_latest_are_remembered_and_not_all_and_not_ourselves() -> None:
    assert remembered(["b", "me"], ["a", "b", "c"], without="me") == ("b", "a", "c")
    many = [f"m{number}" for number in range(2 * MOST_REMEMBERED)]
    assert remembered(["new"], many, without="") == ("new", *many[: MOST_REMEMBERED - 1])


def test_listening_is_found_out_quickly(servers: list[str]) -> None:
    assert listens(servers[0])
    assert not listens(nowhere())


def opened(market: Market, *ranks: int) -> str:
    """A market of these ranks; returns its name server."""
    for rank in ranks:
        market.add(market.spec(rank, "seller", trades=False))
    market.open(tuple(itertools.pairwise(ranks)))
    market.wait_for_trader()
    return endpoint(market.nameserver.host, market.nameserver.port)


def test_who_is_on_the_machine_that_answers_introduces_newcomers(market: Market, silent: list[socket.socket]) -> None:
    """Those of a machine that has just died are listed still, and would cost seconds each."""
    nameserver = opened(market, 0, 1)
    with NameServerClient(market.nameserver.host, market.nameserver.port, 5.0) as names:
        for rank, each in enumerate(silent, start=10):
            uri = f"PYRO:buyer{rank}@{endpoint(*each.getsockname()[:2])}"
            names.register(Member(rank=rank, name=f"buyer{rank}", role="buyer", uri=uri, incarnation=1))
    newcomer = market.add(market.spec(5, "buyer", trades=False))
    snapshot = introduce(newcomer.member, [nowhere(), nameserver], ours=["buyer5"])
    assert {member.name for member in snapshot.members} >= {"seller0", "seller1"}
    for each in silent:
        each.setblocking(False)
        with pytest.raises(BlockingIOError):
            each.accept()


def test_where_nobody_can_introduce_it_is_said_why(market: Market, servers: list[str]) -> None:
    newcomer = market.add(market.spec(5, "buyer", trades=False))
    with pytest.raises(TownError, match="the town has no peers"):
        introduce(newcomer.member, servers, ours=["buyer5"])
    with pytest.raises(TownError, match="there is no town to introduce buyer5 to"):
        introduce(newcomer.member, [], ours=["buyer5"])


def test_parts_that_have_never_heard_of_each_other_meet(market: Market, tmp_path: Path) -> None:
    nameserver = opened(market, 0, 1)
    opens(nameserver)
    other = NameServerProcess(log=tmp_path / "other.log")
    other.start()
    try:
        with running_market(tmp_path, other) as part:
            part.books = market.books
            opened(part, 7, 8)
            ours = [host.member for host in part.hosts.values()]
            meet(ours, part.hosts["seller7"].snapshot(), [nameserver], TOWN)
            both = [*market.hosts.values(), *part.hosts.values()]
            wait_until(lambda: all(len(host.status().up) == 4 for host in both), "all four know of each other")
    finally:
        other.stop()
