"""Who may buy and deposit in whose name, and what a client may call: by the certificate that the caller has shown.

Where callers show none, in a town on loopback, all of them may do everything, for there they are the machine's own
users. What peers may say to each other is not decided here.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any, TypeVar

from peers.core.bounds import NO_RANK
from peers.core.names import rank_of
from peers.errors import NotAllowed, PostClosed
from peers.rpc.security.identity import CLIENT_PREFIX, Identity
from peers.rpc.serving.served_connection import ServedConnection
from peers.rpc.serving.server import caller_identity

HomeOf = Callable[[str], str | None]
"""Gives the host that a peer is called at, by its name; None for one that is not known."""

Method = TypeVar("Method", bound=Callable[..., Any])

_OWNED = re.compile(r"((?:buyer|seller|merchant)[0-9]{1,6}|client-[A-Za-z0-9_]+)(?![A-Za-z0-9_])")
"""How an id begins that is a peer's, or a client's, to use."""

_UNKNOWN_RETRY_MS = 200


def check_may_trade(
    connection: ServedConnection | None, *, role: str, name: str, id_field: str, id_: str, home_of: HomeOf
) -> None:
    """Raises NotAllowed if whoever is at the other end may not trade under `name` (the field `role` of what it sent,
    `buyer` or `seller`), or if the id is another's to use; PostClosed if `name` is a peer that is not known yet."""
    if connection is None or connection.identity is None:
        return
    _check_speaks_for(connection, connection.identity, role, name, home_of)
    owned = _OWNED.match(id_)
    if owned is not None and owned[1] != name:
        _check_speaks_for(connection, connection.identity, id_field, owned[1], home_of)


def check_may_speak(connection: ServedConnection | None, *, field: str, name: str, home_of: HomeOf) -> None:
    """Raises as `check_may_trade` does, of a customer that asks what concerns `name`, or reports in that name."""
    if connection is not None and connection.identity is not None:
        _check_speaks_for(connection, connection.identity, field, name, home_of)


def check_may_see(identity: Identity | None, buyer: object) -> None:
    """Raises NotAllowed for a client that asks what became of somebody else's request."""
    if identity is not None and identity.kind == "client" and buyer != identity.customer:
        raise NotAllowed(field="request_id", why=f"is not one of {identity.customer}, who asks")


def check_machine(identity: Identity | None, method: str) -> None:
    """Raises NotAllowed for a client that calls a method which is not for clients."""
    if identity is not None and identity.kind != "machine":
        raise NotAllowed(field="method", why=f"{method} is for the machines of the town, not for clients")


def machines_only(method: Method) -> Method:
    """Has a method of the endpoint raise NotAllowed where a client calls it."""

    @functools.wraps(method)
    def checked(*arguments: Any, **named: Any) -> Any:
        check_machine(caller_identity(), method.__name__)
        return method(*arguments, **named)

    return checked  # type: ignore[return-value]


def _check_speaks_for(
    connection: ServedConnection, identity: Identity, field: str, name: str, home_of: HomeOf
) -> None:
    if name in connection.speaks_for:
        return
    if identity.kind == "client":
        own = identity.customer
        if name != own:
            raise NotAllowed(field=field, why=f"must be {own}, whose certificate was shown, not {name}")
    elif name.startswith(CLIENT_PREFIX):
        raise NotAllowed(field=field, why=f"{name} is the name of a client, and a machine's certificate was shown")
    elif rank_of(name) != NO_RANK:
        home = home_of(name)
        if home is None:
            raise PostClosed(why=f"{name} is not known here yet", retry_after_ms=_UNKNOWN_RETRY_MS)
        if not identity.is_called(home):
            raise NotAllowed(
                field=field, why=f"{name} is a peer at {home}, and another machine's certificate was shown"
            )
    else:
        return  # Any machine may name its customers so; there is no end to such names, so none is remembered.
    connection.speaks_for.add(name)
