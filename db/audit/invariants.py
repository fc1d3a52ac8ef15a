"""The twelve invariants of the trading post, by name: what is always true of its log, books, journals and graph.

What was decided stands in the log, so that is what is judged; the books are made from it, behind it, and have to
follow it (`books_follow_log`). Where there is no log, the books are judged by themselves.

The simulator, the chaos runs and the audit all judge by these. They are computed from the documents alone, with
code of their own: a checker that shared the trader's arithmetic would share its mistakes.

Each invariant is a checker that sees every document once, in one ordered pass, so that books of any length are
judged in a stream (`db.audit.checkers.together`, used by the audit). For books that are in memory there are functions
of the same names, each giving its `Finding`, and `check_books`, which judges by all twelve.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from decimal import Decimal

import msgspec

from db.audit.checkers.accounts import DecidedOnce, MoneyConserved, NoOversell
from db.audit.checkers.acknowledgements import AcknowledgedIsRecorded, subject_of
from db.audit.checkers.compensation import CompensatedWhole
from db.audit.checkers.conduct import NothingForgotten, OneTraderATerm, TraderNeutral
from db.audit.checkers.fairness import LowestClockFirst
from db.audit.checkers.follow import BooksFollowLog
from db.audit.checkers.graph import Graph, GraphSound
from db.audit.checkers.reads import Reads
from db.audit.checkers.together import Checkers
from db.audit.findings import Checker, Finding, Verdict, Violation
from db.audit.folding.fold import Fold, StoredBooks, Taker
from db.audit.history.operations import history_of
from db.audit.log_rows import place_of, read_entry
from db.audit.recorded import Recorded
from db.audit.rows import (
    Document,
    JournalEntry,
    read_deposit,
    read_election,
    read_post,
    read_request,
    whole,
)

__all__ = [
    "INVARIANTS",
    "Evidence",
    "Finding",
    "Verdict",
    "Violation",
    "acknowledged_is_recorded",
    "books_follow_log",
    "check_books",
    "compensated_whole",
    "decided_once",
    "graph_sound",
    "lowest_clock_first",
    "money_conserved",
    "no_oversell",
    "nothing_forgotten",
    "one_trader_a_term",
    "reads",
    "trader_neutral",
]


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """Books in memory: documents in the form of the database, entries of journals, the graph of live peers.

    `log` is the log that the books are made from, None if they are judged by themselves. `not_calm` is empty once
    things are calm, otherwise it says why they are not.
    """

    requests: Collection[Document] = ()
    deposits: Collection[Document] = ()
    posts: Collection[Document] = ()
    log: Collection[Document] | None = None
    elections: Collection[Document] = ()
    journals: Collection[JournalEntry | Document] = ()
    graph: Graph | None = None
    not_calm: str = ""
    commission_rate: Decimal | None = None


def no_oversell(books: Evidence) -> Finding:
    """For every deposit: nothing below zero remains, and what is gone is exactly what its sales add up to."""
    return _judge(NoOversell(), books)


def decided_once(books: Evidence) -> Finding:
    """A request has at most one outcome; `seq` has no gap and no repeat."""
    return _judge(DecidedOnce(), books)


def acknowledged_is_recorded(books: Evidence) -> Finding:
    """What a buyer or seller was told is what the ledger says, and nothing they were told is missing from it."""
    checker = AcknowledgedIsRecorded()
    for document in sorted(books.log or (), key=place_of):
        checker.log_entry(read_entry(document, -1))
    _feed_journals(checker, books)
    return checker.finish()


def money_conserved(books: Evidence) -> Finding:
    """Amount = quantity × price = commission + earned, to the cent, for each sale and in total."""
    return _judge(MoneyConserved(books.commission_rate), books)


def one_trader_a_term(books: Evidence) -> Finding:
    """A term has one trader; along the log, and along `seq`, the terms never fall."""
    return _judge(OneTraderATerm(), books)


def lowest_clock_first(books: Evidence) -> Finding:
    """No request was decided while another with a lower order was already waiting in the queue."""
    return _judge(LowestClockFirst(), books)


def trader_neutral(books: Evidence) -> Finding:
    """A peer in office neither buys nor sells; nobody buys from itself."""
    return _judge(TraderNeutral(), books)


def books_follow_log(books: Evidence) -> Finding:
    """The books are what the log adds up to, as far as they say they are made; all of it once things are calm."""
    follow = BooksFollowLog(books.not_calm, log_given=books.log is not None)
    _feed(follow, books, follow)
    return follow.finish()


def nothing_forgotten(books: Evidence) -> Finding:
    """Once things are calm, no request stays queued."""
    return _judge(NothingForgotten(books.not_calm), books)


def graph_sound(books: Evidence) -> Finding:
    """The live peers form one connected graph, at most three neighbours each."""
    return _judge(GraphSound(books.graph), books)


def compensated_whole(books: Evidence) -> Finding:
    """A sale that was taken back gave back goods and money, once, and both sides were told."""
    checker = CompensatedWhole(books.not_calm)
    _feed(checker, books, BooksFollowLog(log_given=books.log is not None))
    for entry in map(_line, books.journals):
        checker.journal_entry(entry)
    return checker.finish()


def reads(books: Evidence) -> Finding:
    """What customers read is what the log says at its place, and neither older nor in another order than promised."""
    return _judge(Reads(history_of(map(_line, books.journals)) if books.log else None), books)


INVARIANTS: dict[str, Callable[[Evidence], Finding]] = {
    invariant.__name__: invariant
    for invariant in (
        no_oversell,
        decided_once,
        acknowledged_is_recorded,
        money_conserved,
        one_trader_a_term,
        lowest_clock_first,
        trader_neutral,
        books_follow_log,
        nothing_forgotten,
        graph_sound,
        compensated_whole,
        reads,
    )
}
"""All twelve invariants by name, in the order in which they are reported."""


def check_books(
    requests: Iterable[Document],
    deposits: Iterable[Document],
    posts: Iterable[Document],
    *,
    log: Iterable[Document] | None = None,
    elections: Iterable[Document] = (),
    journals: Iterable[JournalEntry | Document] = (),
    graph: Graph | None = None,
    graph_kind: str = "random",
    calm: bool = True,
    commission_rate: Decimal | None = None,
) -> Verdict:
    """Judges books in memory by all twelve invariants. Where a `log` is given (documents in the form of the
    database), it is what is judged, and the books have to follow it; otherwise they are judged by themselves. Never
    raises for what stands in the documents.
    """
    books = Evidence(
        requests=list(requests),
        deposits=list(deposits),
        posts=list(posts),
        log=None if log is None else list(log),
        elections=list(elections),
        journals=list(journals),
        graph=graph,
        not_calm="" if calm else "things are not calm yet",
        commission_rate=commission_rate,
    )
    checkers = Checkers(
        graph=graph,
        graph_kind=graph_kind,
        not_calm=books.not_calm,
        commission_rate=commission_rate,
        log_given=log is not None,
        history=history_of(map(_line, books.journals)) if books.log else None,
    )
    recorded = Recorded(checkers) if books.log and books.journals else None
    _feed(checkers, books, checkers.follow, recorded)
    _feed_journals(checkers, books, recorded)
    return checkers.finish()


def _judge(checker: Checker, books: Evidence) -> Finding:
    _feed(checker, books, BooksFollowLog(log_given=books.log is not None))
    return checker.finish()


def _feed(
    taker: Checker | Checkers, books: Evidence, follow: BooksFollowLog, recorded: Recorded | None = None
) -> None:
    if not books.log:
        for post in map(read_post, books.posts):
            taker.post(post)
            follow.book_post(post)
    for election in map(read_election, books.elections):
        taker.election(election)
    if books.log:
        _play(recorded or taker, books, follow)
        return
    for deposit in map(read_deposit, books.deposits):
        taker.deposit(deposit)
        follow.unfolded(deposit.id, deposit.at)
    for row in sorted(map(read_request, books.requests), key=lambda row: (row.seq is not None, row.seq or 0)):
        taker.request(row)
        follow.unfolded(row.id, row.at)


def _play(taker: Taker, books: Evidence, follow: BooksFollowLog) -> None:
    """Plays the log, and holds the books against it."""
    decided = [document for document in books.requests if (whole(document.get("seq")) or 0) > 0]
    decided.sort(key=lambda document: document["seq"])
    undecided = [document for document in books.requests if (whole(document.get("seq")) or 0) <= 0]
    stored = StoredBooks(posts=books.posts, deposits=books.deposits, undecided=undecided, decided=decided)
    fold = Fold(taker, follow, stored)
    for document in sorted(books.log or (), key=place_of):
        fold.entry(document)
    fold.finish()


def _line(given: JournalEntry | Document) -> JournalEntry:
    return given if isinstance(given, JournalEntry) else msgspec.convert(given, JournalEntry)


def _feed_journals(
    taker: AcknowledgedIsRecorded | Checkers, books: Evidence, recorded: Recorded | None = None
) -> None:
    """Feeds the journals, each line with what is `recorded` of its subject; the log is played for that if need be."""
    if not books.journals:
        return
    (taker.acknowledged if isinstance(taker, Checkers) else taker).journal()
    if recorded is None:
        recorded = Recorded()
        if books.log:
            _play(recorded, books, BooksFollowLog())
    if not books.log:
        recorded.requests = {row.id: row for row in map(read_request, books.requests)}
        recorded.deposits = {row.id: row for row in map(read_deposit, books.deposits)}
    for entry in map(_line, books.journals):
        kind, record_id = subject_of(entry) or ("request", "")
        known = recorded.deposits if kind == "deposit" else recorded.requests
        if isinstance(taker, Checkers):
            taker.journal_entry(entry, known.get(record_id))
        else:
            taker.entry(entry, known.get(record_id))
