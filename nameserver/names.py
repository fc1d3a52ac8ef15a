"""What stands at a name server, under which names and with which tags. Nothing else in the project spells them.

A peer is registered as `bazaar.<name>`, and the trader in office also as `bazaar.trader`, each with the same tags:
`bazaar.peer`, `rank:<n>` and `role:<role>`; the trader's entry says its term besides (`term:<n>`). The town itself
leaves its card as `town.card`, whose tags say where its books are: who joins need know no more than the name server.
"""

from __future__ import annotations

from collections.abc import Iterable

from peers.core.membership.members import Member

NAME_SERVER_OBJECT = "Pyro.NameServer"
"""Pyro5's name of the object that a name server is."""

PREFIX = "bazaar."
TRADER = "bazaar.trader"
CARD = "town.card"
"""Not among the peers' names, so that nobody takes it for one."""

CLOSING = "closing"
"""Tag of the card by which a town says that it is over. That nothing answers says no such thing."""

_PEER = "bazaar.peer"


def name_of(peer: str) -> str:
    """Returns the name that `peer` is registered under."""
    return PREFIX + peer


def tags_of(member: Member) -> list[str]:
    """Returns what a peer's entry says of it."""
    return [_PEER, f"rank:{member.rank}", f"role:{member.role}"]


def trader_tags_of(member: Member, term: int) -> list[str]:
    """Returns what the trader's entry says of it."""
    return [*tags_of(member), f"term:{term}"]


def read_tags(tags: Iterable[str]) -> dict[str, str]:
    """Returns what tags of the form `key:value` say, by key; others say nothing here."""
    return dict(tag.split(":", 1) for tag in tags if ":" in tag)


def number_in(tags: dict[str, str], key: str) -> int | None:
    """Returns the number that a tag gives, None if it gives none: anybody may register anything."""
    value = tags.get(key, "")
    return int(value) if value.isascii() and value.isdigit() else None
