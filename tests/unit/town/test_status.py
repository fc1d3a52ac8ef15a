"""How the state of a town is shown to people: who is gone is said to be, and for how long it is listed."""

from __future__ import annotations

import time

import msgspec
import pytest

from peers.town.view.status import GONE_FOR_S, AreaStatus, NameServerStatus, PeerStatus, TownStatus, print_status

STATUS = TownStatus(
    directory="/somewhere",
    pid=1,
    phase="open",
    nameserver=NameServerStatus(host="127.0.0.1", port=9090, alive=True),
    mongo_uri="mongodb://127.0.0.1:1",
    database="bazaar",
    term=3,
    trader="buyer0",
    peers=(),
)
PEER = PeerStatus(
    name="buyer0", machine="127.0.0.1", rank=0, role="buyer", pid=7, uri="", neighbours=("seller1",), alive=True
)


def shown(capsys: pytest.CaptureFixture[str], *peers: PeerStatus, everybody: bool = False) -> str:
    print_status(msgspec.structs.replace(STATUS, peers=peers), everybody=everybody)
    return capsys.readouterr().out


def gone(name: str, for_s: float) -> PeerStatus:
    at_ms = round((time.time() - for_s) * 1000)
    return msgspec.structs.replace(PEER, name=name, alive=False, gone="killed by SIGKILL", gone_at_ms=at_ms)


def test_who_does_not_answer_is_not_said_to_be_gone(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, PEER, msgspec.structs.replace(PEER, name="seller1", alive=False))
    assert "buyer0 *" in text
    assert "yes" in text
    assert " no " in text
    assert "gone" not in text


def test_who_is_gone_is_listed_for_some_minutes_with_how_it_ended(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, PEER, gone("seller1", 180), gone("seller2", GONE_FOR_S + 60))
    assert "gone 3 min ago (killed by SIGKILL)" in text
    assert "seller2" not in text
    assert "1 more is gone since long: --all shows them too" in text


def test_a_narrow_terminal_shows_the_neighbours_of_those_in_areas(capsys: pytest.CaptureFixture[str]) -> None:
    area = AreaStatus(name="north", term=3, trader="buyer0", mongo_uri=STATUS.mongo_uri, database="bazaar_north")
    peers = tuple(msgspec.structs.replace(each, area="north") for each in (PEER, gone("seller10", 23)))
    print_status(msgspec.structs.replace(STATUS, areas=(area,), peers=peers))
    text = capsys.readouterr().out
    assert text.count("seller1 ") + text.count("seller1\n") == 2
    assert "killed by" in text


def test_the_books_of_areas_are_named_with_each(capsys: pytest.CaptureFixture[str]) -> None:
    area = AreaStatus(name="north", term=3, trader="buyer0", mongo_uri=STATUS.mongo_uri, database="bazaar_north")
    print_status(msgspec.structs.replace(STATUS, areas=(area,)))
    books = [line for line in capsys.readouterr().out.splitlines() if "database" in line]
    assert books == ["north: term 3, trader buyer0, database bazaar_north"]


def test_all_are_listed_if_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, PEER, gone("seller2", GONE_FOR_S + 60), everybody=True)
    assert "seller2" in text
    assert "--all" not in text
