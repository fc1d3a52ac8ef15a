"""What a driver's error becomes: one line that says what to do, without what is secret."""

from __future__ import annotations

import pytest
from pymongo.errors import ServerSelectionTimeoutError

from db.refusals import first_words, what_to_do
from db.uri import hosts_of, option_of, with_hosts, with_nodes, with_options

URI = "mongodb://bazaar:secret@db.example:27018/?tls=true&tlsCAFile=%2Ftmp%2Fca.pem"


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (
            "db.example:27018: [SSL: CERTIFICATE_VERIFY_FAILED] no, Timeout: 2s",
            "bazaar invite",
        ),
        ("Authentication failed., full error: {'ok': 0.0}", "user or password"),
        ("db.example:27018: [Errno 111] Connection refused, Timeout: 1.5s, Topology Description: <…>", "start it"),
        ("No replica set members found yet, Timeout: 2.0s, Topology Description: <…>", "directConnection=true"),
        ("something new", "see its log"),
    ],
)
def test_each_says_where_and_what_to_do(said: str, says: str) -> None:
    line = what_to_do(RuntimeError(f"{said} {URI}"), URI)
    assert says in line
    assert "db.example:27018" in line
    assert "secret" not in line
    assert "Topology" not in line


def test_of_a_drivers_message_what_is_wrong_is_kept_and_how_it_sees_the_set_is_not() -> None:
    told = (
        "No replica set members found yet, Timeout: 0.496076595998602s, Topology Description: "
        "<TopologyDescription id: 6b0b48e47199b6886d981016, topology_type: ReplicaSetNoPrimary, servers: []>"
    )
    assert first_words(ServerSelectionTimeoutError(told)) == "No replica set members found yet"


def test_addresses_are_taken_apart_and_put_together() -> None:
    assert hosts_of(URI) == [("db.example", 27018)]
    assert option_of(URI, "tlscafile") == "/tmp/ca.pem"
    assert option_of(URI, "replicaSet") is None
    assert with_options(URI, {"tlsCAFile": None, "tls": None}) == "mongodb://bazaar:secret@db.example:27018/"
    assert with_options("mongodb://a:1", {"tlsCAFile": "/x y"}) == "mongodb://a:1/?tlsCAFile=%2Fx+y"
    moved = with_hosts("mongodb://u:p%40@10.0.0.1:9,[::1]:7/db?tls=true", {"10.0.0.1": "192.0.2.1", "::1": "::2"})
    assert moved == "mongodb://u:p%40@192.0.2.1:9,[::2]:7/db?tls=true"


def test_the_nodes_of_an_address_are_replaced_and_nothing_else() -> None:
    nodes = ["10.0.0.2:9", "[::1]:7"]
    moved = with_nodes("mongodb://u:p%40@10.0.0.1:9/db?tls=true", nodes)
    assert moved == "mongodb://u:p%40@10.0.0.2:9,[::1]:7/db?tls=true"
    assert with_nodes("mongodb://10.0.0.1:9", nodes) == "mongodb://10.0.0.2:9,[::1]:7"
