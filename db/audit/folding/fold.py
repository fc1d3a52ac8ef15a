"""The fold: what a log adds up to, and what the books say of the same.

It is the audit's own, and shares no code with the trader or the ledgers. It takes the log an entry at a
time, gives the checkers each record once (deposits and outcomes as the log brings them, what is still queued at the
end), and holds every document of the books against what made it. Where entries were cut, the books' own documents
take their place.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec

from db.audit.checkers.follow import BooksFollowLog, FoldedPost
from db.audit.folding.deposits import DepositFold, DepositTaker
from db.audit.folding.requests import RequestFold, RequestTaker
from db.audit.log_rows import EntryRow, Places, read_entry
from db.audit.rows import Document, ElectionRow, HolderRow, read_post

_OF_A_TERM = frozenset(("term", "trader", "since", "uri"))


class Taker(DepositTaker, RequestTaker, Protocol):
    """Whoever is fed: one checker, or all of them."""

    def election(self, row: ElectionRow) -> None: ...
    def log_entry(self, row: EntryRow) -> None: ...


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
        self._state = FoldedPost()
        self.cuts = Places()
        self._deposits = DepositFold(taker, follow, self.cuts, books.deposits)
        self._requests = RequestFold(
            taker, follow, self.cuts, self._state, self._deposits, books.undecided, books.decided
        )
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
        self.end = entry.place
        if entry.cut:
            self._cut(entry)
        else:
            self._play(entry)
        if self.cuts.count:  # What cut entries decided last may not be known yet.
            self._state.unknown -= {"seq"}
            self._state.unknown |= {"seq"} if self._requests.may_be_cut() else set()
        self._follow.after(entry.place, self._state)

    def finish(self) -> None:
        """Feeds what is still queued, and judges what of the books found no partner, or none yet."""
        self._requests.finish()
        self._deposits.finish()

    def _play(self, entry: EntryRow) -> None:
        place, deposits, requests = entry.place, self._deposits, self._requests
        requests.settle_certain()
        self._of_term(entry)
        deposits.begin(entry)
        for deposit, given in entry.deposits:
            deposits.take_in(place, deposit, given)
        for undone, given in entry.reversals:
            requests.take_back(place, undone, given)
        for recount, _ in entry.recounts:
            deposits.recount(place, recount)
        for outcome, given in entry.decided:
            requests.decide(place, outcome, given)
        for waiting, given in entry.queued:
            requests.enqueue(place, waiting, given)
        deposits.end(entry)

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

    def _cut(self, entry: EntryRow) -> None:
        """The books speak for what this entry held."""
        self._follow.cut(entry.place)
        self.cuts.add(entry.place)
        self._state.unknown = _OF_A_TERM | {"arrival", "areas"}
        self._state.areas.clear()
        self._deposits.cut(entry)
        self._requests.cut(entry)
