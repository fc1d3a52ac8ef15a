"""The total order of the market: the lowest sort key is decided first, and sells first. It is made here only."""

from __future__ import annotations

from peers.core.membership.clocks import Stamp
from peers.core.names import rank_of


def sort_key(stamp: Stamp, owner: str, record_id: str) -> str:
    """Returns the sort key of a request or a deposit: by clock, then rank, then name and id.

    A string, so that Python, MongoDB and a person sort it alike; total, because ids are unique. Sixteen digits hold
    every time up to MAX_TIME.
    """
    return f"{stamp.time:016d}.{rank_of(owner):06d}.{owner}.{record_id}"
