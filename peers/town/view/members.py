"""The members of the database, as `bazaar status` shows them: which there are, which is primary, who is behind."""

from __future__ import annotations

import msgspec

from db.mongod.replica_set import ReplicaSet
from db.mongod.votes import SetView, what_may_be_lost
from db.uri import option_of
from peers.books_address import is_hidden, without_secrets
from peers.errors import LedgerError
from peers.town.files.directory import TownState


class BooksMember(msgspec.Struct, frozen=True, kw_only=True):
    """`state`: as the server calls it, `DOWN` where it does not answer the others; `lag_s`: how far it is behind the
    primary, None where that cannot be told."""

    address: str
    state: str
    votes: int
    lag_s: float | None


class Members(msgspec.Struct, frozen=True):
    """All members, and what may be lost of them, in words."""

    members: tuple[BooksMember, ...] = ()
    outlook: str = ""


def read_members(state: TownState) -> Members:
    """Returns the members of the books; none where they are in one `mongod`, or cannot be asked from here."""
    uri = state.mongo_uri
    if not uri or is_hidden(uri) or option_of(uri, "replicaSet") is None:
        return Members()
    try:
        with ReplicaSet(uri) as replica_set:
            view = replica_set.look()
    except LedgerError as error:
        return Members(outlook=without_secrets(str(error)))
    return Members(_listed(view), what_may_be_lost(view, len(view.replicas)))


def _listed(view: SetView) -> tuple[BooksMember, ...]:
    return tuple(
        BooksMember(address=each.address, state=each.state, votes=each.votes, lag_s=each.lag_s)
        for each in view.replicas
    )
