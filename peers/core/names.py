"""Names and ranks of peers, their roles, and what is traded."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from peers.core.bounds import NO_RANK

Role = Literal["buyer", "seller", "merchant"]
ROLES: tuple[Role, ...] = ("buyer", "seller", "merchant")
ITEMS = ("fish", "salt", "boar")

GraphKind = Literal["random", "complete", "ring"]
"""How peers may be linked; see `peers.core.membership.graph_kinds`."""

WriteLevel = Literal["majority", "two", "one"]
"""How many members of the database have an entry of the log on their disks before anybody is told what it says."""

_PEER_NAME = re.compile(r"(?:buyer|seller|merchant)(\d{1,6})")


def role_in(name: str) -> Role:
    """Returns the role in a peer's name, which it began with; ValueError where it is no such name."""
    for role in ROLES:
        if name.startswith(role):
            return role
    raise ValueError(f"{name} is no name of a peer")


def peer_name(role: Role, rank: int) -> str:
    """Returns `buyer0`, `seller1`, `merchant2`, …"""
    return f"{role}{rank}"


@lru_cache(maxsize=4096)
def rank_of(name: str) -> int:
    """Returns the rank in a peer's name, NO_RANK for a customer that is no peer."""
    match = _PEER_NAME.fullmatch(name)
    return int(match[1]) if match else NO_RANK
