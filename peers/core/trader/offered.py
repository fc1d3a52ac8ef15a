"""What a search shows of a state: what can be bought after its last entry, and how far that goes.

The same for the trader, who has the state in memory, and for who reads it at the nearest member of the database.
"""

from __future__ import annotations

import msgspec

from peers.core.calls import AsOf, OnOffer
from peers.core.ledger.post_state import PostState
from peers.core.market.records import Deposit


def as_of(state: PostState, area: str) -> AsOf:
    """Returns how far `state` goes, in the terms of one area."""
    return AsOf(term=state.post.of(area).term, seq=state.post.seq, place=state.place)


def on_offer(state: PostState, item: str | None, area: str) -> OnOffer:
    """Returns what can be bought at the post of `area`, of `item` or of all: not what those in office have deposited,
    who sell nothing meanwhile, and not what is set aside for other areas."""
    traders = state.post.in_office()
    found = (each for each in state.stock.on_offer(item) if each.offer.seller not in traders)
    free = (_free(each, area) for each in found)
    return OnOffer(deposits=tuple(each for each in free if each.remaining > 0), as_of=as_of(state, area), area=area)


def _free(deposit: Deposit, area: str) -> Deposit:
    others = sum(lease.units for lease in deposit.leases if lease.area != area)
    return msgspec.structs.replace(deposit, remaining=deposit.remaining - others) if others else deposit
