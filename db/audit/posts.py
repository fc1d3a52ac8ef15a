"""What must hold over all posts of a town, beyond what holds at each: asked of the books of all areas at once.

Each area is judged by itself first (`db.audit.auditing`). Over all of them an id belongs to one post: a request that
two have decided was answered twice, and a deposit that two have recorded is goods that are there once and sold twice.
And the money of all posts adds up to the money of the town.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from typing import Any

import msgspec
from bson.errors import BSONError
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from db.audit.findings import MOST_LISTED, Counts, Finding, Violation
from db.audit.report import EXIT_CODES, Answer, AuditReport, finding_body, report_body, worst
from db.refusals import first_words
from peers.books_address import without_secrets

ONCE = "decided_once"
MONEY = "money_conserved"

_BATCH = 10_000
"""The ids read at a time. No setting: any number finds the same."""

_DECIDED = {"status": {"$in": ["sold", "unavailable"]}}


class PostBooks(msgspec.Struct, frozen=True, kw_only=True):
    """Where the books of a post are; areas that share one have their names in `areas` together."""

    areas: tuple[str, ...]
    uri: str
    database: str

    @property
    def name(self) -> str:
        """How people call it."""
        return ", ".join(self.areas)


class TownReport(msgspec.Struct, frozen=True, kw_only=True):
    """What came of the audit of a town: that of each post by the name of its area, and what holds over all of them.

    A town with one post has one audit, under an empty name, and nothing over all. `why` says why it could not be told
    what holds over all."""

    posts: Mapping[str, AuditReport]
    findings: tuple[Finding, ...] = ()
    counts: Counts = Counts()
    why: str = ""
    seconds: float = 0.0

    @property
    def first(self) -> AuditReport:
        """The audit of the first post, which is all in a town with one."""
        return next(iter(self.posts.values()))

    @property
    def over_all(self) -> Answer:
        """Whether that holds which must hold over all posts."""
        if any(finding.state == "violated" for finding in self.findings):
            return "violated"
        return "could not tell" if self.why else "holds"

    @property
    def answer(self) -> Answer:
        """Whether all of it holds."""
        return worst([*(report.answer for report in self.posts.values()), self.over_all])

    @property
    def exit_code(self) -> int:
        """Returns the exit code: 0 holds, 1 violated, 2 could not tell."""
        return EXIT_CODES[self.answer]


def judge_together(
    posts: Mapping[str, AuditReport], books: Iterable[PostBooks], timeout_s: float = 5.0
) -> TownReport:
    """Judges what must hold over all posts, given what came of the audit of each; never raises for their state."""
    began_s, where = time.monotonic(), tuple(books)
    if len(where) < 2:
        return TownReport(posts=posts)
    try:
        once = _judge_ids(where, timeout_s)
    except (PyMongoError, BSONError, ValueError) as error:
        return TownReport(posts=posts, why=without_secrets(f"not all books can be read: {first_words(error)}"))
    counts = _total(posts.values())
    unread = [name for name, report in posts.items() if report.verdict is None]
    return TownReport(
        posts=posts,
        findings=(once, _judge_money(counts)),
        counts=counts,
        why=f"{', '.join(unread)} could not be read" if unread else "",
        seconds=time.monotonic() - began_s,
    )


def town_json(report: TownReport) -> str:
    """The report as JSON: that of each post under `areas`, what holds over all under `over_all`; money as texts."""
    body = {
        "answer": report.answer,
        "exit_code": report.exit_code,
        "holds": report.answer == "holds",
        "areas": {name: report_body(each) for name, each in report.posts.items()},
        "over_all": _over_all(report),
    }
    return msgspec.json.format(msgspec.json.encode(body), indent=2).decode()


def _over_all(report: TownReport) -> dict[str, object]:
    return {
        "answer": report.over_all,
        "why": report.why,
        "seconds": round(report.seconds, 3),
        "counts": report.counts,
        "invariants": {finding.invariant: finding_body(finding) for finding in report.findings},
    }


def _judge_ids(where: tuple[PostBooks, ...], timeout_s: float) -> Finding:
    violations: list[Violation] = []
    found = 0
    clients = [_connect(books.uri, timeout_s) for books in where]
    try:
        for collection, what, wanted in (
            ("requests", "was decided", _DECIDED),
            ("deposits", "was recorded", {}),
        ):
            ids = [_ids(client, books, collection, wanted) for client, books in zip(clients, where, strict=True)]
            for id_, names in _in_several(ids):
                found += 1
                if len(violations) < MOST_LISTED:
                    told = f"{what} at the posts of {' and of '.join(names)}"
                    violations.append(Violation(invariant=ONCE, documents=(str(id_),), what=told))
    finally:
        for client in clients:
            client.close()
    return Finding(invariant=ONCE, state="violated" if found else "holds", violations=tuple(violations), found=found)


def _in_several(ids: Iterable[Iterator[tuple[Any, str]]]) -> Iterator[tuple[Any, list[str]]]:
    """Gives the ids that more than one of these streams has, each sorted by id, with who has them."""
    for id_, having in groupby(heapq.merge(*ids, key=itemgetter(0)), key=itemgetter(0)):
        names = [name for _, name in having]
        if len(names) > 1:
            yield id_, names


def _ids(
    client: MongoClient[dict[str, Any]], books: PostBooks, collection: str, wanted: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """Gives the ids that these books have, sorted: by their bytes, as Python sorts them too. Others than texts are a
    violation that the audit of the post itself finds."""
    documents = client.get_database(books.database, read_concern=ReadConcern("majority"))[collection]
    texts = {"_id": {"$type": "string"}, **wanted}
    for document in documents.find(texts, {"_id": 1}, batch_size=_BATCH).sort("_id", 1):
        yield document["_id"], books.name


def _connect(uri: str, timeout_s: float) -> MongoClient[dict[str, Any]]:
    timeout_ms = round(timeout_s * 1000)
    return MongoClient(uri, appname="bazaar audit", serverSelectionTimeoutMS=timeout_ms, connectTimeoutMS=timeout_ms)


def _total(reports: Iterable[AuditReport]) -> Counts:
    counts = [report.verdict.counts for report in reports if report.verdict is not None]
    fields = [field.name for field in msgspec.structs.fields(Counts)]
    sums = {field: sum((getattr(each, field) for each in counts), getattr(Counts(), field)) for field in fields}
    return Counts(**sums)


def _judge_money(total: Counts) -> Finding:
    rest: Decimal = total.amount - total.commission - total.earned
    if not rest:
        return Finding(invariant=MONEY, state="holds")
    what = f"sold for {total.amount}, but {total.commission} commission and {total.earned} earned: {rest} too much"
    violation = Violation(invariant=MONEY, documents=(), what=what)
    return Finding(invariant=MONEY, state="violated", violations=(violation,), found=1)
