"""What stands at a name server, under which names and with which tags. Nothing else in the project spells them.

A peer is registered as `bazaar.<name>`, and the trader in office also as `bazaar.trader`, each with the same tags:
`bazaar.peer`, `rank:<n>` and `role:<role>`; the trader's entry says its term besides (`term:<n>`). In a town of
several posts each area has a trader, `bazaar.trader.<area>`, and every peer a tag `area:<area>`. The town itself
leaves its card as `town.card`, whose tags say where its books are: who joins need know no more than the name server.
"""

from __future__ import annotations

from collections.abc import Iterable

from peers.core.membership.members import Member

NAME_SERVER_OBJECT = "Pyro.NameServer"
"""The name under which Pyro5 serves a name server."""

PREFIX = "bazaar."
TRADER = "bazaar.trader"
CARD = "town.card"
"""The town's card does not begin like the peers' names, so that nobody takes it for a peer."""

CLOSING = "closing"
"""Tag of the card by which a town says that it is over. That nothing answers says no such thing."""

FOUNDER = "founder"
"""Tag of the card of a town whose machines have certificates: the machine that opened it, and may close it."""

AREAS = "areas"
"""Tag of the card of a town with several posts: what areas there are (`peers.town.plan.areas` writes it)."""

HERE = "here"
"""Tag of the same card: the names of those areas that the peers of that machine are of."""

_PEER = "bazaar.peer"
_MOST_DIGITS = 16
"""In a number of a tag; that of a term has far fewer, and one of thousands could not be read."""


def name_of(peer: str) -> str:
    """Returns the name that `peer` is registered under."""
    return PREFIX + peer


def trader_name(area: str) -> str:
    """Returns the name that the trader of `area` is registered under; "" is the only area of a town with one post."""
    return f"{TRADER}.{area}" if area else TRADER


def is_trader_name(name: str) -> bool:
    """Whether `name` is that of a trader, of whichever area."""
    return name == TRADER or name.startswith(f"{TRADER}.")


def tags_of(member: Member) -> list[str]:
    """Returns what a peer's entry says of it."""
    area = [f"area:{member.area}"] if member.area else []
    return [_PEER, f"rank:{member.rank}", f"role:{member.role}", *area]


def trader_tags_of(member: Member, term: int) -> list[str]:
    """Returns what the trader's entry says of it."""
    return [*tags_of(member), f"term:{term}"]


def read_tags(tags: Iterable[str]) -> dict[str, str]:
    """Returns the values of tags of the form `key:value`, by key; other tags are left out."""
    return dict(tag.split(":", 1) for tag in tags if ":" in tag)


def closed(tags: Iterable[str]) -> set[str]:
    """Returns the tags of a card with the word that the town is over."""
    return {*tags, f"{CLOSING}:yes"}


def number_in(tags: dict[str, str], key: str) -> int | None:
    """Returns the number that a tag gives, None if it gives none: anybody may register anything."""
    value = tags.get(key, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS else None
