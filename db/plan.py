"""What a commit asks of the books, worked out before anything is touched; the same for both ledgers."""

from __future__ import annotations

from collections import Counter

import msgspec

from peers.core.ledger import Commit
from peers.core.records import Deposit


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """`deposits` are the new ones with what the commit itself sells of them taken off; `draws` the units to take
    from deposits that stand in the books; `queued_ids` the requests that must stand in the queue."""

    deposits: tuple[Deposit, ...]
    draws: dict[str, int]
    queued_ids: list[str]
    new_seq: int


def plan(commit: Commit) -> Plan | None:
    """Returns what to do, or None if a new deposit would be overdrawn; ValueError for what no trader may ask."""
    draws: Counter[str] = Counter()
    queued_ids = []
    seq = commit.seq
    for decision in commit.decisions:
        outcome = decision.outcome
        seq += 1
        if outcome.seq != seq or outcome.term != commit.term:
            raise ValueError(f"decision {outcome.seq} of term {outcome.term} is out of place in {commit.term}/{seq}")
        if decision.was_queued:
            queued_ids.append(outcome.request.request_id)
        if outcome.sale is not None:
            draws[outcome.sale.deposit] += outcome.request.quantity
    deposits = []
    for deposit in commit.deposits:
        if deposit.remaining != deposit.offer.quantity:
            raise ValueError(f"new deposit {deposit.offer.deposit_id} does not come with all its goods")
        remaining = deposit.remaining - draws.pop(deposit.offer.deposit_id, 0)
        if remaining < 0:
            return None
        deposits.append(deposit if remaining == deposit.remaining else _left(deposit, remaining))
    return Plan(deposits=tuple(deposits), draws=draws, queued_ids=queued_ids, new_seq=seq)


def _left(deposit: Deposit, remaining: int) -> Deposit:
    return msgspec.structs.replace(deposit, remaining=remaining)
