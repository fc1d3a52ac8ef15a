"""What an election costs: its messages, and the time from the empty post to the new trader, by its record."""

from __future__ import annotations

import msgspec

from db.queries import Queries
from peers.core.market.records import ElectionRecord
from plots.bench.towns import BenchTown, wait_for
from plots.latency import Summary, summarize


class Elections(msgspec.Struct, frozen=True, kw_only=True):
    """All elections for one reason in a town of `peers`."""

    peers: int
    reason: str
    took_ms: Summary
    messages: float  # mean
    messages_max: int


def measure(town: BenchTown) -> list[Elections]:
    """Reads the town's own records; of those it has held so far."""
    wait_for(lambda: town.look(_all_counted), "the last election is on record")
    records = town.look(Queries.elections)
    by_reason: dict[str, list[ElectionRecord]] = {}
    for record in records:
        by_reason.setdefault(record.reason, []).append(record)
    return [_summed(town.peers, reason, found) for reason, found in by_reason.items()]


def _all_counted(books: Queries) -> bool:
    term = books.post().term
    return any(record.term == term for record in books.elections(term - 1))


def _summed(peers: int, reason: str, records: list[ElectionRecord]) -> Elections:
    messages = [record.messages for record in records]
    return Elections(
        peers=peers,
        reason=reason,
        took_ms=summarize([record.took_ms for record in records]),
        messages=sum(messages) / len(messages),
        messages_max=max(messages),
    )
