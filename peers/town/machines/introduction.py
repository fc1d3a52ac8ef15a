"""How a newcomer gets into a market that is open: some peer introduces it, and hands back what it must know."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from peers.core.membership.members import Member, Snapshot
from peers.errors import BadRequest, TownError, WireError
from peers.rpc.rpc_connection import CallFailed, RpcConnection
from peers.rpc.wire import Newcomer, pack

_INTRODUCE_S = 5.0
"""No setting: a busy peer may take a while to introduce somebody, and there are others to ask."""


def introduced(member: Member, sponsors: Iterable[tuple[str, str]]) -> Snapshot:
    """Asks one sponsor (name and address) after the other to introduce `member`; returns what the first one that can
    hands back. TownError if none can, if the town cannot call it back, or is of another version: then no other need
    be asked."""
    why = "the town has no peers"
    for name, uri in sponsors:
        if name == member.name:
            continue
        try:
            return _ask(uri, member)
        except BadRequest as refusal:
            if refusal.field == "form":
                raise TownError(f"{name} is of another version than this machine: {refusal.why}") from refusal
            raise TownError(
                f"{name} cannot call {member.name} back, so the town would have a peer that nobody reaches: "
                f"{refusal.why}. Have the firewall here let the town's machines in at these ports (--peer-ports), "
                "and behind NAT say with --advertise what they call; `bazaar doctor` says more"
            ) from refusal
        except (CallFailed, WireError, msgspec.DecodeError) as error:
            why = f"{name}: {error}"
    raise TownError(f"nobody could introduce {member.name} to the market ({why})")


def _ask(uri: str, member: Member) -> Snapshot:
    connection = RpcConnection(uri, _INTRODUCE_S)
    try:
        return msgspec.msgpack.decode(connection.call("introduce", pack(Newcomer(member=member))), type=Snapshot)
    finally:
        connection.close()
