"""The fold: what a log adds up to, and what the books say of the same.

It is the audit's own, and shares no code with the trader or the ledgers. It takes the log an entry at a
time, gives the checkers each record once (deposits and outcomes as the log brings them, what is still queued at the
end), and holds every document of the books against what made it. Where entries were cut, the books' own documents
take their place.

Decided requests of the books come in a stream, by `seq`, and go along with the outcomes of the log: in sound books
the next is always the one that is looked for. Those out of step are kept by id until their partner comes; so what is
held in memory is what is queued, what is deposited, and what is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec

from db.audit.checkers.follow import BooksFollowLog, FoldedPost, Left, Version
from db.audit.fold_parts import Account, Ahead
from db.audit.leases import LeaseBook
from db.audit.log_rows import EntryRow, Places, RecountRow, read_entry
from db.audit.rows import (
    DepositRow,
    Document,
    ElectionRow,
    HolderRow,
    RequestRow,
    read_deposit,
    read_post,
    read_request,
    whole,
)

_OF_A_TERM = frozenset(("term", "trader", "since", "uri"))


class Taker(Protocol):
    """Whoever is fed: one checker, or all of them."""

    def election(self, row: ElectionRow) -> None: ...
    def log_entry(self, row: EntryRow) -> None: ...
    def deposit(self, row: DepositRow) -> None: ...
    def request(self, row: RequestRow) -> None: ...
    def reversal(self, row: RequestRow) -> None: ...
    def recount(self, row: RecountRow) -> None: ...


class StoredBooks(msgspec.Struct, frozen=True, kw_only=True):
    """The books as they are stored; the decided requests by rising `seq`, and all others apart from them."""

    posts: Iterable[Document]
    deposits: Iterable[Document]
    undecided: Iterable[Document]
    decided: Iterable[Document]


class Fold:
    """A log being played. Feed `entry`, then `finish` once."""

    def __init__(self, taker: Taker, follow: BooksFollowLog, books: StoredBooks) -> None:
        self._taker = taker
        self._follow = follow
        for post in books.posts:
            follow.book_post(read_post(post))
        self._deposits = {str(document.get("_id")): document for document in books.deposits}
        self._undecided = {str(document.get("_id")): document for document in books.undecided}
        self._decided = Ahead(books.decided)
        self._state = FoldedPost()
        # By id of request: those that the log has queued and not decided, with the place that queued them.
        self._queue: dict[str, tuple[int, RequestRow, Document]] = {}
        self._accounts: dict[str, Account] = {}
        # By id of request: outcomes of the log whose document of the books has not come yet.
        self._late: dict[str, list[Version]] = {}
        # By id of request: documents of the books whose outcome in the log has not come yet.
        self._early: dict[str, Document] = {}
        # By id: requests that came into the log at a place that was cut, and that place.
        self._entered: dict[str, int] = {}
        # By id of request: sales that the books say were taken back, by an entry that has not come yet.
        self._to_be_taken_back: dict[str, tuple[list[Version], Document]] = {}
        # The requests whose sales were taken back at places that were cut.
        self._taken_back_where_cut: set[str] = set()
        self._leases = LeaseBook()
        self.cuts = Places()
        self.entries = 0
        self.end = -1
        """The last place of the log so far, -1 before the first."""

    def entry(self, document: Document) -> None:
        """Takes in the next entry."""
        self.entries += 1
        entry = read_entry(document, self.end)
        self._taker.log_entry(entry)
        if entry.misplaced:
            return
        place = self.end = entry.place
        if entry.cut:
            self._cut(entry)
        else:
            self._settle_certain()
            self._of_term(entry)
            self._touch_leased(place, self._freed_by(entry))
            self._leases.begin(entry)
            for deposit, given in entry.deposits:
                self._take_in(place, deposit, given)
            for undone, given in entry.reversals:
                self._take_back(place, undone, given)
            for recount, _ in entry.recounts:
                self._recount(place, recount)
            for outcome, given in entry.decided:
                self._decide(place, outcome, given)
            for waiting, given in entry.queued:
                self._queue.setdefault(waiting.id, (place, waiting, given))
                self._state.arrival = max(self._state.arrival, waiting.arrival or 0)
            self._touch_leased(place, [deposit for deposit, _ in entry.leases])
            self._leases.finish()
        if self.cuts.count:  # What cut entries decided last may not be known yet.
            self._state.unknown -= {"seq"}
            self._state.unknown |= {"seq"} if self._may_be_cut() else set()
        self._follow.after(place, self._state)

    def finish(self) -> None:
        """Feeds what is still queued, and judges what of the books found no partner, or none yet."""
        for document in self._decided:
            self._unlooked_for(document)
        for request_id, versions in self._late.items():
            self._follow.judge_request(request_id, versions, None)
        for request_id, kept in self._to_be_taken_back.items():
            self._follow.judge_request(request_id, *kept)
        for request_id, (place, row, document) in self._queue.items():
            self._taker.request(row)
            book = self._undecided.pop(request_id, None) or self._early.pop(request_id, None)
            self._follow.judge_request(request_id, [Version(place, document)], book)
        for request_id, document in self._undecided.items():
            self._leftover(request_id, document)
        for request_id in self._early:
            self._follow.stranger(request_id, "outcome")
        for request_id, place in self._entered.items():
            self._follow.judge_request(request_id, [Version(place, None)], None)
        for deposit_id, account in self._accounts.items():
            self._settle(deposit_id, account)
            self._follow.touched(deposit_id, account.due, account.at, in_books=account.in_books)
        for deposit_id in self._deposits:
            self._follow.stranger(deposit_id, "deposit")

    # -- what an entry does --------------------------------------------------------------------------------

    def _of_term(self, entry: EntryRow) -> None:
        state, office = self._state, entry.kind == "office"
        if entry.area:
            self._of_area(entry)
            return
        if "term" in state.unknown and entry.place == self._follow.made + 1:
            self._follow.goes_on(entry.term, None if office else entry.trader)
        state.term, state.trader = entry.term, entry.trader
        if office:
            state.since, state.uri = entry.written_at, entry.uri
        state.unknown -= _OF_A_TERM if office else {"term", "trader"}

    def _of_area(self, entry: EntryRow) -> None:
        """Takes in who holds the post of an area. Since when it does is known of those who were seen to begin."""
        before = self._state.areas.get(entry.area)
        if entry.kind == "office":
            since, uri = entry.written_at, entry.uri
        elif before is None:
            return
        else:
            since, uri = before.since, before.uri
        self._state.areas[entry.area] = HolderRow(
            term=entry.term, trader=entry.trader, since=since, uri=uri, written_at=entry.written_at
        )

    def _freed_by(self, entry: EntryRow) -> list[str]:
        """The deposits of which something was leased to an area that has another trader now."""
        if entry.kind != "office" or not entry.area:
            return []
        return [each for each in self._accounts if entry.area in self._leases.of(each)]

    def _touch_leased(self, place: int, deposits: list[str]) -> None:
        for deposit_id in deposits:
            account = self._accounts.get(deposit_id)
            if account is not None:
                self._touch(place, deposit_id, account)

    def _take_in(self, place: int, row: DepositRow, document: Document) -> None:
        if row.id in self._accounts:
            return  # `decided_once` reports it.
        self._taker.deposit(row)
        book = self._deposits.pop(row.id, None)
        self._follow.judge_deposit(row.id, document, book)
        self._open_account(row, place, book)

    def _open_account(self, row: DepositRow, place: int, book: Document | None) -> None:
        account = self._accounts[row.id] = Account(row.quantity or 0, place, book)
        if place <= self._follow.made:
            account.due = place

    def _decide(self, place: int, row: RequestRow, document: Document) -> None:
        self._settle_cut(row.seq or 0)
        self._taker.request(row)
        self._count(place, row)
        versions = self._versions_before(row.id)
        if self._decided.head is not None and self._decided.head == document:
            self._decided.take()  # The books have it word for word, as they nearly always do.
            return
        versions.append(Version(place, document))
        book = self._partner(row)
        if book is None and not self._decided.over:
            self._late[row.id] = self._late.get(row.id, []) + versions
        else:
            self._judge(row.id, versions, book)

    def _judge(self, request_id: str, versions: list[Version], book: Document | None) -> None:
        """Judges a decided request; later, if the books say that a later entry took it back."""
        if book is not None and "taken_back" in book and (whole(book.get("at")) or -1) > versions[-1].place:
            self._to_be_taken_back[request_id] = (versions, book)
        else:
            self._follow.judge_request(request_id, versions, book)

    def _take_back(self, place: int, row: RequestRow, document: Document) -> None:
        self._state.reversals += 1
        self._settle_cut((row.seq or 0) + 1)
        self._taker.reversal(row)
        kept = self._to_be_taken_back.pop(row.id, None)
        if kept is not None:
            self._follow.judge_request(row.id, [*kept[0], Version(place, document)], kept[1])
        elif row.id in self._late:
            self._late[row.id].append(Version(place, document))
        else:
            self._follow.not_taken_back(row.id, place)

    def _recount(self, place: int, row: RecountRow) -> None:
        self._taker.recount(row)
        account = self._accounts.get(row.deposit.id)
        if account is None:
            return
        self._touch(place, row.deposit.id, account)
        self._leases.drop(row.deposit.id)
        account.left += (row.returned or 0) - (row.written_off or 0)
        account.written_off += row.written_off or 0

    def _count(self, place: int, row: RequestRow) -> None:
        state = self._state
        state.seq = max(state.seq, row.seq or 0)
        state.arrival = max(state.arrival, row.arrival or 0)
        account = self._accounts.get(row.deposit or "") if row.sold else None
        if account is None or row.deposit is None:
            return
        self._touch(place, row.deposit, account)
        self._leases.draw(row, account.left)
        account.left -= row.quantity or 0

    def _touch(self, place: int, deposit_id: str, account: Account) -> None:
        """The entry at `place` changes what is left of a deposit."""
        if account.at is None or place > account.at:
            self._settle(deposit_id, account)
        account.last = place
        if place <= self._follow.made:
            account.due = place

    def _versions_before(self, request_id: str) -> list[Version]:
        place, _, document = self._queue.pop(request_id, (-1, None, None))
        if place < 0:
            place = self._entered.pop(request_id, -1)
        return [] if place < 0 else [Version(place, document)]

    def _cut(self, entry: EntryRow) -> None:
        """The books speak for what this entry held: their next outcomes, as far as their places go."""
        self._follow.cut(entry.place)
        self.cuts.add(entry.place)
        self._state.unknown = _OF_A_TERM | {"arrival", "areas"}
        self._state.areas.clear()
        self._state.reversals += len(entry.new_reversals)
        self._taken_back_where_cut.update(entry.new_reversals)
        for request_id in entry.new_requests:
            self._entered.setdefault(request_id, entry.place)
        for deposit_id in entry.new_deposits:
            if deposit_id not in self._accounts:
                book = self._deposits.pop(deposit_id, None)
                row = read_deposit(book or {"_id": deposit_id})
                if book is not None:
                    self._taker.deposit(row)
                self._open_account(row, entry.place, book)
                # Where it was counted anew, only entries that may be cut as well can say what was left.
                self._accounts[deposit_id].settled |= bool(row.written_off)
        while (head := self._decided.head) is not None:
            at = whole(head.get("at"))
            if at is None or at > entry.place:
                break
            self._unlooked_for(self._decided.take())

    # -- what the books say of it --------------------------------------------------------------------------

    def _partner(self, row: RequestRow) -> Document | None:
        """The books' document of an outcome that the log has come to, if the books have come to it, too."""
        while (head := self._decided.head) is not None:
            if str(head.get("_id")) == row.id:
                return self._decided.take()
            seq = whole(head.get("seq"))
            if seq is not None and (row.seq is None or seq > row.seq):
                break
            self._unlooked_for(self._decided.take())
        return self._early.pop(row.id, None) or self._undecided.pop(row.id, None)

    def _unlooked_for(self, document: Document) -> None:
        """Judges a decided document of the books that is not the partner of the outcome at hand, or keeps it."""
        request_id = str(document.get("_id"))
        versions = self._late.pop(request_id, None)
        at = whole(document.get("at"))
        if versions is not None:
            self._judge(request_id, versions, document)
        elif at in self.cuts:
            self._decided_where_cut(request_id, at or 0, document)
        elif "taken_back" in document and (at or 0) > self.cuts.last >= 0 and request_id in self._entered:
            self._decided_where_cut(request_id, self.cuts.last, document)
        else:
            self._early[request_id] = document

    def _decided_where_cut(self, request_id: str, place: int, document: Document) -> None:
        versions = self._versions_before(request_id)
        if not versions or place < versions[-1].place:
            self._follow.stranger(request_id, "outcome", f"no entry up to {place}, which was cut, brought it")
            return
        row = read_request(document)
        if row.taken_back is None:
            self._taker.request(row)
            self._count(place, row)
        else:  # Where it was decided, nobody can say any more.
            self._taker.request(msgspec.structs.replace(row, at=None, taken_back=None))
            self._state.seq = max(self._state.seq, row.seq or 0)
        versions.append(Version(place, None))
        if row.taken_back is not None and row.at == place:
            self._taken_back_too(row)
        self._judge(request_id, versions, document)

    def _settle_cut(self, seq: int) -> None:
        """Takes in what cut entries decided with a number below `seq` and whole ones took back."""
        while self._may_be_cut() and (whole((self._decided.head or {}).get("seq")) or 0) < seq:
            self._unlooked_for(self._decided.take())

    def _settle_certain(self) -> None:
        """Takes in what certainly cut entries decided: each document that has one of a cut place behind it."""
        held: list[Document] = []
        while self._may_be_cut():
            head = self._decided.take()
            held.append(head)
            if head.get("at") in self.cuts:
                for document in held:
                    self._unlooked_for(document)
                held = []
        self._decided.put_back(held)

    def _may_be_cut(self) -> bool:
        """Whether the next decided document of the books may be of an entry that was cut."""
        head = self._decided.head
        if head is None or not self.cuts.count:
            return False
        return head.get("at") in self.cuts or ("taken_back" in head and str(head.get("_id")) in self._entered)

    def _taken_back_too(self, row: RequestRow) -> None:
        """A sale was decided and taken back at places that were cut."""
        if row.id in self._taken_back_where_cut:
            self._taker.reversal(row)
        else:
            self._follow.stranger(row.id, "reversal", f"no entry up to {row.at}, which was cut, brought it")

    def _leftover(self, request_id: str, document: Document) -> None:
        """Judges an undecided document of the books whose request the log does not have waiting."""
        place = self._entered.pop(request_id, None)
        if place is None:
            self._follow.stranger(request_id, "request")
        else:
            self._taker.request(read_request(document))
            self._follow.judge_request(request_id, [Version(place, None)], document)

    def _settle(self, deposit_id: str, account: Account) -> None:
        """Compares what the books say is left with what the log has left up to there: once, before that changes."""
        if not account.settled:
            account.settled = True
            left = Left(account.left, account.written_off, None if self.cuts.count else self._leases.of(deposit_id))
            self._follow.account(deposit_id, account.at, account.said, account.last, left)
