"""What is said when a run is over: who bought, sold and earned what, how fast, and whether the books balance."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console as RichConsole
from rich.table import Table

from db.audit.journals import journal_files, read_journal
from db.audit.rows import JournalEntry
from peers.boot import boot
from peers.core.names import rank_of
from peers.town.database.books import PeerTally, RunTally
from peers.town.view.words import counted

MOST_ROWS = 20
"""Rows of the table: what fits on a screen. No setting, for the books have the rest."""


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What buyers heard, by their own journals and by the monotonic clock: how long each purchase took, and for how
    long anybody was told anything. The clock on the wall may have been set meanwhile."""

    latencies_ms: list[float]
    first_us: int | None = None
    last_us: int | None = None

    @staticmethod
    def of_all(heard: Sequence[Heard]) -> Heard:
        """Returns what the buyers of all posts heard."""
        return Heard(
            latencies_ms=[each for one in heard for each in one.latencies_ms],
            first_us=min((one.first_us for one in heard if one.first_us is not None), default=None),
            last_us=max((one.last_us for one in heard if one.last_us is not None), default=None),
        )


def lines_of(tally: RunTally, heard: Heard) -> list[str]:
    """Returns the summary's sentences."""
    latencies_ms = heard.latencies_ms
    lines = [f"{counted(tally.purchases, 'purchase')}{_speed(tally, heard)}, {tally.unavailable:,} asked for in vain"]
    if tally.taken_back:
        lines.append(f"{counted(tally.taken_back, 'sale')} taken back, for the seller did not have the goods")
    if latencies_ms:
        lines.append(
            f"from asking to being told: median {statistics.median(latencies_ms):.1f} ms, "
            f"p99 {quantile(latencies_ms, 0.99):.1f} ms, worst {max(latencies_ms):.1f} ms"
        )
    if tally.elections:
        took = [took_ms for _, took_ms in tally.elections.values()]
        term = max(tally.elections)
        trader, _ = tally.elections[term]
        lines.append(
            f"{counted(tally.terms, 'election')}, from vacancy to office {statistics.median(took):.0f} ms "
            f"in the median and {max(took):.0f} ms at worst; the last trader was {trader} (term {term})"
        )
    return lines


def added_up(tallies: Sequence[RunTally]) -> RunTally:
    """Returns what all posts did together, but for peers and elections, which are each post's own."""
    total = RunTally(purchases=0, unavailable=0, first_ms=None, last_ms=None, peers={}, terms=0, elections={})
    for tally in tallies:
        total.purchases += tally.purchases
        total.unavailable += tally.unavailable
        total.taken_back += tally.taken_back
        total.terms += tally.terms
    return total


def table_of(tally: RunTally, own: Collection[str] | None = None) -> Table | None:
    """Returns who did how much, by rank; of many peers those who did most. With `own`, only those count."""
    peers = {name: peer for name, peer in tally.peers.items() if own is None or name in own}
    if not peers:
        return None
    busiest = sorted(peers.items(), key=lambda entry: -(entry[1].bought + entry[1].sold))
    shown = sorted(busiest[:MOST_ROWS], key=lambda entry: rank_of(entry[0]))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("peer", "bought", "sold", "earned", "commission"):
        table.add_column(heading, justify="left" if heading == "peer" else "right")
    for name, peer in shown:
        table.add_row(name, *_cells(peer))
    if len(busiest) > len(shown):
        rest = PeerTally()
        for _, peer in busiest[MOST_ROWS:]:
            rest.bought += peer.bought
            rest.sold += peer.sold
            rest.earned += peer.earned
            rest.commission += peer.commission
        table.add_row(f"{len(busiest) - len(shown)} others", *_cells(rest))
    return table


def print_summary(out: RichConsole, tally: RunTally, heard: Heard, own: Collection[str] | None = None) -> None:
    """Prints all of it. With `own`, the peers of a terminal that is one of several: what the whole market did while
    they were in it, and what they did."""
    if own is not None:
        out.print("the whole market, while the peers of this terminal were in it:")
    for line in lines_of(tally, heard):
        out.print(line)
    if own is not None:
        idle = len(set(own) - tally.peers.keys())
        out.print(f"its own: {counted(len(own), 'peer')}" + (f", {idle} of which did nothing" if idle else ""))
    table = table_of(tally, own)
    if table is not None:
        out.print(table)


def quantile(values: list[float], share: float) -> float:
    """Returns the value that `share` of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, min(len(ordered) - 1, int(len(ordered) * share + 0.999999) - 1))]


def heard_of(directory: Path, since_us: int, own: Collection[str] | None = None) -> Heard:
    """Returns what buyers on this machine have heard since then, by the journals that are there: of each purchase,
    how long it took from first asking to being told. With `own`, only those of these peers count."""
    latencies: list[float] = []
    told_us: list[int] = []
    for path in journal_files(directory):
        if own is not None and path.stem not in own:
            continue
        asked: dict[object, int] = {}
        for entry in read_journal(path):
            if not isinstance(entry, JournalEntry) or entry.boot != boot() or (entry.mono_us or 0) < since_us:
                continue
            assert entry.mono_us is not None
            if entry.kind == "asked":
                asked.setdefault(_request_of(entry.request), entry.mono_us)
            elif entry.kind == "told":
                told_us.append(entry.mono_us)
                since = asked.pop(_request_of(entry.outcome), None)
                if since is not None:
                    latencies.append((entry.mono_us - since) / 1000)
    return Heard(latencies_ms=latencies, first_us=min(told_us, default=None), last_us=max(told_us, default=None))


def _request_of(payload: dict[str, Any] | None) -> object:
    return None if payload is None else payload.get("_id", payload.get("request_id"))


def _speed(tally: RunTally, heard: Heard) -> str:
    if heard.first_us is None or heard.last_us is None or heard.last_us - heard.first_us < 100_000:
        return ""
    seconds = (heard.last_us - heard.first_us) / 1e6
    return f" in {seconds:.1f} s ({tally.purchases / seconds:,.1f} a second)"


def _cells(peer: PeerTally) -> list[str]:
    return [_number(peer.bought), _number(peer.sold), _money(peer.earned), _money(peer.commission)]


def _number(value: int) -> str:
    return f"{value:,}" if value else "-"


def _money(value: Decimal) -> str:
    return f"{value:,.2f}" if value else "-"
