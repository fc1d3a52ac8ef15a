"""The deposits of a log that is played: what is left of each and set aside, and what the books say of the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from db.audit.checkers.follow import BooksFollowLog, Left
from db.audit.leases import LeaseBook
from db.audit.log_rows import EntryRow, Places, RecountRow
from db.audit.rows import DepositRow, Document, RequestRow, read_deposit, whole


class DepositTaker(Protocol):
    """Whoever is fed what becomes of deposits."""

    def deposit(self, row: DepositRow) -> None: ...
    def recount(self, row: RecountRow) -> None: ...


class _Account:
    """A deposit while the log is played: what is left of it, and what the books say about that."""

    __slots__ = ("at", "due", "in_books", "last", "left", "said", "settled", "written_off")

    def __init__(self, left: int, place: int, book: Document | None) -> None:
        self.left = left
        self.written_off = 0
        # The last place of the log that touches it, and the last such place up to which the books are made, or -1.
        self.last = place
        self.due = -1
        self.in_books = book is not None
        # Whether the books' word on what is left has been judged; there is none to judge without a document.
        self.settled = book is None
        book = book or {}
        self.at = whole(book.get("at"))
        leases = book.get("leases", {})
        self.said = Left(
            whole(book.get("remaining")), whole(book.get("written_off", 0)), dict(leases) if leases else {}
        )


class DepositFold:
    """Feed it each entry: `begin`, what it holds in the order of the log, and `end`; or `cut`. Then `finish` once."""

    def __init__(self, taker: DepositTaker, follow: BooksFollowLog, cuts: Places, stored: Iterable[Document]) -> None:
        self._taker = taker
        self._follow = follow
        # The places that were cut so far.
        self._cuts = cuts
        # By id: documents of the books whose deposit the log has not come to yet.
        self._stored = {str(document.get("_id")): document for document in stored}
        self._accounts: dict[str, _Account] = {}
        self._leases = LeaseBook()

    def begin(self, entry: EntryRow) -> None:
        """Goes on to an entry: who takes office frees what was leased to the area's last trader."""
        if entry.kind == "office" and entry.area:
            self._touch_leased(entry.place, self._leases.leased_to(entry.area))
        self._leases.begin(entry)

    def take_in(self, place: int, row: DepositRow, document: Document) -> None:
        """Takes in a deposit as the entry at `place` has it."""
        if row.id in self._accounts:
            return  # `decided_once` reports it.
        self._taker.deposit(row)
        book = self._stored.pop(row.id, None)
        self._follow.judge_deposit(row.id, document, book)
        self._open_account(row, place, book)

    def recount(self, place: int, row: RecountRow) -> None:
        """The entry at `place` says what a seller really holds of a deposit."""
        self._taker.recount(row)
        account = self._accounts.get(row.deposit.id)
        if account is None:
            return
        self._touch(place, row.deposit.id, account)
        self._leases.drop(row.deposit.id)
        account.left += (row.returned or 0) - (row.written_off or 0)
        account.written_off += row.written_off or 0

    def sell(self, place: int, row: RequestRow) -> None:
        """Takes what the entry at `place` has sold out of its deposit; nothing if that request was refused."""
        account = self._accounts.get(row.deposit or "") if row.sold else None
        if account is None or row.deposit is None:
            return
        self._touch(place, row.deposit, account)
        self._leases.draw(row, account.left)
        account.left -= row.quantity or 0

    def end(self, entry: EntryRow) -> None:
        """Sets aside what an entry leases, for that comes after all it sells."""
        self._touch_leased(entry.place, [deposit for deposit, _ in entry.leases])
        self._leases.finish()

    def cut(self, entry: EntryRow) -> None:
        """The books speak for the deposits that a cut entry brought."""
        for deposit_id in entry.new_deposits:
            if deposit_id not in self._accounts:
                book = self._stored.pop(deposit_id, None)
                row = read_deposit(book or {"_id": deposit_id})
                if book is not None:
                    self._taker.deposit(row)
                self._open_account(row, entry.place, book)
                # Where it was counted anew, only entries that may be cut as well can say what was left.
                self._accounts[deposit_id].settled |= bool(row.written_off)

    def finish(self) -> None:
        """Judges what has not been judged yet, and what of the books found no partner."""
        for deposit_id, account in self._accounts.items():
            self._settle(deposit_id, account)
            self._follow.touched(deposit_id, account.due, account.at, in_books=account.in_books)
        for deposit_id in self._stored:
            self._follow.stranger(deposit_id, "deposit")

    def _open_account(self, row: DepositRow, place: int, book: Document | None) -> None:
        account = self._accounts[row.id] = _Account(row.quantity or 0, place, book)
        if place <= self._follow.made:
            account.due = place

    def _touch_leased(self, place: int, deposits: list[str]) -> None:
        for deposit_id in deposits:
            account = self._accounts.get(deposit_id)
            if account is not None:
                self._touch(place, deposit_id, account)

    def _touch(self, place: int, deposit_id: str, account: _Account) -> None:
        """The entry at `place` changes what is left of a deposit."""
        if account.at is None or place > account.at:
            self._settle(deposit_id, account)
        account.last = place
        if place <= self._follow.made:
            account.due = place

    def _settle(self, deposit_id: str, account: _Account) -> None:
        """Compares what the books say is left with what the log has left up to there: once, before that changes."""
        if not account.settled:
            account.settled = True
            left = Left(account.left, account.written_off, None if self._cuts.count else self._leases.of(deposit_id))
            self._follow.account(deposit_id, account.at, account.said, account.last, left)
