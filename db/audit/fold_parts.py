"""What a fold keeps while it plays a log: an account of each deposit, and a stream whose next is seen first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from db.audit.checkers.follow import Left
from db.audit.rows import Document, whole


class Account:
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


class Ahead:
    """A stream of documents of which the next one can be seen before it is taken."""

    def __init__(self, documents: Iterable[Document]) -> None:
        self._documents = iter(documents)
        self.head: Document | None = next(self._documents, None)

    @property
    def over(self) -> bool:
        return self.head is None

    def take(self) -> Document:
        """Gives the head; only while there is one."""
        assert self.head is not None
        taken, self.head = self.head, next(self._documents, None)
        return taken

    def put_back(self, documents: list[Document]) -> None:
        """Has these come again, before all others."""
        if documents:
            rest = () if self.head is None else (self.head,)
            self._documents = chain(documents[1:], rest, self._documents)
            self.head = documents[0]

    def __iter__(self) -> Iterator[Document]:
        while self.head is not None:
            yield self.take()
