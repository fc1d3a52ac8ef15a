"""Who may say what in which peer's name, among peers: by the machine that a connection's certificate names.

A peer is at home on the machine that its address names, for as long as its town lasts: nobody else's word, nor a
certificate of another machine, moves its rank elsewhere. A machine that comes back with another address joins with
new peers. Connections without TLS name no machine, and are asked nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from peers.core.membership.members import Member
from peers.core.messages import LinkMessage, MemberNews
from peers.endpoints import host_of
from peers.errors import NotAllowed, PostClosed
from peers.rpc.security.identity import Identity
from peers.rpc.serving.served_connection import ServedConnection
from peers.rpc.wire import Parcel

HomeOfRank = Callable[[int], str | None]
"""Gives the host that the peer of a rank is called at; None for one that is not known."""

_UNKNOWN_RETRY_MS = 200


def check_sender(connection: ServedConnection | None, parcel: Parcel, home_of_rank: HomeOfRank) -> None:
    """Raises NotAllowed if what a link brings is in the name of a peer of another machine than the caller's;
    PostClosed if that peer is not known here yet. It is looked up once for each connection."""
    if connection is None or connection.identity is None:
        return
    key = f"rank {parcel.sender}"
    if key in connection.speaks_for:
        return
    home = home_of_rank(parcel.sender) or _home_by_itself(parcel)
    if home is None:
        raise PostClosed(why=f"there is no peer of rank {parcel.sender} here yet", retry_after_ms=_UNKNOWN_RETRY_MS)
    _check_home(connection.identity, "sender", f"rank {parcel.sender}", home)
    connection.speaks_for.add(key)


def _home_by_itself(parcel: Parcel) -> str | None:
    """Where a newcomer is, by the record of itself that it brings."""
    for message in parcel.messages:
        for member in message.members if isinstance(message, MemberNews) else ():
            if member.rank == parcel.sender:
                return host_of(member.uri) or None
    return None


def check_newcomer(identity: Identity | None, member: Member, home: str | None) -> None:
    """Raises NotAllowed for a newcomer at an address that is not its machine's, or of a rank that is at `home`."""
    if identity is None:
        return
    _check_home(identity, "member", member.name, host_of(member.uri))
    if home is not None and home != host_of(member.uri):
        raise NotAllowed(
            field="member",
            why=f"rank {member.rank} is a peer at {home}, and stays there; join with a new one (bazaar run)",
        )


def check_trader_tells(identity: Identity | None, homes: Iterable[str | None]) -> None:
    """Raises NotAllowed if who tells of sales is not the machine of a trader; `homes` are those of the traders."""
    if identity is not None and not any(home is not None and identity.is_called(home) for home in homes):
        raise NotAllowed(field="sales", why=f"only the trader tells of sales, and it is not at {identity.name}")


def check_own_machine(identity: Identity | None, method: str, home: str) -> None:
    """Raises NotAllowed unless the caller is the machine of this very peer, at `home`."""
    if identity is not None and not identity.is_called(home):
        raise NotAllowed(field="method", why=f"{method} is for the machine of this peer, {home}, and not for others")


def _check_home(identity: Identity, field: str, who: str, home: str) -> None:
    if not identity.is_called(home):
        raise NotAllowed(field=field, why=f"{who} is a peer at {home}, and another machine's certificate was shown")


def at_home(message: LinkMessage, known: Callable[[int], Member | None]) -> LinkMessage:
    """Returns news of members without the records that move a peer to another machine than it is `known` to be at."""
    if not isinstance(message, MemberNews):
        return message
    stay = tuple(m for m in message.members if _stays(m, known(m.rank)))
    return message if len(stay) == len(message.members) else msgspec.structs.replace(message, members=stay)


def _stays(member: Member, known: Member | None) -> bool:
    return known is None or known.uri == member.uri or host_of(known.uri) == host_of(member.uri)
