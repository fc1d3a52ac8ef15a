"""The last words of a run: its summary, and whether the books balance."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec

from db.audit.auditing import audit
from db.audit.report import AuditReport
from peers.core.market.records import Post
from peers.core.names import GraphKind
from peers.errors import LedgerError
from peers.town.books import Books
from peers.town.view.audit_report import print_audit
from peers.town.view.console import Console
from peers.town.view.summary import latencies_of, print_summary


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to sum up: all since the post was as `since` says. `elections` are those that peers told of.

    `peers`: whose part it is, None for the whole market's. `commission_rate` is that of all decisions, None where
    another may have been in force before."""

    directory: Path
    since: Post
    started_at_ms: int
    elections: dict[int, tuple[str, float]]
    graph: GraphKind = "random"
    peers: frozenset[str] | None = None
    commission_rate: Decimal | None = None


def print_balance(
    run: Run, books: Books, console: Console, *, graph: dict[str, list[str]] | None, calm: bool
) -> AuditReport:
    """Prints the summary, audits, prints what came of it, and returns that. `graph`, `calm`: as `audit` has them."""
    console.tick()  # What was withheld while the market closed belongs above the summary.
    try:
        tally = books.tally(run.since)
        # The record of an election is written some time after it, and a short term may end before that.
        tally.elections = run.elections | tally.elections
        print_summary(console.rich, tally, latencies_of(run.directory, run.started_at_ms, run.peers), run.peers)
    except LedgerError as error:
        console.warn(str(error))
    report = audit(
        books.uri,
        books.database,
        run.directory,
        graph=graph,
        graph_kind=run.graph,
        calm=calm,
        commission_rate=run.commission_rate,
    )
    print_audit(report, console.rich)
    return report
