"""Mistakes of the election algorithms. The ledger keeps them from doing harm: what they cost is that trade ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import msgspec

from peers.core.leadership.elections.echo import Echo
from peers.core.leadership.elections.lease import Lease
from peers.core.leadership.elections.ring import Ring, RingElection
from tests.simulation.planted.mistake import mistake


@mistake(17, election="ring")
def ring_stays_open_over_the_dead() -> Iterator[None]:
    """A member sends to whoever came after it at first, up or not."""

    def pass_on(self: Ring, election: RingElection) -> None:
        ranks = [member.rank for member in self._peers.ctx.members.all()]
        to = next((rank for rank in sorted(ranks) if rank > election.to), min(ranks))
        if to == self._peers.ctx.me.rank:
            self._on_back(election)
        else:
            self._forward(msgspec.structs.replace(election, to=to, hops_left=len(ranks)), to)

    with patch.object(Ring, "_pass_on", pass_on):
        yield


@mistake(40, election="echo")
def echo_is_awaited_from_the_dead() -> Iterator[None]:
    """A wave ends only once everybody who was ever there has answered."""
    answer = Echo._answer_if_all_have

    def wait_for_all(self: Echo) -> None:
        if all(member.up for member in self._peers.ctx.members.all()):
            answer(self)

    with patch.object(Echo, "_answer_if_all_have", wait_for_all):
        yield


@mistake(197, election="lease")
def lease_is_left_to_the_highest() -> Iterator[None]:
    """Only the peer of the highest rank of all bids, be it up or not."""
    start = Lease.start

    def start_if_highest(self: Lease, **round_: Any) -> None:
        start(self, **round_)
        members = self._peers.ctx.members.all()
        self._is_to_bid = self._is_to_bid and self._peers.ctx.me.rank == max(member.rank for member in members)

    with patch.object(Lease, "start", start_if_highest):
        yield
