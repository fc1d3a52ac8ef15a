"""How a newcomer gets into a market that is open: some peer introduces it, and hands back what it must know."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from Pyro5.api import Proxy
from Pyro5.errors import PyroError

from peers.core.membership.members import Member, Snapshot
from peers.errors import TownError

_INTRODUCE_S = 5.0


def introduced(member: Member, sponsors: Iterable[tuple[str, str]]) -> Snapshot:
    """Asks one sponsor (name and address) after the other to introduce `member`; returns what the first one that can
    hands back. TownError if none can."""
    why = "the town has no peers"
    for name, uri in sponsors:
        if name == member.name:
            continue
        try:
            return _ask(uri, member)
        except (PyroError, OSError) as error:
            why = f"{name}: {error}"
    raise TownError(f"nobody could introduce {member.name} to the market ({why})")


def _ask(uri: str, member: Member) -> Snapshot:
    with Proxy(uri) as proxy:
        proxy._pyroTimeout = _INTRODUCE_S
        proxy._pyroSerializer = "msgpack"
        return msgspec.msgpack.decode(proxy.introduce(msgspec.msgpack.encode(member)), type=Snapshot)
