"""What an election costs: its messages, and the time from the empty post to the new trader, by its record."""

from __future__ import annotations

from typing import Any

from plots.measure.apparatus.towns import BenchTown, wait_for
from plots.results.latency import summarize
from plots.results.life import Elections


def measure(town: BenchTown) -> list[Elections]:
    """Reads the town's own records; of those it has held so far."""
    wait_for(lambda: town.look(_all_counted), "the last election is on record")
    records = town.look(lambda database: list(database["elections"].find({}, {"_id": 0}).sort("term", 1)))
    by_reason: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        by_reason.setdefault(record["reason"], []).append(record)
    return [_summed(town.peers, reason, found) for reason, found in by_reason.items()]


def _all_counted(database: Any) -> bool:
    post = database["posts"].find_one({"_id": "main"})
    return bool(database["elections"].count_documents({"term": post["term"]}))


def _summed(peers: int, reason: str, records: list[dict[str, Any]]) -> Elections:
    messages = [int(record["messages"]) for record in records]
    return Elections(
        peers=peers,
        reason=reason,
        took_ms=summarize([record["took_ms"] for record in records]),
        messages=sum(messages) / len(messages),
        messages_max=max(messages),
    )
