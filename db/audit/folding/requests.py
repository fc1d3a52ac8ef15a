"""The requests of a log that is played, each brought together with what the books hold of it.

Decided requests of the books come in a stream, by `seq`, and go along with the outcomes of the log: in sound books
the next is always the one that is looked for. Those out of step are kept by id until their partner comes; so what is
held in memory is what is queued, and what is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec

from db.audit.checkers.follow import BooksFollowLog, FoldedPost, Version
from db.audit.folding.ahead import Ahead
from db.audit.folding.deposits import DepositFold
from db.audit.log_rows import EntryRow, Places
from db.audit.rows import Document, RequestRow, read_request, whole


class RequestTaker(Protocol):
    """Whoever is fed what becomes of requests."""

    def request(self, row: RequestRow) -> None: ...
    def reversal(self, row: RequestRow) -> None: ...


class RequestFold:
    """Feed it what each entry holds, or `cut`; then `finish` once. It keeps count in `state`, and `deposits` sell."""

    def __init__(
        self,
        taker: RequestTaker,
        follow: BooksFollowLog,
        cuts: Places,
        state: FoldedPost,
        deposits: DepositFold,
        undecided: Iterable[Document],
        decided: Iterable[Document],
    ) -> None:
        self._taker = taker
        self._follow = follow
        # The places that were cut so far.
        self._cuts = cuts
        self._state = state
        self._deposits = deposits
        self._undecided = {str(document.get("_id")): document for document in undecided}
        self._decided = Ahead(decided)
        # By id of request: those that the log has queued and not decided, with the place that queued them.
        self._queue: dict[str, tuple[int, RequestRow, Document]] = {}
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

    # -- what an entry does --------------------------------------------------------------------------------

    def enqueue(self, place: int, row: RequestRow, document: Document) -> None:
        """Takes in a request that the entry at `place` has queued."""
        self._queue.setdefault(row.id, (place, row, document))
        self._state.arrival = max(self._state.arrival, row.arrival or 0)

    def decide(self, place: int, row: RequestRow, document: Document) -> None:
        """Takes in an outcome as the entry at `place` has it."""
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

    def take_back(self, place: int, row: RequestRow, document: Document) -> None:
        """The entry at `place` takes a sale back."""
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

    def _count(self, place: int, row: RequestRow) -> None:
        state = self._state
        state.seq = max(state.seq, row.seq or 0)
        state.arrival = max(state.arrival, row.arrival or 0)
        self._deposits.sell(place, row)

    def _versions_before(self, request_id: str) -> list[Version]:
        place, _, document = self._queue.pop(request_id, (-1, None, None))
        if place < 0:
            place = self._entered.pop(request_id, -1)
        return [] if place < 0 else [Version(place, document)]

    def cut(self, entry: EntryRow) -> None:
        """The books speak for the requests that a cut entry held: their next outcomes, as far as their places go."""
        self._state.reversals += len(entry.new_reversals)
        self._taken_back_where_cut.update(entry.new_reversals)
        for request_id in entry.new_requests:
            self._entered.setdefault(request_id, entry.place)
        while (head := self._decided.head) is not None:
            at = whole(head.get("at"))
            if at is None or at > entry.place:
                break
            self._unlooked_for(self._decided.take())

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
        elif at in self._cuts:
            self._decided_where_cut(request_id, at or 0, document)
        elif "taken_back" in document and (at or 0) > self._cuts.last >= 0 and request_id in self._entered:
            self._decided_where_cut(request_id, self._cuts.last, document)
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

    # -- what cut entries decided --------------------------------------------------------------------------

    def _settle_cut(self, seq: int) -> None:
        """Takes in what cut entries decided with a number below `seq` and whole ones took back."""
        while self.may_be_cut() and (whole((self._decided.head or {}).get("seq")) or 0) < seq:
            self._unlooked_for(self._decided.take())

    def settle_certain(self) -> None:
        """Takes in what certainly cut entries decided: each document that has one of a cut place behind it."""
        held: list[Document] = []
        while self.may_be_cut():
            head = self._decided.take()
            held.append(head)
            if head.get("at") in self._cuts:
                for document in held:
                    self._unlooked_for(document)
                held = []
        self._decided.put_back(held)

    def may_be_cut(self) -> bool:
        """Whether the next decided document of the books may be of an entry that was cut."""
        head = self._decided.head
        if head is None or not self._cuts.count:
            return False
        return head.get("at") in self._cuts or ("taken_back" in head and str(head.get("_id")) in self._entered)
