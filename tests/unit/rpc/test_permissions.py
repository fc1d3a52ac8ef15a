"""Who may buy and deposit in whose name, and with whose ids."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from peers.errors import BadRequest, NotAllowed, PostClosed, WireError, wire_error_of
from peers.rpc.forms.public_errors import error_form
from peers.rpc.permissions import check_may_see, check_may_trade
from peers.rpc.security.identity import Identity
from peers.rpc.serving.served_connection import ServedConnection

HOMES = {"buyer7": "192.0.2.10", "seller1": "192.0.2.11"}
MACHINE = Identity("machine", "first", frozenset({"192.0.2.10", "localhost"}))
ANNA = Identity("client", "anna")


@pytest.fixture
def connection() -> Iterator[ServedConnection]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ServedConnection(ours)


def refusal(connection: ServedConnection | None, identity: Identity | None, name: str, id_: str) -> WireError | None:
    if connection is not None:
        connection.identity = identity
        connection.speaks_for.clear()
    try:
        check_may_trade(connection, role="buyer", name=name, id_field="request_id", id_=id_, home_of=HOMES.get)
    except WireError as error:
        return error
    return None


@pytest.mark.parametrize(
    ("identity", "name", "id_"),
    [
        (None, "client-anna", "buyer7-1-2"),
        (MACHINE, "buyer7", "buyer7-19a-1"),
        (MACHINE, "buyer7", "what-a-person-typed"),
        (MACHINE, "anna", "anna/1"),
        (MACHINE, "client", "clients-1"),
        (MACHINE, "anna", "buyer7-19a-1"),  # It has that peer's word, too.
        (ANNA, "client-anna", "client-anna-5d-1"),
        (ANNA, "client-anna", "me-1"),
        (ANNA, "client-anna", "client-anna"),
    ],
)
def test_these_may(connection: ServedConnection, identity: Identity | None, name: str, id_: str) -> None:
    assert refusal(connection, identity, name, id_) is None


@pytest.mark.parametrize(
    ("identity", "name", "id_", "field"),
    [
        (MACHINE, "seller1", "seller1-19a-1", "buyer"),
        (MACHINE, "client-anna", "x", "buyer"),
        (MACHINE, "anna", "seller1-19a-1", "request_id"),
        (MACHINE, "anna", "client-anna/1", "request_id"),
        (ANNA, "anna", "x", "buyer"),
        (ANNA, "client-bert", "x", "buyer"),
        (ANNA, "buyer7", "x", "buyer"),
        (ANNA, "client-anna", "buyer7-19a-1", "request_id"),
        (ANNA, "client-anna", "client-anna2-1", "request_id"),
    ],
)
def test_these_may_not_and_are_told_which_field_is_not_theirs(
    connection: ServedConnection, identity: Identity, name: str, id_: str, field: str
) -> None:
    error = refusal(connection, identity, name, id_)
    assert isinstance(error, NotAllowed)
    assert error.field == field


def test_a_peer_that_is_not_known_yet_is_to_come_again(connection: ServedConnection) -> None:
    error = refusal(connection, MACHINE, "buyer99", "x")
    assert isinstance(error, PostClosed)
    assert error.retry_after_ms > 0


def test_without_a_certificate_nobody_is_asked() -> None:
    assert refusal(None, None, "buyer7", "client-anna-1") is None


def test_where_a_peer_is_is_asked_once_for_a_connection(connection: ServedConnection) -> None:
    asked = []

    def home_of(name: str) -> str | None:
        asked.append(name)
        return HOMES.get(name)

    connection.identity = MACHINE
    for number in range(3):
        check_may_trade(
            connection, role="buyer", name="buyer7", id_field="request_id", id_=f"buyer7-1-{number}", home_of=home_of
        )
    assert asked == ["buyer7"]


def test_a_client_sees_the_outcomes_of_its_own_requests_only() -> None:
    check_may_see(ANNA, "client-anna")
    check_may_see(MACHINE, "buyer7")
    check_may_see(None, "buyer7")
    with pytest.raises(NotAllowed):
        check_may_see(ANNA, "buyer7")


def test_the_refusal_is_one_that_any_pyro_client_can_read() -> None:
    form = error_form(NotAllowed(field="buyer", why="must be client-anna"))
    assert form["__class__"] == "builtins.PermissionError"
    assert form["attributes"] == {"error": "NotAllowed", "field": "buyer", "why": "must be client-anna"}
    stock = PermissionError("buyer: must be client-anna")
    stock.__dict__.update(form["attributes"])
    ours = wire_error_of(stock)
    assert isinstance(ours, NotAllowed)
    assert isinstance(ours, BadRequest)
