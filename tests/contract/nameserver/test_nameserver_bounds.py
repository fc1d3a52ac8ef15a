"""What anybody may have registered at a name server: nothing that stops it, fills it, or harms those that read it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from Pyro5 import protocol

from nameserver.client import NameServerClient
from nameserver.entries import LONGEST_NAME, LONGEST_TAGS, LONGEST_URI, MOST_ENTRIES
from nameserver.names import NAME_SERVER_OBJECT
from nameserver.process import NameServerProcess
from peers.core.membership.members import Member
from tests.helpers.raw_caller import SERPENT, RawCaller, call, message

URI = "PYRO:buyer0@127.0.0.1:4711"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NameServerProcess]:
    process = NameServerProcess(log=tmp_path_factory.mktemp("names") / "nameserver.log")
    process.start()
    yield process
    process.stop()


def asked(server: NameServerProcess, method: str, *arguments: object, **named: object) -> tuple[bool, Any]:
    """Whether the name server did as it was asked, and what it said."""
    with RawCaller((server.host, server.port)).greet(NAME_SERVER_OBJECT) as caller:
        caller.sock.sendall(call(NAME_SERVER_OBJECT, method, arguments, named))
        answer = caller.answer()
        assert answer is not None, "it hung up"
        return not answer[1] & protocol.FLAGS_EXCEPTION, json.loads(answer[2])


def names_are_sound(server: NameServerProcess) -> bool:
    with NameServerClient(server.host, server.port, 30.0) as names:
        names.register(Member(rank=0, name="buyer0", role="buyer", uri=URI, incarnation=1))
        return [peer.uri for peer in names.peers()] == [URI] and names.trader() is None


@pytest.mark.parametrize(
    ("name", "uri", "metadata"),
    [
        ("bazaar.b", URI, [1]),
        ("bazaar.b", URI, [None]),
        ("bazaar.b", URI, [["rank:1"]]),
        ("bazaar.b", URI, {"rank": 1}),
        ("bazaar.b", URI, "bazaar.peer"),
        ("bazaar.b", URI, ["x" * (LONGEST_TAGS + 1)]),
        ("bazaar.b", URI, ["\ud800"]),
        ("bazaar.b", "x" * (LONGEST_URI + 1), None),
        ("bazaar.b", "PYRO:\ud800@127.0.0.1:1", None),
        ("bazaar.b", 7, None),
        ("bazaar.b", "no address", None),
        ("bazaar.b\n", URI, None),
        ("bazaar.ä", URI, None),
        ("bazaar." + "x" * LONGEST_NAME, URI, None),
        ("", URI, None),
        (7, URI, None),
        (None, URI, None),
    ],
)
def test_an_entry_out_of_bounds_is_refused(
    server: NameServerProcess, name: object, uri: object, metadata: Any
) -> None:
    done, said = asked(server, "register", name, uri, metadata=metadata)
    assert not done, said
    assert names_are_sound(server)


def test_an_entry_cannot_be_brought_out_of_bounds_later(server: NameServerProcess) -> None:
    assert asked(server, "register", "bazaar.c", URI)[0]
    assert not asked(server, "set_metadata", "bazaar.c", [1])[0]
    assert asked(server, "remove", "bazaar.c")[0]
    assert names_are_sound(server)


def test_tags_that_say_no_number_are_none(server: NameServerProcess) -> None:
    assert asked(server, "register", "bazaar.c", URI, metadata=["bazaar.peer", "rank:" + "9" * 5000])[0]
    with NameServerClient(server.host, server.port, 30.0) as names:
        assert [peer.rank for peer in names.peers() if peer.name == "c"] == [None]
    assert asked(server, "remove", "bazaar.c")[0]


@pytest.mark.parametrize("method", ["list", "remove"])
def test_a_pattern_that_would_take_for_ever_takes_no_time(server: NameServerProcess, method: str) -> None:
    assert asked(server, "register", "a" * 40 + "!", URI)[0]
    assert not asked(server, method, regex="(a+)+$")[0]
    assert names_are_sound(server)


def test_more_names_than_are_kept_are_refused_and_the_others_stay(server: NameServerProcess) -> None:
    with RawCaller((server.host, server.port)).greet(NAME_SERVER_OBJECT) as flood:
        for number in range(MOST_ENTRIES):
            flood.sock.sendall(call(NAME_SERVER_OBJECT, "register", (f"flood.{number}", URI)))
            answer = flood.answer()
            assert answer is not None
            if answer[1] & protocol.FLAGS_EXCEPTION:
                break
        else:
            pytest.fail("all were taken")
        assert asked(server, "register", "flood.0", "PYRO:again@127.0.0.1:1")[0]
        flood.sock.sendall(call(NAME_SERVER_OBJECT, "remove", (), {"prefix": "flood."}))
        assert flood.answer()
    assert names_are_sound(server)


def test_a_large_call_that_would_take_long_to_read_is_not_read(server: NameServerProcess) -> None:
    serpent = b"('Pyro.NameServer', 'ping', [" + b"1," * 3_000_000 + b"], {})"
    with RawCaller((server.host, server.port)).greet(NAME_SERVER_OBJECT) as caller:
        caller.sock.sendall(message(protocol.MSG_INVOKE, SERPENT, serpent)[:1000])
        answered = caller.answer()
        assert answered is not None, "it waits for the rest"
        assert b"bytes at most" in answered[2]
    assert names_are_sound(server)


def test_a_batch_is_not_taken(server: NameServerProcess) -> None:
    """Each of its calls may ask for all that there is, and all the answers would be one."""
    with RawCaller((server.host, server.port)).greet(NAME_SERVER_OBJECT) as caller:
        many = [["list", [], {}]] * 1000
        caller.sock.sendall(call(NAME_SERVER_OBJECT, "<batch>", many, flags=protocol.FLAGS_BATCH))
        assert caller.answer() is None
    assert names_are_sound(server)
