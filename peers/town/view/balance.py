"""The last words of a run: its summary, and whether the books balance; of several posts each, and over all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path

import msgspec

from db.audit.auditing import audit
from db.audit.journals import Witness, WitnessesOf
from db.audit.posts import PostBooks, TownReport, judge_together
from db.audit.report import AuditReport
from peers.core.market.records import Post
from peers.core.names import GraphKind
from peers.errors import LedgerError
from peers.town.database.books import Books
from peers.town.ending import StepOfEnd
from peers.town.view.audit_report import print_audit, print_over_all
from peers.town.view.console import Console
from peers.town.view.summary import Heard, added_up, heard_of, lines_of, print_summary


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to sum up: all since the post was as `since` says. `elections` are those that peers told of.

    `peers`: whose part it is, None for the whole market's. `commission_rate` is that of all decisions, None where
    another may have been in force before. `began_us`: when it began, in microseconds of the monotonic clock."""

    directory: Path
    since: Post
    began_us: int
    elections: dict[int, tuple[str, float]]
    graph: GraphKind = "random"
    peers: frozenset[str] | None = None
    commission_rate: Decimal | None = None


class AreaBalance(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to sum up of one area; `name` is empty in a town with one post. `graph`, `calm`: as `audit` has
    them."""

    name: str
    books: Books
    run: Run
    graph: dict[str, list[str]] | None
    calm: bool


def print_balances(areas: Sequence[AreaBalance], console: Console, witnesses_of: WitnessesOf) -> TownReport:
    """Prints summary and audit of each area, then of all of them, and returns what came of the audits.

    Areas that share their books are one: all that is in these is theirs together."""
    reports: dict[str, AuditReport] = {}
    where: list[PostBooks] = []
    for shared in _by_books(areas):
        first, names = shared[0], tuple(each.name for each in shared)
        of_all = PostBooks(areas=names, uri=first.books.uri, database=first.books.database)
        if of_all.name:
            console.say("")
            console.say(f"{of_all.name}:", "bold")
        run = first.run
        graph: dict[str, list[str]] | list[dict[str, list[str]]] | None = first.graph
        if len(shared) > 1:
            elections = {term: each for area in shared for term, each in area.run.elections.items()}
            directory = first.run.directory.parents[1]
            run = msgspec.structs.replace(run, elections=elections, directory=directory)
            graphs = [area.graph for area in shared if area.graph is not None]
            graph = graphs if len(graphs) == len(shared) else None
        calm = any(each.calm for each in shared)
        witnesses = witnesses_of(names if of_all.name else ())
        reports[of_all.name] = print_balance(run, first.books, console, graph=graph, calm=calm, witnesses=witnesses)
        where.append(of_all)
    together = judge_together(reports, where)
    if len(where) > 1:
        console.say("")
        console.say("over all posts:", "bold")
        with StepOfEnd("summing up", console.warn):
            _print_total(areas, console)
        with StepOfEnd("showing what the audits found", console.warn):
            print_over_all(together, console.rich)
    return together


def _by_books(areas: Sequence[AreaBalance]) -> list[list[AreaBalance]]:
    found: dict[tuple[str, str], list[AreaBalance]] = {}
    for area in areas:
        found.setdefault((area.books.uri, area.books.database), []).append(area)
    return list(found.values())


def _print_total(areas: Sequence[AreaBalance], console: Console) -> None:
    try:
        tallies = [shared[0].books.tally(shared[0].run.since) for shared in _by_books(areas)]
    except LedgerError as error:
        console.warn(str(error))
        return
    heard = [heard_of(area.run.directory, area.run.began_us, area.run.peers) for area in areas]
    for line in lines_of(added_up(tallies), Heard.of_all(heard)):
        console.say(line)


def print_balance(
    run: Run,
    books: Books,
    console: Console,
    *,
    graph: dict[str, list[str]] | Sequence[dict[str, list[str]]] | None,
    calm: bool,
    witnesses: Iterable[Witness] = (),
) -> AuditReport:
    """Prints the summary, audits, prints what came of it, and returns that. `graph`, `calm`, `witnesses`: as `audit`
    has them."""
    console.tick()  # What was withheld while the market closed belongs above the summary.
    with StepOfEnd("summing up", console.warn):
        _sum_up(run, books, console)
    report = audit(
        books.uri,
        books.database,
        run.directory,
        witnesses=witnesses,
        graph=graph,
        graph_kind=run.graph,
        calm=calm,
        commission_rate=run.commission_rate,
    )
    with StepOfEnd("showing what the audit found", console.warn):
        print_audit(report, console.rich)
    return report


def _sum_up(run: Run, books: Books, console: Console) -> None:
    try:
        tally = books.tally(run.since)
    except LedgerError as error:
        console.warn(str(error))
        return
    # The record of an election is written some time after it, and a short term may end before that.
    tally.elections = run.elections | tally.elections
    print_summary(console.rich, tally, heard_of(run.directory, run.began_us, run.peers), run.peers)
