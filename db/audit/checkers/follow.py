"""`books_follow_log`: the books are what the log adds up to.

The books are made from the log, behind it. They say up to which place (`posts.made`), and every document says which
entry made it what it is (`at`). A document may be newer than `made`, for making is not one step; it may never be
older than the last entry up to there that touches it, and at its own `at` it must be exactly what the log gives. Once
things are calm, the books are made to the end of the log.

`db.audit.folding` finds for each document of the books what the log says of it, and tells this checker. Of a place
that was cut, the log says only which ids it brought: what the books hold of it is checked for being there, and no
further.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import msgspec

from db.audit.findings import Checker, Finding
from db.audit.log_rows import Places
from db.audit.rows import MAIN_POST, Document, HolderRow, PostRow, whole

_MOST_FIELDS = 4
"""The most fields named of one document that differs: enough to find the fault."""

_FOLDED = ("remaining", "written_off", "at", "leases")
"""The fields of a deposit that change after it was taken in."""


class Version(msgspec.Struct, frozen=True, gc=False):
    """What a record was after the entry at `place`; no document if that was cut."""

    place: int
    document: Document | None


class Left(msgspec.Struct, frozen=True, gc=False):
    """What is left of a deposit, what was written off of it, and what is set aside of it, None where nobody knows."""

    remaining: int | None
    written_off: int | None
    leases: dict[str, int] | None = None


class FoldedPost(msgspec.Struct, kw_only=True):
    """What the post is after an entry. `unknown` are the fields that only entries could tell that were cut."""

    term: int | None = 0
    trader: str | None = None
    since: int | None = None
    uri: str | None = ""
    seq: int = 0
    arrival: int = 0
    reversals: int = 0
    areas: dict[str, HolderRow] = {}
    unknown: frozenset[str] = frozenset()


_POST_FIELDS = ("term", "trader", "since", "uri", "seq", "arrival", "reversals")


class BooksFollowLog(Checker):
    """The books hold exactly what the log gives, as far as they are made. A `Fold` feeds it."""

    name: ClassVar[str] = "books_follow_log"

    def __init__(self, not_calm: str = "", *, log_given: bool | None = True) -> None:
        """With `log_given` None, there is a log if the books say that they are made from one."""
        super().__init__()
        self.not_calm = not_calm
        self._log_given = log_given
        self._main: PostRow | None = None
        self._end = -1
        self._cuts = Places()

    @property
    def made(self) -> int:
        """Up to which place the books say they are made; -1 if nothing is."""
        made = self._main.made if self._main is not None else None
        return -1 if made is None else made

    @property
    def behind(self) -> bool:
        """Whether the books are not made to the end of the log."""
        return self.made < self._end

    # -- what the books say --------------------------------------------------------------------------------

    def book_post(self, row: PostRow) -> None:
        """Takes in a document of `posts`, before anything else."""
        if row.id == MAIN_POST:
            self._main = row
        elif self._log_given is not False:
            self.stranger(row.id, "post")

    def unfolded(self, record: str, at: int | None) -> None:
        """Takes in a document of books whose log is empty."""
        if self._log_given is not False and at is not None:
            self.violate(record, what=f"its at is {at}; the log is empty")

    # -- what the log says ---------------------------------------------------------------------------------

    def after(self, place: int, state: FoldedPost) -> None:
        """Takes in what the post is after the entry at `place`."""
        self._end = place
        if self._main is not None and place == self.made:
            self._check_post(self._main, state)

    def goes_on(self, term: int | None, trader: str | None) -> None:
        """Takes in who wrote the entry after `made`, where that was cut; no trader if it begins another term."""
        post = self._main
        if post is None or term is None:
            return
        if trader is None and post.term != term - 1:
            self.violate(MAIN_POST, what=f"its term is {post.term}; the next entry begins term {term}")
        elif trader is not None and (post.term, post.trader) != (term, trader):
            theirs = f"it is {post.trader}'s, of term {post.term}"
            self.violate(MAIN_POST, what=f"{theirs}; the next entry is {trader}'s, of term {term}")

    def cut(self, place: int) -> None:
        """Takes in that the entry at `place` was cut."""
        self._cuts.add(place)
        if place > self.made:
            self.violate(f"log {place}", what=f"it was cut, although the books are made only up to {self.made}")

    def judge_request(self, request_id: str, versions: Sequence[Version], book: Document | None) -> None:
        """Judges a request: what entries made of it, in order, and what the books hold of it."""
        due = [version for version in versions if version.place <= self.made]
        if book is None:
            if due:
                self._missing(request_id, due[-1].place)
            return
        at = whole(book.get("at"))
        written = [version for version in versions if version.place == at]
        if not written:
            places = ", ".join(str(version.place) for version in versions)
            self.violate(request_id, what=f"its at is {at}; it is touched by the log at {places}")
        elif due and (at or 0) < due[-1].place:
            self._stale(request_id, at, due[-1].place)
        if written and written[-1].document is not None and book != written[-1].document:
            self.violate(request_id, what=f"at {at}, {_differences(book, written[-1].document)}")

    def not_taken_back(self, request_id: str, place: int) -> None:
        """Judges a request that the books hold as sold, while the entry at `place` took the sale back."""
        if place <= self.made:
            self.violate(request_id, what=f"the entry at {place} took the sale back; the books do not say so")

    def judge_deposit(self, deposit_id: str, taken_in: Document, book: Document | None) -> None:
        """Judges what never changes of a deposit, when the log takes it in."""
        if book is not None:
            book, taken_in = _without(book, _FOLDED), _without(taken_in, _FOLDED)
            if book != taken_in:
                self.violate(deposit_id, what=_differences(book, taken_in))

    def account(self, deposit_id: str, at: object, said: Left, last: int, left: Left) -> None:
        """Judges what the books say is left, as of the place `at`: `last` touched it up to there, leaving `left`."""
        if at != last:
            self.violate(deposit_id, what=f"its at is {at}; up to there the log touches it at {last} last")
        elif said.remaining != left.remaining:
            self.violate(
                deposit_id, what=f"remaining is {said.remaining}; at {at} the log adds up to {left.remaining}"
            )
        elif said.written_off != left.written_off:
            off = f"written_off is {said.written_off}; at {at} the log adds up to {left.written_off}"
            self.violate(deposit_id, what=off)
        elif left.leases is not None and said.leases != left.leases:
            self.violate(deposit_id, what=f"leases are {said.leases}; at {at} the log adds up to {left.leases}")

    def touched(self, deposit_id: str, due: int, at: object, *, in_books: bool) -> None:
        """Judges how new a deposit is: `due` is the last place up to `made` that touches it, or -1."""
        if due >= 0 and not in_books:
            self._missing(deposit_id, due)
        elif isinstance(at, int) and at < due:
            self._stale(deposit_id, at, due)

    def stranger(self, record: str, kind: str, why: str = "") -> None:
        """Reports a document of the books that the log does not account for."""
        self.violate(record, what=f"the books hold this {kind}; the log has no such" + (f": {why}" if why else ""))

    def finish(self) -> Finding:
        made = self.made
        if self._cuts.count:
            only = "of what it held there only the books could be judged"
            self._notes.append(f"the log was cut at {self._cuts}; {only}")
        given = self._log_given
        if given is None:
            given = self._end >= 0 or self._found > 0 or (self._main is not None and self._main.made is not None)
        if not given:
            return self.not_judged("not checked", "there is no log")
        if self._main is not None and self._main.made is None and self._end >= 0:
            self.violate(MAIN_POST, what="it does not say up to where the books are made")
        if made > self._end:
            beyond = f"the books are made up to {made}; the log ends at {self._end}"
            self.violate(MAIN_POST, what=f"{beyond}: it was restored older than they are")
        elif made < self._end and self.not_calm:
            late = self._end - made
            self._notes.append(f"the books were {late} {'entry' if late == 1 else 'entries'} behind the log")
        elif made < self._end:
            behind = f"the log goes on to {self._end}; at rest, the books are made only up to {made}"
            self.violate(MAIN_POST, what=behind)
        if self._main is not None and self._main.made == -1:
            self._check_post(self._main, FoldedPost())
        return super().finish()

    def _check_post(self, post: PostRow, state: FoldedPost) -> None:
        for field in _POST_FIELDS:
            if field in state.unknown:
                continue
            theirs, ours = getattr(post, field), getattr(state, field)
            if theirs != ours:
                what = f"its {field} is {theirs}; after the entry at {self.made} the log says {ours}"
                self.violate(MAIN_POST, what=what)
        seen = state.areas if "areas" in state.unknown else {**post.areas, **state.areas}
        for area in sorted(seen):
            theirs, ours = post.areas.get(area), state.areas.get(area)
            if theirs != ours:
                what = f"{area} is {theirs}; after the entry at {self.made} the log says {ours}"
                self.violate(MAIN_POST, what=what)

    def _missing(self, record: str, due: int) -> None:
        self.violate(record, what=f"it is missing: the entry at {due} wrote it, the books are made up to {self.made}")

    def _stale(self, record: str, at: int | None, due: int) -> None:
        made = f"the entry at {due} changed it, the books are made up to {self.made}"
        self.violate(record, what=f"it is as it was at {at}: {made}")


def _without(document: Document, fields: tuple[str, ...]) -> Document:
    return {field: value for field, value in document.items() if field not in fields}


def _differences(book: Document, log: Document) -> str:
    fields = [field for field in {**log, **book} if _absent_or(book, field) != _absent_or(log, field)]
    said = [f"its {field} is {_absent_or(book, field)}; the log says {_absent_or(log, field)}" for field in fields]
    more = f" (and {len(said) - _MOST_FIELDS} more fields)" if len(said) > _MOST_FIELDS else ""
    return "; ".join(said[:_MOST_FIELDS]) + more


_ABSENT = "nothing"


def _absent_or(document: Document, field: str) -> object:
    return document.get(field, _ABSENT)
