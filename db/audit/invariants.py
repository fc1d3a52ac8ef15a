"""The twelve invariants of the trading post, by name: what is always true of its log, books, journals and graph.

What was decided stands in the log, so that is what is judged; the books are made from it, behind it, and have to
follow it (`books_follow_log`). Where there is no log, the books are judged by themselves.

The simulator, the chaos runs and the audit all judge by these. They are computed from the documents alone, with
code of their own: a checker that shared the trader's arithmetic would share its mistakes.

Each invariant is a checker that sees every document once, in one ordered pass, so that books of any length are
judged in a stream (`Checkers`, used by the audit). For books that are in memory there are functions of the same
names, each giving its `Finding`, and `check_books`, which judges by all twelve.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
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
from db.audit.findings import Checker, Counts, Finding, Verdict, Violation
from db.audit.fold import Fold, StoredBooks, Taker
from db.audit.history.operations import Operations, history_of
from db.audit.log_rows import EntryRow, RecountRow, place_of, read_entry
from db.audit.recorded import Recorded
from db.audit.rows import (
    DepositRow,
    Document,
    ElectionRow,
    JournalEntry,
    PostRow,
    RequestRow,
    read_deposit,
    read_election,
    read_post,
    read_request,
    whole,
)

__all__ = [
    "INVARIANTS",
    "Checkers",
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


class Checkers:
    """All twelve checkers at once, fed in a stream in the order that `Checker` says; a `Fold` feeds from a log.

    `history` is what the journals say that customers asked and were told, read before the log; None without journals.
    """

    def __init__(
        self,
        *,
        graph: Graph | Sequence[Graph] | None = None,
        graph_kind: str = "random",
        not_calm: str = "",
        commission_rate: Decimal | None = None,
        log_given: bool | None = False,
        history: Operations | None = None,
    ) -> None:
        self._money = MoneyConserved(commission_rate)
        self._forgotten = NothingForgotten(not_calm)
        self.acknowledged = AcknowledgedIsRecorded()
        self.follow = BooksFollowLog(not_calm, log_given=log_given)
        self.compensated = CompensatedWhole(not_calm)
        self._all: tuple[Checker, ...] = (
            NoOversell(),
            DecidedOnce(),
            self.acknowledged,
            self._money,
            OneTraderATerm(),
            LowestClockFirst(),
            TraderNeutral(),
            self.follow,
            self._forgotten,
            GraphSound(graph, graph_kind),
            self.compensated,
            Reads(history),
        )
        self._posts = _overridden(self._all, "post")
        self._elections = _overridden(self._all, "election")
        self._entries = _overridden(self._all, "log_entry")
        self._deposits = _overridden(self._all, "deposit")
        self._requests = _overridden(self._all, "request")
        self._reversals = _overridden(self._all, "reversal")
        self._recounts = _overridden(self._all, "recount")
        self._counted = {"posts": 0, "elections": 0, "entries": 0, "cut": 0, "deposits": 0, "requests": 0}
        self._by_status: dict[str | None, int] = {}

    def post(self, row: PostRow) -> None:
        self._counted["posts"] += 1
        for take in self._posts:
            take(row)

    def election(self, row: ElectionRow) -> None:
        self._counted["elections"] += 1
        for take in self._elections:
            take(row)

    def log_entry(self, row: EntryRow) -> None:
        self._counted["entries"] += 1
        self._counted["cut"] += row.cut
        for take in self._entries:
            take(row)

    def deposit(self, row: DepositRow) -> None:
        self._counted["deposits"] += 1
        for take in self._deposits:
            take(row)

    def request(self, row: RequestRow) -> None:
        self._counted["requests"] += 1
        self._by_status[row.status] = self._by_status.get(row.status, 0) + 1
        for take in self._requests:
            take(row)

    def reversal(self, row: RequestRow) -> None:
        for take in self._reversals:
            take(row)

    def recount(self, row: RecountRow) -> None:
        for take in self._recounts:
            take(row)

    def journal_entry(self, entry: JournalEntry, record: RequestRow | DepositRow | None) -> None:
        """Takes in a line of a journal; `record` is what the ledger holds of its subject."""
        self.acknowledged.entry(entry, record)
        self.compensated.journal_entry(entry)

    def journals_missing(self, why: str) -> None:
        """Some journals could not be had, and `why`."""
        self.acknowledged.missing(why)
        self.compensated.missing(why)

    @property
    def empty(self) -> bool:
        """Whether nothing at all was in the books so far."""
        return not any(self._counted.values())

    @property
    def queued(self) -> int:
        """How many requests are queued, so far."""
        return self._by_status.get("queued", 0)

    def excuse(self, why: str) -> None:
        """Things turned out not to be calm: what is queued is not forgotten, and the books may be behind the log."""
        self._forgotten.not_calm = self.follow.not_calm = self.compensated.not_calm = why

    def finish(self) -> Verdict:
        findings = tuple(checker.finish() for checker in self._all)
        counts = Counts(
            requests=self._counted["requests"],
            sales=self._by_status.get("sold", 0),
            unavailable=self._by_status.get("unavailable", 0),
            queued=self.queued,
            deposits=self._counted["deposits"],
            elections=self._counted["elections"],
            entries=self._counted["entries"],
            cut=self._counted["cut"],
            reversals=self.compensated.reversals,
            journal_entries=self.acknowledged.entries,
            torn_lines=self.acknowledged.torn,
            amount=self._money.amount,
            commission=self._money.commission,
            earned=self._money.earned,
        )
        return Verdict(findings=findings, counts=counts)


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
    recorded = Recorded() if books.log and books.journals else None
    _feed(checkers, books, checkers.follow, recorded)
    _feed_journals(checkers, books, recorded)
    return checkers.finish()


class _Both:
    """Two who are fed the same, so that a log need be played only once."""

    def __init__(self, one: Taker, other: Taker) -> None:
        self._one, self._other = one, other

    def election(self, row: ElectionRow) -> None:
        self._one.election(row)
        self._other.election(row)

    def log_entry(self, row: EntryRow) -> None:
        self._one.log_entry(row)
        self._other.log_entry(row)

    def deposit(self, row: DepositRow) -> None:
        self._one.deposit(row)
        self._other.deposit(row)

    def request(self, row: RequestRow) -> None:
        self._one.request(row)
        self._other.request(row)

    def reversal(self, row: RequestRow) -> None:
        self._one.reversal(row)
        self._other.reversal(row)

    def recount(self, row: RecountRow) -> None:
        self._one.recount(row)
        self._other.recount(row)


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
        _play(taker if recorded is None else _Both(taker, recorded), books, follow)
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


def _overridden(checkers: tuple[Checker, ...], method: str) -> list[Callable[..., None]]:
    """The checkers' methods of that name, without those that do nothing: this is the inner loop of an audit."""
    return [getattr(each, method) for each in checkers if getattr(type(each), method) is not getattr(Checker, method)]
