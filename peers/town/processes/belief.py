"""What the peers of a terminal believe of the market: who is in it, where, and who is trader.

One of them is asked at a time. They know it from each other, so that nobody has to be asked over the network. Where a
name server is, they hand on as its machine says it, and never look at it: what is no address is none here.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from peers.core.membership.members import Member, Snapshot
from peers.endpoints import is_endpoint
from peers.runtime.spec import Believed, TellBelief


class Belief:
    """The newest that one of the peers said."""

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None
        self.nameservers: dict[str, None] = {}  # All that anybody here has ever heard of, the latest last.
        self._checksum = 0

    def question(self) -> TellBelief:
        """What to ask the next peer."""
        return TellBelief(unless=self._checksum)

    def begin_with(self, snapshot: Snapshot) -> None:
        """Takes what a newcomer was handed for what the peers here believe, until one of them says more."""
        self.snapshot = _without_nonsense(snapshot)

    def hear(self, said: Believed, ours: Collection[str]) -> None:
        """Takes in what a peer says. One that sees less than half of `ours`, the peers here that run, is cut off
        itself, and knows nothing of the others."""
        if said.snapshot is None:
            return
        snapshot = _without_nonsense(said.snapshot)
        for member in snapshot.members:
            if member.up and member.nameserver:
                self.nameservers.pop(member.nameserver, None)
                self.nameservers[member.nameserver] = None
        seen = sum(member.up and member.name in ours for member in snapshot.members)
        if 2 * seen >= len(ours):
            self.snapshot, self._checksum = snapshot, said.checksum

    def up(self) -> list[Member]:
        """Returns those who are in the market, by rank; none before anybody said anything."""
        return [member for member in self.snapshot.members if member.up] if self.snapshot is not None else []


def _without_nonsense(snapshot: Snapshot) -> Snapshot:
    """The same, but with no name server for members whose is at no address, or at one that nobody could print."""
    members = tuple(
        msgspec.structs.replace(member, nameserver="")
        if member.nameserver and not (member.nameserver.isprintable() and is_endpoint(member.nameserver))
        else member
        for member in snapshot.members
    )
    return msgspec.structs.replace(snapshot, members=members)
