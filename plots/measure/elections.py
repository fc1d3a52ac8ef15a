"""What an election costs: its messages, and the time from the empty post to the new trader, by its record."""

from __future__ import annotations

from contextlib import suppress

from db.queries import Queries
from peers.core.market.records import ElectionRecord
from peers.errors import TownError
from plots.measure.apparatus.towns import BenchTown, wait_for
from plots.results.latency import summarize
from plots.results.life import Elections

_COUNT_S = 3.0
"""Time for the counts of messages to come in, which takes half a second. No setting: what is missing is left out."""


def measure(town: BenchTown) -> list[Elections]:
    """Reads the town's own records; of those it has held so far."""
    settle(town)
    records = town.look(Queries.elections)
    by_reason: dict[str, list[ElectionRecord]] = {}
    for record in records:
        by_reason.setdefault(record.reason, []).append(record)
    return [_summed(town.peers, reason, found) for reason, found in by_reason.items()]


def settle(town: BenchTown) -> None:
    """Waits until the last election is counted; one whose count does not come home is in no figure of messages."""
    with suppress(TownError):
        wait_for(lambda: town.look(_is_counted), "the last election is counted", patience_s=_COUNT_S)


def _is_counted(books: Queries) -> bool:
    term = books.post().term
    return any(record.term == term and record.complete for record in books.elections(term - 1))


def _summed(peers: int, reason: str, records: list[ElectionRecord]) -> Elections:
    messages = [record.messages for record in records if record.complete]
    return Elections(
        peers=peers,
        reason=reason,
        took_ms=summarize([record.took_ms for record in records]),
        counted=len(messages),
        messages=sum(messages) / len(messages) if messages else None,
        messages_max=max(messages, default=None),
    )
