"""The audit: reads a town's books and journals and judges them by the nine invariants.

It stands apart from the ledger and reads MongoDB by itself. The books are read in one snapshot, so that a town may
go on trading meanwhile, and in a stream, so that their length does not matter. Journals are held against the books
*after* their lines were read: what was told must have been recorded before, so a line may never be newer than what it
is held against.

Whatever stands in the way of an answer (no database, no books, a journal that cannot be read) is *could not tell*,
never *holds*.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import msgspec
from bson.errors import BSONError
from pymongo import MongoClient, ReadPreference
from pymongo.client_session import ClientSession
from pymongo.cursor import Cursor
from pymongo.database import Database
from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern
from rich.console import Console
from rich.text import Text

from db.checkers import MAIN_POST, Graph
from db.invariants import Checkers
from db.journals import Torn, Unreadable, journal_files, read_journal
from db.promises import PROMISED_FIELDS, AcknowledgedIsRecorded, subject_of
from db.rows import (
    DepositRow,
    JournalEntry,
    PostRow,
    RequestRow,
    read_deposit,
    read_election,
    read_post,
    read_request,
)
from db.verdicts import Finding, Verdict
from peers.errors import LedgerError

Documents = dict[str, Any]
Answer = Literal["holds", "violated", "could not tell"]

EXIT_CODES: Mapping[Answer, int] = {"holds": 0, "violated": 1, "could not tell": 2}

_BATCH = 1000
_POLL_S = 0.1
_SNAPSHOT_TRIES = 3
_SNAPSHOT_GONE = (239, 246)
"""SnapshotTooOld, SnapshotUnavailable: another snapshot may do."""

_SEQ = {"$gt": 0}
"""Written so that a partial index on `seq` can serve it."""

_REQUEST_FIELDS = dict.fromkeys(RequestRow.__struct_fields__[1:], 1)
_DEPOSIT_FIELDS = dict.fromkeys(DepositRow.__struct_fields__[1:], 1)
_PROMISED_FIELDS = dict.fromkeys(PROMISED_FIELDS, 1)


class AuditReport(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an audit. `verdict` is None when the books could not be read; `why` then says why."""

    database: str
    seconds: float
    verdict: Verdict | None = None
    why: str = ""

    @property
    def answer(self) -> Answer:
        if self.verdict is None:
            return "could not tell"
        if self.verdict.violated:
            return "violated"
        return "holds" if self.verdict.holds else "could not tell"

    @property
    def exit_code(self) -> int:
        """0 holds, 1 violated, 2 could not tell."""
        return EXIT_CODES[self.answer]


def audit(
    uri: str,
    database: str = "bazaar",
    directory: Path | None = None,
    *,
    graph: Graph | None = None,
    calm: bool | None = None,
    commission_rate: Decimal | None = None,
    timeout_s: float = 5.0,
    patience_s: float = 3.0,
) -> AuditReport:
    """Judges the books in `database`, and the journals under the town's `directory`; never raises for their state.

    `calm` says whether the town is at rest, so that nothing may be queued any more. None finds out: if something is
    queued, the post is watched for `patience_s`, and if it does not move in that time, things are calm.
    """
    started = time.monotonic()
    try:
        verdict = _Audit(directory, graph, calm, commission_rate, patience_s).run(uri, database, timeout_s)
    except LedgerError as error:
        return AuditReport(database=database, seconds=time.monotonic() - started, why=str(error))
    return AuditReport(database=database, seconds=time.monotonic() - started, verdict=verdict)


class _Audit:
    """One audit under way."""

    def __init__(
        self,
        directory: Path | None,
        graph: Graph | None,
        calm: bool | None,
        commission_rate: Decimal | None,
        patience_s: float,
    ) -> None:
        self._directory = directory
        self._graph = graph
        self._calm = calm
        self._commission_rate = commission_rate
        self._patience_s = patience_s

    def run(self, uri: str, name: str, timeout_s: float) -> Verdict:
        """Reads and judges; LedgerError if the books cannot be read."""
        try:
            with _connect(uri, timeout_s) as client:
                database = client.get_database(
                    name, read_preference=ReadPreference.PRIMARY, read_concern=ReadConcern("majority")
                )
                checkers, post = self._read_books(client, database)
                if self._calm is False:
                    checkers.excuse_queued("the town is at work")
                elif self._calm is None and checkers.queued and _moves(database, post, self._patience_s):
                    checkers.excuse_queued("the town is at work: decisions went on during the audit")
                if self._directory is not None:
                    _read_journals(database, self._directory, checkers.acknowledged)
                return checkers.finish()
        except ConnectionFailure as error:
            raise LedgerError(f"no database answers: {_first_words(error)}; is the town's mongod running?") from error
        except (PyMongoError, BSONError) as error:
            raise LedgerError(f"the database cannot be read: {_first_words(error)}") from error

    def _read_books(
        self, client: MongoClient[Documents], database: Database[Documents]
    ) -> tuple[Checkers, PostRow | None]:
        if "setName" not in client.admin.command("hello"):
            if self._calm is not True:
                raise LedgerError("only a replica set gives a snapshot of books in use; stop the town and say so")
            return self._pass(database, None)
        for left in reversed(range(_SNAPSHOT_TRIES)):
            try:
                with client.start_session(snapshot=True) as session:
                    return self._pass(database, session)
            except OperationFailure as error:
                if error.code not in _SNAPSHOT_GONE or not left:
                    raise
        raise AssertionError("the last try returns or raises")

    def _pass(self, database: Database[Documents], session: ClientSession | None) -> tuple[Checkers, PostRow | None]:
        """One pass over everything, in the order the checkers want it."""
        checkers = Checkers(graph=self._graph, commission_rate=self._commission_rate)
        main: PostRow | None = None
        for document in database.posts.find(session=session):
            post = read_post(document)
            main = post if post.id == MAIN_POST else main
            checkers.post(post)
        for document in database.elections.find(session=session):
            checkers.election(read_election(document))
        for document in database.deposits.find({}, _DEPOSIT_FIELDS, batch_size=_BATCH, session=session):
            checkers.deposit(read_deposit(document))
        for document in _requests(database, session):
            checkers.request(read_request(document))
        if main is None and checkers.empty:
            raise LedgerError(f"there are no books in the database {database.name!r}; is it the right one?")
        return checkers, main


def _connect(uri: str, timeout_s: float) -> MongoClient[Documents]:
    """Dates beyond Python's calendar and broken texts are wrong entries, not a reason to stop reading."""
    timeout_ms = round(timeout_s * 1000)
    try:
        return MongoClient(
            uri,
            appname="bazaar audit",
            serverSelectionTimeoutMS=timeout_ms,
            connectTimeoutMS=timeout_ms,
            socketTimeoutMS=max(timeout_ms, 30_000),
            datetime_conversion="DATETIME_AUTO",
            unicode_decode_error_handler="replace",
        )
    except (PyMongoError, ValueError) as error:
        raise LedgerError(f"the database's address is unusable: {error}") from error


def _requests(database: Database[Documents], session: ClientSession | None) -> Iterator[Documents]:
    """Those without a (sensible) `seq` first, then the decided ones along it."""
    find = database.requests.find
    undecided: Cursor[Documents] = find({"seq": {"$not": _SEQ}}, _REQUEST_FIELDS, batch_size=_BATCH, session=session)
    yield from undecided
    decided = find({"seq": _SEQ}, _REQUEST_FIELDS, batch_size=_BATCH, session=session)
    yield from decided.sort("seq", 1).allow_disk_use(True)


def _moves(database: Database[Documents], seen: PostRow | None, patience_s: float) -> bool:
    """Whether the post goes on from what was seen of it, within `patience_s`."""
    deadline = time.monotonic() + patience_s
    while True:
        document = database.posts.find_one({"_id": MAIN_POST})
        if (read_post(document) if document else None) != seen:
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_S)


def _read_journals(database: Database[Documents], directory: Path, acknowledged: AcknowledgedIsRecorded) -> None:
    for path in journal_files(directory):
        acknowledged.journal()
        lines = read_journal(path)
        while batch := list(islice(lines, _BATCH)):
            entries = []
            for line in batch:
                if isinstance(line, Torn):
                    acknowledged.torn_line()
                elif isinstance(line, Unreadable):
                    acknowledged.unreadable(line.why)
                else:
                    entries.append(line)
            _judge_entries(database, entries, acknowledged)


def _judge_entries(
    database: Database[Documents], entries: Iterable[JournalEntry], acknowledged: AcknowledgedIsRecorded
) -> None:
    """Looks up what the entries speak of, each record once, and has them judged."""
    subjects = [(entry, subject_of(entry)) for entry in entries]
    wanted: dict[str, set[str]] = {"request": set(), "deposit": set()}
    for _, subject in subjects:
        if subject is not None:
            wanted[subject[0]].add(subject[1])
    records: dict[tuple[str, str], RequestRow | DepositRow] = {}
    if wanted["request"]:
        found = database.requests.find({"_id": {"$in": list(wanted["request"])}}, _PROMISED_FIELDS, batch_size=_BATCH)
        records.update((("request", row.id), row) for row in map(read_request, found))
    if wanted["deposit"]:
        found = database.deposits.find({"_id": {"$in": list(wanted["deposit"])}}, _DEPOSIT_FIELDS, batch_size=_BATCH)
        records.update((("deposit", row.id), row) for row in map(read_deposit, found))
    for entry, subject in subjects:
        acknowledged.entry(entry, records.get(subject) if subject else None)


def _first_words(error: Exception) -> str:
    """A driver's message goes on with its whole view of the cluster; the first part says what is wrong."""
    return str(error).split(", Timeout:")[0].split(" (configured timeouts")[0].split(", full error")[0]


# -- for people and for programs ---------------------------------------------------------------------------

_STYLES = {"holds": "green", "violated": "bold red", "not checked": "dim", "could not tell": "yellow"}
_STATE_WIDTH = max(map(len, _STYLES))


def render(report: AuditReport, console: Console) -> None:
    """Prints a line for each invariant, what is wrong below it, and the answer."""
    if report.verdict is not None:
        for finding in report.verdict.findings:
            _print(console, *_heading(finding))
            for violation in finding.violations:
                documents = ", ".join(violation.documents) or "in total"
                _print(console, f"    {documents}: ", (violation.what, "red"))
            if finding.found > len(finding.violations):
                _print(console, f"    … and {finding.found - len(finding.violations):,} more")
            for note in finding.notes:
                _print(console, (f"    note: {note}", "dim"))
        _print(console, _counted(report.verdict))
    why = f": {report.why}" if report.why else ""
    _print(console, "audit: ", (report.answer + why, _STYLES[report.answer]), f" ({report.seconds:.1f} s)")


def to_json(report: AuditReport) -> str:
    """The report as JSON; money as texts."""
    verdict = report.verdict
    body = {
        "answer": report.answer,
        "exit_code": report.exit_code,
        "holds": report.answer == "holds",
        "why": report.why,
        "database": report.database,
        "seconds": round(report.seconds, 3),
        "violated": verdict.violated if verdict else (),
        "counts": verdict.counts if verdict else None,
        "invariants": {
            finding.invariant: _finding_body(finding) for finding in (verdict.findings if verdict else ())
        },
    }
    return msgspec.json.format(msgspec.json.encode(body), indent=2).decode()


def _finding_body(finding: Finding) -> dict[str, object]:
    return {
        "state": finding.state,
        "why": finding.why,
        "found": finding.found,
        "violations": [{"documents": each.documents, "what": each.what} for each in finding.violations],
        "notes": finding.notes,
    }


def _heading(finding: Finding) -> tuple[str | tuple[str, str], ...]:
    state = (f"{finding.state:<{_STATE_WIDTH}}", _STYLES[finding.state])
    more = f"  {finding.found:,} found" if finding.found else f"  {finding.why}" if finding.why else ""
    return state, f"  {finding.invariant}", more


def _counted(verdict: Verdict) -> str:
    counts = verdict.counts
    torn = f" ({counts.torn_lines} torn)" if counts.torn_lines else ""
    return (
        f"{counts.requests:,} requests ({counts.sales:,} sold, {counts.unavailable:,} unavailable, "
        f"{counts.queued:,} queued), {counts.deposits:,} deposits, {counts.elections:,} elections, "
        f"{counts.journal_entries:,} journal entries{torn}; sold for {counts.amount:,}: "
        f"{counts.commission:,} commission, {counts.earned:,} earned"
    )


def _print(console: Console, *parts: str | tuple[str, str]) -> None:
    """Ids and names come from others; none of them is markup."""
    console.print(Text.assemble(*parts), soft_wrap=True)
