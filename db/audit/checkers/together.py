"""All twelve invariants judged at once, in one pass over books of any length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from db.audit.checkers.accounts import DecidedOnce, MoneyConserved, NoOversell
from db.audit.checkers.acknowledgements import AcknowledgedIsRecorded
from db.audit.checkers.compensation import CompensatedWhole
from db.audit.checkers.conduct import NothingForgotten, OneTraderATerm, TraderNeutral
from db.audit.checkers.fairness import LowestClockFirst
from db.audit.checkers.follow import BooksFollowLog
from db.audit.checkers.graph import Graph, GraphSound
from db.audit.checkers.reads import Reads
from db.audit.findings import Checker, Counts, Verdict
from db.audit.history.operations import Operations
from db.audit.log_rows import EntryRow, RecountRow
from db.audit.rows import (
    DepositRow,
    ElectionRow,
    JournalEntry,
    PostRow,
    RequestRow,
)


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

    def unreadable(self, why: str) -> None:
        """Something in the journal at hand could not be read, and `why`."""
        self.acknowledged.unreadable(why)
        self.compensated.unreadable(why)

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


def _overridden(checkers: tuple[Checker, ...], method: str) -> list[Callable[..., None]]:
    """The checkers' methods of that name, without those that do nothing: this is the inner loop of an audit."""
    return [getattr(each, method) for each in checkers if getattr(type(each), method) is not getattr(Checker, method)]
