"""The nine invariants of the trading post, by name: what is always true of its books, its journals and its graph.

The simulator, the chaos runs and the audit all judge by these. They are computed from the documents alone, with
code of their own: a checker that shared the trader's arithmetic would share its mistakes.

Each invariant is a checker that sees every document once, in one ordered pass, so that books of any length are
judged in a stream (`Checkers`, used by the audit). For books that are in memory there are functions of the same
names, each giving its `Finding`, and `check_books`, which judges by all nine.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from decimal import Decimal

import msgspec

from db.checkers import (
    DecidedOnce,
    Graph,
    GraphSound,
    MoneyConserved,
    NoOversell,
    NothingForgotten,
    OneTraderATerm,
    TraderNeutral,
)
from db.order_checks import LowestClockFirst
from db.promises import AcknowledgedIsRecorded, subject_of
from db.rows import (
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
)
from db.verdicts import Checker, Counts, Finding, Verdict, Violation

__all__ = [
    "INVARIANTS",
    "Books",
    "Checkers",
    "Finding",
    "Verdict",
    "Violation",
    "acknowledged_is_recorded",
    "check_books",
    "decided_once",
    "graph_sound",
    "lowest_clock_first",
    "money_conserved",
    "no_oversell",
    "nothing_forgotten",
    "one_trader_a_term",
    "trader_neutral",
]


class Checkers:
    """All nine at once, fed in a stream (see `Checker` for the order of feeding)."""

    def __init__(
        self, *, graph: Graph | None = None, not_calm: str = "", commission_rate: Decimal | None = None
    ) -> None:
        self._money = MoneyConserved(commission_rate)
        self._forgotten = NothingForgotten(not_calm)
        self.acknowledged = AcknowledgedIsRecorded()
        self._all: tuple[Checker, ...] = (
            NoOversell(),
            DecidedOnce(),
            self.acknowledged,
            self._money,
            OneTraderATerm(),
            LowestClockFirst(),
            TraderNeutral(),
            self._forgotten,
            GraphSound(graph),
        )
        self._posts = _overridden(self._all, "post")
        self._elections = _overridden(self._all, "election")
        self._deposits = _overridden(self._all, "deposit")
        self._requests = _overridden(self._all, "request")
        self._counted = {"posts": 0, "elections": 0, "deposits": 0, "requests": 0}
        self._by_status: dict[str | None, int] = {}

    def post(self, row: PostRow) -> None:
        self._counted["posts"] += 1
        for take in self._posts:
            take(row)

    def election(self, row: ElectionRow) -> None:
        self._counted["elections"] += 1
        for take in self._elections:
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

    @property
    def empty(self) -> bool:
        """Whether nothing at all was in the books so far."""
        return not any(self._counted.values())

    @property
    def queued(self) -> int:
        """How many requests are queued, so far."""
        return self._by_status.get("queued", 0)

    def excuse_queued(self, why: str) -> None:
        """Things turned out not to be calm: what is queued is not forgotten."""
        self._forgotten.not_calm = why

    def finish(self) -> Verdict:
        findings = tuple(checker.finish() for checker in self._all)
        counts = Counts(
            requests=self._counted["requests"],
            sales=self._by_status.get("sold", 0),
            unavailable=self._by_status.get("unavailable", 0),
            queued=self.queued,
            deposits=self._counted["deposits"],
            elections=self._counted["elections"],
            journal_entries=self.acknowledged.entries,
            torn_lines=self.acknowledged.torn,
            amount=self._money.amount,
            commission=self._money.commission,
            earned=self._money.earned,
        )
        return Verdict(findings=findings, counts=counts)


class Books(msgspec.Struct, frozen=True, kw_only=True):
    """Books in memory: documents in the form of the database, entries of journals, the graph of live peers.

    `not_calm` is empty once things are calm, otherwise it says why they are not.
    """

    requests: Collection[Document] = ()
    deposits: Collection[Document] = ()
    posts: Collection[Document] = ()
    elections: Collection[Document] = ()
    journals: Collection[JournalEntry | Document] = ()
    graph: Graph | None = None
    not_calm: str = ""
    commission_rate: Decimal | None = None


def no_oversell(books: Books) -> Finding:
    """For every deposit: nothing below zero remains, and what is gone is exactly what its sales add up to."""
    return _judge(NoOversell(), books)


def decided_once(books: Books) -> Finding:
    """A request has at most one outcome; `seq` has no gap and no repeat."""
    return _judge(DecidedOnce(), books)


def acknowledged_is_recorded(books: Books) -> Finding:
    """What a buyer or seller was told is what the ledger says, and nothing they were told is missing from it."""
    checker = AcknowledgedIsRecorded()
    _feed_journals(checker, books)
    return checker.finish()


def money_conserved(books: Books) -> Finding:
    """Amount = quantity × price = commission + earned, to the cent, for each sale and in total."""
    return _judge(MoneyConserved(books.commission_rate), books)


def one_trader_a_term(books: Books) -> Finding:
    """A term has one trader; along `seq` the terms never fall."""
    return _judge(OneTraderATerm(), books)


def lowest_clock_first(books: Books) -> Finding:
    """No request was decided while another with a lower order was already waiting in the queue."""
    return _judge(LowestClockFirst(), books)


def trader_neutral(books: Books) -> Finding:
    """A peer in office neither buys nor sells; nobody buys from itself."""
    return _judge(TraderNeutral(), books)


def nothing_forgotten(books: Books) -> Finding:
    """Once things are calm, no request stays queued."""
    return _judge(NothingForgotten(books.not_calm), books)


def graph_sound(books: Books) -> Finding:
    """The live peers form one connected graph, at most three neighbours each."""
    return _judge(GraphSound(books.graph), books)


INVARIANTS: dict[str, Callable[[Books], Finding]] = {
    invariant.__name__: invariant
    for invariant in (
        no_oversell,
        decided_once,
        acknowledged_is_recorded,
        money_conserved,
        one_trader_a_term,
        lowest_clock_first,
        trader_neutral,
        nothing_forgotten,
        graph_sound,
    )
}
"""All nine, in the contract's order."""


def check_books(
    requests: Iterable[Document],
    deposits: Iterable[Document],
    posts: Iterable[Document],
    *,
    elections: Iterable[Document] = (),
    journals: Iterable[JournalEntry | Document] = (),
    graph: Graph | None = None,
    calm: bool = True,
    commission_rate: Decimal | None = None,
) -> Verdict:
    """Judges books in memory by all nine invariants."""
    books = Books(
        requests=list(requests),
        deposits=list(deposits),
        posts=list(posts),
        elections=list(elections),
        journals=list(journals),
        graph=graph,
        not_calm="" if calm else "things are not calm yet",
        commission_rate=commission_rate,
    )
    checkers = Checkers(graph=graph, not_calm=books.not_calm, commission_rate=commission_rate)
    _feed(checkers, books)
    _feed_journals(checkers.acknowledged, books)
    return checkers.finish()


def _judge(checker: Checker, books: Books) -> Finding:
    _feed(checker, books)
    return checker.finish()


def _feed(checker: Checker | Checkers, books: Books) -> None:
    for document in books.posts:
        checker.post(read_post(document))
    for document in books.elections:
        checker.election(read_election(document))
    for document in books.deposits:
        checker.deposit(read_deposit(document))
    rows = [read_request(document) for document in books.requests]
    rows.sort(key=lambda row: (row.seq is not None, row.seq or 0))
    for row in rows:
        checker.request(row)


def _feed_journals(checker: AcknowledgedIsRecorded, books: Books) -> None:
    if not books.journals:
        return
    checker.journal()
    requests = {row.id: row for row in map(read_request, books.requests)}
    deposits = {row.id: row for row in map(read_deposit, books.deposits)}
    for given in books.journals:
        entry = given if isinstance(given, JournalEntry) else msgspec.convert(given, JournalEntry)
        kind, record_id = subject_of(entry) or ("request", "")
        checker.entry(entry, deposits.get(record_id) if kind == "deposit" else requests.get(record_id))


def _overridden(checkers: tuple[Checker, ...], method: str) -> list[Callable[..., None]]:
    """The checkers' methods of that name, without those that do nothing: this is the inner loop of an audit."""
    return [getattr(each, method) for each in checkers if getattr(type(each), method) is not getattr(Checker, method)]
