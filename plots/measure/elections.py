"""What an election costs: its messages, and the time from the empty post to the new trader, by its record."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from peers.errors import TownError
from plots.measure.apparatus.towns import BenchTown, wait_for
from plots.results.latency import summarize
from plots.results.life import Elections

_COUNT_S = 3.0
"""Counts are home within half a second; no setting, for what is missing then is left out and changes nothing."""


def measure(town: BenchTown) -> list[Elections]:
    """Reads the town's own records; of those it has held so far."""
    settle(town)
    records = town.look(lambda database: list(database["elections"].find({}, {"_id": 0}).sort("term", 1)))
    by_reason: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        by_reason.setdefault(record["reason"], []).append(record)
    return [_summed(town.peers, reason, found) for reason, found in by_reason.items()]


def settle(town: BenchTown) -> None:
    """Waits until the last election is counted; one whose count does not come home is in no figure of messages."""
    with suppress(TownError):
        wait_for(lambda: town.look(_is_counted), "the last election is counted", patience_s=_COUNT_S)


def _is_counted(database: Any) -> bool:
    post = database["posts"].find_one({"_id": "main"})
    return bool(database["elections"].count_documents({"term": post["term"], "complete": True}))


def _summed(peers: int, reason: str, records: list[dict[str, Any]]) -> Elections:
    messages = [int(record["messages"]) for record in records if record["complete"]]
    return Elections(
        peers=peers,
        reason=reason,
        took_ms=summarize([record["took_ms"] for record in records]),
        counted=len(messages),
        messages=sum(messages) / len(messages) if messages else None,
        messages_max=max(messages, default=None),
    )
